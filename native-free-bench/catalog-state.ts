/**
 * `node --expose-gc dist/native-free-bench/catalog-state.js [KEYS]`: what the state machine holds with that many keys of 100 bytes, and how long anything on
 * the main thread takes while it is filled, written to and snapshotted. Prints one line of JSON.
 */
import { PerformanceObserver } from "node:perf_hooks";
import { createStateMachine } from "../src/catalog/state-machine.ts";
import type { StateMachine } from "../src/catalog/types.ts";
import { KEYS, keyName, setCommand } from "./kernels/catalog.ts";

const BATCH = 64;
const keys = Number(process.argv[2] ?? KEYS);
let gcMsMax = 0;
let gcMsTotal = 0;
new PerformanceObserver((list) => {
  for (const { duration } of list.getEntries()) {
    gcMsMax = Math.max(gcMsMax, duration);
    gcMsTotal += duration;
  }
}).observe({ entryTypes: ["gc"] });

function rssMb(): number {
  (globalThis as { gc?: () => void }).gc?.();
  return process.memoryUsage().rss / 1e6;
}

/** Wall and CPU time of a part, and the longest single step in it. */
class Part {
  readonly #startedAt = performance.now();
  readonly #cpu = process.cpuUsage();
  #stepMsMax = 0;

  step(work: () => void): void {
    const at = performance.now();
    work();
    this.#stepMsMax = Math.max(this.#stepMsMax, performance.now() - at);
  }

  end(count: number): { readonly ms: number; readonly cpuUsEach: number; readonly stepMsMax: number } {
    const { user, system } = process.cpuUsage(this.#cpu);
    return { ms: round(performance.now() - this.#startedAt), cpuUsEach: round((user + system) / count), stepMsMax: round(this.#stepMsMax) };
  }
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

async function fill(machine: StateMachine): Promise<ReturnType<Part["end"]>> {
  const part = new Part();
  for (let i = 0; i < keys; i += BATCH) {
    part.step(() => {
      for (let k = i; k < Math.min(keys, i + BATCH); k += 1) machine.apply(machine.appliedIndex + 1, setCommand(keyName((k * 7919) % keys), 65), 0);
    });
    if (i % (BATCH * 16) === 0) await turn();
  }
  return part.end(keys);
}

/** Encodes a snapshot piece by piece with a batch of writes between the pieces; the steps are the pieces. */
async function snapshot(machine: StateMachine, pieces: Uint8Array[]): Promise<ReturnType<Part["end"]>> {
  const part = new Part();
  const encoder = machine.snapshot().encode();
  let i = 0;
  for (let done = false; !done; ) {
    part.step(() => {
      const piece = encoder.next();
      if (piece.done === true) done = true;
      else pieces.push(piece.value);
    });
    part.step(() => {
      for (let k = 0; k < BATCH; k += 1, i += 1) machine.apply(machine.appliedIndex + 1, setCommand(keyName((i * 104_729) % keys), i & 127), 0);
    });
    await turn();
  }
  return part.end(pieces.length);
}

async function restore(machine: StateMachine, pieces: readonly Uint8Array[]): Promise<ReturnType<Part["end"]>> {
  const part = new Part();
  const restorer = machine.beginRestore();
  for (const piece of pieces) {
    part.step(() => {
      const error = restorer.push(piece);
      if (error !== null) throw new Error(error);
    });
    await turn();
  }
  part.step(() => restorer.finish(machine.appliedIndex));
  return part.end(keys);
}

const machine = createStateMachine();
for (let i = 0; i < 20_000; i += 1) machine.apply(machine.appliedIndex + 1, setCommand(`warm/${i}`, 65), 0);
machine.apply(machine.appliedIndex + 1, setCommand("warm", 65), 0);
const before = rssMb();
const filling = await fill(machine);
const added = rssMb() - before;
gcMsMax = 0;
gcMsTotal = 0;
const pieces: Uint8Array[] = [];
const snapshotting = await snapshot(machine, pieces);
const snapshotGcMsMax = gcMsMax;
const restoring = await restore(machine, pieces);
process.stdout.write(`${JSON.stringify({
  keys, rssAddedMb: round(added), filling, snapshotting, snapshotBytes: pieces.reduce((sum, { length }) => sum + length, 0), restoring, snapshotGcMsMax: round(snapshotGcMsMax),
  gcMsMax: round(gcMsMax), gcMsTotal: round(gcMsTotal), rows: machine.kvCount,
})}\n`);
