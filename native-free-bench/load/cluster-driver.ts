/** A cluster of processes of one program: mass join, idle cost, events to every node, kill -9 to every survivor. A new cluster per run. */
import { setTimeout as delay } from "node:timers/promises";
import { Agent, type Target } from "./agent.ts";
import { interleave, type Bench, type Driver } from "./bench.ts";
import { cpuUs, rssMib } from "./process-cost.ts";
import { makeRow, type Row, type Side } from "../rows.ts";
import { median } from "../statistics.ts";
import type { SerfClient } from "../../src/client/serf-client.ts";

/** All agents together are asked at most so often a second, and each every 20 ms at most: asking costs processor time that a large cluster needs itself. */
const POLLS_PER_SECOND_MAX = 500;
const POLL_MS_MIN = 20;
const CALM_MS = 1500;
const KILL_DEADLINE_MS = 60_000;
const LATE_MS = 2000;
const LAST_MS = 10_000;
const LOAD_TICK_MS = 5;
const PAYLOAD = Buffer.from("x".repeat(64));
const US_PER_MS = 1000;
const PERCENT = 100;
const MS_PER_SECOND = 1000;

interface Node {
  readonly agent: Agent;
  readonly client: SerfClient;
}

/** Arrivals of one event: when it was sent, and per node how long it took. */
interface Arrivals {
  readonly sentMs: number;
  readonly afterMs: Map<Agent, number>;
}

class ClusterRows {
  readonly all: Row[] = [];
  readonly join: Row;
  readonly joinComplete: Row;
  readonly joinsFailed: Row;
  readonly idleCpu: Row;
  readonly idleRss: Row;
  readonly eventHalf: Row;
  readonly eventLast: Row;
  readonly loadCpu: Row;
  readonly inTime: Row;
  readonly atLast: Row;
  readonly killFirst: Row;
  readonly killAll: Row;

  constructor({ nodes, eventRate }: Bench["scale"]) {
    this.join = this.#row(`join of ${nodes} at once`, "all list all", "ms", { bar: { of: "ratio", atMost: 1.1 } });
    this.joinComplete = this.#row(`join of ${nodes} at once`, "nodes that list all", "%");
    this.joinsFailed = this.#row(`join of ${nodes} at once`, "joins tried again", "joins");
    this.idleCpu = this.#row(`idle, ${nodes} nodes`, "CPU per agent", "% of a core");
    this.idleRss = this.#row(`idle, ${nodes} nodes`, "RSS per agent", "MiB");
    this.eventHalf = this.#row(`event to ${nodes} nodes`, "half of the nodes", "ms");
    this.eventLast = this.#row(`event to ${nodes} nodes`, "last node", "ms");
    this.loadCpu = this.#row(`${eventRate} events/s, ${nodes} nodes`, "CPU per agent", "% of a core");
    this.inTime = this.#row(`${eventRate} events/s, ${nodes} nodes`, "delivered within 2 s", "%", { bar: { of: "ours", atLeast: 99.99 } });
    this.atLast = this.#row(`${eventRate} events/s, ${nodes} nodes`, "delivered within 10 s", "%", { bar: { of: "ours", atLeast: 100 } });
    this.killFirst = this.#row(`kill -9, ${nodes} nodes`, "known to the first", "ms");
    this.killAll = this.#row(`kill -9, ${nodes} nodes`, "known to all", "ms", { bar: { of: "ratio", atMost: 1.1 } });
  }

  #row(operation: string, metric: string, unit: string, limits: Pick<Row, "bar"> = {}): Row {
    const row = makeRow({ group: "cluster", operation, metric, unit, ...limits });
    this.all.push(row);
    return row;
  }
}

class Cluster {
  readonly #bench: Bench;
  readonly #side: Side;
  readonly #rows: ClusterRows;
  readonly #arrivals = new Map<string, Arrivals>();
  #nodes: Node[] = [];
  readonly #agents: Agent[];

  constructor(bench: Bench, target: Target, rows: ClusterRows) {
    this.#bench = bench;
    this.#side = target.side;
    this.#rows = rows;
    this.#agents = Array.from({ length: bench.scale.nodes }, (_, i) => new Agent({ target, name: `node-${i}`, ip: bench.nextIp(), prefix: bench.pinning.cluster, profile: bench.scale.profile }));
  }

  async measure(): Promise<void> {
    this.#nodes = await Promise.all(this.#agents.map(async (agent) => ({ agent, client: await agent.connect() })));
    await delay(CALM_MS);
    await this.#join();
    await delay(this.#bench.scale.drainMs);
    this.#push(this.#rows.idleCpu, median(await this.#cpuPercents(this.#bench.scale.idleMs)));
    this.#push(this.#rows.idleRss, median(this.#nodes.map(({ agent }) => rssMib(agent.pid))));
    await this.#subscribe();
    await this.#singleEvents();
    await this.#eventLoad();
    for (let i = 0; i < this.#bench.scale.kills; i += 1) await this.#killOne();
  }

  async stop(): Promise<void> {
    for (const { client } of this.#nodes) client.close();
    await Promise.all(this.#agents.map((agent) => agent.kill()));
  }

  #push(row: Row, value: number): void {
    row.samples[this.#side].push(value);
  }

  /**
   * All join the first at once. A join that fails (the first one may be too busy for some) is tried again, as an agent with a join list that retries does.
   * A node that does not list all in time counts with the deadline.
   */
  async #join(): Promise<void> {
    const [first, ...others] = this.#nodes;
    const { nodes, joinDeadlineMs } = this.#bench.scale;
    const startMs = performance.now();
    let failed = 0;
    const join = async (client: SerfClient): Promise<void> => {
      while (performance.now() - startMs < joinDeadlineMs) {
        try {
          await client.join([`${first?.agent.gossip.ip}:${first?.agent.gossip.port}`]);
          return;
        } catch {
          failed += 1;
        }
      }
    };
    const joins = others.map(({ client }) => join(client));
    const times = await this.#until("members", () => nodes, startMs, joinDeadlineMs);
    await Promise.all(joins);
    this.#push(this.#rows.join, Math.max(...times));
    this.#push(this.#rows.joinsFailed, failed);
    this.#push(this.#rows.joinComplete, (times.filter((time) => time < joinDeadlineMs).length / nodes) * PERCENT);
  }

  /** Per node the time until a counter of its stats has reached a value, at most `deadlineMs`. */
  async #until(counter: string, value: (node: Node) => number, startMs: number, deadlineMs: number): Promise<number[]> {
    return Promise.all(
      this.#nodes.map(async (node) => {
        for (;;) {
          const reached = (await statOf(node, counter)) >= value(node);
          const elapsedMs = performance.now() - startMs;
          if (reached || elapsedMs >= deadlineMs) return Math.min(elapsedMs, deadlineMs);
          await delay(Math.max(POLL_MS_MIN, (MS_PER_SECOND * this.#nodes.length) / POLLS_PER_SECOND_MAX));
        }
      }),
    );
  }

  async #cpuPercents(durationMs: number): Promise<number[]> {
    const before = this.#nodes.map(({ agent }) => cpuUs(agent.pid));
    const startMs = performance.now();
    await delay(durationMs);
    const elapsedMs = performance.now() - startMs;
    return this.#nodes.map(({ agent }, i) => ((cpuUs(agent.pid) - (before[i] as number)) / US_PER_MS / elapsedMs) * PERCENT);
  }

  async #subscribe(): Promise<void> {
    for (const { agent, client } of this.#nodes) {
      const stream = await client.stream("user");
      stream
        .consume((event) => {
          const arrivals = event.kind === "user" ? this.#arrivals.get(event.name) : undefined;
          if (arrivals !== undefined && !arrivals.afterMs.has(agent)) arrivals.afterMs.set(agent, performance.now() - arrivals.sentMs);
        })
        .catch(() => undefined); // The agent was killed.
    }
  }

  async #send(name: string, from: Node): Promise<Arrivals> {
    const arrivals: Arrivals = { sentMs: performance.now(), afterMs: new Map() };
    this.#arrivals.set(name, arrivals);
    // An agent that does not answer in time may have sent it or not: what arrives is what counts.
    await from.client.userEvent(name, PAYLOAD, { coalesce: false }).catch(() => undefined);
    return arrivals;
  }

  async #singleEvents(): Promise<void> {
    const sent: Arrivals[] = [];
    for (let i = 0; i < this.#bench.scale.events; i += 1) {
      sent.push(await this.#send(`single-${i}`, this.#nodes[i % this.#nodes.length] as Node));
      await delay(this.#bench.scale.eventGapMs);
    }
    await this.#complete(sent, LATE_MS);
    for (const { afterMs } of sent) {
      const times = [...afterMs.values()];
      if (times.length === 0) continue;
      this.#push(this.#rows.eventHalf, median(times));
      // An event that misses a node counts with the whole time it was given.
      this.#push(this.#rows.eventLast, times.length === this.#nodes.length ? Math.max(...times) : LATE_MS);
    }
  }

  async #eventLoad(): Promise<void> {
    const { eventRate, eventLoadMs } = this.#bench.scale;
    const sent: Promise<Arrivals>[] = [];
    const startMs = performance.now();
    const ticks = setInterval(() => {
      const due = ((performance.now() - startMs) / 1000) * eventRate;
      while (sent.length < due) sent.push(this.#send(`load-${sent.length}`, this.#nodes[sent.length % this.#nodes.length] as Node));
    }, LOAD_TICK_MS);
    try {
      this.#push(this.#rows.loadCpu, median(await this.#cpuPercents(eventLoadMs)));
    } finally {
      clearInterval(ticks);
    }
    const events = await Promise.all(sent);
    await this.#complete(events, LAST_MS);
    const due = events.length * this.#nodes.length;
    const within = (limitMs: number): number => events.reduce((sum, { afterMs }) => sum + [...afterMs.values()].filter((ms) => ms <= limitMs).length, 0);
    this.#push(this.#rows.inTime, (within(LATE_MS) / due) * PERCENT);
    this.#push(this.#rows.atLast, (within(LAST_MS) / due) * PERCENT);
  }

  /** Waits until every event is everywhere, at most `deadlineMs` after the last was sent. */
  async #complete(events: readonly Arrivals[], deadlineMs: number): Promise<void> {
    const endMs = (events.at(-1)?.sentMs ?? 0) + deadlineMs;
    while (performance.now() < endMs && events.some(({ afterMs }) => afterMs.size < this.#nodes.length)) await delay(POLL_MS_MIN);
  }

  async #killOne(): Promise<void> {
    const victim = this.#nodes.pop();
    if (victim === undefined) return;
    const before = new Map<Node, number>();
    for (const node of this.#nodes) before.set(node, await statOf(node, "failed"));
    const startMs = performance.now();
    victim.client.close();
    await victim.agent.kill();
    const times = await this.#until("failed", (node) => (before.get(node) as number) + 1, startMs, KILL_DEADLINE_MS);
    this.#push(this.#rows.killFirst, Math.min(...times));
    this.#push(this.#rows.killAll, Math.max(...times));
  }
}

async function statOf({ client }: Node, counter: string): Promise<number> {
  return Number((await client.stats()).get("serf")?.get(counter));
}

export const clusterDriver: Driver = {
  name: "cluster",
  about: "processes of one program on loopback: join, idle, events, kill -9",
  async run(bench, report) {
    const rows = new ClusterRows(bench.scale);
    report(rows.all); // They fill as the runs go on.
    await interleave(bench, bench.scale.clusterRuns, async (target, run) => {
      bench.progress(`cluster: ${target.side}, run ${run + 1}`);
      const cluster = new Cluster(bench, target, rows);
      try {
        await cluster.measure();
      } finally {
        await cluster.stop();
      }
    });
  },
};
