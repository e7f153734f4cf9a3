/**
 * A Consul agent as a running thing inside this process: the LAN pool, on servers the Raft log and the catalog, and the HTTP API. The pieces know nothing of
 * each other; this file carries members from the pool to the server, calls from HTTP to the server, and keeps the agent's own node in the catalog.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { AgentCall, AgentOutcome } from "../api/http/agent-calls.ts";
import { AskedBefore } from "../api/http/cached.ts";
import { RawJson, writeJson, type Json } from "../api/http/json.ts";
import type { HttpContext } from "../api/http/types.ts";
import type { RpcArgs, RpcMethod, RpcOutcome } from "../api/rpc/types.ts";
import { formatEndpoint, type Endpoint } from "../base/endpoint.ts";
import { encodeUtf8 } from "../base/utf8.ts";
import type { SerfEvent } from "../serf/types.ts";
import { agentSelf, fixedParts, membersJson, type FixedParts } from "./consul-agent-json.ts";
import type { ConsulAgentOptions } from "./consul-agent-options.ts";
import { lanTags, serverMember } from "./consul-members.ts";
import { CoordinateSender } from "./consul-coordinates.ts";
import { keyring } from "./consul-keyring.ts";
import { LocalSync } from "./consul-local.ts";
import { ConsulServer } from "./consul-server.ts";
import { startHttpServer, type HttpBackend, type HttpServer } from "./http-server.ts";
import { LoopLag } from "./loop-lag.ts";
import { TurnMemo } from "./turn-memo.ts";
import { isLoopback } from "./network.ts";
import { SerfAgent } from "./serf-agent.ts";
import { logText, SerfError, type LogSink } from "./serf-agent-api.ts";

/** Consul changes Serf's defaults here. */
const BROADCAST_TIMEOUT_MS = 5000;
const RECONNECT_INTERVAL_MS = 30_000;
/** Serf protocol that Consul's agents speak. */
const SERF_PROTOCOL = 4;



type ShownCall = Extract<AgentCall, { readonly kind: "self" | "members" }>;

export class ConsulAgent {
  readonly options: ConsulAgentOptions;
  readonly lan: SerfAgent;
  readonly server: ConsulServer | null;
  /** Resolves once everything is closed. */
  readonly stopped: Promise<void>;
  readonly #log: LogSink;
  readonly local: LocalSync | null;
  readonly #coordinates: CoordinateSender;
  readonly #lag = new LoopLag();
  readonly #texts = new TurnMemo<RawJson>();
  /** Compact, and indented. */
  readonly #fixedParts: [FixedParts | null, FixedParts | null] = [null, null];
  #http: HttpServer[] = [];
  #settleStopped: () => void = () => undefined;
  #stopping: Promise<void> | null = null;
  #leaving: Promise<void> | null = null;
  /** Runs after a leave that HTTP asked for has been answered. */
  onLeft: () => void = () => undefined;
  onReload: () => Promise<string> = () => Promise.resolve("");

  private constructor(options: ConsulAgentOptions, lan: SerfAgent, server: ConsulServer | null) {
    this.options = options;
    this.lan = lan;
    this.server = server;
    this.#log = options.log;
    this.stopped = new Promise((resolve) => (this.#settleStopped = resolve));
    this.local = server === null ? null : new LocalSync(options, server);
    this.#coordinates = new CoordinateSender(options, lan, (method, args, done) => this.#call(method, args, done));
  }

  /** Opens the log, joins pool and server together, then listens for HTTP. Rejects with a text for the operator; nothing stays open then. */
  static async start(options: ConsulAgentOptions): Promise<ConsulAgent> {
    if (options.dataDir !== "") mkdirSync(join(options.dataDir, "serf"), { recursive: true, mode: 0o755 });
    const server = options.server === null ? null : await ConsulServer.open(options, options.server);
    let agent: ConsulAgent | null = null;
    try {
      const lan = await SerfAgent.start(lanOptions(options));
      agent = new ConsulAgent(options, lan, server);
      await agent.#connect();
      await agent.#listen();
      return agent;
    } catch (error) {
      if (agent === null) await server?.close();
      else await agent.shutdown();
      throw error;
    }
  }

  async #connect(): Promise<void> {
    const { server } = this;
    if (server === null) return;
    server.onLeaderElected = (name) => void this.lan.userEvent("consul:new-leader", encodeUtf8(name), false).catch(() => undefined);
    await server.start();
    this.lan.subscribe((event) => this.#lanEvent(event));
    for (const member of this.lan.members()) this.#offer(member);
    await this.local?.start();
    this.#coordinates.start();
  }

  #lanEvent(event: SerfEvent): void {
    if (event.kind === "user") {
      if (event.name === "consul:new-leader") this.#log.write("info", `agent.server: New leader elected: payload=${Buffer.from(event.payload ?? []).toString()}`);
      return;
    }
    if (event.kind !== "members") return;
    for (const member of event.members) {
      if (event.type === "member-reap") this.server?.driver.reaped(member.name);
      else this.#offer(member);
    }
  }

  #offer(member: Parameters<typeof serverMember>[0]): void {
    const known = serverMember(member, this.options.datacenter);
    if (known === null) {
      this.#log.write("warn", `agent.server: Member '${member.name}' part of wrong datacenter '${member.tags.get("dc") ?? ""}'`);
      return;
    }
    this.server?.driver.member(known);
  }

  async #listen(): Promise<void> {
    const { clientIps, ports, limits } = this.options;
    if (ports.http < 0) return;
    for (const ip of clientIps) {
      const http = await startHttpServer({ listen: { ip, port: ports.http }, connectionsPerClientMax: limits.httpConnectionsPerClient }, this.#backend());
      this.#http.push(http);
      this.#log.write("info", `agent: Started HTTP server: address=${formatEndpoint(http.address)} network=tcp`);
      if (!isLoopback(ip)) this.#log.write("warn", `agent: HTTP on ${formatEndpoint(http.address)} asks for no token: whoever reaches it controls this datacenter's data; keep client_addr on loopback`);
    }
  }

  /** Where HTTP really listens. */
  get httpAddresses(): readonly Endpoint[] {
    return this.#http.map(({ address }) => address);
  }

  #backend(): HttpBackend {
    const { options } = this;
    const context: HttpContext = {
      datacenter: options.datacenter,
      nodeName: options.nodeName,
      pretty: options.dev,
      ui: options.dev,
      commandLine: options.dev ? process.argv : null,
      kvMaxValueBytes: options.limits.kvMaxValueBytes,
      txnMaxBytes: options.limits.txnMaxBytes,
      toBase64: (bytes) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64"),
      askedBefore: new AskedBefore(),
    };
    return {
      context,
      call: (method, args, done) => this.#call(method, args, done),
      agent: (call) => {
        if (call.kind === "self" || call.kind === "members") return { ok: true, value: this.#shown(call) };
        return this.#agentCall(call).catch((error: unknown) => ({ ok: false, error: error instanceof Error ? error.message : String(error) }));
      },
      loopDelayMs: () => this.#lag.lateMs,
      count: (name, delta) => options.metrics?.count(name, delta),
      log: (level, text) => this.#log.write(level, text),
    };
  }

  #call(method: RpcMethod, args: RpcArgs, done: (outcome: RpcOutcome) => void): { cancel(): void } {
    if (this.server !== null) return this.server.driver.call(method, args, done);
    done({ ok: false, error: "No known Consul servers" });
    return { cancel: () => undefined };
  }

  /** What many ask for again and again is written once a turn. */
  #shown({ kind, pretty, ...rest }: ShownCall): Json {
    if ("wan" in rest && rest.wan) return null;
    return this.#texts.get(`${kind} ${pretty}`, () => {
      const value = kind === "members" ? membersJson(this.lan.members()) : agentSelf(this, this.#fixed(pretty));
      return new RawJson(writeJson(value, pretty).trimEnd());
    });
  }

  #fixed(pretty: boolean): FixedParts {
    this.#fixedParts[Number(pretty)] ??= fixedParts(this.options, pretty);
    return this.#fixedParts[Number(pretty)] as FixedParts;
  }

  async #agentCall(call: Exclude<AgentCall, ShownCall>): Promise<AgentOutcome> {
    switch (call.kind) {
      case "join":
        return this.#join(call.address, call.wan);
      case "leave":
        await this.leave();
        setImmediate(() => this.onLeft());
        return { ok: true, value: undefined };
      case "forceLeave":
        return this.#forceLeave(call.node, call.prune);
      case "keyring":
        return keyring(this, call);
      case "local":
        if (this.local === null) return { ok: false, error: "services of client agents are not offered by this version of muster" };
        return { ok: true, answer: await call.run(this.local) };
      case "reload": {
        const error = await this.onReload();
        return error === "" ? { ok: true, value: undefined } : { ok: false, error };
      }
    }
  }

  async #join(address: string, wan: boolean): Promise<AgentOutcome> {
    if (wan) return { ok: false, error: "Must be a server to join WAN cluster" };
    const { nodes, error } = await this.join([address]);
    return nodes > 0 ? { ok: true, value: undefined } : { ok: false, error };
  }

  join(addresses: readonly string[]): Promise<{ readonly nodes: number; readonly error: string }> {
    return this.lan.join(addresses, false);
  }

  async #forceLeave(node: string, prune: boolean): Promise<AgentOutcome> {
    if (!this.lan.members().some((member) => member.name === node)) return { ok: false, error: `agent: No node found with name '${node}'` };
    await this.lan.forceLeave(node, prune);
    return { ok: true, value: undefined };
  }

  /** Leaves Raft's configuration, then the pool, and waits until that is known. The agent goes on answering until `shutdown`. */
  leave(): Promise<void> {
    this.#leaving ??= this.#leave();
    return this.#leaving;
  }

  async #leave(): Promise<void> {
    this.#log.write("info", "agent.server: server starting leave");
    await this.server?.driver.leave();
    try {
      await this.lan.leave();
    } catch (error) {
      if (!(error instanceof SerfError)) throw error;
      this.#log.write("err", `agent: failed to leave LAN Serf cluster: error=${JSON.stringify(error.message)}`);
    }
    // Whoever was sent here a moment ago may still ask.
    if (this.server !== null) await new Promise((resolve) => setTimeout(resolve, this.options.server?.leaveDrainTimeMs ?? 0));
  }

  /** Closes everything. Idempotent. */
  shutdown(): Promise<void> {
    this.#stopping ??= this.#shutdown();
    return this.#stopping;
  }

  async #shutdown(): Promise<void> {
    this.#log.write("info", "agent: Requesting shutdown");
    this.local?.stop();
    this.#coordinates.stop();
    this.#lag.stop();
    await Promise.all(this.#http.map((http) => http.close()));
    await this.local?.kept();
    await this.lan.shutdown();
    await this.server?.close();
    this.#log.write("info", "agent: shutdown complete");
    this.#settleStopped();
  }
}

function lanOptions(options: ConsulAgentOptions): Parameters<typeof SerfAgent.start>[0] {
  const prefix = options.server === null ? "agent.client" : "agent.server";
  return {
    name: options.nodeName,
    bind: { ip: options.bindIp, port: options.ports.serfLan },
    advertise: { ip: options.advertiseIp, port: options.ports.serfLan },
    profile: "lan",
    protocol: SERF_PROTOCOL,
    tags: lanTags(options),
    tagsFile: "",
    keys: options.keys,
    keyringFile: "",
    snapshotPath: options.dataDir === "" ? "" : join(options.dataDir, "serf", "local.snapshot"),
    rejoinAfterLeave: options.rejoinAfterLeave,
    compression: true,
    coordinates: true,
    resolveConflicts: false,
    coalesce: false,
    logLevel: options.logLevel,
    broadcastTimeoutMs: BROADCAST_TIMEOUT_MS,
    reconnectIntervalMs: RECONNECT_INTERVAL_MS,
    reconnectTimeoutMs: options.reconnectTimeoutMs,
    tombstoneTimeoutMs: options.reconnectTimeoutMs,
    querySizeMax: 1024,
    queryResponseSizeMax: 1024,
    userEventSizeMax: 512,
    log: {
      write: (level, text) => {
        options.log.write(level, () => {
          const line = logText(text);
          return `${line.startsWith("memberlist:") ? `${prefix}.memberlist.lan` : `${prefix}.serf.lan`}: ${line}`;
        });
      },
    },
    ...(options.metrics === undefined ? {} : { metrics: options.metrics }),
  };
}
