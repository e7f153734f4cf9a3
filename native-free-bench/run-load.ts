/** Runs load drivers one after another against our agent and, if there is one, the original's. */
import { spawnSync } from "node:child_process";
import { OUR_TARGET, type Target } from "./load/agent.ts";
import type { Bench } from "./load/bench.ts";
import { pinGenerator } from "./load/pinning.ts";
import type { Options } from "./options.ts";
import type { Failure, TargetNote } from "./report.ts";
import type { Row } from "./rows.ts";

const LAST_HOST = 254;

export interface LoadResult {
  readonly pinning: string;
  readonly targets: readonly TargetNote[];
  readonly rows: readonly Row[];
  readonly failures: readonly Failure[];
}

/** The original's program, or null when it cannot be run. */
export function findPeer(program: string): Target | null {
  const target: Target = { side: "peer", label: program, command: [program] };
  return versionOf(target) === null ? null : target;
}

function versionOf({ command: [program = "", ...args] }: Target): string | null {
  const { error, status, stdout } = spawnSync(program, [...args, "version"], { encoding: "utf8" });
  return error === undefined && status === 0 ? (stdout.split("\n")[0] ?? "") : null;
}

/** `peer` null: only ours. A driver that fails is reported, and the others run all the same. */
export async function runLoad(options: Options, peer: Target | null, progress: (text: string) => void): Promise<LoadResult> {
  const targets = peer === null ? [OUR_TARGET] : [OUR_TARGET, peer];
  let host = 0;
  const pinning = pinGenerator(options.pin);
  const bench: Bench = {
    targets,
    scale: options.scale,
    seed: options.seed,
    pinning,
    nextIp() {
      host = (host % LAST_HOST) + 1;
      return `${options.net}.${host}`;
    },
    progress,
  };
  const rows: Row[] = [];
  const failures: Failure[] = [];
  for (const driver of options.drivers) {
    try {
      await driver.run(bench, (more) => rows.push(...more));
    } catch (error) {
      failures.push({ group: driver.name, error: error instanceof Error ? error.message : String(error) });
    }
  }
  const notes = targets.map((target) => ({ side: target.side, command: target.command.join(" "), version: versionOf(target) ?? "" }));
  return { pinning: pinning.text, targets: notes, rows, failures };
}
