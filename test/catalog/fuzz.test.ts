/** Mutated commands and snapshots of a real server: nothing throws, and whatever was applied can be snapshotted and restored to the same. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { fromHex } from "../../src/base/bytes.ts";
import { SeededRandom } from "../../src/base/random.ts";
import { createStateMachine } from "../../src/catalog/state-machine.ts";
import { decodeLogEntry } from "../../src/wire/raft-codec.ts";
import { ENTRY_TYPE } from "../../src/wire/raft-messages.ts";
import { FUZZ_COUNT, fuzz, mutate } from "../support/fuzz.ts";
import { projectPath } from "../support/project-root.ts";
import { encoded } from "./helpers.ts";

const recording = JSON.parse(readFileSync(projectPath("test/catalog/data/recorded-run.json"), "utf8")) as { readonly log: readonly { readonly hex: string }[]; readonly state: string };
const commands = recording.log.flatMap(({ hex }) => {
  const entry = decodeLogEntry(fromHex(hex));
  return entry?.type === ENTRY_TYPE.command ? [entry.data] : [];
});
const ROUND = 300;

test("fuzz: apply", () => {
  const random = new SeededRandom(21);
  let kinds = new Set<string>();
  for (let done = 0; done < FUZZ_COUNT; done += ROUND) {
    const machine = createStateMachine();
    for (let i = 0; i < ROUND; i += 1) {
      const command = random.below(2) === 0 ? (commands[random.below(commands.length)] as Uint8Array) : mutate(commands, random);
      kinds = kinds.add(machine.apply(machine.appliedIndex + 1, command, i).kind);
    }
    const bytes = encoded(machine.snapshot());
    const copy = createStateMachine();
    const restorer = copy.beginRestore();
    assert.equal(restorer.push(bytes), null);
    assert.equal(restorer.finish(machine.appliedIndex), null);
    assert.deepEqual(encoded(copy.snapshot()), bytes);
  }
  assert.deepEqual([...kinds].sort(), ["bool", "error", "fatal", "nil", "text", "txn"]);
});

test("fuzz: restore", () => {
  fuzz(22, [fromHex(recording.state)], (bytes) => {
    const machine = createStateMachine();
    const restorer = machine.beginRestore();
    if (restorer.push(bytes) !== null || restorer.finish(1) !== null) return;
    encoded(machine.snapshot());
    for (const command of commands.slice(-5)) machine.apply(machine.appliedIndex + 1, command, 0);
  });
});
