import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { fromHex } from "../../src/base/bytes.ts";
import { createStateMachine } from "../../src/catalog/state-machine.ts";
import { decodeLogEntry } from "../../src/wire/raft-codec.ts";
import { ENTRY_TYPE } from "../../src/wire/raft-messages.ts";
import { projectPath } from "../support/project-root.ts";
import { recordsOf } from "../vectors/fsm-content.ts";
import { encoded } from "./helpers.ts";

interface Recording {
  readonly log: readonly { readonly index: number; readonly hex: string }[];
  readonly state: string;
}

test("the log of a real server, applied, gives the state that it wrote", () => {
  const { log, state } = JSON.parse(readFileSync(projectPath("test/catalog/data/recorded-run.json"), "utf8")) as Recording;
  const machine = createStateMachine();
  for (const { index, hex } of log) {
    const entry = decodeLogEntry(fromHex(hex));
    assert.ok(entry !== null);
    if (entry.type !== ENTRY_TYPE.command) continue;
    assert.notEqual(machine.apply(index, entry.data, 0).kind, "fatal", `entry ${index}`);
  }
  const [ours, theirs] = [recordsOf(encoded(machine.snapshot())), recordsOf(fromHex(state))];
  theirs.forEach((record, i) => assert.deepEqual(ours[i], record, `record ${i} of type ${record.type}`));
  assert.equal(ours.length, theirs.length);
});
