/**
 * `npm run bench -- [--quick] [--json] [--seed N] [word…]`: measures the kernels (those whose name contains a word) one after another in this process.
 * The machine and the seed come first, then per kernel: operations per second, µs per operation, the spread of the samples, and a hash of the results.
 */
import Benchmark from "benchmark";
import { createHash } from "node:crypto";
import { cpus } from "node:os";
import { parseArgs } from "node:util";
import { SeededRandom } from "../src/base/random.ts";
import type { Kernel, PreparedKernel } from "./kernel.ts";
import { broadcastQueueKernels } from "./kernels/broadcast-queue.ts";
import { wireKernels } from "./kernels/wire.ts";

const KERNELS: readonly Kernel[] = [...broadcastQueueKernels, ...wireKernels];
const DEFAULT_SEED = 1;
const HASH_CHARS = 12;

interface Row {
  readonly name: string;
  readonly opsPerSecond: number;
  readonly microseconds: number;
  /** Half width of the 95 % confidence interval, in % of the mean. */
  readonly spreadPercent: number;
  readonly samples: number;
  readonly hash: string;
}

/** Hashes the result of every input once, before anything is timed. */
function hashResults({ inputCount, run }: PreparedKernel): string {
  const hash = createHash("sha256");
  for (let i = 0; i < inputCount; i += 1) {
    const result = run(i);
    hash.update(typeof result === "number" ? `${result};` : result);
  }
  return hash.digest("hex").slice(0, HASH_CHARS);
}

function measure(kernel: Kernel, seed: number, quick: boolean): Row {
  const hash = hashResults(kernel.prepare(new SeededRandom(seed)));
  const prepared = kernel.prepare(new SeededRandom(seed));
  let index = 0;
  let last: Uint8Array | number = 0;
  const work = (): void => {
    last = prepared.run(index);
    index = index + 1 === prepared.inputCount ? 0 : index + 1;
  };
  const bench = new Benchmark(kernel.name, work, quick ? { maxTime: 0.01, minTime: 0.005, minSamples: 2 } : {});
  bench.run({ async: false });
  const error: unknown = bench.error;
  if (error !== undefined) throw new Error(`kernel ${kernel.name} failed at input ${index}`, { cause: error });
  if (last === undefined) throw new Error(`kernel ${kernel.name} returned nothing`);
  return { name: kernel.name, opsPerSecond: bench.hz, microseconds: 1e6 / bench.hz, spreadPercent: bench.stats.rme, samples: bench.stats.sample.length, hash };
}

function main(): void {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { quick: { type: "boolean", default: false }, json: { type: "boolean", default: false }, seed: { type: "string", default: String(DEFAULT_SEED) } },
  });
  const seed = Number(values.seed);
  const kernels = KERNELS.filter(({ name }) => positionals.length === 0 || positionals.some((word) => name.includes(word)));
  if (!Number.isSafeInteger(seed) || seed < 0 || kernels.length === 0) {
    process.stderr.write(`${kernels.length === 0 ? `no kernel is named like ${positionals.join(" or ")}` : `not a seed: ${values.seed}`}\nusage: npm run bench -- [--quick] [--json] [--seed N] [word…]\n`);
    process.exitCode = 1;
    return;
  }
  const processors = cpus();
  const machine = `${processors[0]?.model.trim() ?? "unknown processor"} × ${processors.length}, node ${process.version}, ${process.platform} ${process.arch}`;
  if (values.json) process.stdout.write(`${JSON.stringify({ seed, machine, quick: values.quick })}\n`);
  else process.stdout.write(`seed ${seed}; ${machine}${values.quick ? "; quick: the figures mean nothing" : ""}\n${"ops/s".padStart(12)} ${"µs/op".padStart(10)} ${"spread".padStart(8)}  hash          kernel\n`);
  for (const kernel of kernels) {
    const row = measure(kernel, seed, values.quick);
    if (values.json) process.stdout.write(`${JSON.stringify(row)}\n`);
    else process.stdout.write(`${row.opsPerSecond.toFixed(0).padStart(12)} ${row.microseconds.toFixed(3).padStart(10)} ${`±${row.spreadPercent.toFixed(1)} %`.padStart(8)}  ${row.hash}  ${row.name}\n`);
  }
}

main();
