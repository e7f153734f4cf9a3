/**
 * Hosts the packet lanes: one long-running piscina task per lane, with a MessagePort for its batches. piscina owns the threads; this owns what
 * happens around them: which lane takes a batch, the barrier of a keyring change, and the restart of a lane that died. What a dead
 * lane held is lost, as UDP packets are.
 */
import { extname } from "node:path";
import { fileURLToPath } from "node:url";
import { MessageChannel, type MessagePort } from "node:worker_threads";
import { Piscina } from "piscina";
import type { LogSink, MetricSink } from "../serf-agent-api.ts";
import type { HashKey } from "../../wire/message-hash.ts";
import { beginWithLargerHalves, keepHeapLimits } from "../heap-limits.ts";
import { Batch } from "./batch.ts";
import { STARTED_VERSION, type LaneAnswer, type LaneControl, type LanePoolSetup, type LaneStart } from "./lane-protocol.ts";

/** Batches handed to one lane at a time: one in work and one behind it, so that it never waits for main. */
export const LANE_BATCHES_MAX = 2;
/** Wait before a lane that died is started again: doubled at each death, back to the first value after a minute of health. */
const RESTART_MS_FIRST = 100;
const RESTART_MS_MAX = 10_000;
const HEALTHY_AFTER_MS = 60_000;
/** A lane's heap: its tables are small; more than this is a leak, and better ends with the lane than with the process. */
const LANE_HEAP_MIB_MAX = 256;
/** Of which for young objects, a third for each of two halves: a batch and its parts. More is taken under load and not given back. */
const LANE_YOUNG_MIB_MAX = 6;

/** A lane that owes an answer for so long hangs and is replaced. A batch takes it some 10 ms. */
const ANSWER_MS_MAX = 5_000;

/** What became of a batch: the lane's answer, or null when the lane died with it. */
export type BatchDone = (answer: Batch | null) => void;

export interface LaneStats {
  readonly up: boolean;
  readonly inFlight: number;
  readonly batches: number;
  readonly restarts: number;
}

export interface LaneHostOptions {
  /** Number of worker threads. */
  readonly lanes: number;
  /** The key under which main and all lanes hash messages. */
  readonly hashKey: HashKey;
  readonly log: LogSink;
  readonly metrics: MetricSink;
}

export class LaneHost {
  /** One for each lane that runs, of one thread each: a new one at every start, see `#run`. */
  readonly #piscinas = new Set<Piscina>();
  readonly #lanes: Lane[] = [];
  readonly #setups = new Map<number, LanePoolSetup>();
  readonly #freed = new Set<() => void>();

  constructor({ lanes, hashKey, log, metrics }: LaneHostOptions) {
    for (let id = 0; id < lanes; id += 1) {
      this.#lanes.push(
        new Lane({
          id,
          hashKey,
          setups: this.#setups,
          log,
          metrics,
          run: (start) => this.#run(start),
          freed: () => {
            for (const listener of this.#freed) listener();
          },
        }),
      );
    }
  }

  /**
   * A piscina whose thread dies while it loads never starts another one and leaves its tasks waiting for ever; the first threads of a new
   * one count as loaded, so that the death of the lane always ends its task.
   */
  #run(start: LaneStart): LaneRun {
    beginWithLargerHalves();
    const piscina = new Piscina({
      filename: WORKER,
      name: "runPacketLane",
      minThreads: 1,
      maxThreads: 1,
      // With piscina's default the worker sleeps in Atomics.wait between messages and never hears its port.
      atomics: "disabled",
      resourceLimits: { maxOldGenerationSizeMb: LANE_HEAP_MIB_MAX, maxYoungGenerationSizeMb: LANE_YOUNG_MIB_MAX },
    });
    // A worker's failure reaches us as the rejection of its task; unheard, the same error would end the process.
    piscina.on("error", () => undefined);
    this.#piscinas.add(piscina);
    const end = async (): Promise<void> => {
      if (this.#piscinas.delete(piscina)) await piscina.destroy();
    };
    const ended = (piscina.run(start, { transferList: [start.port] }) as Promise<void>).finally(() => void end());
    return { ended, kill: () => void end() };
  }

  /** Registers a pool, or changes its keys; resolves once every running lane works with it. A lane that starts later starts with it. */
  async setUp(setup: LanePoolSetup): Promise<void> {
    this.#setups.set(setup.pool, setup);
    await Promise.all(this.#lanes.map((lane) => lane.setUp(setup)));
  }

  /** `listener` is called when a lane has room again, or has died. */
  onFreed(listener: () => void): void {
    this.#freed.add(listener);
  }

  /** No lane is running: do the work on main. */
  get down(): boolean {
    return this.#lanes.every((lane) => !lane.up);
  }

  /** The least busy lane with room, or null. */
  pick(): Lane | null {
    let best: Lane | null = null;
    for (const lane of this.#lanes) {
      lane.check();
      if (lane.up && lane.inFlight < LANE_BATCHES_MAX && (best === null || lane.inFlight < best.inFlight)) best = lane;
    }
    return best;
  }

  /** Tells every lane of a settled message. */
  settle(low: number, high: number): void {
    for (const lane of this.#lanes) lane.settle(low, high);
  }

  stats(): LaneStats[] {
    return this.#lanes.map((lane) => lane.stats());
  }

  /** The worker threads, for tests that kill one. */
  get threads(): Piscina["threads"] {
    return [...this.#piscinas].flatMap((piscina) => piscina.threads);
  }

  async stop(): Promise<void> {
    for (const lane of this.#lanes) lane.stop();
    const piscinas = [...this.#piscinas];
    this.#piscinas.clear();
    await Promise.all(piscinas.map((piscina) => piscina.destroy()));
  }
}

/** A lane's thread. */
interface LaneRun {
  /** Settles when the thread has ended, for whatever reason. */
  readonly ended: Promise<void>;
  kill(): void;
}

const WORKER = fileURLToPath(new URL(`../../../workers/packet-lane${extname(import.meta.url)}`, import.meta.url));

interface LaneOptions {
  readonly id: number;
  readonly hashKey: HashKey;
  readonly setups: ReadonlyMap<number, LanePoolSetup>;
  readonly log: LogSink;
  readonly metrics: MetricSink;
  readonly run: (start: LaneStart) => LaneRun;
  readonly freed: () => void;
}

/** Hashes that wait for a lane's next batch; beyond it the oldest are forgotten, and their repeats are decided by the core again. */
export const SETTLED_WAITING_MAX = 8192;

/** One lane as main sees it. */
export class Lane {
  readonly #options: LaneOptions;
  #port: MessagePort | null = null;
  /** The thread has loaded its code and has said so. Before, batches go inline. */
  #ready = false;
  #run: LaneRun | null = null;
  /** When it was started, last answered, or given work after none: from then on an answer is due. */
  #dueSinceMs = 0;
  #waiting: BatchDone[] = []; // Of the batches in flight, oldest first: a lane answers in order.
  #settled: number[] = [];
  readonly #barriers = new Map<number, () => void>();
  #version = 0;
  #batches = 0;
  #restarts = 0;
  #restartMs = RESTART_MS_FIRST;
  #startedAtMs = 0;
  #restartTimer: NodeJS.Timeout | null = null;
  #stopped = false;

  constructor(options: LaneOptions) {
    this.#options = options;
    this.#start();
  }

  get up(): boolean {
    return this.#ready;
  }

  get inFlight(): number {
    return this.#waiting.length;
  }

  /** Hands a batch over; `done` is called once, in the order of the batches. */
  send(batch: ArrayBuffer, done: BatchDone): void {
    if (this.#port === null || !this.#ready) {
      done(null);
      return;
    }
    if (this.#waiting.length === 0) this.#dueSinceMs = performance.now();
    this.#batches += 1;
    this.#waiting.push(done);
    this.#port.postMessage(batch, [batch]);
  }

  /** Replaces a lane that hangs: it would keep its batches, and the pool would be deaf. */
  check(): void {
    if (this.#run === null || (this.#ready && this.#waiting.length === 0)) return;
    if (performance.now() - this.#dueSinceMs <= ANSWER_MS_MAX) return;
    this.#run.kill();
    this.#run = null;
  }

  settle(low: number, high: number): void {
    // A hash is two numbers; half of them go at a time, so that each costs little.
    if (this.#settled.length >= 2 * SETTLED_WAITING_MAX) {
      this.#settled.splice(0, SETTLED_WAITING_MAX);
      this.#options.metrics.count("muster.lane.settled_forgotten", SETTLED_WAITING_MAX / 2);
    }
    this.#settled.push(low, high);
  }

  /** The hashes settled since the last call, for the next batch. */
  takeSettled(): readonly number[] {
    const taken = this.#settled;
    this.#settled = [];
    return taken;
  }

  setUp(setup: LanePoolSetup): Promise<void> {
    if (this.#port === null) return Promise.resolve();
    this.#version += 1;
    const version = this.#version;
    const answered = new Promise<void>((resolve) => this.#barriers.set(version, resolve));
    this.#tell({ kind: "setup", version, setup });
    // One that still loads has no batch, and its port delivers this before the first: an agent is ready without waiting for its threads.
    return this.#ready ? answered : Promise.resolve();
  }

  stats(): LaneStats {
    return { up: this.up, inFlight: this.inFlight, batches: this.#batches, restarts: this.#restarts };
  }

  stop(): void {
    this.#stopped = true;
    if (this.#restartTimer !== null) clearTimeout(this.#restartTimer);
    this.#tell({ kind: "stop" });
    this.#close();
  }

  #start(): void {
    const { hashKey, setups, run } = this.#options;
    const { port1, port2 } = new MessageChannel();
    this.#port = port1;
    this.#startedAtMs = performance.now();
    port1.on("message", (message: ArrayBuffer | LaneAnswer) => {
      this.#dueSinceMs = performance.now();
      if (message instanceof ArrayBuffer) {
        const done = this.#waiting.shift();
        done?.(new Batch(message));
        this.#options.freed();
      } else if (message.version === STARTED_VERSION) this.#becomeReady();
      else {
        this.#barriers.get(message.version)?.();
        this.#barriers.delete(message.version);
      }
    });
    // The sockets keep the process alive, not the lanes.
    port1.unref();
    this.#dueSinceMs = this.#startedAtMs;
    this.#run = run({ port: port2, hashKey, pools: [...setups.values()] });
    this.#run.ended.then(
      () => this.#ended("it returned"),
      (error: unknown) => this.#ended(error instanceof Error ? error.message : String(error)),
    );
  }

  #becomeReady(): void {
    const { id, log, metrics, freed } = this.#options;
    this.#ready = true;
    keepHeapLimits();
    if (this.#restarts > 0) {
      log.write("info", `agent: packet lane ${id} is running again`);
      metrics.count("muster.lane.restarts", 1);
    }
    freed();
  }

  #ended(reason: string): void {
    if (this.#stopped) return;
    const { id, log, metrics } = this.#options;
    metrics.count("muster.lane.deaths", 1);
    if (performance.now() - this.#startedAtMs > HEALTHY_AFTER_MS) this.#restartMs = RESTART_MS_FIRST;
    log.write("err", `agent: packet lane ${id} died (${reason}); its packets are lost, packets go inline, next start in ${this.#restartMs} ms`);
    this.#restarts += 1;
    this.#close();
    this.#restartTimer = setTimeout(() => this.#start(), this.#restartMs).unref();
    this.#restartMs = Math.min(2 * this.#restartMs, RESTART_MS_MAX);
    this.#options.freed();
  }

  #close(): void {
    this.#port?.close();
    this.#port = null;
    this.#ready = false;
    this.#run = null;
    const lost = this.#waiting;
    this.#waiting = [];
    if (lost.length > 0) this.#options.metrics.count("muster.lane.batches_lost", lost.length);
    for (const done of lost) done(null);
    for (const resolve of this.#barriers.values()) resolve();
    this.#barriers.clear();
  }

  #tell(message: LaneControl): void {
    this.#port?.postMessage(message);
  }
}
