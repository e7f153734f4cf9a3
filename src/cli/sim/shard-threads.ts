/**
 * Several threads that play one run together, each a shard of its nodes. The thread that reads the command line is the first shard; it names the others
 * to the process (`thread.ts`), which starts them. They meet in shared memory some thousand times a second, without a turn of an event loop, and tell
 * each other more through ports, which they read while they wait.
 */
import { MessageChannel, receiveMessageOnPort, type MessagePort } from "node:worker_threads";
import { assert } from "../../base/assert.ts";
import { drive, type Driver } from "../../sim/run-script.ts";
import { EPOCH, MAIL, SLEEPERS } from "../../sim/shards/clocks.ts";
import { playInTurns } from "../../sim/shards/lockstep.ts";
import { shardMemory, type Shard, type ShardMemory, type Turn } from "../../sim/shards/shard.ts";
import type { Simulation } from "../../sim/simulation.ts";
import { Measurement, type MeasuredRun, type RunChoice } from "./measured-run.ts";

/** What a thread besides the first needs; the port leads to the first. */
export interface ShardJob {
  readonly memory: ShardMemory;
  readonly index: number;
  readonly choice: RunChoice;
  readonly port: MessagePort;
}

/** Starts a thread for each job. */
export type ShardStarter = (jobs: readonly ShardJob[]) => void;

/** Looks at the others before a thread goes to sleep: some 300 µs, a few times what it takes to be woken, since most waits are shorter. */
const SPINS_MAX = 3_000;
/** So many of the next events are read ahead by a thread that waits. */
const READ_AHEAD = 16;
/** Nobody sleeps longer without a look; that who should wake it always does, is no more than a belief then. */
const SLEEP_MS_MAX = 20;

/** Ports of the first shard to the others, by their number, and what these need. */
function makeJobs(memory: ShardMemory, choice: RunChoice): { readonly ports: readonly (MessagePort | null)[]; readonly jobs: readonly ShardJob[] } {
  const ports: (MessagePort | null)[] = [null];
  const jobs: ShardJob[] = [];
  for (let index = 1; index < memory.count; index += 1) {
    const { port1, port2 } = new MessageChannel();
    ports.push(port1);
    jobs.push({ memory, index, choice, port: port2 });
  }
  return { ports, jobs };
}

/** Plays a run in so many shards, on threads where they can be had. */
export function playDivided(choice: RunChoice, count: number, start: ShardStarter | null, tell: (text: string) => void): MeasuredRun {
  const memory = shardMemory(choice.scenario, count);
  return start === null ? playTogether(memory, choice, tell) : playFirst(memory, choice, start, tell);
}

/** Plays the first shard; who has `jobs` starts the others. */
function playFirst(memory: ShardMemory, choice: RunChoice, start: ShardStarter, tell: (text: string) => void): MeasuredRun {
  const { ports, jobs } = makeJobs(memory, choice);
  start(jobs);
  return playOne({ memory, index: 0 }, choice, ports, tell) as MeasuredRun;
}

/** Plays a shard besides the first. */
export function playShard({ memory, index, choice, port }: ShardJob): void {
  playOne({ memory, index }, choice, [port], () => {});
}

function playOne(shard: Pick<ShardJob, "memory" | "index">, { scenario, ...options }: RunChoice, ports: readonly (MessagePort | null)[], tell: (text: string) => void): MeasuredRun | null {
  const measurement = new Measurement(scenario, { ...options, shard }, tell);
  assert(measurement.run.shard !== null, "a shard is none");
  return drive(measurement.script(), new ThreadDriver(measurement.run.shard, ports));
}

/** Plays all shards on this thread: the same run, for whoever has no threads. */
function playTogether(memory: ShardMemory, { scenario, ...options }: RunChoice, tell: (text: string) => void): MeasuredRun {
  const measurements = Array.from({ length: memory.count }, (_, index) => new Measurement(scenario, { ...options, shard: { memory, index } }, index === 0 ? tell : () => {}));
  return playInTurns(measurements.map(({ run }) => run.shard as Shard), measurements.map((measurement) => measurement.script())) as MeasuredRun;
}

class ThreadDriver implements Driver {
  readonly #shard: Shard;
  readonly #ports: readonly (MessagePort | null)[];

  constructor(shard: Shard, ports: readonly (MessagePort | null)[]) {
    this.#shard = shard;
    this.#ports = ports;
  }

  advance(sim: Simulation, untilUs: number): boolean {
    const shard = this.#shard;
    let waits = 0;
    this.#persist(() => {
      const turn = shard.turn(sim, untilUs);
      waits = turn === "waiting" ? waits + 1 : 0;
      // The time is not lost: what comes next finds its node in the caches. Measured with `crash-1pct`, 5,000 nodes, two threads: 35.9 and 34.6 s instead of 37.2 and 36.7.
      if (0 < waits && waits <= READ_AHEAD) sim.readAhead(waits - 1);
      return turn;
    });
    this.#persist(() => (shard.areAllDone(untilUs) ? "done" : "waiting"));
    return shard.clocks.isAnyHalted;
  }

  share(value: unknown): readonly unknown[] {
    if (!this.#isFirst) {
      this.#post(0, value);
      return this.#take(0) as readonly unknown[];
    }
    const values = this.#gather(value);
    for (const shard of this.#others) this.#post(shard, values);
    return values;
  }

  collect(value: unknown, buffers: readonly ArrayBuffer[]): readonly unknown[] | null {
    if (this.#isFirst) return this.#gather(value);
    this.#post(0, value, buffers);
    return null;
  }

  get #isFirst(): boolean {
    return this.#shard.place.index === 0;
  }

  get #others(): readonly number[] {
    return Array.from({ length: this.#shard.place.count - 1 }, (_, i) => i + 1);
  }

  #gather(own: unknown): unknown[] {
    return [own, ...this.#others.map((shard) => this.#take(shard))];
  }

  #portTo(shard: number): MessagePort {
    const port = this.#ports[shard];
    assert(port !== null && port !== undefined, "no way to this shard");
    return port;
  }

  #post(shard: number, value: unknown, buffers: readonly ArrayBuffer[] = []): void {
    const { words, placeOf } = this.#shard.clocks;
    this.#portTo(shard).postMessage(value, buffers);
    Atomics.add(words, placeOf(shard, MAIL), 1);
    Atomics.notify(words, placeOf(shard, MAIL));
  }

  #take(shard: number): unknown {
    const { words, placeOf } = this.#shard.clocks;
    const mail = placeOf(this.#shard.place.index, MAIL);
    for (;;) {
      const seen = Atomics.load(words, mail);
      const received = receiveMessageOnPort(this.#portTo(shard)) as { readonly message: unknown } | undefined;
      if (received !== undefined) return received.message;
      Atomics.wait(words, mail, seen, SLEEP_MS_MAX);
    }
  }

  /** Tries until it is done; goes to sleep when nothing has moved for long. */
  #persist(attempt: () => Turn): void {
    let spins = 0;
    for (;;) {
      const turn = spins < SPINS_MAX ? attempt() : this.#attemptAndSleep(attempt);
      if (turn === "done") return;
      spins = turn === "played" ? 0 : spins + 1;
    }
  }

  #attemptAndSleep(attempt: () => Turn): Turn {
    const { clocks } = this.#shard;
    const { words, slowest } = clocks;
    const sleepers = clocks.placeOf(slowest, SLEEPERS);
    const epoch = clocks.placeOf(slowest, EPOCH);
    Atomics.add(words, sleepers, 1);
    // Read before the attempt: a change in between ends the sleep before it begins.
    const seen = Atomics.load(words, epoch);
    const turn = attempt();
    if (turn === "waiting" && clocks.slowest === slowest) Atomics.wait(words, epoch, seen, SLEEP_MS_MAX);
    Atomics.sub(words, sleepers, 1);
    return turn;
  }
}
