/** From settings to what starts the agent: the tags and keyring files, the checks that come with them, and the options. */
import { availableParallelism } from "node:os";
import { fail, ok, type Result } from "../../base/result.ts";
import { loadKeyringFile } from "../../io/keyring-file.ts";
import type { LogHub } from "../../io/log-hub.ts";
import type { MetricSink, SerfAgentOptions } from "../../io/serf-agent-api.ts";
import { loadTagsFile } from "../../io/tags-file.ts";
import type { LogLevel } from "../../swim/types.ts";
import type { AgentAddresses, AgentConfig, FullConfig } from "./agent-settings.ts";

/** Serf protocol versions we speak. */
const PROTOCOL_MIN = 2;
const PROTOCOL_MAX = 5;
/** More threads than this only cost memory: one opens some 40,000 packets a second. */
const PACKET_WORKERS_MAX = 16;
/** Of the default number of packet workers. On a single core it is none: measured there, handing a batch over costs more than opening it. */
const DEFAULT_WORKERS_MAX = 4;
/** With `validate_node_names`. */
const NODE_NAME_LENGTH_MAX = 128;

/** What was restored from files. */
export interface Restored {
  readonly tags: ReadonlyMap<string, string>;
  readonly keys: readonly Uint8Array[];
}

/** Reads the tags file and the keyring file. Errors in the original's words, without its "Failed to setup …". */
export async function restoreFiles(config: FullConfig, key: Uint8Array | null, log: LogHub): Promise<Result<Restored>> {
  let { tags } = config;
  if (config.tagsFile !== undefined) {
    if (tags.size > 0) return fail("Tags config not allowed while using tag files");
    const loaded = await loadTagsFile(config.tagsFile);
    if (!loaded.ok) return loaded;
    if (loaded.value !== null) {
      tags = loaded.value;
      log.write("info", `agent: Restored ${tags.size} tag(s) from ${config.tagsFile}`);
    }
  }
  if (config.keyringFile === undefined) return ok({ tags, keys: key === null ? [] : [key] });
  if (key !== null) return fail("Encryption key not allowed while using a keyring");
  const keyring = await loadKeyringFile(config.keyringFile);
  if (!keyring.ok) return keyring;
  log.write("info", `agent: Restored keyring with ${keyring.value.length} keys from ${config.keyringFile}`);
  return ok({ tags, keys: keyring.value });
}

/** What the agent itself would not refuse, or in other words; "" when nothing. */
export function refusal({ protocol, nodeName, validateNodeNames, packetWorkers = 0 }: FullConfig, { advertise }: AgentAddresses): string {
  if (advertise?.ip === "") return 'Failed to create memberlist: Failed to get final advertise address: Failed to parse advertise address "<nil>"';
  if (protocol > 255) {
    // The original cuts the number to 8 bits. Its message is kept, but 258 does not pass as 2.
    const cut = protocol % 256;
    const shown = cut >= PROTOCOL_MIN && cut <= PROTOCOL_MAX ? protocol : cut;
    return `Protocol version '${shown}' too ${shown < PROTOCOL_MIN ? "low" : "high"}. Must be in range: [${PROTOCOL_MIN}, ${PROTOCOL_MAX}]`;
  }
  if (packetWorkers < 0 || packetWorkers > PACKET_WORKERS_MAX) return `Number of packet workers '${packetWorkers}' out of range: [0, ${PACKET_WORKERS_MAX}]`;
  if (validateNodeNames !== true) return "";
  if (nodeName.length > NODE_NAME_LENGTH_MAX) {
    return `Node name is ${nodeName.length} characters. Valid length is between 1 and ${NODE_NAME_LENGTH_MAX} characters`;
  }
  if (/^[A-Za-z0-9.-]+$/.test(nodeName)) return "";
  return `Node name contains invalid characters ${nodeName} , Valid characters include all alpha-numerics and dashes and '.'`;
}

export function agentOptions(
  { config, compression }: AgentConfig,
  { bind, advertise, profile }: AgentAddresses,
  restored: Restored,
  outlets: { readonly log: LogHub; readonly logLevel: LogLevel; readonly metrics: MetricSink },
): SerfAgentOptions {
  return {
    name: config.nodeName,
    bind: { ip: bind.ip === "" ? "0.0.0.0" : bind.ip, port: bind.port },
    advertise: { ip: advertise?.ip ?? "", port: advertise?.port ?? 0 },
    profile,
    protocol: config.protocol,
    tags: restored.tags,
    tagsFile: config.tagsFile ?? "",
    keys: restored.keys,
    keyringFile: config.keyringFile ?? "",
    snapshotPath: config.snapshotPath ?? "",
    rejoinAfterLeave: config.rejoinAfterLeave === true,
    compression,
    coordinates: config.disableCoordinates !== true,
    resolveConflicts: config.disableNameResolution !== true,
    coalesce: true,
    logLevel: outlets.logLevel,
    broadcastTimeoutMs: config.broadcastTimeout,
    reconnectIntervalMs: config.reconnectInterval,
    reconnectTimeoutMs: config.reconnectTimeout,
    tombstoneTimeoutMs: config.tombstoneTimeout,
    querySizeMax: config.querySizeLimit,
    queryResponseSizeMax: config.queryResponseSizeLimit,
    userEventSizeMax: config.userEventSizeLimit,
    packetWorkers: config.packetWorkers ?? Math.min(DEFAULT_WORKERS_MAX, availableParallelism() - 1),
    // Also on a single core: the system shares it between the threads, so that the main one stays responsive.
    streamLane: config.packetWorkers !== 0,
    lanesAtOnce: config.packetWorkers !== undefined,
    laneStats: config.packetWorkers !== undefined,
    // Practice leaves 3 to 7 MB behind: with threads that start at once, an idle agent would take more than its 75 MB.
    rehearse: config.packetWorkers === undefined || config.packetWorkers === 0,
    log: outlets.log,
    metrics: outlets.metrics,
  };
}
