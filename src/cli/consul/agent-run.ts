/** One run of `consul agent`: settings, banner, start, joins, signals, and the way out (reference: consul-agent §5.2). */
import { rmSync, writeFileSync } from "node:fs";
import { collectYoungAlone } from "../../io/heap-limits.ts";
import { ConsulAgent } from "../../io/consul-agent.ts";
import { CONSUL_VERSION, type ConsulAgentOptions } from "../../io/consul-agent-options.ts";
import { ConsulLog } from "../../io/consul-log.ts";
import { nodeIdOf } from "../../io/node-id.ts";
import type { FlagValues } from "../flags.ts";
import type { CliContext } from "../context.ts";
import { consulSettings, type ConsulProcess, type ConsulSettings } from "./agent-options.ts";
import { combined, readConfigFiles, type SettingValue, type SettingValues } from "./config-files.ts";
import { SETTINGS, type AGENT_FLAGS } from "./settings.ts";
import { ok, type Result } from "../../base/result.ts";

export type AgentFlags = FlagValues<typeof AGENT_FLAGS>;

/** A graceful leave takes at most this long; then the process ends anyway. */
const LEAVE_MS_MAX = 15_000;

/** What the process around the agent gives it; replaced in tests. */
export interface ConsulWorld {
  /** Calls back for INT, TERM and HUP until removed. */
  onSignal(listener: (signal: "interrupt" | "terminated" | "hangup") => void): () => void;
}

/** Settings from the files that the flags name, then from the flags. */
export function mergedSettings(flags: AgentFlags): Result<SettingValues> {
  const files = readConfigFiles((flags["config"] as readonly string[] | undefined) ?? []);
  if (!files.ok) return files;
  const values = files.value;
  for (const { key, flag, kind } of SETTINGS) {
    const given = flag === "" ? undefined : flags[flag];
    if (given === undefined) continue;
    const value: SettingValue = kind === "map" ? pairs(given as readonly string[]) : (given as SettingValue);
    values.set(key, combined(values.get(key), value));
  }
  return ok(values);
}

function pairs(given: readonly string[]): ReadonlyMap<string, string> {
  return new Map(given.map((pair) => {
    const colon = pair.indexOf(":");
    return colon < 0 ? ([pair, ""] as const) : ([pair.slice(0, colon), pair.slice(colon + 1)] as const);
  }));
}

/** Resolves with the exit code. */
export async function runConsulAgent(context: CliContext, flags: AgentFlags, world: ConsulWorld): Promise<number> {
  const values = mergedSettings(flags);
  if (!values.ok) return complain(context, values.error);
  const settings = consulSettings(values.value, flags["dev"] === true);
  if (!settings.ok) return complain(context, settings.error);
  const nodeId = await nodeIdOf(settings.value.nodeId, settings.value.options.dataDir);
  if (!nodeId.ok) return complain(context, nodeId.error);
  return new Run(context, settings.value, nodeId.value, world).run();
}

function complain(context: CliContext, error: string): number {
  context.err(`==> ${error}`);
  context.err("hint: `consul agent -h` lists every setting; `consul validate FILE` checks a file");
  return 1;
}

class Run {
  readonly #context: CliContext;
  readonly #settings: ConsulSettings;
  readonly #world: ConsulWorld;
  readonly #log: ConsulLog;
  readonly #options: ConsulAgentOptions;
  #end: (exitCode: number) => void = () => undefined;
  readonly #ended: Promise<number>;
  #retryTimer: NodeJS.Timeout | null = null;
  #stopping = false;

  constructor(context: CliContext, settings: ConsulSettings, nodeId: string, world: ConsulWorld) {
    this.#context = context;
    this.#settings = settings;
    this.#world = world;
    const { logLevel, logJson } = settings.process;
    this.#log = new ConsulLog({ level: logLevel, json: logJson, write: (line) => context.out(line) });
    this.#ended = new Promise((resolve) => (this.#end = resolve));
    this.#options = { ...settings.options, nodeId, log: this.#log, metrics: undefined, onFatal: () => this.#end(1) };
  }

  async run(): Promise<number> {
    const { process: around } = this.#settings;
    if (!around.logJson) for (const line of banner(this.#options)) this.#context.out(line);
    for (const warning of this.#settings.warnings) this.#log.write("warn", `agent: ${warning}`);
    let agent: ConsulAgent;
    try {
      collectYoungAlone();
      agent = await ConsulAgent.start(this.#options);
    } catch (error) {
      this.#log.write("err", `agent: Error starting agent: error=${JSON.stringify(error instanceof Error ? error.message : String(error))}`);
      return 1;
    }
    const removeSignals = this.#world.onSignal((signal) => void this.#signal(agent, signal));
    agent.onLeft = () => this.#end(0);
    writePidFile(around.pidFile);
    try {
      if (!(await this.#joinAtStart(agent, around.startJoin))) return 1;
      this.#retryJoin(agent, around, 1);
      if (!around.logJson) this.#context.out("==> Consul agent running!");
      const exitCode = await this.#ended;
      this.#log.write("info", `agent: Exit code: code=${exitCode}`);
      return exitCode;
    } finally {
      this.#stopping = true;
      if (this.#retryTimer !== null) clearTimeout(this.#retryTimer);
      await agent.shutdown();
      removeSignals();
      if (around.pidFile !== "") rmSync(around.pidFile, { force: true });
    }
  }

  async #joinAtStart(agent: ConsulAgent, addresses: readonly string[]): Promise<boolean> {
    if (addresses.length === 0) return true;
    this.#log.write("info", `agent: (LAN) joining: lan_addresses=[${addresses.join(" ")}]`);
    const { nodes, error } = await agent.join(addresses);
    if (nodes > 0) this.#log.write("info", `agent: (LAN) joined: number_of_nodes=${nodes}`);
    else this.#log.write("err", `agent: failed to join: error=${JSON.stringify(error)}`);
    return nodes > 0;
  }

  #retryJoin(agent: ConsulAgent, around: ConsulProcess, attempt: number): void {
    if (around.retryJoin.length === 0 || this.#stopping) return;
    if (attempt === 1) this.#log.write("info", "agent: Joining cluster...: cluster=LAN");
    this.#log.write("info", `agent: (LAN) joining: lan_addresses=[${around.retryJoin.join(" ")}]`);
    void agent.join(around.retryJoin).then(({ nodes, error }) => {
      if (this.#stopping) return;
      if (nodes > 0) {
        this.#log.write("info", `agent: Join cluster completed. Synced with initial agents: cluster=LAN num_agents=${nodes}`);
        return;
      }
      if (around.retryMax > 0 && attempt >= around.retryMax) {
        this.#log.write("err", 'agent: Retry join failed: error="agent: max join LAN retry exhausted, exiting"');
        this.#end(1);
        return;
      }
      this.#log.write("warn", `agent: Join cluster failed, will retry: cluster=LAN retry_interval=${around.retryIntervalMs / 1000}s error=${JSON.stringify(error)}`);
      this.#retryTimer = setTimeout(() => this.#retryJoin(agent, around, attempt + 1), around.retryIntervalMs);
    });
  }

  async #signal(agent: ConsulAgent, signal: "interrupt" | "terminated" | "hangup"): Promise<void> {
    this.#log.write("info", `agent: Caught: signal=${signal}`);
    if (signal === "hangup") {
      this.#log.write("info", "agent: Reloading configuration...: nothing of this agent's configuration changes while it runs, restart it instead");
      return;
    }
    const { skipLeaveOnInterrupt, leaveOnTerminate } = this.#settings.process;
    const graceful = signal === "interrupt" ? !skipLeaveOnInterrupt : leaveOnTerminate;
    if (!graceful || this.#stopping) {
      this.#log.write("info", "agent: Graceful shutdown disabled. Exiting");
      this.#end(1);
      return;
    }
    this.#stopping = true;
    this.#log.write("info", "agent: Gracefully shutting down agent...");
    const late = setTimeout(() => this.#end(1), LEAVE_MS_MAX);
    await agent.leave();
    clearTimeout(late);
    this.#log.write("info", "agent: Graceful exit completed");
    this.#end(0);
  }
}

function writePidFile(path: string): void {
  if (path !== "") writeFileSync(path, `${process.pid}`, { mode: 0o644 });
}

function banner(options: ConsulAgentOptions): string[] {
  const { server, ports } = options;
  const line = (key: string, value: string): string => `${key.padStart(18)}: ${value}`;
  return [
    "==> Starting Consul agent...",
    line("Version", `'${CONSUL_VERSION}'`),
    line("Node ID", `'${options.nodeId}'`),
    line("Node name", `'${options.nodeName}'`),
    line("Datacenter", `'${options.datacenter}' (Segment: '${server === null ? "" : "<all>"}')`),
    line("Server", `${server !== null} (Bootstrap: ${server !== null && server.bootstrapExpect === 1 && !options.dev})`),
    line("Client Addr", `[${options.clientIps.join(" ")}] (HTTP: ${ports.http}, HTTPS: -1, gRPC: -1, DNS: -1)`),
    line("Cluster Addr", `${options.advertiseIp} (LAN: ${ports.serfLan}, WAN: -1)`),
    line("Encrypt", `Gossip: ${options.keys.length > 0}, TLS-Outgoing: false, TLS-Incoming: false, Auto-Encrypt-TLS: false`),
    "",
    "==> Log data will now stream in as it occurs:",
    "",
  ];
}
