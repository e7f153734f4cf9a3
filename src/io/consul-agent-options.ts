/** Everything needed to start a Consul agent; made by the agent command from flags and files. Durations in ms. */
import type { LogLevel } from "../swim/types.ts";
import type { AutopilotConfig } from "../node/server/types.ts";
import type { LogSink, MetricSink } from "./serf-agent-api.ts";

export interface ConsulAgentOptions {
  readonly nodeName: string;
  /** UUID. */
  readonly nodeId: string;
  readonly nodeMeta: ReadonlyMap<string, string>;
  readonly datacenter: string;
  /** Null: a client agent. */
  readonly server: ConsulServerOptions | null;
  /** One server in memory, with quick timings: nothing survives. */
  readonly dev: boolean;
  /** "" keeps everything in memory. */
  readonly dataDir: string;
  readonly bindIp: string;
  readonly advertiseIp: string;
  /** Where HTTP listens. */
  readonly clientIps: readonly string[];
  readonly ports: { readonly http: number; readonly serfLan: number; readonly server: number };
  /** Gossip keys, primary first; empty: no encryption. */
  readonly keys: readonly Uint8Array[];
  readonly rejoinAfterLeave: boolean;
  readonly reconnectTimeoutMs: number;
  readonly logLevel: LogLevel;
  readonly limits: ConsulLimits;
  readonly log: LogSink;
  readonly metrics: MetricSink | undefined;
  /** Nothing that was acknowledged is sure any more: the process must end. */
  readonly onFatal: (reason: string) => void;
}

export interface ConsulServerOptions {
  /** 1: this server alone. */
  readonly bootstrapExpect: number;
  readonly raftMultiplier: number;
  readonly rpcHoldTimeoutMs: number;
  readonly leaveDrainTimeMs: number;
  readonly snapshotThreshold: number;
  readonly snapshotIntervalMs: number;
  readonly trailingLogs: number;
  readonly nonVoter: boolean;
  readonly autopilot: AutopilotConfig;
}

export interface ConsulLimits {
  readonly httpConnectionsPerClient: number;
  readonly rpcConnectionsPerClient: number;
  readonly kvMaxValueBytes: number;
  readonly txnMaxBytes: number;
}

/** The version of Consul whose API and tags these are. */
export const CONSUL_VERSION = "1.8.7";
