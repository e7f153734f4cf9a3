/** Faults on a cluster, each upon its leader or another server, with clients that look. */
import { SeededRandom } from "../../src/base/random.ts";
import { pause, type Cluster, type Member } from "./failover-cluster.ts";
import { FAULTS } from "./faults.ts";
import { RegisterClients, type ClientCounts } from "./register-clients.ts";

/** A fault lasts from the first to the sum of both, past an election at `raft_multiplier` 1. */
const FAULT_MS_MIN = 1500;
const FAULT_MS_MORE = 4000;
/** Faults upon the leader, of all of them. */
const ON_LEADER = { numerator: 2, denominator: 3 } as const;
const CALM_MS = 500;
/** At `raft_multiplier` 1. A deposed leader's lease ends before: it may show `default` readers what was true so long ago. */
export const STALE_MS_MAX = 1000;
const STATE = "/v1/kv/?recurse&stale";

export interface RegisterReport extends ClientCounts {
  readonly faults: number;
  readonly violations: readonly string[];
  /** Reads in `default` mode that a deposed leader answered with what was no longer so. */
  readonly staleReads: number;
  /** How old the oldest of them was. */
  readonly staleMsMax: number;
  readonly sameState: boolean;
}

export interface PlayOptions {
  readonly seed: number;
  /** How old what a `default` read shows may be. */
  readonly staleMsMax: number;
}

export async function playRegisters(cluster: Cluster, faults: readonly string[], { seed, staleMsMax }: PlayOptions, say: (line: string) => void): Promise<RegisterReport> {
  for (const member of cluster.members) cluster.start(member);
  await cluster.until("three voters and a leader", () => cluster.calm());
  const clients = new RegisterClients(cluster, seed, staleMsMax);
  const random = new SeededRandom(seed + 1);
  clients.start();
  try {
    for (const [i, name] of faults.entries()) {
      const leader = (await cluster.leader()) ?? (cluster.members[0] as Member);
      const onLeader = random.below(ON_LEADER.denominator) < ON_LEADER.numerator;
      const victim = onLeader ? leader : (cluster.members[random.below(cluster.members.length)] as Member);
      const { writes, reads, failed } = clients.counts;
      const end = await (FAULTS[name] as (typeof FAULTS)[string])(cluster, victim);
      await pause(FAULT_MS_MIN + random.below(FAULT_MS_MORE));
      end();
      await cluster.until("three voters and a leader again", () => cluster.calm());
      await pause(CALM_MS);
      const { counts, violations } = clients;
      say(`${i + 1} of ${faults.length}: ${name} ${victim.name}${victim === leader ? " (leader)" : ""}: ${counts.writes - writes} writes, ${counts.reads - reads} reads, ${counts.failed - failed} failed; ${violations.length} violations`);
    }
  } finally {
    // They would ask for ever, and hold up whoever waits for the end of a run that failed.
    await clients.stop();
  }
  const sameState = await isSame(cluster);
  return { faults: faults.length, ...clients.counts, violations: clients.violations, staleReads: clients.staleReads, staleMsMax: clients.staleMsMax, sameState };
}

/** Whether all servers come to have the same keys, values and versions. */
async function isSame(cluster: Cluster): Promise<boolean> {
  const same = async (): Promise<boolean> => {
    const states = await Promise.all(cluster.members.map((member) => cluster.ask(member, "GET", STATE)));
    return states.every(({ status, body }) => status === 200 && body.replaceAll(/\s/g, "") === states[0]?.body.replaceAll(/\s/g, ""));
  };
  return cluster.until("the same state everywhere", same).then(() => true, () => false);
}
