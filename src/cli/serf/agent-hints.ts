/**
 * What to write instead of a setting that the agent refuses: file, key and accepted form. The refusals themselves keep the original's texts, which
 * name none of the three, and come from many places; so the setting is found by the text.
 */
import { CONFIG_KEYS, type ConfigField } from "./config/schema.ts";

const CAUSES: readonly (readonly [RegExp, ConfigField])[] = [
  [/^Invalid log level/, "logLevel"],
  [/^Invalid event script/, "eventHandlers"],
  [/^Invalid bind address|Failed to start (TCP|UDP) listener/, "bind"],
  [/^Invalid advertise address|parse advertise address/, "advertise"],
  [/^Invalid encryption key|key size must be/, "encryptKey"],
  [/^Unknown profile/, "profile"],
  [/network interface|^Interface /, "interface"],
  [/^Syslog setup failed: invalid syslog facility/, "syslogFacility"],
  [/^Invalid metrics address|^Error starting metrics listener/, "metricsAddr"],
  [/^Invalid statsd address/, "statsdAddr"],
  [/^Invalid statsite address/, "statsiteAddr"],
  [/tags file/i, "tagsFile"],
  [/^Failed to setup the Serf agent: (stat |.*keyring)/, "keyringFile"],
  [/failed to open snapshot/, "snapshotPath"],
  [/Protocol version/, "protocol"],
  [/packet workers/, "packetWorkers"],
  [/Node name (is|contains)/, "nodeName"],
  [/user event size limit/, "userEventSizeLimit"],
  [/^Error starting RPC listener/, "rpcAddr"],
];

/** The hints for a refusal: none when no setting is to blame. `origins` names the file a setting came from; without one it came from a flag. */
export function settingHints(refusal: string, origins: ReadonlyMap<string, string>): readonly string[] {
  const cause = CAUSES.find(([text]) => text.test(refusal));
  const known = cause === undefined ? undefined : CONFIG_KEYS.find(({ field }) => field === cause[1]);
  if (known === undefined) return [];
  const file = origins.get(known.field as string);
  return [`${file === undefined ? "" : `${file}: `}${known.key}: expects ${known.accepts}`];
}
