/**
 * The worker's side of a packet lane: a task that piscina runs once and that returns only when told to stop. It holds a sealer per
 * gossip pool and the hashes that main has settled, and knows nothing else.
 */
import type { MessagePort } from "node:worker_threads";
import { RepeatFilter } from "../../wire/repeat-filter.ts";
import { assert } from "../../base/assert.ts";
import { NodeSealer } from "../node-sealer.ts";
import { Batch } from "./batch.ts";
import { BatchKind, decodeOpen, decodePack, encodeOpened, encodePacked, STARTED_VERSION, type LaneAnswer, type LaneControl, type LanePoolSetup, type LaneStart } from "./lane-protocol.ts";
import { warmUp } from "./lane-warm-up.ts";
import { openPackets, packJob } from "./packet-work.ts";

interface LanePool {
  readonly setup: LanePoolSetup;
  readonly sealer: NodeSealer;
}

class LaneWorker {
  readonly #port: MessagePort;
  readonly #pools = new Map<number, LanePool>();
  readonly #filter: RepeatFilter;

  constructor({ port, hashKey, pools }: LaneStart) {
    this.#port = port;
    this.#filter = new RepeatFilter(hashKey, performance.now());
    for (const setup of pools) this.#setUp(setup);
    warmUp(hashKey);
  }

  /** Resolves when main says stop or is gone. */
  run(): Promise<void> {
    return new Promise((resolve) => {
      this.#port.on("close", resolve);
      this.#port.on("message", (message: ArrayBuffer | LaneControl) => {
        if (message instanceof ArrayBuffer) this.#work(new Batch(message));
        else if (message.kind === "stop") this.#port.close();
        else {
          this.#setUp(message.setup);
          this.#ready(message.version);
        }
      });
      this.#ready(STARTED_VERSION);
    });
  }

  #ready(version: number): void {
    const answer: LaneAnswer = { kind: "ready", version };
    this.#port.postMessage(answer);
  }

  #setUp(setup: LanePoolSetup): void {
    const known = this.#pools.get(setup.pool);
    const sealer = known?.sealer ?? new NodeSealer(setup.keys);
    sealer.setKeys(setup.keys);
    this.#pools.set(setup.pool, { setup, sealer });
  }

  #work(batch: Batch): void {
    const answer = batch.word(0) === BatchKind.open ? this.#open(batch) : this.#pack(batch);
    this.#port.postMessage(answer, [answer]);
  }

  #open(batch: Batch): ArrayBuffer {
    const { pool, shedGossip, settled, packets } = decodeOpen(batch);
    const { setup, sealer } = this.#poolOf(pool);
    const nowMs = performance.now();
    this.#filter.age(nowMs);
    for (let i = 0; i < settled.length; i += 2) this.#filter.settle(settled[i] as number, settled[i + 1] as number, nowMs);
    const work = { sealer, format: setup.format, filter: this.#filter, pool, shedGossip };
    return encodeOpened(openPackets(packets, work));
  }

  #pack(batch: Batch): ArrayBuffer {
    const { pool, jobs } = decodePack(batch);
    const { setup, sealer } = this.#poolOf(pool);
    return encodePacked(jobs.map((job) => packJob(job, setup.format, sealer)));
  }

  #poolOf(number: number): LanePool {
    const pool = this.#pools.get(number);
    assert(pool !== undefined, "a batch for a pool that this lane was not told of");
    return pool;
  }
}

/** Entry of the piscina task. */
export function runPacketLane(start: LaneStart): Promise<void> {
  return new LaneWorker(start).run();
}
