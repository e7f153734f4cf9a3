/** Leadership given to another voter (Raft dissertation, 3.10): bring it up to date, then tell it to start an election at once. */
import { isVoter } from "./configuration.ts";
import type { Context } from "./context.ts";
import type { Progress } from "./progress.ts";
import type { Replicator } from "./replicator.ts";
import type { CallFailure, OutgoingCall, RaftError, RequestId } from "./types.ts";

interface Transfer {
  readonly request: RequestId;
  readonly to: string;
  readonly untilMs: number;
  /** TimeoutNow on its way or answered; 0: the target is not up to date yet. */
  call: OutgoingCall;
}

export class HandOver {
  readonly #context: Context;
  readonly #replicator: Replicator;
  #transfer: Transfer | null = null;
  #gaveAway = false;

  constructor(context: Context, replicator: Replicator) {
    this.#context = context;
    this.#replicator = replicator;
  }

  /** Proposals and changes wait for its end: the target must be able to catch up. */
  get isUnderWay(): boolean {
    return this.#transfer !== null;
  }

  /** Somebody was told to start an election in which our lease does not count. It may do so late, so this stays true for our term. */
  get gaveAway(): boolean {
    return this.#gaveAway;
  }

  get wakeAtMs(): number {
    return this.#transfer?.untilMs ?? Infinity;
  }

  start(): void {
    this.#transfer = null;
    this.#gaveAway = false;
  }

  /** We lead no longer, which is what a transfer wants. */
  stop(): void {
    const transfer = this.#transfer;
    this.#transfer = null;
    if (transfer === null) return;
    if (transfer.call === 0) this.#fail(transfer.request, "leadershipLost", "leadership lost during transfer");
    else this.#context.out.push({ kind: "reply", request: transfer.request, result: { ok: true, index: 0, term: this.#context.term } });
  }

  request(request: RequestId, to: string | null): void {
    const target = to ?? this.#mostCurrent()?.server.id ?? null;
    if (this.#transfer !== null) return this.#fail(request, "transferring", "leadership transfer in progress");
    if (target === null) return this.#fail(request, "refused", "cannot find peer");
    const known = target !== this.#context.config.id && isVoter(this.#context.configurations.latest.configuration, target);
    if (!known) return this.#fail(request, "refused", `cannot transfer leadership to ${target}`);
    this.#context.say("info", `starting leadership transfer: id=${target}`);
    this.#transfer = { request, to: target, untilMs: this.#context.nowMs + this.#context.config.timing.electionTimeoutMs, call: 0 };
    this.progressed();
  }

  /** The target may have caught up. */
  progressed(): void {
    const transfer = this.#transfer;
    if (transfer === null || transfer.call !== 0) return;
    const peer = this.#replicator.peer(transfer.to);
    if (peer === null || peer.matchIndex < this.#context.log.lastIndex) return;
    transfer.call = this.#timeoutNow(peer);
  }

  /** We are about to step down on our own: the most current voter need not wait for its timeout. */
  giveAway(): void {
    const peer = this.#mostCurrent();
    if (peer !== null) this.#timeoutNow(peer);
  }

  #timeoutNow(peer: Progress): OutgoingCall {
    this.#gaveAway = true;
    const message = { kind: "timeoutNow", header: this.#context.header } as const;
    const timeoutMs = this.#context.config.timing.electionTimeoutMs;
    return this.#context.send({ to: peer.server, channel: "timeoutNow", message, timeoutMs });
  }

  #mostCurrent(): Progress | null {
    const { configuration } = this.#context.configurations.latest;
    let best: Progress | null = null;
    for (const peer of this.#replicator.peers) {
      if (!isVoter(configuration, peer.server.id) || !peer.hasAnswered) continue;
      if (best === null || peer.matchIndex > best.matchIndex || (peer.matchIndex === best.matchIndex && peer.heardMs > best.heardMs)) best = peer;
    }
    return best;
  }

  wake(): void {
    if (this.#transfer !== null && this.#context.nowMs >= this.#transfer.untilMs) this.#giveUp("leadership transfer timeout");
  }

  response(call: OutgoingCall): boolean {
    return this.#transfer?.call === call && call !== 0;
  }

  failed(call: OutgoingCall, failure: CallFailure): boolean {
    if (!this.response(call)) return false;
    this.#giveUp(`failed to make TimeoutNow RPC: ${failure}`);
    return true;
  }

  #giveUp(text: string): void {
    const transfer = this.#transfer;
    this.#transfer = null;
    if (transfer !== null) this.#fail(transfer.request, "transferFailed", text);
  }

  #fail(request: RequestId, error: RaftError, text: string): void {
    this.#context.out.push({ kind: "reply", request, result: { ok: false, error, text } });
  }
}
