/** Autopilot's replicated settings: the command that changes them, and their row (reference: consul-agent §2.7, §6.4). Durations in ms here, in ns on the wire. */
import { FSM_TYPE, type RaftIndex } from "./fsm-commands.ts";
import { encodeKey, Schema, structLength, Writer, type MsgpackValue, type Reader } from "./msgpack.ts";

export interface AutopilotSettings extends RaftIndex {
  readonly cleanupDeadServers: boolean;
  readonly lastContactThresholdMs: number;
  readonly maxTrailingLogs: number;
  readonly minQuorum: number;
  readonly serverStabilizationMs: number;
  /** The last three mean something to the enterprise version only. */
  readonly redundancyZoneTag: string;
  readonly disableUpgradeMigration: boolean;
  readonly upgradeVersionTag: string;
}

export interface AutopilotRequest {
  readonly datacenter: string;
  readonly config: AutopilotSettings;
  /** Only when the settings in force have `config.modifyIndex`. */
  readonly cas: boolean;
  readonly token: string;
}

const NS_PER_MS = 1e6;
const INDEX_MAX = Number.MAX_SAFE_INTEGER;
const writer = new Writer("gossip");
const names = [
  "CleanupDeadServers", "CreateIndex", "DisableUpgradeMigration", "LastContactThreshold", "MaxTrailingLogs", "MinQuorum", "ModifyIndex", "RedundancyZoneTag",
  "ServerStabilizationTime", "UpgradeVersionTag", "CAS", "Config", "Datacenter", "Token",
] as const;
const K = Object.fromEntries(names.map((name) => [name, encodeKey(name)])) as Record<(typeof names)[number], Uint8Array>;

export function writeAutopilot(w: Writer, settings: AutopilotSettings): void {
  w.mapHead(10).raw(K.CleanupDeadServers).bool(settings.cleanupDeadServers).raw(K.CreateIndex).int(settings.createIndex);
  w.raw(K.DisableUpgradeMigration).bool(settings.disableUpgradeMigration).raw(K.LastContactThreshold).int(Math.round(settings.lastContactThresholdMs * NS_PER_MS));
  w.raw(K.MaxTrailingLogs).int(settings.maxTrailingLogs).raw(K.MinQuorum).int(settings.minQuorum).raw(K.ModifyIndex).int(settings.modifyIndex);
  w.raw(K.RedundancyZoneTag).text(settings.redundancyZoneTag).raw(K.ServerStabilizationTime).int(Math.round(settings.serverStabilizationMs * NS_PER_MS));
  w.raw(K.UpgradeVersionTag).text(settings.upgradeVersionTag);
}

const settingsSchema = new Schema(...names.slice(0, 10));

export function readAutopilot(r: Reader): AutopilotSettings {
  const found: Record<string, MsgpackValue> = {};
  const head = r.structHead();
  for (let i = 0; i < structLength(head) && !r.failed; i += 1) {
    const field = r.field(settingsSchema, head, i);
    if (field >= 0) found[names[field] as string] = r.value();
    else r.skip();
  }
  return autopilotOfRow(new Map(Object.entries(found)));
}

/** Whatever is not there, or is something else, counts as zero. */
export function autopilotOfRow(row: MsgpackValue): AutopilotSettings {
  const fields = row instanceof Map ? (row as ReadonlyMap<string, MsgpackValue>) : new Map<string, MsgpackValue>();
  const number = (name: string): number => {
    const value = fields.get(name);
    return typeof value === "number" ? value : 0;
  };
  const text = (name: string): string => {
    const value = fields.get(name);
    return typeof value === "string" ? value : "";
  };
  return {
    cleanupDeadServers: fields.get("CleanupDeadServers") === true,
    lastContactThresholdMs: number("LastContactThreshold") / NS_PER_MS,
    maxTrailingLogs: number("MaxTrailingLogs"),
    minQuorum: number("MinQuorum"),
    serverStabilizationMs: number("ServerStabilizationTime") / NS_PER_MS,
    redundancyZoneTag: text("RedundancyZoneTag"),
    disableUpgradeMigration: fields.get("DisableUpgradeMigration") === true,
    upgradeVersionTag: text("UpgradeVersionTag"),
    createIndex: Math.min(INDEX_MAX, number("CreateIndex")),
    modifyIndex: Math.min(INDEX_MAX, number("ModifyIndex")),
  };
}

/** The command, with its type byte; without it these are the arguments of `Operator.AutopilotSetConfiguration`. */
export function encodeAutopilotRequest({ datacenter, config, cas, token }: AutopilotRequest): Uint8Array {
  writer.byte(FSM_TYPE.autopilot).mapHead(4).raw(K.CAS).bool(cas).raw(K.Config);
  writeAutopilot(writer, config);
  return writer.raw(K.Datacenter).text(datacenter).raw(K.Token).text(token).finish();
}
