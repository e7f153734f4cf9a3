import { spawnSync } from "node:child_process";

/** How a machine gets each original. */
const SOURCES = { serf: "apt-get install serf", consul: ".ci/previous-debian consul DIRECTORY, then DIRECTORY/usr/bin on PATH" } as const;

/** The original programs that tests run beside ours. */
export type Peer = "serf" | "consul";

/**
 * Says whether a peer is installed, as the `skip` option of a test: false, or the reason. On a continuous integration machine (CI=true) a missing peer
 * is an error: there the tests exist to prove compatibility, and must not pass by not running.
 */
export function peerMissing(peer: Peer): string | false {
  const found = spawnSync(peer, ["version"], { stdio: "ignore" }).error === undefined;
  if (found) return false;
  const reason = `the real ${peer} is not installed (${SOURCES[peer]})`;
  if (process.env["CI"] === "true") throw new Error(reason);
  return reason;
}
