/**
 * Readings of a run over its virtual time, for reports: how complete the views are, what the network carries, how much waits in queues.
 * The number of samples is bounded: when there are too many, each second one goes and the distance doubles.
 */
import type { SerfEvent } from "../serf/types.ts";
import type { Fault } from "./ledger.ts";
import type { ScenarioRun } from "./scenario-run.ts";
import type { SimObserver } from "./simulation.ts";

export interface Sample {
  readonly atSeconds: number;
  readonly running: number;
  /** Mean over the running nodes of the members they hold alive, as a share of those that run; 1 is agreement. */
  readonly knownShare: number;
  /** Share of the running nodes that hold as many members alive as there are. */
  readonly completeShare: number;
  /** Sent since the sample before, per running node and second. */
  readonly bytesPerSecond: number;
  /** Broadcasts waiting in all queues of one node. */
  readonly queuedMean: number;
  readonly queuedMax: number;
  /** Since the beginning: members reported failed, and those of them that ran. */
  readonly failedReports: number;
  readonly falseFailures: number;
}

/** What a sample counts, of the nodes of one shard. */
export interface Counted {
  readonly atUs: number;
  /** Since the sample before. */
  readonly elapsedUs: number;
  readonly bytes: number;
  /** In all shards. */
  readonly running: number;
  readonly known: number;
  readonly complete: number;
  readonly queued: number;
  readonly queuedMax: number;
  readonly failedReports: number;
  readonly falseFailures: number;
}

const SAMPLES_MAX = 480;
const INTERVAL_FIRST_US = 100_000;
/** A sample looks at every node: ten times a second of virtual time in clusters up to this size, less often in larger ones. */
const INTERVAL_FIRST_NODES = 1_000;

export class Recorder implements SimObserver {
  readonly #run: ScenarioRun;
  #counted: Counted[] = [];
  #intervalUs: number;
  #nextAtUs = 0;
  #lastAtUs = 0;
  #lastBytes = 0;
  #failedReports = 0;

  constructor(run: ScenarioRun) {
    this.#run = run;
    this.#intervalUs = INTERVAL_FIRST_US * Math.max(1, Math.ceil(run.sim.hosts.length / INTERVAL_FIRST_NODES));
    run.sim.observe(this);
  }

  get samples(): readonly Sample[] {
    return this.#counted.map(sampleOf);
  }

  /** For the recorder of the first shard. */
  get counted(): readonly Counted[] {
    return this.#counted;
  }

  /** Takes over what a recorder of another shard has counted at the same times. */
  takeOver(counted: readonly Counted[]): void {
    this.#counted = this.#counted.map((own, i) => together(own, counted[i] ?? own));
  }

  /** Times from the end of a process to each report of it, in ms. */
  get detectionMs(): readonly number[] {
    return this.#run.ledger.detectionMs;
  }

  /** From the sending of each user event to each of its deliveries, in ms, sorted. */
  eventLatenciesMs(): Float64Array {
    const { sim, ledger } = this.#run;
    const latencies = new Float64Array(ledger.events.length * sim.hosts.length);
    let count = 0;
    for (let host = 0; host < sim.hosts.length; host += 1) {
      for (const event of ledger.events) {
        const deliveredAtUs = event.deliveredAtUs(host);
        if (deliveredAtUs < 0) continue;
        latencies[count] = (deliveredAtUs - event.atUs) / 1000;
        count += 1;
      }
    }
    return latencies.subarray(0, count).sort();
  }

  get faults(): readonly Fault[] {
    return this.#run.ledger.faults;
  }

  /** Members in the views of all running nodes together. */
  memberViews(): number {
    let sum = 0;
    for (const { machine } of this.#run.sim.hosts) sum += machine?.view.gauges.table.size ?? 0;
    return sum;
  }

  delivered(_node: number, event: SerfEvent): void {
    if (event.kind === "members" && event.type === "member-failed") this.#failedReports += event.members.length;
  }

  /** Takes a sample, if it is time for one. */
  sample(): void {
    const { sim, ledger } = this.#run;
    if (sim.nowUs < this.#nextAtUs) return;
    sim.settle();
    let running = 0;
    for (const host of sim.hosts) if (host.running && !host.leaving) running += 1;
    let known = 0;
    let complete = 0;
    let queued = 0;
    let queuedMax = 0;
    for (const { machine, leaving } of sim.hosts) {
      if (machine === null || leaving) continue;
      const { aliveCount, swimQueued, intentsQueued, eventsQueued, queriesQueued } = machine.view.gauges;
      const depth = swimQueued + intentsQueued + eventsQueued + queriesQueued;
      known += aliveCount;
      if (aliveCount === running) complete += 1;
      queued += depth;
      queuedMax = Math.max(queuedMax, depth);
    }
    this.#counted.push({
      atUs: sim.nowUs,
      elapsedUs: sim.nowUs - this.#lastAtUs,
      bytes: sim.stats.bytes - this.#lastBytes,
      running,
      known,
      complete,
      queued,
      queuedMax,
      failedReports: this.#failedReports,
      falseFailures: ledger.falseFailures,
    });
    this.#lastAtUs = sim.nowUs;
    this.#lastBytes = sim.stats.bytes;
    this.#nextAtUs = sim.nowUs + this.#intervalUs;
    if (this.#counted.length >= SAMPLES_MAX) this.#thin();
  }

  /** Rates of the samples that stay are those of their own interval: a peak between two may be lost, which a report of hours can bear. */
  #thin(): void {
    this.#counted = this.#counted.filter((_, i) => i % 2 === 1);
    this.#intervalUs *= 2;
  }
}

function sampleOf({ atUs, elapsedUs, bytes, running, known, complete, queued, queuedMax, failedReports, falseFailures }: Counted): Sample {
  const some = Math.max(1, running);
  return {
    atSeconds: atUs / 1e6,
    running,
    knownShare: known / some / some,
    completeShare: complete / some,
    bytesPerSecond: elapsedUs === 0 ? 0 : bytes / (elapsedUs / 1e6) / some,
    queuedMean: queued / some,
    queuedMax,
    failedReports,
    falseFailures,
  };
}

function together(a: Counted, b: Counted): Counted {
  return {
    ...a,
    bytes: a.bytes + b.bytes,
    known: a.known + b.known,
    complete: a.complete + b.complete,
    queued: a.queued + b.queued,
    queuedMax: Math.max(a.queuedMax, b.queuedMax),
    failedReports: a.failedReports + b.failedReports,
    falseFailures: a.falseFailures + b.falseFailures,
  };
}
