/** From what the disk held to a log that agrees with its snapshot. */
import { assert } from "../base/assert.ts";
import { decodeConfiguration } from "../wire/raft-configuration.ts";
import { EMPTY_CONFIGURATION } from "./configuration.ts";
import { Configurations } from "./configurations.ts";
import { RaftLog } from "./log.ts";
import { TermRuns } from "./term-runs.ts";
import type { RaftConfig, RaftStart } from "./types.ts";
import { Writes } from "./writes.ts";

export interface Restored {
  readonly log: RaftLog;
  readonly writes: Writes;
  readonly configurations: Configurations;
}

/** Throws when the entries between the snapshot and the log are missing: such a disk has lost something, and starting from it would lose it for all. */
export function restoreLog(config: RaftConfig, start: RaftStart): Restored {
  const settled = settledStart(start);
  const log = new RaftLog(settled, config.limits.tailBytesMax);
  const base = settled.snapshot;
  const configurations = new Configurations({ index: base?.configurationIndex ?? 0, configuration: base?.configuration ?? EMPTY_CONFIGURATION });
  for (const entry of settled.configurations) {
    if (entry.index <= configurations.latest.index || entry.index <= (base?.index ?? 0)) continue;
    const decoded = decodeConfiguration(entry.data);
    assert(decoded.ok, `the configuration entry ${entry.index} is malformed`);
    configurations.push(entry.index, decoded.value);
  }
  const writes = new Writes(log, configurations, settled.hardState);
  if (settled !== start) writes.oweTruncation();
  return { log, writes, configurations };
}

/** A crash between the two writes of an installation leaves entries that the snapshot contradicts or overtakes: they go. */
function settledStart(start: RaftStart): RaftStart {
  const { snapshot, firstIndex, lastIndex } = start;
  if (lastIndex === 0) return start;
  const reaches = firstIndex <= (snapshot?.index ?? 0) + 1;
  if (snapshot === null) {
    assert(reaches, "the log begins behind its start, and there is no snapshot");
    return start;
  }
  const term = new TermRuns(start.termRuns, lastIndex).termAt(snapshot.index);
  const agrees = lastIndex >= snapshot.index && (term === null ? firstIndex === snapshot.index + 1 : term === snapshot.term);
  if (agrees) return start;
  assert(reaches, "entries between the snapshot and the log are missing");
  return { ...start, firstIndex: 0, lastIndex: 0, termRuns: [], configurations: [], tail: [] };
}
