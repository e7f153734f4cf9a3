/**
 * What the durable log costs main, and how much it takes: `node dist/test/load/log-rate.js DIR [seconds]` prints one JSON line per way of appending. CPU of the
 * main thread is the kernel's account of it.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { openWorkerLog } from "../../src/io/lanes/worker-log-store.ts";
import { appendOf, entryOf } from "../io/lanes/log-support.ts";

const [dir = "", secondsText = "5"] = process.argv.slice(2);
const seconds = Number(secondsText);
const data = new Uint8Array(200).fill(7);

/** ns that the main thread has run. */
function mainCpuNs(): number {
  return Number(readFileSync(`/proc/self/task/${process.pid}/schedstat`, "utf8").split(" ")[0]);
}

/** `underWay` entries wait at a time, given `together` to an append. */
async function measure(name: string, underWay: number, together: number): Promise<void> {
  let done = (): void => undefined;
  const finished = new Promise<void>((resolve) => {
    done = resolve;
  });
  let seq = 0;
  let index = 0;
  let durable = 0;
  let stopping = false;
  const sinceMs: number[] = [];
  const latencies: number[] = [];
  const events = {
    durable(number: number): void {
      const nowMs = performance.now();
      for (; durable < number; durable += 1) latencies.push(nowMs - (sinceMs[durable] as number));
      if (!stopping) feed();
      else if (durable === seq) done();
    },
    refused: (_: number, error: string): void => {
      throw new Error(error);
    },
    late: (): void => undefined,
    failed: (error: string): void => {
      throw new Error(error);
    },
    report: (): void => undefined,
  };
  const log = await openWorkerLog({ dataDir: join(dir, name), events, tailBytesMax: 0, lateAfterMs: 60_000 });
  function feed(): void {
    while ((seq - durable) * together < underWay) {
      const entries = Array.from({ length: together }, () => entryOf((index += 1), 1, data));
      seq += 1;
      sinceMs.push(performance.now());
      log.append(appendOf(seq, { entries }));
    }
  }
  feed();
  await new Promise((resolve) => setTimeout(resolve, 1_000)); // Warm.
  const start = { cpu: mainCpuNs(), atMs: performance.now(), entries: durable * together, latencies: latencies.length };
  await new Promise((resolve) => setTimeout(resolve, seconds * 1_000));
  const entries = durable * together - start.entries;
  const cpuUs = (mainCpuNs() - start.cpu) / 1_000;
  const elapsedS = (performance.now() - start.atMs) / 1_000;
  const sorted = latencies.slice(start.latencies).sort((a, b) => a - b);
  stopping = true;
  await finished;
  await log.close();
  const at = (share: number): number => Math.round((sorted[Math.floor(share * sorted.length)] ?? 0) * 1_000);
  process.stdout.write(`${JSON.stringify({ name, underWay, together, entriesPerS: Math.round(entries / elapsedS), mainUsPerEntry: Number((cpuUs / entries).toFixed(2)), p50Us: at(0.5), p99Us: at(0.99) })}\n`);
}

await measure("single-64", 64, 1);
await measure("batches-of-64", 256, 64);
await measure("single-256", 256, 1);
