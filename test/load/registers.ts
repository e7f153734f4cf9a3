/**
 * Three servers through faults, one after the other, while clients look: is the history of their registers linearizable, does a lock have one holder, and do all servers
 * end with the same state? Some of the servers may run the original. Prints a JSON report; exit 1 when something must not be.
 */
import { parseArgs } from "node:util";
import { SeededRandom } from "../../src/base/random.ts";
import { Cluster } from "./failover-cluster.ts";
import { FAULTS } from "./faults.ts";
import { playRegisters, STALE_MS_MAX } from "./register-play.ts";
import { readOrExplain } from "./usage.ts";

const USAGE = `usage: node dist/test/load/registers.js [--faults N] [--kinds NAME,…] [--seed N] [--multiplier M] [--originals N] [--program consul]

  --faults 60       how many
  --kinds NAME,…    of which they are drawn; default: ${Object.keys(FAULTS).join(",")}
  --originals 0     how many of the three servers run the original; its leaders may answer default reads with the past, so these are counted only
  --program consul  the original`;

interface Flags {
  readonly faults: number;
  readonly kinds: readonly string[];
  readonly seed: number;
  readonly multiplier: number;
  readonly originals: number;
  readonly program: string;
}

function readFlags(): Flags {
  const text = (value: string) => ({ type: "string", default: value }) as const;
  const { values } = parseArgs({ options: { faults: text("60"), kinds: text(Object.keys(FAULTS).join(",")), seed: text("1"), multiplier: text("1"), originals: text("0"), program: text("consul") } });
  const kinds = values.kinds.split(",");
  const unknown = kinds.find((kind) => FAULTS[kind] === undefined);
  if (unknown !== undefined) throw new Error(`--kinds: there is no fault "${unknown}"`);
  const whole = (name: "faults" | "seed" | "multiplier" | "originals", min: number, max: number): number => {
    const value = Number(values[name]);
    if (values[name] === "" || !Number.isSafeInteger(value) || value < min || value > max) throw new Error(`--${name} takes a whole number from ${min} to ${max}, not "${values[name]}"`);
    return value;
  };
  return { faults: whole("faults", 1, 10_000), kinds, seed: whole("seed", 0, 0xffff_ffff), multiplier: whole("multiplier", 1, 10), originals: whole("originals", 0, 3), program: values.program };
}

const flags = readOrExplain(USAGE, readFlags);
const random = new SeededRandom(flags.seed);
const faults = Array.from({ length: flags.faults }, () => flags.kinds[random.below(flags.kinds.length)] as string);
const cluster = new Cluster({ peer: flags.originals === 0 ? "" : flags.program, peers: flags.originals, multiplier: flags.multiplier, namespaces: true, net: "" });
let kept = true;
// Servers and namespaces would stay behind.
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => void cluster.close(true).finally(() => process.exit(1)));
try {
  const staleMsMax = flags.originals === 0 ? STALE_MS_MAX * flags.multiplier : Infinity;
  const report = await playRegisters(cluster, faults, { seed: flags.seed, staleMsMax }, (line) => process.stderr.write(`${line}\n`));
  process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
  kept = report.violations.length > 0 || !report.sameState;
} finally {
  await cluster.close(kept);
}
process.exit(kept ? 1 : 0);
