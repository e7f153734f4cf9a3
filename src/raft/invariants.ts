/** What must hold after every step, in production too: a node that finds it broken stops instead of spreading the damage. Cheap on purpose. */
import { assert } from "../base/assert.ts";
import type { Applier } from "./applier.ts";
import type { Context } from "./context.ts";
import type { Role } from "./types.ts";

export class Invariants {
  #term = 0;
  #handedIndex = 0;
  #role: Role = "follower";
  #lastIndex = 0;

  check(context: Context, applier: Applier): void {
    const { log, term, commitIndex, role, leader, writes } = context;
    assert(term >= this.#term, "terms never fall");
    assert(log.lastTerm <= term, "no entry of a future term");
    assert(commitIndex <= log.lastIndex, "only entries we have are committed");
    assert(applier.handedIndex <= commitIndex, "only committed entries are applied");
    assert(applier.handedIndex >= this.#handedIndex, "the state machine never goes back");
    assert(writes.durableIndex <= log.lastIndex, "only entries we have are durable");
    assert(context.snapshotIndex <= commitIndex, "a snapshot holds committed entries");
    assert(context.snapshotIndex >= log.firstIndex - 1, "what the log has lost is in the snapshot");
    assert(context.configurations.latest.index <= log.lastIndex, "a configuration in force is in the log");
    if (role === "leader") {
      assert(leader?.id === context.config.id, "a leader knows itself");
      assert(writes.hardState.lastVoteTerm === term && writes.hardState.lastVoteCandidate === context.config.address, "a leader voted for itself");
      // Leader append-only (figure 3).
      if (this.#role === "leader" && this.#term === term) assert(log.lastIndex >= this.#lastIndex, "a leader never removes entries");
    } else assert(leader?.id !== context.config.id, "who does not lead knows it");
    this.#term = term;
    this.#handedIndex = applier.handedIndex;
    this.#role = role;
    this.#lastIndex = log.lastIndex;
  }
}
