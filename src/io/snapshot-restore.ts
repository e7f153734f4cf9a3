/** Opens the snapshot file of an agent: what the last run left is read, the rest of the file is ready to be written. */
import { replaySnapshot } from "../serf/snapshot.ts";
import type { RestoredSnapshot } from "../serf/types.ts";
import type { SerfAgentOptions } from "./serf-agent-api.ts";
import { open } from "node:fs/promises";
import { readSnapshotFile, SnapshotFile } from "./snapshot-file.ts";

export interface Snapshot {
  readonly file: SnapshotFile;
  /** Null when there was no file. */
  readonly restored: RestoredSnapshot | null;
}

/** Null when no snapshot is configured; rejects with the system's error when the file cannot be read or written. */
export async function openSnapshot({ snapshotPath, rejoinAfterLeave, log, metrics }: SerfAgentOptions): Promise<Snapshot | null> {
  if (snapshotPath === "") return null;
  const { bytes, completeBytes, tornBytes, nulBytes } = await readSnapshotFile(snapshotPath);
  // A place where nothing can be written is found now, not when the first line is lost.
  await (await open(snapshotPath, "a", 0o600)).close();
  if (tornBytes > 0) log.write("warn", `serf: snapshot ${snapshotPath} ends in a torn line of ${tornBytes} bytes, ignored`);
  if (nulBytes > 0) log.write("warn", `serf: snapshot ${snapshotPath} holds ${nulBytes} NUL bytes, as after a power failure; damaged lines are skipped`);
  const file = new SnapshotFile(snapshotPath, bytes === null ? null : completeBytes, {
    failed: (error) => {
      metrics?.count("serf.snapshot.error", 1);
      log.write("err", `serf: Failed to update snapshot: ${error}`);
    },
    recovered: (dropped) => log.write("info", `serf: Snapshot is written again${dropped > 0 ? `, ${dropped} lines were lost` : ""}`),
  });
  return { file, restored: bytes === null ? null : replaySnapshot(bytes, rejoinAfterLeave) };
}
