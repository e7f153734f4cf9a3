/**
 * From command line and files to what the agent runs with. Every step reports the way the original does, in its order: that order decides which
 * of several mistakes a user sees first.
 */
import { hostname } from "node:os";
import { decodeBase64 } from "../../wire/go-base64.ts";
import { invalidHandler } from "../../io/event-handlers.ts";
import { LOG_LEVEL_NAMES, parseLogLevel } from "../../io/log-hub.ts";
import type { LogLevel } from "../../swim/types.ts";
import { parseFlags } from "../flags.ts";
import { AGENT_FLAGS, configFromFlags } from "./agent-flags.ts";
import { settingHints } from "./agent-hints.ts";
import { bindToInterface, interfaceExists, parseAddress, type ListenAddress } from "./agent-address.ts";
import type { AgentUi } from "./agent-ui.ts";
import { readConfigs } from "./config/files.ts";
import { DEFAULTS, mergeConfigs } from "./config/merge.ts";
import type { SerfConfig } from "./config/schema.ts";

/** Port of gossip where an address names none. */
const GOSSIP_PORT = 7946;
/** Shortest allowed retry interval and broadcast timeout, in ms. */
const INTERVAL_MS_MIN = 1000;

/** A configuration with every default filled in. */
export type FullConfig = SerfConfig & { [Field in keyof typeof DEFAULTS]: NonNullable<SerfConfig[Field]> } & {
  readonly nodeName: string;
  readonly tags: ReadonlyMap<string, string>;
  readonly eventHandlers: readonly string[];
  readonly startJoin: readonly string[];
  readonly retryJoin: readonly string[];
};

export interface AgentConfig {
  readonly config: FullConfig;
  /** Off only by flag: the original ignores the key of the files. */
  readonly compression: boolean;
  /** By field, the file that gave the value; a value from the command line has none. */
  readonly origins: ReadonlyMap<string, string>;
}

/** Reads flags and files; null after it has said what is wrong. Also called by a reload. */
export function readAgentConfig(words: readonly string[], ui: AgentUi, usage: string): AgentConfig | null {
  const parsed = parseFlags(AGENT_FLAGS, words);
  if (!parsed.ok) {
    ui.plain(parsed.error);
    ui.output(usage);
    return null;
  }
  const { flags } = parsed;
  const fromFlags = configFromFlags(flags);
  if (!fromFlags.ok) {
    ui.output(`Error: ${fromFlags.error}`);
    return null;
  }
  const fromFiles = readConfigs(flags["config-file"] ?? []);
  if (!fromFiles.ok) {
    ui.output(fromFiles.error);
    ui.hints(fromFiles.hints);
    return null;
  }
  const config = complete(mergeConfigs(mergeConfigs(DEFAULTS, fromFiles.config), fromFlags.value));
  const given = Object.entries(fromFlags.value).filter(([, value]) => value !== undefined).map(([field]) => field);
  const origins = new Map([...fromFiles.origins].filter(([field]) => !given.includes(field)));
  const script = invalidHandler(config.eventHandlers);
  if (script !== "") {
    const refusal = `Invalid event script: ${script}`;
    ui.output(refusal);
    ui.hints([...settingHints(refusal, origins), "event-handler: filters are member-join, member-leave, member-failed, member-update, member-reap, user, user:NAME, query, query:NAME and *"]);
    return null;
  }
  if (config.interface !== undefined && !interfaceExists(config.interface)) {
    const refusal = "Invalid network interface: route ip+net: no such network interface";
    ui.output(refusal);
    ui.hints(settingHints(refusal, origins));
    return null;
  }
  return { config: applyMinima(config, ui), compression: flags["disable-compression"] !== true, origins };
}

function complete(config: SerfConfig): FullConfig {
  const tags = new Map(config.tags);
  if (config.role !== undefined) tags.set("role", config.role);
  return {
    ...DEFAULTS,
    ...config,
    nodeName: config.nodeName ?? hostname(),
    tags,
    eventHandlers: config.eventHandlers ?? [],
    startJoin: config.startJoin ?? [],
    retryJoin: config.retryJoin ?? [],
  };
}

/** Warns about what is deprecated, too low or without effect. */
function applyMinima(config: FullConfig, ui: AgentUi): FullConfig {
  const raised = { ...config };
  if (config.role !== undefined) ui.output("Deprecation warning: 'Role' has been replaced with 'Tags'");
  if (config.retryInterval < INTERVAL_MS_MIN) {
    ui.output("Warning: 'RetryInterval' is too low. Setting to 1s");
    raised.retryInterval = INTERVAL_MS_MIN;
  }
  if (config.broadcastTimeout < INTERVAL_MS_MIN) {
    ui.output("Warning: 'BroadcastTimeout' is too low. Setting to 1s");
    raised.broadcastTimeout = INTERVAL_MS_MIN;
  }
  if (config.rejoinAfterLeave === true && config.snapshotPath === undefined) ui.output("Warning: 'RejoinAfterLeave' enabled without snapshot file");
  return raised;
}

/** The level, or null after a complaint. */
export function readLogLevel({ config, origins }: AgentConfig, ui: AgentUi): LogLevel | null {
  const level = parseLogLevel(config.logLevel);
  if (level !== null) return level;
  const refusal = `Invalid log level: ${config.logLevel.toUpperCase()}. Valid log levels are: [${LOG_LEVEL_NAMES.join(" ")}]`;
  ui.output(refusal);
  ui.hints(settingHints(refusal, origins));
  return null;
}

export interface AgentAddresses {
  readonly bind: ListenAddress;
  /** Null: that of `bind`. */
  readonly advertise: ListenAddress | null;
  /** The configured key, of any length; null without one. */
  readonly key: Uint8Array | null;
  readonly profile: "lan" | "wan" | "local";
}

/** Addresses, key and profile; null after a complaint. */
export async function readAddresses({ config, origins }: AgentConfig, ui: AgentUi): Promise<AgentAddresses | null> {
  const refuse = (text: string): null => {
    ui.output(text);
    ui.hints(settingHints(text, origins));
    return null;
  };
  const configured = await parseAddress(config.bind, GOSSIP_PORT);
  if (!configured.ok) return refuse(`Invalid bind address: ${configured.error}`);
  let bind = configured.value;
  if (config.interface !== undefined) {
    const found = bindToInterface(config.interface, bind);
    if (!found.ok) return refuse(found.error);
    bind = found.value.bind;
    if (found.value.chosen) ui.output(`Using interface '${config.interface}' address '${bind.ip}'`);
  }
  const advertise = config.advertise === undefined ? null : await parseAddress(config.advertise, GOSSIP_PORT);
  if (advertise !== null && !advertise.ok) return refuse(`Invalid advertise address: ${advertise.error}`);
  const key = config.encryptKey === undefined ? null : decodeBase64(config.encryptKey);
  if (key !== null && !key.ok) return refuse(`Invalid encryption key: ${key.error}`);
  const { profile } = config;
  if (profile !== "lan" && profile !== "wan" && profile !== "local") return refuse(`Unknown profile: ${profile}`);
  return { bind, advertise: advertise?.value ?? null, key: key?.value ?? null, profile };
}
