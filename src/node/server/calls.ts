/**
 * Where a call is answered: here, at the leader, or not at all. A call that needs a leader waits for one as long as `rpcHoldTimeoutMs`;
 * what was never appended may be sent again, what may have been is reported lost (reference: consul-agent §1.3, §6.4). A leader that was replaced without its
 * connections breaking (it is cut off) would keep its callers waiting until the keepalive notices, half a minute and more: the next leader's election ends that.
 */
import { Deadlines } from "../../base/deadlines.ts";
import type { RpcArgs, RpcMethod, RpcOutcome } from "../../api/rpc/types.ts";
import type { PeerAddress } from "../../raft/types.ts";
import { methodClass } from "./methods.ts";
import type { CallId, ServerEffect } from "./types.ts";

export const NO_LEADER = "No cluster leader";
const HOP_PREFIX = "rpc error making call: ";
/** A parked call looks for a leader again this often, besides at each change. */
const RETRY_MS = 100;
/** A deposed leader, if it can be reached at all, has told its callers by now: its lease ended before anyone could be elected. */
export const LATE_ANSWER_MS = 1000;
/** Calls that wait for a leader; further ones are refused at once. */
export const PARKED_MAX = 10_000;

interface Held {
  readonly method: RpcMethod;
  readonly args: RpcArgs;
  /** No new attempt after this. */
  readonly holdUntilMs: number;
}

interface Forwarded extends Held {
  readonly to: PeerAddress;
}

/** What the router must know and can do; the server implements it. */
export interface CallHost {
  readonly datacenter: string;
  readonly rpcHoldTimeoutMs: number;
  isLeader(): boolean;
  leader(): PeerAddress | null;
  /** This server has heard of a leader at least once. */
  everHadLeader(): boolean;
  /** Answer here, now or later. */
  answer(call: CallId, method: RpcMethod, args: RpcArgs, nowMs: number): void;
}

export class Calls {
  readonly #host: CallHost;
  /** Calls whose fate is open: parked, or at the leader. */
  readonly #parked = new Map<CallId, Held>();
  readonly #forwarded = new Map<CallId, Forwarded>();
  readonly #retries = new Deadlines<CallId>();
  /** When writes at a leader that was replaced are given up. */
  readonly #abandons = new Deadlines<CallId>();

  constructor(host: CallHost) {
    this.#host = host;
  }

  get wakeAtMs(): number {
    return Math.min(this.#retries.nextAtMs, this.#abandons.nextAtMs);
  }

  call(call: CallId, method: RpcMethod, args: RpcArgs, nowMs: number, out: ServerEffect[]): void {
    // Servers ask each other for what only the one asked can know, some of it without naming a datacenter (`Status.RaftStats`).
    const named = args.datacenter !== "" || methodClass(method) !== "local";
    if (named && args.datacenter !== this.#host.datacenter) {
      out.push({ kind: "reply", call, outcome: { ok: false, error: "No path to datacenter" } });
      return;
    }
    this.#route(call, { method, args, holdUntilMs: nowMs + this.#host.rpcHoldTimeoutMs }, nowMs, out);
  }

  #route(call: CallId, held: Held, nowMs: number, out: ServerEffect[]): void {
    const leader = this.#host.leader();
    if (this.#mayAnswerHere(held)) this.#host.answer(call, held.method, held.args, nowMs);
    else if (leader !== null && !this.#host.isLeader()) {
      this.#forwarded.set(call, { ...held, to: leader });
      out.push({ kind: "forward", call, to: leader, method: held.method, args: held.args });
    } else this.#park(call, held, nowMs, out);
  }

  #mayAnswerHere({ method, args }: Held): boolean {
    if (this.#host.isLeader() || methodClass(method) === "local") return true;
    return "options" in args && args.options.allowStale && this.#host.everHadLeader();
  }

  #park(call: CallId, held: Held, nowMs: number, out: ServerEffect[]): void {
    if (nowMs >= held.holdUntilMs || this.#parked.size >= PARKED_MAX) {
      out.push({ kind: "reply", call, outcome: { ok: false, error: NO_LEADER } });
      return;
    }
    this.#parked.set(call, held);
    this.#retries.set(call, Math.min(held.holdUntilMs, nowMs + RETRY_MS));
  }

  /** Nothing was done here with this call: find another way, as long as it may be held. */
  again(call: CallId, method: RpcMethod, args: RpcArgs, sinceMs: number, nowMs: number, out: ServerEffect[]): void {
    this.#park(call, { method, args, holdUntilMs: sinceMs + this.#host.rpcHoldTimeoutMs }, nowMs, out);
  }

  forwarded(call: CallId, outcome: RpcOutcome, nowMs: number, out: ServerEffect[]): void {
    const held = this.#forwarded.get(call);
    if (held === undefined) return;
    this.#forwarded.delete(call);
    this.#abandons.delete(call);
    if (outcome.ok) out.push({ kind: "reply", call, outcome });
    else if (nowMs < held.holdUntilMs && this.#mayRepeat(held.method, outcome.error)) this.#park(call, held, nowMs, out);
    else out.push({ kind: "reply", call, outcome: { ok: false, error: HOP_PREFIX + outcome.error } });
  }

  /** A server without leader has done nothing; a broken connection leaves open what a write has done. */
  #mayRepeat(method: RpcMethod, error: string): boolean {
    if (error.endsWith(NO_LEADER) || error.startsWith(NEVER_SENT)) return true;
    return methodClass(method) === "read" && CONNECTION_ERROR.test(error);
  }

  cancel(call: CallId, out: ServerEffect[]): void {
    this.#parked.delete(call);
    this.#retries.delete(call);
    this.#abandons.delete(call);
    if (this.#forwarded.delete(call)) out.push({ kind: "forgetForward", call });
  }

  /** The leader changed: try everything that waits, and ask the new one what the old one may never answer. */
  leaderChanged(nowMs: number, out: ServerEffect[]): void {
    const leader = this.#host.leader();
    for (const [call, held] of leader === null ? [] : [...this.#forwarded]) {
      if (held.to.address === leader?.address) continue;
      if (methodClass(held.method) !== "read") this.#abandons.set(call, nowMs + LATE_ANSWER_MS);
      else {
        this.cancel(call, out);
        this.#route(call, held, nowMs, out);
      }
    }
    for (const call of [...this.#parked.keys()]) this.#retry(call, nowMs, out);
  }

  wake(nowMs: number, out: ServerEffect[]): void {
    for (let call = this.#retries.popDue(nowMs); call !== undefined; call = this.#retries.popDue(nowMs)) this.#retry(call, nowMs, out);
    for (let call = this.#abandons.popDue(nowMs); call !== undefined; call = this.#abandons.popDue(nowMs)) {
      if (!this.#forwarded.delete(call)) continue;
      // It may lie in a socket's buffer until the cut is healed, and would then overwrite what its writer, told of the failure, has written since.
      out.push({ kind: "abandonForward", call });
      // Whether it was written, only the log knows: in the words of a leader that loses its place.
      out.push({ kind: "reply", call, outcome: { ok: false, error: HOP_PREFIX + LEADERSHIP_LOST } });
    }
  }

  #retry(call: CallId, nowMs: number, out: ServerEffect[]): void {
    const held = this.#parked.get(call);
    if (held === undefined) return;
    this.#parked.delete(call);
    this.#retries.delete(call);
    this.#route(call, held, nowMs, out);
  }
}

/** As the core words it. */
const LEADERSHIP_LOST = "leadership lost while committing log";
/** As the transport words it: there was no connection to send it on. */
const NEVER_SENT = "failed to get conn: ";
/** As the transport words it: the stream broke, the dial failed. */
const CONNECTION_ERROR = /EOF|connection|dial|refused|reset|timeout/i;
