/** From settings to what an agent is started with: defaults, what the dev agent changes, and every complaint in the original's words. */
import { hostname } from "node:os";
import { isIP } from "node:net";
import { fail, ok, type Result } from "../../base/result.ts";
import type { ConsulAgentOptions, ConsulServerOptions } from "../../io/consul-agent-options.ts";
import { parseLogLevel } from "../../io/log-hub.ts";
import { privateAddress } from "../../io/network.ts";
import { decodeBase64 } from "../../wire/go-base64.ts";
import { parseDuration } from "../../wire/go-duration.ts";
import type { SettingValues } from "./config-files.ts";
import type { LogLevel } from "../../swim/types.ts";

/** Settings of the agent's process around it. */
export interface ConsulProcess {
  readonly leaveOnTerminate: boolean;
  readonly skipLeaveOnInterrupt: boolean;
  readonly startJoin: readonly string[];
  readonly retryJoin: readonly string[];
  readonly retryIntervalMs: number;
  readonly retryMax: number;
  readonly pidFile: string;
  readonly logJson: boolean;
  readonly logLevel: LogLevel;
}

export interface ConsulSettings {
  /** Without what only a process can know: its log, its metrics, its id. */
  readonly options: Omit<ConsulAgentOptions, "log" | "metrics" | "onFatal" | "nodeId">;
  readonly process: ConsulProcess;
  /** "" when it is to be drawn or read. */
  readonly nodeId: string;
  /** Told at start, in the original's words. */
  readonly warnings: readonly string[];
}

const DATACENTER = /^[a-z0-9_-]+$/;
const META_KEY = /^[A-Za-z0-9_-]+$/;
const META_PAIRS_MAX = 64;
const KEY_SIZES: ReadonlySet<number> = new Set([16, 24, 32]);
const RECONNECT_MIN_MS = 8 * 3_600_000;

export function consulSettings(values: SettingValues, dev: boolean): Result<ConsulSettings> {
  const look = new Look(values);
  const isServer = dev || look.bool("server", false);
  const bootstrap = look.bool("bootstrap", false);
  const expect = look.int("bootstrap_expect", 0);
  const datacenter = look.text("datacenter", "dc1").toLowerCase();
  const nodeName = look.text("node_name", hostname());
  const dataDir = dev ? "" : look.text("data_dir", "");
  const warnings: string[] = [];

  if (!DATACENTER.test(datacenter)) return fail(`datacenter cannot be ${JSON.stringify(datacenter)}. Please use only [a-z0-9-_]`);
  if (!dev && dataDir === "") return fail("data_dir cannot be empty");
  const bootstrapError = checkBootstrap(dev, isServer, bootstrap, expect);
  if (bootstrapError !== null) return fail(bootstrapError);
  const addresses = lookAddresses(look, dev);
  if (!addresses.ok) return addresses;
  const keys = lookKeys(look);
  if (!keys.ok) return keys;
  const nodeMeta = look.map("node_meta");
  const metaError = checkMeta(nodeMeta);
  if (metaError !== null) return fail(`node_meta invalid: ${metaError}`);
  const portsError = checkPorts(look);
  if (portsError !== null) return fail(portsError);
  const levelName = look.text("log_level", dev ? "DEBUG" : "INFO");
  const logLevel = parseLogLevel(levelName.toUpperCase() === "ERROR" ? "ERR" : levelName);
  if (logLevel === null) return fail(`Invalid log level: ${levelName}. Valid log levels are: [TRACE DEBUG INFO WARN ERR ERROR]`);

  if (expect === 1) warnings.push("BootstrapExpect is set to 1; this is the same as Bootstrap mode.");
  if (expect === 2) warnings.push("bootstrap_expect = 2: A cluster with 2 servers will provide no failure tolerance. See https://www.consul.io/docs/internals/consensus.html#deployment-table");
  if (expect > 2 && expect % 2 === 0) warnings.push("bootstrap_expect is even number: A cluster with an even number of servers does not achieve optimum fault tolerance. See https://www.consul.io/docs/internals/consensus.html#deployment-table");
  if (!/^[A-Za-z0-9-]+$/.test(nodeName)) warnings.push(`Node name ${JSON.stringify(nodeName)} will not be discoverable via DNS due to invalid characters. Valid characters include all alpha-numerics and dashes.`);
  if (bootstrap || expect === 1) warnings.push("bootstrap = true: do not enable unless necessary");
  else if (expect > 1) warnings.push(`bootstrap_expect > 0: expecting ${expect} servers`);

  warnings.push(...silentPorts(look));

  const bootstrapExpect = dev || bootstrap ? 1 : expect;
  const server = isServer ? serverSettings(look, bootstrapExpect) : null;
  const options: ConsulSettings["options"] = {
    nodeName,
    nodeMeta,
    datacenter,
    server,
    dev,
    dataDir,
    ...addresses.value,
    ports: { http: look.int("ports.http", 8500), serfLan: look.int("ports.serf_lan", 8301), server: look.int("ports.server", 8300) },
    keys: keys.value,
    rejoinAfterLeave: look.bool("rejoin_after_leave", false),
    reconnectTimeoutMs: look.ms("reconnect_timeout", 72 * 3_600_000),
    logLevel,
    limits: {
      httpConnectionsPerClient: look.int("limits.http_max_conns_per_client", 200),
      rpcConnectionsPerClient: look.int("limits.rpc_max_conns_per_client", 100),
      kvMaxValueBytes: look.int("limits.kv_max_value_size", 524_288),
      txnMaxBytes: look.int("limits.txn_max_req_len", 524_288),
    },
  };
  const process: ConsulProcess = {
    leaveOnTerminate: look.bool("leave_on_terminate", !isServer),
    skipLeaveOnInterrupt: look.bool("skip_leave_on_interrupt", isServer),
    startJoin: look.list("start_join"),
    retryJoin: look.list("retry_join"),
    retryIntervalMs: look.ms("retry_interval", 30_000),
    retryMax: look.int("retry_max", 0),
    pidFile: look.text("pid_file", ""),
    logJson: look.bool("log_json", false),
    logLevel,
  };
  const error = look.error ?? checkRanges(options, server);
  if (error !== null) return fail(error);
  return ok({ options, process, nodeId: look.text("node_id", ""), warnings });
}

function serverSettings(look: Look, bootstrapExpect: number): ConsulServerOptions {
  return {
    bootstrapExpect,
    raftMultiplier: look.int("performance.raft_multiplier", 5),
    rpcHoldTimeoutMs: look.ms("performance.rpc_hold_timeout", 7000),
    leaveDrainTimeMs: look.ms("performance.leave_drain_time", 5000),
    snapshotThreshold: look.int("raft_snapshot_threshold", 16_384),
    snapshotIntervalMs: look.ms("raft_snapshot_interval", 30_000),
    trailingLogs: look.int("raft_trailing_logs", 10_240),
    nonVoter: look.bool("non_voting_server", false),
    autopilot: {
      cleanupDeadServers: look.bool("autopilot.cleanup_dead_servers", true),
      lastContactThresholdMs: look.ms("autopilot.last_contact_threshold", 200),
      maxTrailingLogs: look.int("autopilot.max_trailing_logs", 250),
      minQuorum: look.int("autopilot.min_quorum", 0),
      serverStabilizationMs: look.ms("autopilot.server_stabilization_time", 10_000),
    },
  };
}

function checkBootstrap(dev: boolean, server: boolean, bootstrap: boolean, expect: number): string | null {
  if (expect < 0) return `bootstrap_expect cannot be ${expect}. Must be greater than or equal to zero`;
  if (expect > 0 && dev) return "'bootstrap_expect > 0' not allowed in dev mode";
  if (expect > 0 && !server) return "'bootstrap_expect > 0' requires 'server = true'";
  if (expect > 1 && bootstrap) return "'bootstrap_expect > 0' and 'bootstrap = true' are mutually exclusive";
  return bootstrap && !server ? "'bootstrap = true' requires 'server = true'" : null;
}

function lookAddresses(look: Look, dev: boolean): Result<Pick<ConsulAgentOptions, "bindIp" | "advertiseIp" | "clientIps">> {
  const bindIp = look.text("bind_addr", dev ? "127.0.0.1" : "0.0.0.0");
  if (isIP(bindIp) === 0) return fail("bind_addr cannot be empty");
  const clientIps = look.text("client_addr", "127.0.0.1").split(/\s+/).filter((ip) => ip !== "");
  const wrong = clientIps.find((ip) => isIP(ip) === 0);
  if (wrong !== undefined || clientIps.length === 0) return fail(`client_addr: expects IP addresses, not ${JSON.stringify(wrong ?? "")}`);
  const asked = look.text("advertise_addr", "");
  if (asked !== "" && isIP(asked) === 0) return fail(`advertise_addr: expects an IP address, not ${JSON.stringify(asked)}`);
  const unspecified = bindIp === "0.0.0.0" || bindIp === "::";
  const advertise = asked !== "" ? ok(asked) : unspecified ? privateAddress() : ok(bindIp);
  return advertise.ok ? ok({ bindIp, advertiseIp: advertise.value, clientIps }) : fail(`${advertise.error}; set advertise_addr (-advertise)`);
}

function lookKeys(look: Look): Result<readonly Uint8Array[]> {
  const text = look.text("encrypt", "");
  if (text === "") return ok([]);
  const key = decodeBase64(text);
  if (!key.ok) return fail(`encrypt has invalid key: ${key.error}`);
  return KEY_SIZES.has(key.value.length) ? ok([key.value]) : fail("encrypt has invalid key: key size must be 16, 24 or 32 bytes");
}

function checkMeta(meta: ReadonlyMap<string, string>): string | null {
  if (meta.size > META_PAIRS_MAX) return `Node metadata cannot contain more than ${META_PAIRS_MAX} key/value pairs`;
  for (const [key, value] of meta) {
    const wrong = metaPairError(key, value);
    if (wrong !== null) return `Couldn't load metadata pair ('${key}', '${value}'): ${wrong}`;
  }
  return null;
}

function metaPairError(key: string, value: string): string | null {
  if (key === "") return "Key cannot be blank";
  // Keys of this kind are read by DNS, and may hold anything.
  if (!META_KEY.test(key)) return "Key contains invalid characters";
  if (key.length > 128) return "Key is too long (limit: 128 characters)";
  if (key.startsWith("consul-")) return "Key prefix 'consul-' is reserved for internal use";
  return value.length > 512 ? "Value is too long (limit: 512 characters)" : null;
}

/** Ports that configurations of the original usually set: they may stay, and it is said that nobody listens there. */
function silentPorts(look: Look): string[] {
  return ["ports.dns", "ports.serf_wan"]
    .filter((key) => look.int(key, -1) > 0)
    .map((key) => `${key} = ${look.int(key, -1)}: this version of muster does not offer it, nothing listens there`);
}

function checkPorts(look: Look): string | null {
  for (const key of ["ports.grpc", "ports.https"]) {
    if (look.int(key, -1) > 0) return `${key} is not offered by this version of muster: leave it out, or set it to -1`;
  }
  for (const key of ["ports.http", "ports.serf_lan", "ports.server"]) {
    const port = look.int(key, 1);
    if (port > 65_535 || (port < 0 && key !== "ports.http")) return `${key}: expects a port, not ${port}`;
  }
  const protocol = look.int("raft_protocol", 3);
  return protocol === 3 ? null : `raft_protocol version ${protocol} is not supported by this version of muster: expects 3`;
}

function checkRanges(options: ConsulSettings["options"], server: ConsulServerOptions | null): string | null {
  if (options.reconnectTimeoutMs < RECONNECT_MIN_MS) return `reconnect_timeout must be at least 8h0m0s`;
  if (server === null) return null;
  if (server.raftMultiplier < 1 || server.raftMultiplier > 10) return `performance.raft_multiplier cannot be ${server.raftMultiplier}. Must be between 1 and 10`;
  if (server.snapshotThreshold < 1 || server.trailingLogs < 0) return "raft_snapshot_threshold and raft_trailing_logs must be positive";
  return null;
}

/** Reads settings by key; remembers the first that cannot be read. */
class Look {
  readonly #values: SettingValues;
  error: string | null = null;

  constructor(values: SettingValues) {
    this.#values = values;
  }

  text(key: string, otherwise: string): string {
    const value = this.#values.get(key);
    return typeof value === "string" ? value : otherwise;
  }

  bool(key: string, otherwise: boolean): boolean {
    const value = this.#values.get(key);
    return typeof value === "boolean" ? value : otherwise;
  }

  int(key: string, otherwise: number): number {
    const value = this.#values.get(key);
    return typeof value === "number" ? value : otherwise;
  }

  ms(key: string, otherwise: number): number {
    const text = this.text(key, "");
    if (text === "") return otherwise;
    const parsed = parseDuration(text);
    if (parsed.ok && parsed.value >= 0) return parsed.value;
    this.error ??= `${key}: invalid duration: ${JSON.stringify(text)}: ${parsed.ok ? "must not be negative" : parsed.error}`;
    return otherwise;
  }

  list(key: string): readonly string[] {
    const value = this.#values.get(key);
    return Array.isArray(value) ? (value as readonly string[]) : [];
  }

  map(key: string): ReadonlyMap<string, string> {
    const value = this.#values.get(key);
    return value instanceof Map ? (value as ReadonlyMap<string, string>) : new Map<string, string>();
  }
}
