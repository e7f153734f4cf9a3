/** Measures kernels one after another in this process. */
import Benchmark from "benchmark";
import { createHash } from "node:crypto";
import { SeededRandom } from "../src/base/random.ts";
import type { Kernel, PreparedKernel } from "./kernel.ts";
import { broadcastQueueKernels } from "./kernels/broadcast-queue.ts";
import { catalogKernels } from "./kernels/catalog.ts";
import { wireKernels } from "./kernels/wire.ts";

export const KERNELS: readonly Kernel[] = [...broadcastQueueKernels, ...catalogKernels, ...wireKernels];
const HASH_CHARS = 12;

export interface KernelRow {
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

export function measureKernel(kernel: Kernel, seed: number, quick: boolean): KernelRow {
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
