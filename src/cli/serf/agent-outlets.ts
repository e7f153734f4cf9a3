/** Where logs and measurements go besides standard output and RPC: syslog, statsd, statsite, Prometheus; and mDNS. Each is loaded only when configured. */
import type { LogHub, LogSubscription } from "../../io/log-hub.ts";
import { IntervalMetrics } from "../../io/metrics-intervals.ts";
import type { MetricSink, SerfAgentApi } from "../../io/serf-agent-api.ts";
import type { LogLevel } from "../../swim/types.ts";
import { parseAddress } from "./agent-address.ts";
import type { FullConfig } from "./agent-settings.ts";

/** In front of every name, as the original has it. */
const PREFIX = "serf-agent";
/** Between two readings of the process's own figures, in ms. */
const RUNTIME_MS = 10_000;

interface GaugeSink extends MetricSink {
  gauge(name: string, value: number): void;
}

export class AgentOutlets {
  readonly #logs: LogHub;
  readonly #intervals = new IntervalMetrics(PREFIX);
  readonly #gauges: GaugeSink[] = [this.#intervals];
  readonly #sinks: MetricSink[] = [this.#intervals];
  readonly #stops: (() => void)[] = [];
  #syslog: LogSubscription | null = null;
  #attach: (agent: SerfAgentApi) => void = () => undefined;

  /** Passes each measurement on to every configured place. */
  readonly metrics: MetricSink = {
    count: (name, delta) => {
      for (const sink of this.#sinks) sink.count(name, delta);
    },
    sample: (name, value) => {
      for (const sink of this.#sinks) sink.sample(name, value);
    },
  };

  constructor(logs: LogHub) {
    this.#logs = logs;
    const timer = setInterval(() => this.#measureRuntime(), RUNTIME_MS).unref();
    this.#stops.push(() => clearInterval(timer));
  }

  /** "" or the original's complaint. */
  async startSyslog({ enableSyslog, syslogFacility }: FullConfig, level: LogLevel): Promise<string> {
    if (enableSyslog !== true) return "";
    const { Syslog } = await import("../../io/syslog.ts");
    const started = Syslog.start({
      facility: syslogFacility,
      tag: "serf",
      onFailure: (reason) => this.#logs.write("err", `agent: The logger process ended (${reason}); nothing goes to syslog any more`),
    });
    if (!started.ok) return `Syslog setup failed: ${started.error}`;
    const syslog = started.value;
    // The daemon stamps the date itself, and the level is in the priority.
    this.#syslog = this.#logs.subscribe(level, (line, lineLevel) => syslog.write(lineLevel, line.slice(line.indexOf("] ") + 2)), { replay: true });
    this.#stops.push(() => {
      this.#syslog?.close();
      syslog.stop();
    });
    return "";
  }

  setLogLevel(level: LogLevel): void {
    this.#syslog?.setLevel(level);
  }

  /** "" or why a place for measurements cannot be used. */
  async startMetrics({ statsdAddr, statsiteAddr, metricsAddr }: FullConfig): Promise<string> {
    for (const [name, text] of [["statsd", statsdAddr], ["statsite", statsiteAddr]] as const) {
      if (text === undefined) continue;
      const to = await parseAddress(text, null);
      if (!to.ok) return `Invalid ${name} address: ${to.error}`;
      const { Statsd, Statsite } = await import("../../io/statsd.ts");
      const sink = name === "statsd" ? new Statsd(to.value, PREFIX) : new Statsite(to.value, PREFIX);
      this.#sinks.push(sink);
      this.#gauges.push(sink);
      this.#stops.push(() => sink.stop());
    }
    if (metricsAddr === undefined) return "";
    const at = await parseAddress(metricsAddr, null);
    if (!at.ok) return `Invalid metrics address: ${at.error}`;
    const { Prometheus } = await import("../../io/prometheus.ts");
    const prometheus = await Prometheus.create();
    try {
      // Figures about a cluster are not for everybody: without an address, only this machine gets them.
      await prometheus.listen({ ip: at.value.ip === "" ? "127.0.0.1" : at.value.ip, port: at.value.port });
    } catch (error) {
      return `Error starting metrics listener: ${error instanceof Error ? error.message : String(error)}`;
    }
    this.#sinks.push(prometheus);
    this.#attach = (agent) => prometheus.attach(agent);
    this.#stops.push(() => prometheus.stop());
    return "";
  }

  /** Metrics that are read when asked for come from here. */
  attach(agent: SerfAgentApi): void {
    this.#attach(agent);
  }

  /** Answers and asks by mDNS; null when not configured. Rejects when it cannot. */
  async startDiscovery(config: FullConfig, agent: SerfAgentApi): Promise<(() => void) | null> {
    if (config.discover === undefined) return null;
    const { startMdns } = await import("../../io/mdns.ts");
    return startMdns({
      cluster: config.discover,
      iface: config.mdnsInterface ?? config.interface ?? "",
      ipv4: config.mdnsDisableIPv4 !== true,
      ipv6: config.mdnsDisableIPv6 !== true,
      replay: config.replayOnJoin === true,
      agent,
      log: this.#logs,
    });
  }

  /** The last minute of measurements; "" when there are none. */
  dump(): string {
    return this.#intervals.dump();
  }

  stop(): void {
    for (const stop of this.#stops.reverse()) stop();
  }

  #measureRuntime(): void {
    const { rss, heapUsed } = process.memoryUsage();
    for (const sink of this.#gauges) {
      sink.gauge("vm.runtime.alloc_bytes", heapUsed);
      sink.gauge("vm.runtime.sys_bytes", rss);
    }
  }
}
