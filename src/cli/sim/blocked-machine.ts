/**
 * A production node whose input and output can be blocked, as the Lifeguard paper (section V) disturbs memberlist: a member blocks right before it
 * sends and right after it receives, while timers go on; all is let go at the end. Whoever probes waits in its first blocked send, so from the first
 * probe on nothing more is begun: the rest of the time is a pause, at the end of which timers come before what was received.
 */
import type { PoolEffect, PoolInput } from "../../serf/types.ts";
import type { MachineFactory, PoolView, SimMachine } from "../../sim/sim-machine.ts";
import type { AdoptedMember, AdoptedMembers } from "../../swim/adopted-members.ts";

/** Type byte of a ping. */
export const PING = 0;

const BLOCKING: ReadonlySet<PoolEffect["kind"]> = new Set(["packet", "dial", "streamSend", "streamClose"]);

/** Wraps each node and puts it at its index into `machines`. */
export function blockable(factory: MachineFactory, machines: BlockedMachine[]): MachineFactory {
  return (spec, out) => (machines[spec.index] = new BlockedMachine(factory(spec, out)));
}

export class BlockedMachine implements SimMachine {
  readonly #inner: SimMachine;
  /** On the node's own clock; -Infinity when nothing is blocked. */
  #untilMs = -Infinity;
  #isWaiting = false;
  #received: PoolInput[] = [];
  #unsent: PoolEffect[] = [];

  constructor(inner: SimMachine) {
    this.#inner = inner;
  }

  /** Blocks from now to `untilMs` of the node's own clock. */
  block(untilMs: number): void {
    this.#untilMs = untilMs;
    this.#isWaiting = false;
  }

  /** What came in meanwhile; whoever ended the block hands it in again, in this order. */
  takeReceived(): PoolInput[] {
    return this.#received.splice(0);
  }

  get view(): PoolView {
    return this.#inner.view;
  }

  get wakeAtMs(): number {
    const { wakeAtMs } = this.#inner;
    if (this.#untilMs === -Infinity) return wakeAtMs;
    return this.#isWaiting ? this.#untilMs : Math.min(wakeAtMs, this.#untilMs);
  }

  step(input: PoolInput, nowMs: number, out: PoolEffect[]): boolean {
    if (nowMs >= this.#untilMs) {
      this.#letGo(nowMs, out);
      return this.#inner.step(input, nowMs, out);
    }
    this.#received.push(input);
    return false;
  }

  wake(nowMs: number, out: PoolEffect[]): void {
    if (nowMs >= this.#untilMs) {
      const wasBlocked = this.#untilMs > -Infinity;
      this.#letGo(nowMs, out);
      if (!wasBlocked) this.#inner.wake(nowMs, out);
      return;
    }
    if (this.#isWaiting) return;
    const done: PoolEffect[] = [];
    this.#inner.wake(nowMs, done);
    for (const effect of done) {
      if (!BLOCKING.has(effect.kind)) out.push(effect);
      else this.#unsent.push(effect);
      if (effect.kind === "packet" && effect.messages[0]?.[0] === PING) this.#isWaiting = true;
    }
  }

  // What is held back is judged when it is let in.
  readonly leavesOutSettled = false;

  isRepeat(number: number): boolean {
    return this.#untilMs === -Infinity && this.#inner.isRepeat(number);
  }

  get self(): AdoptedMember {
    return this.#inner.self;
  }

  adopt(members: AdoptedMembers): void {
    this.#inner.adopt(members);
  }

  close(): void {
    this.#inner.close();
  }

  #letGo(nowMs: number, out: PoolEffect[]): void {
    if (this.#untilMs === -Infinity) return;
    this.#untilMs = -Infinity;
    this.#isWaiting = false;
    out.push(...this.#unsent.splice(0));
    // Until no timer is due: who probed gives up, suspicions end. Each may make another one due.
    for (let i = 0; i < WAKES_MAX && this.#inner.wakeAtMs <= nowMs; i += 1) this.#inner.wake(nowMs, out);
  }
}

const WAKES_MAX = 100;
