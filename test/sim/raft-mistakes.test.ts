/** Each mistake that a Raft implementation is known for is noticed by a checker: without this, a quiet simulation would prove nothing. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { runRaft } from "../../src/sim/raft/raft-run.ts";
import type { CreateRaft } from "../../src/sim/raft/raft-server.ts";
import type { DriverMistake } from "../../src/sim/raft/raft-simulation.ts";
import { mutant, type Mutation } from "./raft-mutants.ts";

const SEEDS = 16;
const MINUTES = 8;

interface Found {
  readonly seed: number;
  readonly violation: string;
}

/** The first of the seeds that notices it, from the last one down. */
function noticed(create: CreateRaft | null, mistake: DriverMistake | null): Found | null {
  for (let seed = SEEDS; seed >= 1; seed -= 1) {
    const options = { seed, minutes: MINUTES, servers: seed % 2 === 0 ? 3 : 5, ...(create === null ? {} : { create }), ...(mistake === null ? {} : { mistake }) };
    const { violation } = runRaft(options);
    if (violation !== null) return { seed, violation };
  }
  return null;
}

const inTheDriver: readonly (readonly [DriverMistake, RegExp])[] = [
  ["voteNotPersisted", /election safety|log matching|state machine safety|assertion/],
  ["ackBeforeDurable", /durability|state machine safety|leader completeness|log matching/],
  ["movingSnapshot", /snapshots/],
];

for (const [mistake, expected] of inTheDriver) {
  test(`noticed: ${mistake}`, () => {
    const found = noticed(null, mistake);
    assert.match(found?.violation ?? "nothing", expected);
  });
}

const inTheCore: readonly (readonly [name: string, mutations: readonly Mutation[], expected: RegExp])[] = [
  [
    "an entry of an older term is committed by counting",
    [{ module: "leader", from: "index > context.commitIndex && context.log.termAt(index) === context.term", to: "index > context.commitIndex" }],
    /state machine safety|leader completeness|durability/,
  ],
  [
    "a new leader writes no entry of its own",
    [
      { module: "leader", from: "this.#termStart = this.#append(ENTRY_TYPE.noop, EMPTY_BYTES, EMPTY_BYTES);", to: "this.#termStart = 0;" },
      { module: "leader", from: 'assert(this.#context.log.lastTerm === writes.term, "the log of a leader ends in its term");', to: "" },
    ],
    /linearizability|recovery|state machine safety/,
  ],
  [
    "a consistent read does not ask whether we still lead",
    [{ module: "leader", from: "round: this.#replicator.newRound(),", to: "round: 0," }],
    /linearizability: a consistent read/,
  ],
  [
    "a closed connection leaves the lease alone",
    [{ module: "progress", from: "this.leaseFromMs = -Infinity;\n        this.voidedCall = lastCall;", to: "" }],
    /lease:/,
  ],
  [
    "a pre-vote raises the term of who is asked",
    [{ module: "receiver", from: "this.#election.knowsPreVote(id);", to: "this.#election.knowsPreVote(id); if (message.term > term) this.#host.becomeFollower(message.term, null);" }],
    /pre-vote/,
  ],
  [
    "a configuration is used before it is in the log",
    [{ module: "leader", from: "index: this.#append(ENTRY_TYPE.configuration, data, EMPTY_BYTES, next.value)", to: "index: (configurations.push(this.#context.log.lastIndex + 1, next.value), this.#context.log.lastIndex + 1 + 0 * data.length)" }],
    /a configuration in force is in the log|state machine safety|durability/,
  ],
  [
    "the log is compacted up to the newest snapshot, so the one before it is of no use",
    [{ module: "snapshots", from: "this.#compact(before);", to: "this.#compact(meta.index);" }],
    /the log goes on from the older snapshot/,
  ],
];

for (const [name, mutations, expected] of inTheCore) {
  test(`noticed: ${name}`, async () => {
    const found = noticed(await mutant(mutations), null);
    assert.match(found?.violation ?? "nothing", expected);
  });
}

test("a copy of the core without a mistake is found whole, and one whose line is gone is refused", async () => {
  const same = await mutant([]);
  assert.equal(runRaft({ seed: 3, minutes: 4, create: same }).traceHash, runRaft({ seed: 3, minutes: 4 }).traceHash);
  await assert.rejects(mutant([{ module: "quorum", from: "no such line", to: "" }]), /does not hold exactly once/);
});
