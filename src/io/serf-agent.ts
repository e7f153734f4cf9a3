/** The Serf agent: one pool on real sockets behind `SerfAgentApi`. Used by the agent command, the RPC server and embedding programs. */
import { assert, AssertionError } from "../base/assert.ts";
import { formatEndpoint, type Endpoint } from "../base/endpoint.ts";
import { ClusterNode } from "../node/node.ts";
import type { Pool } from "../serf/pool.ts";
import type { KeyOperation, KeyResult, Member, PoolEffect, QueryParams, SerfEvent } from "../serf/types.ts";
import { PROFILES } from "../swim/profiles.ts";
import type { RequestId } from "../swim/types.ts";
import { encodeTags, tagsError } from "../wire/serf-tags.ts";
import type { WireCoordinate } from "../wire/serf-messages.ts";
import { eventText, multiError, quotePayload } from "./agent-texts.ts";
import type { LaneHost, LaneStats } from "./lanes/lane-host.ts";
import { StreamLane } from "./lanes/stream-lane.ts";
import { LaneStarter } from "./lanes/lane-starter.ts";
import { mayOptimizeAtOnce, optimizeAsUsual, optimizeInPractice, optimizeUnderLoad } from "./late-optimizing.ts";
import { LoopDelay } from "./loop-delay.ts";
import { monotonicMs, presentMs } from "./clock.ts";
import { SystemRandom } from "./entropy.ts";
import { errnoText, fileErrorText } from "./go-errors.ts";
import { Re2Matcher } from "./matcher.ts";
import { Metrics } from "./metrics.ts";
import { AllowList, isLoopback, isWildcard, privateAddress } from "./network.ts";
import { NodeRuntime, type Reply } from "./node-runtime.ts";
import { PoolIo, type PoolListener } from "./pool-io.ts";
import { QueryGate } from "./query-gate.ts";
import { noteShapesEagerly } from "./rehearsal/eager-feedback.ts";
import { Rehearsal } from "./rehearsal/rehearsal.ts";
import { resolveJoinAddresses } from "./resolver.ts";
import { waitedForOthersMs } from "./run-queue.ts";
import { SerfError, type LateText, type LogSink, type QueryRecord, type SerfAgentApi, type SerfAgentOptions, type Unsubscribe } from "./serf-agent-api.ts";
import { advertisedEndpoint, optionsError, poolConfig } from "./serf-agent-config.ts";
import { runtimeStats } from "./runtime-stats.ts";
import { openSnapshot, type Snapshot } from "./snapshot-restore.ts";
import { saveTagsFile } from "./tags-file.ts";

const POOL = "lan";
const INTERNAL_QUERY_PREFIX = "_serf_";

type StopReason = "leave" | "shutdown" | "conflict";
type QueryEffect = Extract<PoolEffect, { readonly kind: "queryAck" | "queryResponse" | "queryDone" }>;

interface AgentParts {
  readonly io: PoolIo;
  readonly lanes: LaneStarter<LaneHost> | null;
  readonly rehearsal: Rehearsal | null;
  readonly bound: Endpoint;
  readonly advertise: Endpoint;
  readonly snapshot: Snapshot | null;
}

export class SerfAgent implements SerfAgentApi, PoolListener {
  readonly name: string;
  readonly bind: Endpoint;
  readonly advertise: Endpoint;
  readonly stopped: Promise<{ readonly reason: StopReason }>;
  readonly #options: SerfAgentOptions;
  readonly #log: LogSink;
  readonly #runtime: NodeRuntime;
  readonly #io: PoolIo;
  readonly #lanes: LaneStarter<LaneHost> | null;
  readonly #pool: Pool;
  readonly #loopDelay: LoopDelay | null;
  readonly #rehearsal: Rehearsal | null;
  readonly #listeners = new Set<(event: SerfEvent) => void>();
  readonly #queries = new Map<RequestId, (record: QueryRecord) => void>();
  #settleStopped: (outcome: { readonly reason: StopReason }) => void = () => undefined;
  #stopping: Promise<void> | null = null;
  #hasLeft = false;
  /** The list given last, good until the next change. */
  #listed: readonly Member[] = [];
  #listedChanges = -1;

  private constructor(options: SerfAgentOptions, { io, lanes, rehearsal, bound, advertise, snapshot }: AgentParts) {
    this.name = options.name;
    this.bind = bound;
    this.advertise = advertise;
    this.#options = options;
    this.#log = options.log;
    this.#io = io;
    this.#lanes = lanes;
    this.#rehearsal = rehearsal;
    this.#loopDelay = options.laneStats === true ? new LoopDelay() : null;
    this.stopped = new Promise((resolve) => (this.#settleStopped = resolve));
    const node = new ClusterNode(new SystemRandom(), new Re2Matcher());
    this.#runtime = new NodeRuntime(node, { now: options.stage?.now ?? monotonicMs, present: options.stage?.now ?? presentMs, dropped: (messages) => io.shedMessages(messages) });
    io.start(this.#runtime, this, snapshot?.file ?? null);
    const config = poolConfig(options, {
      advertise,
      bindPort: bound.port,
      restored: snapshot?.restored ?? null,
      packetOverheadBytes: () => io.packetOverheadBytes(),
      encrypted: () => io.keys.length > 0,
    });
    let pool: Pool | null = null;
    this.#runtime.boot(POOL, (nowMs, out) => {
      pool = node.addPool(POOL, config, nowMs, out);
    });
    assert(pool !== null);
    this.#pool = pool;
  }

  /** Binds, restores, boots. Rejects with a `SerfError` in the original's wording; nothing stays open then. */
  static async start(options: SerfAgentOptions): Promise<SerfAgent> {
    const { log, bind, advertise: asked } = options;
    const refuse = (reason: string, cause?: unknown): SerfError => new SerfError(`Error creating Serf: ${reason}`, { cause });
    log.write("info", "agent: Serf agent starting");
    const invalid = optionsError(options);
    if (invalid !== null) throw refuse(invalid);
    const snapshot = await openSnapshot(options).catch((error: unknown) => {
      throw refuse(`Failed to setup snapshot: failed to open snapshot: ${fileErrorText("open", options.snapshotPath, error)}`, error);
    });
    const allow = AllowList.parse(options.allowedCidrs ?? null);
    assert(allow.ok);
    const io = new PoolIo({
      pool: POOL,
      bind,
      keys: options.keys,
      keyringFile: options.keyringFile,
      compress: options.compression,
      label: options.label ?? "",
      verifyIncoming: options.verifyIncoming ?? true,
      verifyOutgoing: options.verifyOutgoing ?? true,
      streamLane: options.streamLane === true ? new StreamLane() : null,
      tcpTimeoutMs: PROFILES[options.profile].tcpTimeoutMs,
      allow: allow.value,
      log,
      metrics: options.metrics ?? new Metrics(),
      ...(options.stage === undefined ? {} : { network: options.stage.network }),
    });
    const failed = async (error: unknown): Promise<never> => {
      await io.close();
      throw refuse(`Failed to create memberlist: ${error instanceof Error ? error.message : String(error)}`, error);
    };
    const bound = await io.listen().catch(failed);
    const advertise = advertisedEndpoint(asked, bound, () => privateAddress());
    if (!advertise.ok) return failed(new Error(advertise.error));
    if (options.keys.length === 0 && !isLoopback(isWildcard(bound.ip) ? advertise.value.ip : bound.ip)) {
      log.write("warn", `agent: gossip on ${formatEndpoint(bound)} is not encrypted: whoever reaches this port can forge members; set an encryption key`);
    }
    const lanes = laneStarter(options, io);
    if (options.lanesAtOnce === true) await lanes?.start();
    const rehearsal = options.rehearse === true ? rehearse(options) : null;
    if (options.stage === undefined) {
      const hurry = optimizeUnderLoad();
      io.onWork((bytes) => {
        rehearsal?.work(bytes);
        hurry(bytes);
        lanes?.work(bytes);
      });
    }
    return new SerfAgent(options, { io, lanes, rehearsal, bound, advertise: advertise.value, snapshot });
  }

  members(): readonly Member[] {
    this.#rehearsal?.question();
    const changes = this.#pool.memberChanges;
    if (changes !== this.#listedChanges) {
      this.#listed = this.#pool.members();
      this.#listedChanges = changes;
    }
    return this.#listed;
  }

  self(): Member {
    const self = this.#pool.member(this.name);
    assert(self !== null, "a node knows itself");
    return self;
  }

  async join(addresses: readonly string[], replay: boolean): Promise<{ readonly nodes: number; readonly error: string }> {
    this.#log.write("info", `agent: joining: [${addresses.join(" ")}] replay: ${replay}`);
    const { targets, errors: unresolved } = await resolveJoinAddresses(addresses, this.bind.port);
    for (const error of unresolved) this.#log.write("warn", `memberlist: ${error}`);
    const { value, errors } = await this.#command((request) => ({ kind: "join", request, targets, ignoreOld: !replay, errors: unresolved }));
    const nodes = value.kind === "joined" ? value.nodes : 0;
    if (nodes > 0) this.#log.write("info", `agent: joined: ${nodes} nodes`);
    const error = value.kind === "joined" ? multiError(errors) : (errors[0] ?? "");
    if (error !== "") this.#log.write("warn", `agent: error joining: ${error}`);
    return { nodes, error };
  }

  async leave(): Promise<void> {
    this.#log.write("info", "agent: requesting graceful leave from Serf");
    await this.#order((request) => ({ kind: "leave", request }));
    this.#hasLeft = true;
  }

  shutdown(): Promise<void> {
    this.#stopping ??= this.#stop(this.#hasLeft ? "leave" : "shutdown");
    return this.#stopping;
  }

  async forceLeave(node: string, prune: boolean): Promise<void> {
    const what = prune ? " (prune)" : "";
    this.#log.write("info", `agent: Force leaving node${what}: ${node}`);
    try {
      await this.#order((request) => ({ kind: "forceLeave", request, node, prune }));
    } catch (error) {
      this.#log.write("warn", `agent: failed to remove node${what}: ${errnoText(error)}`);
      throw error;
    }
  }

  async userEvent(name: string, payload: Uint8Array | null, coalesce: boolean): Promise<void> {
    const error = this.fireUserEvent(name, payload, coalesce) ?? (await this.#fireLater(name, payload, coalesce));
    if (error !== "") throw new SerfError(error);
  }

  fireUserEvent(name: string, payload: Uint8Array | null, coalesce: boolean): string | null {
    if (!this.#runtime.isFree) return null;
    this.#log.write("debug", new EventRequested(name, payload, coalesce));
    this.#rehearsal?.command();
    const error = this.#runtime.fire(POOL, name, payload, coalesce);
    if (error !== null) this.#eventFired(error);
    return error;
  }

  async #fireLater(name: string, payload: Uint8Array | null, coalesce: boolean): Promise<string> {
    this.#log.write("debug", new EventRequested(name, payload, coalesce));
    let error = "";
    try {
      const { errors } = await this.#command((request) => ({ kind: "userEvent", request, name, payload, coalesce }));
      error = errors[0] ?? "";
    } catch (stopped) {
      if (stopped instanceof AssertionError) throw stopped;
      error = errnoText(stopped);
    }
    this.#eventFired(error);
    return error;
  }

  #eventFired(error: string): void {
    if (error !== "") this.#log.write("warn", `agent: failed to send user event: ${error}`);
  }

  async query(name: string, payload: Uint8Array | null, params: QueryParams, onRecord: (record: QueryRecord) => void): Promise<Unsubscribe> {
    this.#log.write("debug", () => `agent: Requesting query send: ${name}. Payload: ${quotePayload(payload)}`);
    if (name.startsWith(INTERNAL_QUERY_PREFIX) && !(name === `${INTERNAL_QUERY_PREFIX}ping` && (payload === null || payload.length === 0))) {
      throw new SerfError(`Queries cannot contain the '${INTERNAL_QUERY_PREFIX}' prefix`);
    }
    let id: RequestId = 0;
    const gate = new QueryGate(onRecord);
    const reply = await this.#command((request) => {
      id = request;
      this.#queries.set(request, (record) => gate.pass(record));
      return { kind: "query", request, name, payload, params };
    });
    if (reply.errors.length > 0) {
      this.#queries.delete(id);
      this.#log.write("warn", `agent: failed to start user query: ${reply.errors[0] as string}`);
      throw new SerfError(reply.errors[0]);
    }
    setImmediate(() => gate.open());
    return () => {
      gate.close();
      this.#queries.delete(id);
    };
  }

  async respond(token: number, payload: Uint8Array): Promise<void> {
    await this.#order((request) => ({ kind: "respond", request, token, payload }));
  }

  /** The tags file is written before the cluster is told, and only with tags that will be accepted. */
  async setTags(tags: ReadonlyMap<string, string>): Promise<void> {
    const tooLong = tagsError(encodeTags(tags, this.#options.protocol));
    if (tooLong !== null) throw new SerfError(tooLong);
    const { tagsFile } = this.#options;
    if (tagsFile !== "") {
      await saveTagsFile(tagsFile, tags).catch((error: unknown) => {
        const failure = new SerfError(`Failed to write tags file: ${fileErrorText("open", tagsFile, error)}`, { cause: error });
        this.#log.write("err", `agent: ${failure.message}`);
        throw failure;
      });
    }
    await this.#order((request) => ({ kind: "setTags", request, tags }));
  }

  async keys(operation: KeyOperation, key: string): Promise<{ readonly result: KeyResult; readonly error: string }> {
    const words = { install: "key installation", use: "primary key change", remove: "key removal", list: "key listing" } as const;
    this.#log.write("info", `agent: Initiating ${words[operation]}`);
    const { value, errors } = await this.#command((request) => ({ kind: "keys", request, operation, key }));
    assert(value.kind === "keys", "a key command is answered with its result");
    return { result: value.result, error: errors[0] ?? "" };
  }

  stats(): Map<string, Map<string, string>> {
    this.#rehearsal?.question();
    const stats = this.#baseStats();
    if (this.#loopDelay !== null) stats.set("packet_lanes", this.#laneSection(this.#loopDelay));
    return stats;
  }

  #laneSection(loopDelay: LoopDelay): Map<string, string> {
    const section = new Map([["lanes", String(this.laneStats().length)]]);
    this.laneStats().forEach(({ up, inFlight, batches, restarts }, id) => {
      section.set(`lane_${id}`, `${up ? "up" : "down"}, ${inFlight} in flight, ${batches} batches, ${restarts} restarts`);
    });
    for (const [name, value] of this.#io.laneCounts()) section.set(name, String(value));
    const { p50Ms, p99Ms, maxMs } = loopDelay.summary();
    section.set("packets_waiting", String(this.#io.packetsWaiting));
    section.set("loop_delay_p50_ms", p50Ms.toFixed(3)).set("loop_delay_p99_ms", p99Ms.toFixed(3)).set("loop_delay_max_ms", maxMs.toFixed(3));
    return section;
  }

  #baseStats(): Map<string, Map<string, string>> {
    return new Map([
      ["agent", new Map([["name", this.name]])],
      ["runtime", runtimeStats()],
      ["serf", this.#pool.stats()],
      ["tags", new Map(this.self().tags)],
    ]);
  }

  /** The packet lanes, for `info` and metrics; none when everything is done inline. */
  laneStats(): readonly LaneStats[] {
    return this.#lanes?.host?.stats() ?? [];
  }

  coordinate(node: string): WireCoordinate | null {
    return this.#pool.coordinate(node);
  }

  subscribe(listener: (event: SerfEvent) => void): Unsubscribe {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  // What the pool tells (PoolListener).

  event(event: SerfEvent): void {
    this.#log.write("info", new EventReceived(event));
    for (const listener of this.#listeners) {
      try {
        listener(event);
      } catch (error) {
        // A listener's mistake must not stop the core in the middle of its effects.
        this.#log.write("err", `agent: event listener failed: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
      }
    }
  }

  queryRecord(effect: QueryEffect): void {
    const listener = this.#queries.get(effect.request);
    switch (effect.kind) {
      case "queryAck":
        return listener?.({ kind: "ack", from: effect.from });
      case "queryResponse":
        return listener?.({ kind: "response", from: effect.from, payload: effect.payload });
      case "queryDone":
        this.#queries.delete(effect.request);
        return listener?.({ kind: "done" });
    }
  }

  stop(): void {
    this.#stopping ??= this.#stop("conflict");
  }

  async #stop(reason: StopReason): Promise<void> {
    this.#log.write("info", "agent: requesting serf shutdown");
    this.#rehearsal?.stop();
    this.#runtime.submit(POOL, { kind: "shutdown" });
    this.#runtime.stop(new SerfError("Serf agent is shut down"));
    const listeners = [...this.#queries.values()];
    this.#queries.clear();
    for (const listener of listeners) listener({ kind: "done" });
    await this.#io.close();
    await this.#lanes?.stop();
    this.#loopDelay?.stop();
    this.#log.write("info", "agent: shutdown complete");
    this.#settleStopped({ reason });
  }

  #command(make: Parameters<NodeRuntime["request"]>[1]): Promise<Reply> {
    this.#rehearsal?.command();
    return this.#runtime.request(POOL, make);
  }

  /** A command that either succeeds or fails with one text. */
  async #order(make: Parameters<NodeRuntime["request"]>[1]): Promise<void> {
    const { errors } = await this.#command(make);
    if (errors[0] !== undefined) throw new SerfError(errors[0]);
  }
}

class EventRequested implements LateText {
  readonly #name: string;
  readonly #payload: Uint8Array | null;
  readonly #coalesce: boolean;

  constructor(name: string, payload: Uint8Array | null, coalesce: boolean) {
    this.#name = name;
    this.#payload = payload;
    this.#coalesce = coalesce;
  }

  text(): string {
    return `agent: Requesting user event send: ${this.#name}. Coalesced: ${this.#coalesce}. Payload: ${quotePayload(this.#payload)}`;
  }
}

class EventReceived implements LateText {
  readonly #event: SerfEvent;

  constructor(event: SerfEvent) {
    this.#event = event;
  }

  text(): string {
    return `agent: Received event: ${eventText(this.#event)}`;
  }
}

/** Worker threads and their code are loaded only when there is work for them. */
function laneStarter({ packetWorkers, log, metrics }: SerfAgentOptions, io: PoolIo): LaneStarter<LaneHost> | null {
  if (packetWorkers === undefined || packetWorkers === 0) return null;
  return new LaneStarter({
    now: monotonicMs,
    async start() {
      optimizeAsUsual();
      const { LaneHost: Host } = await import("./lanes/lane-host.ts");
      const host = new Host({ lanes: packetWorkers, hashKey: io.hashKey, log, metrics: metrics ?? new Metrics() });
      await io.useLanes(host);
      return host;
    },
    stop: (host) => host.stop(),
  });
}

/** What is practised is loaded when the time has come. Where processors are scarce at the start, they are left to others. */
function rehearse(options: SerfAgentOptions): Rehearsal {
  const patient = mayOptimizeAtOnce();
  return new Rehearsal({
    acts: async () => (await import("./rehearsal/acts.ts")).rehearsalActs(options, (cast) => SerfAgent.start(cast), patient),
    learning(lesson) {
      noteShapesEagerly(lesson !== null);
      optimizeInPractice(lesson === null ? "usual" : lesson === "speed" ? "busy" : "none");
    },
    waitedMs: waitedForOthersMs,
    patient,
    now: monotonicMs,
    soon: (next) => void setImmediate(next),
    later: (next, ms) => void setTimeout(next, ms).unref(),
    failed: (error) => options.log.write("err", `agent: rehearsal failed: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`),
    random: Math.random,
  });
}
