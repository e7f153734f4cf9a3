/** The server half of an agent: opens the log, restores the state from the newest snapshot, and runs Raft and catalog behind one driver. */
import { join } from "node:path";
import { createStateMachine } from "../catalog/state-machine.ts";
import type { StateMachine } from "../catalog/types.ts";
import { Server } from "../node/server/server.ts";
import type { ServerConfig } from "../node/server/types.ts";
import { Raft } from "../raft/raft.ts";
import type { PeerAddress, RaftConfig, RaftStart, Role } from "../raft/types.ts";
import { formatEndpoint } from "../base/endpoint.ts";
import type { ConsulAgentOptions, ConsulServerOptions } from "./consul-agent-options.ts";
import { monotonicMs } from "./clock.ts";
import { SystemRandom } from "./entropy.ts";
import type { LogEvents, LogStore } from "./lanes/log-store.ts";
import { DamagedLogError, remedyFor } from "./lanes/log-file-check.ts";
import { MemoryLogStore } from "./lanes/memory-log-store.ts";
import { listenErrorText } from "./go-errors.ts";
import { compileExpression } from "./matcher.ts";
import { ServerDriver } from "./server-driver.ts";
import { TcpServerNetwork } from "./server-network.ts";

/** Consul's base timings, multiplied by `raft_multiplier`; the dev agent has its own. */
const HEARTBEAT_MS = 1000;
const LEASE_MS = 500;
const DEV_TIMING = { heartbeatTimeoutMs: 35, electionTimeoutMs: 52, leaderLeaseTimeoutMs: 20 } as const;
const COMMIT_TIMEOUT_MS = 50;
const COORDINATE_PERIOD_MS = 5000;
const DEV_COORDINATE_PERIOD_MS = 100;
const MAX_APPEND_ENTRIES = 64;
const MAX_APPEND_BYTES = 1024 * 1024;
const MAX_IN_FLIGHT = 128;
const TAIL_BYTES_MAX = 8 * 1024 * 1024;
/** Of the log at the start, before anything can run: the rest is read while main applies what came before. */
const TAIL_BYTES_AT_START = 64 * 1024;
const UNCOMMITTED_BYTES_MAX = 32 * 1024 * 1024;
const APPLYING_BYTES_MAX = 4 * 1024 * 1024;
const RESTORE_PIECE_BYTES = 1024 * 1024;
/** A write to the log that takes longer is told to the operator. */
const LATE_WRITE_MS = 1000;

export class ConsulServer {
  readonly driver: ServerDriver;
  readonly #log: LogStore;
  readonly #options: ConsulAgentOptions;
  /** We became the leader and the state is up to date. */
  onLeaderElected: (nodeName: string) => void = () => undefined;
  /** Somebody is the leader now. */
  onLeader: () => void = () => undefined;

  private constructor(options: ConsulAgentOptions, log: LogStore, makeServer: (log: LogStore) => Server) {
    this.#options = options;
    this.#log = log;
    this.driver = new ServerDriver(makeServer(log), {
      log: (level, text) => options.log.write(level, text),
      count: (name, delta) => options.metrics?.count(name, delta),
      sample: (name, valueMs) => options.metrics?.sample(name, valueMs),
      roleChanged: (role, _term, leader) => this.#roleChanged(role, leader),
      userEvent: (_name, payload) => this.onLeaderElected(payload),
      fatal: (reason) => fatal(options, reason),
    });
  }

  /** Rejects with a text for the operator when the data directory cannot be used. */
  static async open(options: ConsulAgentOptions, settings: ConsulServerOptions): Promise<ConsulServer> {
    let server: ConsulServer | null = null;
    // Nothing is told before the first append, and that comes from the server.
    const events = forwardEvents(() => server?.driver.logEvents ?? null, options);
    const log = await openLog(options, events);
    try {
      checkReaches(log.found, join(options.dataDir, "raft"));
      const state = createStateMachine();
      await restoreState(state, log);
      server = new ConsulServer(options, log, () => new Server(serverConfig(options, settings), new Raft(raftConfig(options, settings), log.found, new SystemRandom()), state, new SystemRandom()));
      return server;
    } catch (error) {
      await log.close();
      throw error;
    }
  }

  /** Opens the server port and begins. Rejects with a text for the operator when the port cannot be had. */
  async start(): Promise<void> {
    const { bindIp, ports, datacenter, limits, log, metrics } = this.#options;
    const listen = { ip: bindIp, port: ports.server };
    const network = await TcpServerNetwork.listen({
      listen,
      localAddress: bindIp === "0.0.0.0" || bindIp === "::" ? "" : bindIp,
      datacenter,
      connectionsPerClientMax: limits.rpcConnectionsPerClient,
      snapshots: this.#log.snapshots,
      input: (input) => this.driver.raft(input),
      call: (method, args, done) => this.driver.call(method, args, done),
      count: (name, delta) => metrics?.count(name, delta),
      log: (level, text) => log.write(level, text),
    }).catch((error: unknown) => {
      throw new Error(`Failed to start RPC layer: ${listenErrorText("tcp", formatEndpoint(listen), error)}`, { cause: error });
    });
    this.driver.start(this.#log, network);
  }

  #roleChanged(role: Role, leader: PeerAddress | null): void {
    if (role === "leader") this.#options.log.write("info", "agent.server: cluster leadership acquired");
    if (leader !== null) this.onLeader();
  }

  close(): Promise<void> {
    return this.driver.close();
  }
}

/** What is durable is unknown: going on would acknowledge what may be lost. */
function fatal(options: ConsulAgentOptions, reason: string): void {
  options.log.write("err", `agent.server: ${reason}; stopping, so that a restart reads what is really on disk`);
  options.onFatal(reason);
}

async function openLog(options: ConsulAgentOptions, events: LogEvents): Promise<LogStore> {
  if (options.dataDir === "") return new MemoryLogStore(events);
  // Threads and their code are loaded only where there is a disk to write to.
  const { openWorkerLog } = await import("./lanes/worker-log-store.ts");
  return openWorkerLog({ dataDir: options.dataDir, events, tailBytesMax: TAIL_BYTES_AT_START, lateAfterMs: LATE_WRITE_MS });
}

/** Rejects with a text for the operator what the core would refuse to start from. */
function checkReaches({ firstIndex, lastIndex, snapshot }: RaftStart, raftDir: string): void {
  if (lastIndex === 0 || firstIndex <= (snapshot?.index ?? 0) + 1) return;
  const before = snapshot === null ? "there is no whole snapshot" : `the newest whole snapshot ends at entry ${snapshot.index}`;
  throw new DamagedLogError(`the log in ${raftDir} begins at entry ${firstIndex}, and ${before}: what is between is lost; ${remedyFor(raftDir)}`);
}

/** The driver exists only once the log is open. */
function forwardEvents(target: () => LogEvents | null, options: ConsulAgentOptions): LogEvents {
  return {
    durable: (seq) => target()?.durable(seq),
    refused: (seq, error) => target()?.refused(seq, error),
    late: (waitingMs) => target()?.late(waitingMs),
    failed: (error) => {
      const driver = target();
      if (driver === null) fatal(options, error);
      else driver.failed(error);
    },
    report: (text) => options.log.write("warn", `agent.server.raft: ${text}`),
  };
}

/** Before anything else runs, so there is no turn to keep short. */
async function restoreState(state: StateMachine, log: LogStore): Promise<void> {
  const meta = log.found.snapshot;
  if (meta === null) return;
  const restorer = state.beginRestore();
  for (let offset = 0; offset < meta.size; ) {
    const piece = await log.snapshots.read(meta.id, offset, RESTORE_PIECE_BYTES);
    if (piece.length === 0) throw new Error(`snapshot ${meta.id} ends at ${offset} of ${meta.size} bytes`);
    offset += piece.length;
    const error = restorer.push(piece);
    if (error !== null) throw new Error(`snapshot ${meta.id} cannot be restored: ${error}`);
  }
  const error = restorer.finish(meta.index);
  if (error !== null) throw new Error(`snapshot ${meta.id} cannot be restored: ${error}`);
}

function serverConfig(options: ConsulAgentOptions, settings: ConsulServerOptions): ServerConfig {
  return {
    nodeName: options.nodeName,
    nodeId: options.nodeId,
    datacenter: options.datacenter,
    address: serverAddress(options),
    bootstrapExpect: settings.bootstrapExpect,
    rpcHoldTimeoutMs: settings.rpcHoldTimeoutMs,
    autopilot: settings.autopilot,
    logLevel: options.logLevel,
    coordinatePeriodMs: options.dev ? DEV_COORDINATE_PERIOD_MS : COORDINATE_PERIOD_MS,
    epochOffsetMs: Date.now() - monotonicMs(),
    compileExpression,
  };
}

function serverAddress(options: ConsulAgentOptions): string {
  return formatEndpoint({ ip: options.advertiseIp, port: options.ports.server });
}

function raftConfig(options: ConsulAgentOptions, settings: ConsulServerOptions): RaftConfig {
  const times = settings.raftMultiplier;
  const timing = options.dev
    ? DEV_TIMING
    : { heartbeatTimeoutMs: HEARTBEAT_MS * times, electionTimeoutMs: HEARTBEAT_MS * times, leaderLeaseTimeoutMs: LEASE_MS * times };
  return {
    id: options.nodeId,
    address: serverAddress(options),
    timing: { ...timing, commitTimeoutMs: COMMIT_TIMEOUT_MS, snapshotIntervalMs: settings.snapshotIntervalMs },
    limits: {
      maxAppendEntries: MAX_APPEND_ENTRIES,
      maxAppendBytes: MAX_APPEND_BYTES,
      maxInFlight: MAX_IN_FLIGHT,
      trailingLogs: settings.trailingLogs,
      snapshotThreshold: settings.snapshotThreshold,
      tailBytesMax: TAIL_BYTES_MAX,
      uncommittedBytesMax: UNCOMMITTED_BYTES_MAX,
      applyingBytesMax: APPLYING_BYTES_MAX,
    },
    preVote: true,
    protocolVersion: 3,
  };
}
