/** Which processor does what: one server on core 0, the load generator (this process) on core 1, clusters on all. */
import { spawnSync } from "node:child_process";
import { availableParallelism } from "node:os";

const SERVER_CORE = "0";
const GENERATOR_CORE = "1";

export interface Pinning {
  /** For the report. */
  readonly text: string;
  /** Put before the command of a lone server. */
  readonly server: readonly string[];
  /** Put before the commands of a cluster. */
  readonly cluster: readonly string[];
}

const UNPINNED: Pinning = { text: "not pinned", server: [], cluster: [] };

/** Pins this process. Without taskset, without a second core, or when not wanted, nothing is pinned. */
export function pinGenerator(wanted: boolean): Pinning {
  // Asked before pinning: it counts what this process may use.
  const cores = availableParallelism();
  if (!wanted) return UNPINNED;
  if (cores < 2) return { ...UNPINNED, text: "not pinned: one core" };
  const pinned = spawnSync("taskset", ["-a", "-c", "-p", GENERATOR_CORE, String(process.pid)], { stdio: "ignore" });
  if (pinned.error !== undefined || pinned.status !== 0) return { ...UNPINNED, text: "not pinned: no taskset" };
  return {
    text: `server on core ${SERVER_CORE}, load generator on core ${GENERATOR_CORE}, clusters on all ${cores}`,
    server: ["taskset", "-c", SERVER_CORE],
    cluster: ["taskset", "-c", `0-${cores - 1}`],
  };
}
