/** The command line of `npm run bench`. */
import { parseArgs } from "node:util";
import { fail, ok, type Result } from "../src/base/result.ts";
import { FULL, QUICK, type Driver, type Scale } from "./load/bench.ts";
import { clusterDriver } from "./load/cluster-driver.ts";
import { duplicatesDriver } from "./load/duplicates-driver.ts";
import { freshDriver } from "./load/fresh-driver.ts";
import { rpcDriver } from "./load/rpc-driver.ts";
import { startDriver } from "./load/start-driver.ts";

export const DRIVERS: readonly Driver[] = [rpcDriver, duplicatesDriver, freshDriver, clusterDriver, startDriver];
const KERNELS = "kernels";
const DEFAULT_SEED = 1;
const DEFAULT_PEER = "serf";
const NO_PEER = "none";
const DEFAULT_NET = "127.0.21";

export const USAGE = `usage: npm run bench -- [options] [word…]
  word…             only kernels whose name contains a word
  --only LIST       some of ${[KERNELS, ...DRIVERS.map(({ name }) => name)].join(",")}; default: all
  --against PATH    the original's program; default: serf, if it is on the PATH; none: only ours
  --quick           short windows, small cluster: under 2 minutes
  --runs N          measurements per figure and program (kernels, cluster and start aside)
  --members LIST    member counts that the calls are measured with; default: 1,50,500
  --nodes N         processes of the cluster
  --cluster-runs N  clusters per program
  --events N        events of the cluster's load, 50 a second
  --kills N         members of each cluster that are killed
  --profile NAME    timing of the cluster: lan or local
  --pin none        do not pin the server to core 0 and the load generator to core 1
  --net A.B.C       the loopback network for the agents; default ${DEFAULT_NET}
  --seed N          of inputs; default ${DEFAULT_SEED}
  --json FILE       every sample as JSON
  --html FILE       a page with plots
`;

export interface Options {
  readonly words: readonly string[];
  readonly kernels: boolean;
  readonly drivers: readonly Driver[];
  readonly against: string;
  /** The user named the peer: then its absence is an error. */
  readonly againstGiven: boolean;
  readonly quick: boolean;
  readonly scale: Scale;
  readonly pin: boolean;
  readonly net: string;
  readonly seed: number;
  readonly json: string | null;
  readonly html: string | null;
}

const SPEC = {
  only: { type: "string" },
  against: { type: "string" },
  quick: { type: "boolean", default: false },
  runs: { type: "string" },
  members: { type: "string" },
  nodes: { type: "string" },
  "cluster-runs": { type: "string" },
  events: { type: "string" },
  kills: { type: "string" },
  profile: { type: "string" },
  pin: { type: "string", default: "cores" },
  net: { type: "string", default: DEFAULT_NET },
  seed: { type: "string", default: String(DEFAULT_SEED) },
  json: { type: "string" },
  html: { type: "string" },
} as const;

export function parseOptions(args: readonly string[]): Result<Options> {
  const parsed = parse(args);
  if (!parsed.ok) return parsed;
  const { values, positionals } = parsed.value;
  const known = [KERNELS, ...DRIVERS.map(({ name }) => name)];
  const only = values.only?.split(",") ?? (positionals.length > 0 ? [KERNELS] : known);
  const unknown = only.find((name) => !known.includes(name));
  if (unknown !== undefined) return fail(`nothing is called ${unknown}`);
  if (values.pin !== "none" && values.pin !== "cores") return fail(`not a way to pin: ${values.pin}`);
  if (!/^127\.\d{1,3}\.\d{1,3}$/.test(values.net)) return fail(`not a loopback network: ${values.net}`);
  const base = values.quick ? QUICK : FULL;
  const seed = Number(values.seed);
  const runs = Number(values.runs ?? base.runs);
  const memberCounts = values.members?.split(",").map(Number) ?? base.memberCounts;
  const nodes = Number(values.nodes ?? base.nodes);
  const clusterRuns = Number(values["cluster-runs"] ?? base.clusterRuns);
  const events = Number(values.events ?? (base.eventRate * base.eventLoadMs) / MS_PER_SECOND);
  const kills = Number(values.kills ?? base.kills);
  const profile = values.profile ?? base.profile;
  if (!Number.isSafeInteger(seed) || seed < 0) return fail(`not a seed: ${values.seed}`);
  if (!Number.isSafeInteger(runs) || runs < 1) return fail(`not a number of runs: ${values.runs}`);
  if (!memberCounts.every((count) => Number.isSafeInteger(count) && count >= 1 && count <= MEMBERS_MAX)) return fail(`not a list of member counts from 1 to ${MEMBERS_MAX}: ${values.members}`);
  if (!Number.isSafeInteger(nodes) || nodes < 3 || nodes > NODES_MAX) return fail(`not a number of nodes from 3 to ${NODES_MAX}: ${values.nodes}`);
  if (!Number.isSafeInteger(clusterRuns) || clusterRuns < 1) return fail(`not a number of clusters: ${values["cluster-runs"]}`);
  if (!Number.isSafeInteger(events) || events < 1) return fail(`not a number of events: ${values.events}`);
  if (!Number.isSafeInteger(kills) || kills < 0 || kills >= nodes) return fail(`not a number of kills below ${nodes}: ${values.kills}`);
  if (profile !== "lan" && profile !== "local") return fail(`not a profile: ${profile}`);
  return ok({
    words: positionals,
    kernels: only.includes(KERNELS),
    drivers: DRIVERS.filter(({ name }) => only.includes(name)),
    against: values.against ?? DEFAULT_PEER,
    againstGiven: values.against !== undefined && values.against !== NO_PEER,
    quick: values.quick,
    scale: { ...base, runs, memberCounts, nodes, clusterRuns, eventLoadMs: (events * MS_PER_SECOND) / base.eventRate, kills, profile },
    pin: values.pin === "cores",
    net: values.net,
    seed,
    json: values.json ?? null,
    html: values.html ?? null,
  });
}

/** Addresses of one network, with room for a cluster that is still ending. */
const NODES_MAX = 120;
/** Announced members, each a name on one address. */
const MEMBERS_MAX = 5000;
const MS_PER_SECOND = 1000;

function parse(args: readonly string[]) {
  try {
    return ok(parseArgs({ args: [...args], allowPositionals: true, options: SPEC }));
  } catch (error) {
    return fail(error instanceof Error ? error.message : String(error));
  }
}
