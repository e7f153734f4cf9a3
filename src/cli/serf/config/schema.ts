/**
 * Every key of the Serf agent's configuration: what it accepts, where it is kept, and whether a reload applies it. The decoder, the error
 * messages, the reload report and the README's table follow this list.
 */

/** A configuration source (one file, or the flags), or several merged: absent means not given. Durations in ms. */
export interface SerfConfig {
  nodeName?: string;
  disableCoordinates?: boolean;
  role?: string;
  tags?: ReadonlyMap<string, string>;
  tagsFile?: string;
  bind?: string;
  advertise?: string;
  encryptKey?: string;
  keyringFile?: string;
  logLevel?: string;
  rpcAddr?: string;
  rpcAuth?: string;
  protocol?: number;
  replayOnJoin?: boolean;
  queryResponseSizeLimit?: number;
  querySizeLimit?: number;
  userEventSizeLimit?: number;
  startJoin?: readonly string[];
  eventHandlers?: readonly string[];
  profile?: string;
  snapshotPath?: string;
  leaveOnTerminate?: boolean;
  skipLeaveOnInterrupt?: boolean;
  discover?: string;
  interface?: string;
  reconnectInterval?: number;
  reconnectTimeout?: number;
  tombstoneTimeout?: number;
  disableNameResolution?: boolean;
  enableSyslog?: boolean;
  syslogFacility?: string;
  retryJoin?: readonly string[];
  retryMaxAttempts?: number;
  retryInterval?: number;
  rejoinAfterLeave?: boolean;
  enableCompression?: boolean;
  statsiteAddr?: string;
  statsdAddr?: string;
  broadcastTimeout?: number;
  metricsAddr?: string;
  mdnsInterface?: string;
  mdnsDisableIPv4?: boolean;
  mdnsDisableIPv6?: boolean;
  validateNodeNames?: boolean;
  packetWorkers?: number;
}
export type ConfigField = keyof SerfConfig;

export type KeyKind = "string" | "int" | "bool" | "strings" | "tags" | "duration" | "mdns";

export interface ConfigKey {
  readonly key: string;
  readonly kind: KeyKind;
  /** Null for the `mdns` group, whose members stand in `MDNS_KEYS`. */
  readonly field: ConfigField | null;
  /** What to write, for error messages: completes "expects …". */
  readonly accepts: string;
  /** Applied by SIGHUP. */
  readonly reloads: boolean;
}

function key(name: string, kind: KeyKind, field: ConfigField | null, accepts: string, reloads = false): ConfigKey {
  return { key: name, kind, field, accepts, reloads };
}

const ADDRESS = 'an address such as "10.0.0.1:7946" (the port may be left out)';
const DURATION = 'a duration in quotes such as "30s" or "1m30s" (units: ns, us, ms, s, m, h)';
const YES_NO = "true or false";
const BYTES = "a number of bytes above 0";

export const CONFIG_KEYS: readonly ConfigKey[] = [
  key("node_name", "string", "nodeName", 'a name unique in the cluster, such as "web-1"'),
  key("role", "string", "role", 'a text such as "web" (deprecated: use tags)', true),
  key("tags", "tags", "tags", 'an object of texts such as {"role": "web"}', true),
  key("tags_file", "string", "tagsFile", 'the path of a file such as "/var/lib/serf/tags.json"'),
  key("bind", "string", "bind", ADDRESS),
  key("advertise", "string", "advertise", ADDRESS),
  key("interface", "string", "interface", 'the name of a network interface such as "eth0"'),
  key("encrypt_key", "string", "encryptKey", "16, 24 or 32 bytes in base64, as `keygen` prints them"),
  key("keyring_file", "string", "keyringFile", "the path of a file with a JSON list of base64 keys, the primary first"),
  key("log_level", "string", "logLevel", "trace, debug, info, warn or err, in quotes", true),
  key("rpc_addr", "string", "rpcAddr", 'an address with port such as "127.0.0.1:7373"'),
  key("rpc_auth", "string", "rpcAuth", "the text that RPC clients must present"),
  key("protocol", "int", "protocol", "a whole number from 2 to 5"),
  key("replay_on_join", "bool", "replayOnJoin", YES_NO),
  key("query_response_size_limit", "int", "queryResponseSizeLimit", BYTES),
  key("query_size_limit", "int", "querySizeLimit", BYTES),
  key("user_event_size_limit", "int", "userEventSizeLimit", "a number of bytes from 1 to 9216"),
  key("start_join", "strings", "startJoin", 'a list of addresses such as ["10.0.0.1", "10.0.0.2:7946"]'),
  key("retry_join", "strings", "retryJoin", 'a list of addresses such as ["10.0.0.1", "10.0.0.2:7946"]'),
  key("retry_max_attempts", "int", "retryMaxAttempts", "a whole number, 0 for no limit"),
  key("retry_interval", "duration", "retryInterval", DURATION),
  key("event_handlers", "strings", "eventHandlers", 'a list of handlers such as ["member-join=/usr/local/bin/joined.sh"]', true),
  key("profile", "string", "profile", '"lan", "wan" or "local"'),
  key("snapshot_path", "string", "snapshotPath", 'the path of a file such as "/var/lib/serf/snapshot"'),
  key("rejoin_after_leave", "bool", "rejoinAfterLeave", YES_NO),
  key("leave_on_terminate", "bool", "leaveOnTerminate", YES_NO, true),
  key("skip_leave_on_interrupt", "bool", "skipLeaveOnInterrupt", YES_NO, true),
  key("discover", "string", "discover", 'the name of a cluster such as "web"'),
  key("reconnect_interval", "duration", "reconnectInterval", DURATION),
  key("reconnect_timeout", "duration", "reconnectTimeout", DURATION),
  key("tombstone_timeout", "duration", "tombstoneTimeout", DURATION),
  key("disable_name_resolution", "bool", "disableNameResolution", YES_NO),
  key("disable_coordinates", "bool", "disableCoordinates", YES_NO),
  key("enable_syslog", "bool", "enableSyslog", YES_NO),
  key("syslog_facility", "string", "syslogFacility", 'a facility such as "LOCAL0" or "DAEMON"'),
  key("enable_compression", "bool", "enableCompression", YES_NO),
  key("broadcast_timeout", "duration", "broadcastTimeout", DURATION),
  key("statsite_addr", "string", "statsiteAddr", 'an address with port such as "127.0.0.1:8125"'),
  key("statsd_addr", "string", "statsdAddr", 'an address with port such as "127.0.0.1:8125"'),
  key("metrics_addr", "string", "metricsAddr", 'an address with port such as "127.0.0.1:9107"'),
  key("packet_workers", "int", "packetWorkers", "a whole number from 0 (no threads) to 16"),
  key("validate_node_names", "bool", "validateNodeNames", YES_NO),
  key("mdns", "mdns", null, 'an object such as {"interface": "eth0", "disable_ipv6": true}'),
];

/** Members of the `mdns` object. */
export const MDNS_KEYS: readonly ConfigKey[] = [
  key("interface", "string", "mdnsInterface", 'the name of a network interface such as "eth0"'),
  key("disable_ipv4", "bool", "mdnsDisableIPv4", YES_NO),
  key("disable_ipv6", "bool", "mdnsDisableIPv6", YES_NO),
];
