/**
 * An endpoint for Prometheus: `GET /metrics`. All metrics are declared at start with value 0, so that a rate exists from the first scrape.
 * Names that carry words of the user's (an event, a script) become labels.
 */
import { createServer, type Server } from "node:http";
import type PromClient from "prom-client";
import { formatEndpoint, type Endpoint } from "../base/endpoint.ts";
import { listenErrorText } from "./go-errors.ts";
import type { MetricSink, SerfAgentApi } from "./serf-agent-api.ts";

/** What the agent counts; a name that is not here is declared at its first use. */
const COUNTERS: readonly string[] = [
  "agent.event_handler.dropped", "agent.event_handler.failed",
  "agent.ipc.accept", "agent.ipc.command", "agent.ipc.dropped", "agent.ipc.evicted", "agent.ipc.refused",
  "memberlist.conflict", "memberlist.degraded.probe", "memberlist.degraded.timeout", "memberlist.refute",
  "memberlist.msg.alive", "memberlist.msg.dead", "memberlist.msg.suspect", "memberlist.probe.tcpOnly",
  "memberlist.drop.alive", "memberlist.drop.indirectPing", "memberlist.drop.lateAck", "memberlist.drop.members",
  "memberlist.drop.pingForOther", "memberlist.drop.streamType", "memberlist.drop.undecodable", "memberlist.drop.undecodableStream",
  "memberlist.tcp.accept", "memberlist.tcp.evicted", "memberlist.tcp.received", "memberlist.tcp.sent", "memberlist.tcp.undecodable",
  "memberlist.tcp.refused_address", "memberlist.tcp.refused_busy", "memberlist.tcp.refused_push_pull",
  "memberlist.udp.received", "memberlist.udp.sent", "memberlist.udp.send_dropped", "memberlist.udp.send_error", "memberlist.udp.receive_dropped", "memberlist.udp.refused_address",
  "serf.events", "serf.events.refused", "serf.queries", "serf.queries.refused", "serf.coordinate.rejected", "serf.keyring.refused",
  "serf.member.join", "serf.member.left", "serf.member.failed", "serf.member.flap", "serf.member.update", "serf.member.reap",
  "muster.lane.batches_lost", "muster.lane.deaths", "muster.lane.open_batches", "muster.lane.pack_batches", "muster.lane.packets_inline", "muster.lane.packets_offloaded",
  "muster.lane.repeats", "muster.lane.repeats_on_main", "muster.lane.restarts", "muster.lane.settled_forgotten",
  "serf.msg.malformed", "serf.queue.pruned", "serf.queue.overflow", "serf.snapshot.error",
];
/** Members by their state; a series per member would be n² series over a cluster. */
const STATUSES = ["alive", "leaving", "left", "failed"] as const;
/** Values of `stats` that are numbers worth a graph. The event loop's delay comes with prom-client's own metrics (`nodejs_eventloop_lag_…`). */
const STATS: readonly (readonly [key: string, help: string])[] = [
  ["health_score", "Local health; 0 is best"],
  ["intent_queue", "Join and leave intents waiting to be gossiped"],
  ["event_queue", "User events waiting to be gossiped"],
  ["query_queue", "Queries waiting to be gossiped"],
  ["member_time", "Lamport time of the members"],
  ["event_time", "Lamport time of the user events"],
  ["query_time", "Lamport time of the queries"],
];
/** Metrics declared late, and label values of one metric: names from outside may not fill memory. */
const LATE_MAX = 256;
const REQUEST_TIMEOUT_MS = 10_000;
const CONNECTIONS_MAX = 64;

/** `memberlist.msg.alive` as Prometheus wants names: `serf_memberlist_msg_alive`. */
export function metricName(name: string): string {
  const plain = name.replace(/[^A-Za-z0-9_]+/g, "_");
  return plain.startsWith("serf_") ? plain : `serf_${plain}`;
}

export class Prometheus implements MetricSink {
  readonly #registry: PromClient.Registry;
  readonly #makeCounter: (name: string) => PromClient.Counter;
  readonly #makeHistogram: (name: string) => PromClient.Histogram;
  readonly #scripts: PromClient.Histogram<"script">;
  readonly #scriptNames = new Set<string>();
  readonly #counters = new Map<string, PromClient.Counter>();
  readonly #histograms = new Map<string, PromClient.Histogram>();
  readonly #declared: number;
  #agent: Pick<SerfAgentApi, "members" | "stats"> | null = null;
  #server: Server | null = null;

  private constructor(client: typeof PromClient) {
    const registry = new client.Registry();
    const registers = [registry];
    this.#registry = registry;
    this.#makeCounter = (name) => new client.Counter({ name: `${metricName(name)}_total`, help: `Counter ${name}`, registers });
    this.#makeHistogram = (name) => new client.Histogram({ name: metricName(name), help: `Observations of ${name}`, buckets: [1, 5, 10, 50, 100, 500, 1000, 5000], registers });
    this.#scripts = new client.Histogram({
      name: "serf_agent_invoke_ms",
      help: "How long event handlers ran, in ms",
      labelNames: ["script"],
      buckets: [1, 5, 10, 50, 100, 500, 1000, 5000, 10_000],
      registers,
    });
    for (const name of COUNTERS) this.#counters.set(name, this.#makeCounter(name));
    this.#declared = this.#counters.size;
    const members = new client.Gauge({
      name: "serf_members",
      help: "Members known, by status",
      labelNames: ["status"],
      registers,
      collect: () => {
        const counts = new Map<string, number>(STATUSES.map((status) => [status, 0]));
        for (const { status } of this.#agent?.members() ?? []) if (counts.has(status)) counts.set(status, (counts.get(status) as number) + 1);
        for (const [status, count] of counts) members.set({ status }, count);
      },
    });
    for (const [key, help] of STATS) {
      const gauge: { set(value: number): void } = new client.Gauge({
        name: `serf_${key}`,
        help,
        registers,
        collect: () => gauge.set(Number(this.#agent?.stats().get("serf")?.get(key) ?? 0)),
      });
    }
    client.collectDefaultMetrics({ register: registry });
  }

  /** Loads prom-client and declares everything. */
  static async create(): Promise<Prometheus> {
    const { default: client } = await import("prom-client");
    return new Prometheus(client);
  }

  /** Serves; rejects with Go's text when the port cannot be had. */
  listen(at: Endpoint): Promise<void> {
    const server = createServer({ requestTimeout: REQUEST_TIMEOUT_MS, connectionsCheckingInterval: REQUEST_TIMEOUT_MS }, (request, response) => {
      const path = (request.url ?? "").split("?", 1)[0];
      if (path !== "/metrics" || (request.method !== "GET" && request.method !== "HEAD")) {
        response.writeHead(404, { "content-type": "text/plain" }).end("metrics are at /metrics\n");
        return;
      }
      this.#registry.metrics().then(
        (text) => response.writeHead(200, { "content-type": this.#registry.contentType }).end(text),
        (error: unknown) => response.writeHead(500, { "content-type": "text/plain" }).end(`${String(error)}\n`),
      );
    });
    server.maxConnections = CONNECTIONS_MAX;
    this.#server = server;
    return new Promise((resolve, reject) => {
      server.once("error", (error) => reject(new Error(listenErrorText("tcp", formatEndpoint(at), error), { cause: error })));
      server.listen(at.port, at.ip, () => {
        server.removeAllListeners("error");
        resolve();
      });
    });
  }

  /** Port it listens on; 0 before. */
  get port(): number {
    const address = this.#server?.address();
    return typeof address === "object" && address !== null ? address.port : 0;
  }

  /** Members and queues are asked of the agent at each scrape. */
  attach(agent: Pick<SerfAgentApi, "members" | "stats">): void {
    this.#agent = agent;
  }

  count(name: string, delta: number): void {
    let counter = this.#counters.get(name);
    if (counter === undefined) {
      if (this.#counters.size >= this.#declared + LATE_MAX) return;
      counter = this.#makeCounter(name);
      this.#counters.set(name, counter);
    }
    counter.inc(delta);
  }

  sample(name: string, value: number): void {
    if (name.startsWith(INVOKE)) {
      const script = name.slice(INVOKE.length);
      if (this.#scriptNames.size >= LATE_MAX && !this.#scriptNames.has(script)) return;
      this.#scriptNames.add(script);
      this.#scripts.observe({ script }, value);
      return;
    }
    let histogram = this.#histograms.get(name);
    if (histogram === undefined) {
      if (this.#histograms.size >= LATE_MAX) return;
      histogram = this.#makeHistogram(name);
      this.#histograms.set(name, histogram);
    }
    histogram.observe(value);
  }

  stop(): void {
    this.#server?.close();
    this.#server?.closeAllConnections();
  }
}

/** Prefix of the samples of event handlers; the script follows. */
const INVOKE = "agent.invoke.";
