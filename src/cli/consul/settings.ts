/**
 * Settings of a Consul agent by their configuration key: how each is written in a file, which flag sets it, and which of the original's keys are known but
 * not offered. Files and flags are merged as values of this table: scalars override, lists append (reference: consul-agent §5.1).
 */
import type { FlagSpec } from "../flags.ts";

export type SettingKind = "string" | "bool" | "int" | "duration" | "list" | "map";

export interface Setting {
  /** Path in a file: "performance.raft_multiplier". */
  readonly key: string;
  readonly kind: SettingKind;
  /** Flag name, "" for none; of a map a repeated `key:value`. */
  readonly flag: string;
  /** How the value is written, for help and complaints. */
  readonly value: string;
  readonly help: string;
}

function setting(key: string, kind: SettingKind, flag: string, value: string, help: string): Setting {
  return { key, kind, flag, value, help };
}

export const SETTINGS: readonly Setting[] = [
  setting("advertise_addr", "string", "advertise", "<ip>", "Address that others reach this agent at"),
  setting("bind_addr", "string", "bind", "<ip>", "Address for gossip and server traffic"),
  setting("bootstrap", "bool", "bootstrap", "", "This server alone makes up the cluster"),
  setting("bootstrap_expect", "int", "bootstrap-expect", "<n>", "Servers to wait for before the first election"),
  setting("client_addr", "string", "client", "<ip>", "Address for HTTP; several are separated by blanks"),
  setting("data_dir", "string", "data-dir", "<dir>", "Directory for the agent's state"),
  setting("datacenter", "string", "datacenter", "<name>", "Datacenter of this agent"),
  setting("disable_host_node_id", "bool", "disable-host-node-id", "", "Draw the node id at random (always so here)"),
  setting("disable_anonymous_signature", "bool", "", "", "Nothing is ever sent to anybody"),
  setting("disable_update_check", "bool", "", "", "No updates are ever looked for"),
  setting("encrypt", "string", "encrypt", "<key>", "Base64 of 16, 24 or 32 bytes that encrypt gossip"),
  setting("leave_on_terminate", "bool", "", "", "Leave the cluster on TERM"),
  setting("log_json", "bool", "log-json", "", "Write log lines as JSON"),
  setting("log_level", "string", "log-level", "<level>", "TRACE, DEBUG, INFO, WARN or ERR"),
  setting("node_id", "string", "node-id", "<uuid>", "Id of this node; kept in the data directory"),
  setting("node_meta", "map", "node-meta", "<key:value>", "Meta data of this node; may be repeated"),
  setting("node_name", "string", "node", "<name>", "Name of this node, unique in the datacenter"),
  setting("non_voting_server", "bool", "non-voting-server", "", "This server does not vote"),
  setting("pid_file", "string", "pid-file", "<path>", "File for the process id"),
  setting("raft_protocol", "int", "raft-protocol", "<n>", "3"),
  setting("raft_snapshot_interval", "duration", "", "<duration>", "Pause between two looks at whether a snapshot is due"),
  setting("raft_snapshot_threshold", "int", "", "<n>", "Log entries that make a snapshot due"),
  setting("raft_trailing_logs", "int", "", "<n>", "Log entries kept behind a snapshot"),
  setting("reconnect_timeout", "duration", "", "<duration>", "Failed nodes are forgotten after this; at least 8h"),
  setting("rejoin_after_leave", "bool", "rejoin", "", "Join again after a leave"),
  setting("retry_interval", "duration", "retry-interval", "<duration>", "Pause between two attempts to join"),
  setting("retry_join", "list", "retry-join", "<addr>", "Address to join, until it succeeds; may be repeated"),
  setting("retry_max", "int", "retry-max", "<n>", "Attempts to join; 0 for no end"),
  setting("server", "bool", "server", "", "Run as a server"),
  setting("skip_leave_on_interrupt", "bool", "", "", "Do not leave the cluster on INT"),
  setting("start_join", "list", "join", "<addr>", "Address to join at start; may be repeated"),
  setting("ports.dns", "int", "dns-port", "<port>", "Not offered yet: nothing listens there"),
  setting("ports.grpc", "int", "grpc-port", "<port>", "Not offered: only -1"),
  setting("ports.http", "int", "http-port", "<port>", "Port of the HTTP API, -1 for none"),
  setting("ports.https", "int", "https-port", "<port>", "Not offered yet: only -1"),
  setting("ports.serf_lan", "int", "serf-lan-port", "<port>", "Gossip port"),
  setting("ports.serf_wan", "int", "serf-wan-port", "<port>", "Not offered yet: nothing listens there"),
  setting("ports.server", "int", "server-port", "<port>", "Port for servers and RPC"),
  setting("performance.leave_drain_time", "duration", "", "<duration>", "How long a server that left goes on answering"),
  setting("performance.raft_multiplier", "int", "", "<n>", "1 to 10: how patient Raft's timers are"),
  setting("performance.rpc_hold_timeout", "duration", "", "<duration>", "How long a request waits for a leader"),
  setting("limits.http_max_conns_per_client", "int", "", "<n>", "Connections to HTTP from one address"),
  setting("limits.kv_max_value_size", "int", "", "<bytes>", "Largest value of a key"),
  setting("limits.rpc_max_conns_per_client", "int", "", "<n>", "Connections to the server port from one address"),
  setting("limits.txn_max_req_len", "int", "", "<bytes>", "Largest transaction"),
  setting("autopilot.cleanup_dead_servers", "bool", "", "", "Remove failed servers from the Raft configuration"),
  setting("autopilot.last_contact_threshold", "duration", "", "<duration>", "A healthy server answers within this"),
  setting("autopilot.max_trailing_logs", "int", "", "<n>", "A healthy server is not further behind than this"),
  setting("autopilot.min_quorum", "int", "", "<n>", "Servers that are never removed"),
  setting("autopilot.server_stabilization_time", "duration", "", "<duration>", "Health that a new server must show before it votes"),
];

/** Keys of the original that this version does not offer: named at start, never ignored. */
export const NOT_OFFERED: ReadonlySet<string> = new Set([
  "acl", "acl_agent_master_token", "acl_agent_token", "acl_datacenter", "acl_default_policy", "acl_down_policy", "acl_enable_key_list_policy", "acl_master_token",
  "acl_replication_token", "acl_token", "acl_ttl", "addresses", "advertise_addr_ipv4", "advertise_addr_ipv6", "advertise_addr_wan", "advertise_addr_wan_ipv4",
  "advertise_addr_wan_ipv6", "advertise_reconnect_timeout", "alt_domain", "audit", "auto_config", "auto_encrypt", "ca_file", "ca_path", "cache", "cert_file", "check",
  "check_output_max_size", "check_update_interval", "checks", "config_entries", "connect", "default_query_time", "disable_coordinates",
  "disable_http_unprintable_char_filter", "disable_keyring_file", "disable_remote_exec", "discard_check_output", "discovery_max_stale", "dns_config",
  "domain", "enable_acl_replication", "enable_additional_node_meta_txt", "enable_agent_tls_for_checks", "enable_central_service_config", "enable_debug",
  "enable_local_script_checks", "enable_script_checks", "enable_syslog", "encrypt_verify_incoming", "encrypt_verify_outgoing", "gossip_lan", "gossip_wan", "http_config",
  "key_file", "limits.https_handshake_timeout", "limits.rpc_handshake_timeout", "limits.rpc_max_burst", "limits.rpc_rate", "log_file", "log_rotate_bytes",
  "log_rotate_duration", "log_rotate_max_files", "max_query_time", "ports.expose_max_port", "ports.expose_min_port", "ports.sidecar_max_port", "ports.sidecar_min_port",
  "primary_datacenter", "primary_gateways", "primary_gateways_interval", "protocol", "reconnect_timeout_wan", "recursor", "recursors", "retry_interval_wan", "retry_join_wan",
  "retry_max_wan", "segment", "segments", "serf_lan", "serf_lan_allowed_cidrs", "serf_wan", "serf_wan_allowed_cidrs", "server_name", "service", "services",
  "session_ttl_min", "start_join_wan", "syslog_facility", "telemetry", "tls_cipher_suites", "tls_min_version", "tls_prefer_server_cipher_suites", "translate_wan_addrs",
  "ui", "ui_content_path", "ui_dir", "unix_sockets", "verify_incoming", "verify_incoming_https", "verify_incoming_rpc", "verify_outgoing", "verify_server_hostname", "watches",
]);

const FLAG_KINDS: Readonly<Record<SettingKind, FlagSpec["kind"]>> = { string: "string", bool: "bool", int: "int", duration: "string", list: "list", map: "list" };

/** Flags of `consul agent`. */
export const AGENT_FLAGS: Readonly<Record<string, FlagSpec>> = {
  dev: { kind: "bool", value: "", help: "One server in memory, for trying things out" },
  "config-file": { kind: "list", value: "<path>", help: "Configuration file in JSON; may be repeated", into: "config" },
  "config-dir": { kind: "list", value: "<dir>", help: "Directory whose .json files are read in order; may be repeated", into: "config" },
  config: { kind: "list", value: "<path>", help: "The same, file or directory" },
  ...Object.fromEntries(SETTINGS.filter(({ flag }) => flag !== "").map(({ flag, kind, value, help }) => [flag, { kind: FLAG_KINDS[kind], value, help }] as const)),
};
