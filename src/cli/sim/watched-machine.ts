/** A production node with an onlooker: what a wake of its own made it send, apart from what messages made it send. */
import type { PoolEffect, PoolInput } from "../../serf/types.ts";
import type { MachineFactory, PoolView, SimMachine } from "../../sim/sim-machine.ts";
import type { AdoptedMember, AdoptedMembers } from "../../swim/adopted-members.ts";

/** Gets the index of the node and the effects of one wake. */
export type WakeListener = (node: number, effects: readonly PoolEffect[]) => void;

export function watched(factory: MachineFactory, onWake: WakeListener): MachineFactory {
  return (spec, out) => new WatchedMachine(factory(spec, out), (effects) => onWake(spec.index, effects));
}

class WatchedMachine implements SimMachine {
  readonly #inner: SimMachine;
  readonly #onWake: (effects: readonly PoolEffect[]) => void;

  constructor(inner: SimMachine, onWake: (effects: readonly PoolEffect[]) => void) {
    this.#inner = inner;
    this.#onWake = onWake;
  }

  get view(): PoolView {
    return this.#inner.view;
  }

  get wakeAtMs(): number {
    return this.#inner.wakeAtMs;
  }

  step(input: PoolInput, nowMs: number, out: PoolEffect[]): boolean {
    return this.#inner.step(input, nowMs, out);
  }

  wake(nowMs: number, out: PoolEffect[]): void {
    this.#inner.wake(nowMs, out);
    this.#onWake(out);
  }

  isRepeat(number: number): boolean {
    return this.#inner.isRepeat(number);
  }

  get leavesOutSettled(): boolean {
    return this.#inner.leavesOutSettled;
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
}
