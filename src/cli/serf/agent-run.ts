/** A running `serf agent`: start in the original's order and words, joins, signals, reload, end. */
import { formatEndpoint } from "../../base/endpoint.ts";
import { EventHandlers } from "../../io/event-handlers.ts";
import { LogHub } from "../../io/log-hub.ts";
import { isLoopback } from "../../io/network.ts";
import { SerfError, type SerfAgentApi, type SerfAgentOptions } from "../../io/serf-agent-api.ts";
import type { RpcServer, RpcServerOptions } from "../../io/rpc-server.ts";
import { limitHeapGrowth } from "../../io/heap-limits.ts";
import { Spawner } from "../../io/spawner.ts";
import type { LogLevel } from "../../swim/types.ts";
import { parseAddress } from "./agent-address.ts";
import { agentOptions, refusal, restoreFiles } from "./agent-options.ts";
import { notReloadable, reloaded, sameTags } from "./agent-reload.ts";
import { RetryJoin } from "./agent-retry-join.ts";
import { readAddresses, readAgentConfig, readLogLevel, type AgentConfig, type AgentAddresses } from "./agent-settings.ts";
import { settingHints } from "./agent-hints.ts";
import { printBanner, type AgentUi } from "./agent-ui.ts";
import { AgentOutlets } from "./agent-outlets.ts";

/** A graceful leave that takes longer is given up, in ms. */
const GRACEFUL_MS_MAX = 3000;

/** Signals the agent knows, by the words of its notices. */
export type AgentSignal = "interrupt" | "terminated" | "hangup" | "user defined signal 1";

/** What the command uses of the world; replaced in tests. */
export interface AgentWorld {
  startAgent(options: SerfAgentOptions): Promise<SerfAgentApi>;
  startRpc(options: RpcServerOptions): Promise<RpcServer>;
  /** Delivers signals from now on; the returned function ends that. */
  onSignal(listener: (signal: AgentSignal) => void): () => void;
}

/** Runs an agent with the words of the command line; resolves with the exit code once everything is closed. */
export async function runAgent(words: readonly string[], usage: string, ui: AgentUi, world: AgentWorld): Promise<number> {
  const read = readAgentConfig(words, ui, usage);
  if (read === null) return 1;
  const level = readLogLevel(read, ui);
  if (level === null) return 1;
  const logs = new LogHub();
  ui.attachLog(logs, level);
  const outlets = new AgentOutlets(logs);
  // Forked before the agent's state grows.
  const spawner = new Spawner((reason) => logs.write("err", `agent: The process that starts event handlers died (${reason}); starting another`));
  try {
    const started = await startAgent(read, level, { ui, world, logs, outlets, spawner });
    return started === null ? 1 : await new AgentRun({ words, usage, ui, world, logs, outlets, spawner, ...started }, read).run();
  } finally {
    spawner.stop();
    outlets.stop();
  }
}

interface StartParts {
  readonly ui: AgentUi;
  readonly world: AgentWorld;
  readonly logs: LogHub;
  readonly outlets: AgentOutlets;
  readonly spawner: Spawner;
}

interface Started {
  readonly agent: SerfAgentApi;
  readonly addresses: AgentAddresses;
}

/** From the configuration to a running agent; null after a complaint. */
async function startAgent(read: AgentConfig, logLevel: LogLevel, { ui, world, logs, outlets, spawner }: StartParts): Promise<Started | null> {
  const { config } = read;
  const refuse = (text: string): null => {
    ui.output(text);
    ui.hints(settingHints(text, read.origins));
    return null;
  };
  const syslog = await outlets.startSyslog(config, logLevel);
  if (syslog !== "") return refuse(syslog);
  const addresses = await readAddresses(read, ui);
  if (addresses === null) return null;
  const metrics = await outlets.startMetrics(config);
  if (metrics !== "") return refuse(metrics);
  ui.output("Starting Serf agent...");
  const restored = await restoreFiles(config, addresses.key, logs);
  if (!restored.ok) return refuse(`Failed to setup the Serf agent: ${restored.error}`);
  const refused = refusal(config, addresses);
  if (refused !== "") return refuse(`Failed to start the Serf agent: Error creating Serf: ${refused}`);
  if (config.eventHandlers.length > 0) spawner.start();
  try {
    const agent = await world.startAgent(agentOptions(read, addresses, restored.value, { log: logs, logLevel, metrics: outlets.metrics }));
    outlets.attach(agent);
    return { agent, addresses };
  } catch (error) {
    if (error instanceof SerfError) return refuse(`Failed to start the Serf agent: ${error.message}`);
    throw error;
  }
}

interface RunParts extends StartParts, Started {
  readonly words: readonly string[];
  readonly usage: string;
}

/** From the started agent to its end. */
class AgentRun {
  readonly #parts: RunParts;
  #read: AgentConfig;
  readonly #handlers: EventHandlers;
  readonly #cleanups: (() => unknown)[] = [];
  /** Settles `run`. */
  #end: (exitCode: number) => void = () => undefined;
  #leaving = false;
  #ended = false;

  constructor(parts: RunParts, read: AgentConfig) {
    this.#parts = parts;
    this.#read = read;
    const { agent, spawner, logs, outlets } = parts;
    this.#handlers = new EventHandlers({
      runner: spawner,
      log: logs,
      metrics: outlets.metrics,
      self: () => agent.self(),
      respond: (token, payload) => agent.respond(token, payload),
    });
    this.#handlers.setHandlers(read.config.eventHandlers);
    agent.subscribe((event) => this.#handlers.handle(event));
  }

  async run(): Promise<number> {
    const { agent, ui } = this.#parts;
    try {
      if (!(await this.#startServices())) return 1;
      this.#printBanner();
      if (!(await this.#joinAtStart())) return 1;
      // Before the line that says the agent runs: whoever reads it may send a signal at once.
      const ended = this.#heedSignals();
      ui.info("");
      ui.output("Log data will now stream in as it occurs:\n");
      ui.openLog();
      limitHeapGrowth();
      return await this.#untilEnd(ended);
    } finally {
      await agent.shutdown();
      this.#handlers.stop();
      for (const cleanup of this.#cleanups.reverse()) await cleanup();
    }
  }

  /** RPC and discovery; false after a complaint. */
  async #startServices(): Promise<boolean> {
    const { agent, ui, logs, outlets, world } = this.#parts;
    const { config } = this.#read;
    const refuse = (text: string): false => {
      ui.output(text);
      ui.hints(settingHints(text, this.#read.origins));
      return false;
    };
    const listen = await parseAddress(config.rpcAddr, null);
    if (!listen.ok) return refuse(`Error starting RPC listener: listen tcp: ${listen.error}`);
    const { ip, port } = listen.value;
    try {
      const server = await world.startRpc({
        agent,
        listen: { ip: ip === "" ? "0.0.0.0" : ip, port },
        authKey: config.rpcAuth ?? "",
        logs,
        stats: () => this.#stats(),
        metrics: outlets.metrics,
      });
      this.#cleanups.push(() => server.close());
    } catch (error) {
      return refuse(`Error starting RPC listener: ${error instanceof Error ? error.message : String(error)}`);
    }
    if (!isLoopback(ip) && (config.rpcAuth ?? "") === "") {
      logs.write("warn", `agent: RPC on ${listen.value.text} asks for no token: whoever reaches it controls this node; set rpc_auth`);
    }
    try {
      const discovery = await outlets.startDiscovery(config, agent);
      if (discovery !== null) this.#cleanups.push(discovery);
    } catch (error) {
      ui.output(`Error starting mDNS listener: ${error instanceof Error ? error.message : String(error)}`);
      return false;
    }
    ui.output("Starting Serf agent RPC...");
    return true;
  }

  #stats(): ReadonlyMap<string, ReadonlyMap<string, string>> {
    const scripts = this.#handlers.scripts.map(({ filter, script }) => [`${filter.event}:${filter.name}`, script] as const);
    return new Map([...this.#parts.agent.stats(), ["event_handlers", new Map(scripts)]]);
  }

  #printBanner(): void {
    const { agent, ui, addresses } = this.#parts;
    const { config, compression } = this.#read;
    const { bind, advertise, key, profile } = addresses;
    printBanner(ui, {
      nodeName: agent.name,
      // The original shows port 0; the one that was given is of more use.
      bind: bind.port === 0 ? formatEndpoint({ ip: bind.ip, port: agent.bind.port }) : bind.text,
      advertise: advertise?.text ?? "",
      rpcAddr: config.rpcAddr,
      encrypted: key !== null || config.keyringFile !== undefined,
      snapshot: config.snapshotPath !== undefined,
      profile,
      compression,
      discover: config.discover ?? "",
    });
  }

  /** The joins without which the agent does not want to live; false after a complaint. */
  async #joinAtStart(): Promise<boolean> {
    const { agent, ui } = this.#parts;
    const { startJoin, replayOnJoin } = this.#read.config;
    if (startJoin.length === 0) return true;
    const replay = replayOnJoin === true;
    ui.output(`Joining cluster...(replay: ${replay})`);
    const { nodes, error } = await agent.join(startJoin, replay);
    if (nodes === 0 && error !== "") {
      ui.output(error);
      return false;
    }
    ui.info(`Join completed. Synced with ${nodes} initial agents`);
    return true;
  }

  /** From now on signals are handled; resolves with the exit code. */
  #heedSignals(): Promise<number> {
    const ended = new Promise<number>((resolve) => {
      this.#end = (exitCode) => {
        this.#ended = true;
        resolve(exitCode);
      };
    });
    this.#cleanups.push(this.#parts.world.onSignal((signal) => this.#onSignal(signal)));
    return ended;
  }

  async #untilEnd(ended: Promise<number>): Promise<number> {
    const { agent, logs } = this.#parts;
    const { config } = this.#read;
    const retry = new RetryJoin(config, agent, logs, () => this.#end(1));
    this.#cleanups.push(() => retry.stop());
    retry.start();
    // Someone else stopped it: an RPC client's leave, or the lost vote about our name.
    void agent.stopped.then(({ reason }) => {
      if (reason === "conflict") logs.write("warn", "agent: Serf shutdown detected, quitting");
      this.#end(0);
    });
    return ended;
  }

  #onSignal(signal: AgentSignal): void {
    const { ui, outlets } = this.#parts;
    if (signal === "user defined signal 1") {
      ui.plain(outlets.dump());
      return;
    }
    if (this.#leaving) {
      // The second one ends the agent at once.
      this.#end(1);
      return;
    }
    ui.output(`Caught signal: ${signal}`);
    if (signal === "hangup") {
      void this.#reload();
      return;
    }
    const { skipLeaveOnInterrupt, leaveOnTerminate } = this.#read.config;
    const graceful = signal === "interrupt" ? skipLeaveOnInterrupt !== true : leaveOnTerminate === true;
    if (graceful) void this.#leave();
    else this.#end(1);
  }

  async #leave(): Promise<void> {
    const { agent, ui } = this.#parts;
    this.#leaving = true;
    ui.output("Gracefully shutting down agent...");
    const limit = setTimeout(() => this.#end(1), GRACEFUL_MS_MAX);
    this.#cleanups.push(() => clearTimeout(limit));
    try {
      await agent.leave();
      this.#end(0);
    } catch (error) {
      if (this.#ended) return; // A second signal ended the agent under the leave.
      ui.output(`Error: ${error instanceof Error ? error.message : String(error)}`);
      this.#end(1);
    }
  }

  /** Applies log level, event handlers, tags and the two switches about leaving; names what changed besides. */
  async #reload(): Promise<void> {
    const { words, usage, ui, agent, spawner, outlets } = this.#parts;
    ui.output("Reloading configuration...");
    const next = readAgentConfig(words, ui, usage);
    if (next === null) {
      ui.output("Failed to reload configs");
      return;
    }
    const level = readLogLevel(next, ui);
    if (level !== null) {
      ui.setLogLevel(level);
      outlets.setLogLevel(level);
    }
    if (next.config.eventHandlers.length > 0) spawner.start();
    this.#handlers.setHandlers(next.config.eventHandlers);
    const ignored = notReloadable(this.#read.config, next.config);
    if (ignored.length > 0) ui.output(`Changed, but needs a restart: ${ignored.join(", ")}`);
    this.#read = { ...this.#read, config: reloaded(this.#read.config, next.config) };
    // With a tags file, the tags of now are those set at run time: they stay.
    if (next.config.tagsFile !== undefined) return;
    if (sameTags(agent.self().tags, next.config.tags)) return;
    try {
      await agent.setTags(next.config.tags);
    } catch (error) {
      ui.output(`Failed to update tags: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
}
