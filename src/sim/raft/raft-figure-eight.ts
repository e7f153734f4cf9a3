/**
 * Figure 8 of the Raft paper as a fault: a leader's entry reaches its own disk only; another leads for a moment and leaves an entry of a
 * newer term on its own disk only; the first comes back, copies its old entry to a majority and dies; the second comes back. Whoever had
 * committed the old entry by counting its copies loses it now. Chance alone takes very long to come upon this.
 */
import type { SeededRandom } from "../../base/random.ts";
import { quorumSize } from "../../raft/quorum.ts";
import { putCommand } from "./kv.ts";
import { nodeOf } from "./raft-safety.ts";
import type { RaftServer } from "./raft-server.ts";
import type { RaftSimulation } from "./raft-simulation.ts";

const MS = 1000;
/** So large that no other entry travels with it. */
const ALONE_BYTES = 3000;

export class FigureEight {
  readonly #sim: RaftSimulation;
  readonly #random: SeededRandom;
  /** Cut off from the others as soon as it is elected; -1: nobody. */
  #cutWhenElected = -1;
  #killedWhenElected = -1;

  constructor(sim: RaftSimulation, random: SeededRandom) {
    this.#sim = sim;
    this.#random = random;
  }

  /** From `calmFromUs` on everything works: what is left of the act then leaves no cut behind. */
  play(leader: number, calmFromUs: number): void {
    const sim = this.#sim;
    const others = sim.safety.voters.map(nodeOf).filter((node) => node !== leader);
    const [second, ...rest] = others;
    if (second === undefined || !sim.safety.voters.includes(sim.server(leader).id)) return;
    const startUs = sim.nowUs;
    const at = (ms: number, task: () => void): void => sim.at(startUs + ms * MS, task);
    sim.network.heal();
    // With the two of them in turn, the rest makes exactly a majority.
    for (const node of rest.slice(quorumSize(others.length + 1) - 1)) sim.kill(node);
    this.#isolate(leader);
    sim.propose(leader, [putCommand(0, -2, ALONE_BYTES)], () => {});
    at(30, () => sim.kill(leader));
    at(40, () => {
      sim.network.heal();
      this.#cutWhenElected = second;
      sim.timeoutNow(second);
    });
    at(90, () => {
      this.#cutWhenElected = -1;
      sim.kill(second);
      sim.network.heal();
      sim.start(leader);
    });
    at(99, () => (this.#killedWhenElected = leader));
    // More than once: the terms it has missed are told to it by the first refusals.
    for (const ms of [100, 120, 140]) at(ms, () => sim.timeoutNow(leader));
    at(200, () => {
      this.#killedWhenElected = -1;
      sim.start(second);
    });
    for (const ms of [201, 220, 240]) at(ms, () => sim.timeoutNow(second));
    at(300, () => {
      if (sim.nowUs >= calmFromUs) sim.network.heal();
      for (const { node } of sim.servers) sim.start(node);
    });
  }

  elected({ node }: RaftServer): void {
    if (node === this.#cutWhenElected) this.#isolate(node);
    if (node === this.#killedWhenElected) this.#sim.at(this.#sim.nowUs + this.#random.below(50 * MS), () => this.#sim.kill(node));
  }

  /** Were it the old entry that is committed here, nothing newer would have reached anybody yet. */
  applied({ node }: RaftServer): void {
    if (node === this.#killedWhenElected) this.#isolate(node);
  }

  #isolate(node: number): void {
    for (const other of this.#sim.servers.keys()) {
      this.#sim.network.cut(node, other);
      this.#sim.network.cut(other, node);
    }
  }
}
