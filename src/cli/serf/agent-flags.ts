/** The flags of `serf agent`, and the configuration they stand for. */
import type { FlagSpecs, FlagValues } from "../flags.ts";
import { parseDuration } from "../../wire/go-duration.ts";
import type { SerfConfig } from "./config/schema.ts";
import { parseTagFlags } from "./config/tag-flags.ts";
import { ok, type Result } from "../../base/result.ts";

export const AGENT_FLAGS = {
  "advertise": { kind: "string", value: "<ip[:port]>", help: "Address that other members use to reach this one; default: the bind address" },
  "bind": { kind: "string", value: "<ip[:port]>", help: "Address to listen on for gossip; default 0.0.0.0:7946; IPv6 as [::1]:7946" },
  "broadcast-timeout": { kind: "string", value: "<duration>", help: "Longest wait for a leave or a removal to spread; default 5s, at least 1s" },
  "config-dir": { kind: "list", value: "<dir>", help: "Directory whose *.json files are read by name; may be repeated", into: "config-file" },
  "config-file": { kind: "list", value: "<file>", help: "JSON file to read settings from; may be repeated, later ones win" },
  "disable-compression": { kind: "bool", value: "", help: "Send gossip uncompressed" },
  "discover": { kind: "string", value: "<cluster>", help: "Find and join members of this name on the local network by mDNS" },
  "encrypt": { kind: "string", value: "<key>", help: "Gossip key: 16, 24 or 32 bytes in base64, as keygen prints it" },
  "event-handler": { kind: "list", value: "<[filter=]command>", help: "Command to run on events, such as member-join,user:deploy=./on-event.sh; may be repeated" },
  "iface": { kind: "string", value: "<name>", help: "Network interface to bind to, and to use for mDNS" },
  "join": { kind: "list", value: "<addr>", help: "Member to join at start; the agent ends when none answers; may be repeated" },
  "keyring-file": { kind: "string", value: "<file>", help: "File that keeps the gossip keys, primary first; cannot be used with -encrypt" },
  "log-level": { kind: "string", value: "<level>", help: "trace, debug, info, warn or err; default info" },
  "mdns-disable-ipv4": { kind: "bool", value: "", help: "Do not use IPv4 for mDNS" },
  "mdns-disable-ipv6": { kind: "bool", value: "", help: "Do not use IPv6 for mDNS" },
  "mdns-iface": { kind: "string", value: "<name>", help: "Network interface for mDNS; default: that of -iface" },
  "metrics-addr": { kind: "string", value: "<[ip]:port>", help: "Serve Prometheus metrics at /metrics; off by default; without an address on 127.0.0.1" },
  "node": { kind: "string", value: "<name>", help: "Name of this node, unique in the cluster; default: the host name" },
  "packet-workers": { kind: "int", value: "<n>", help: "Threads that open and seal packets, 0 to 16; default: cores less one, at most 4" },
  "profile": { kind: "string", value: "<name>", help: "Timing profile: lan, wan or local; default lan" },
  "protocol": { kind: "int", value: "<n>", help: "Serf protocol version to speak, 2 to 5; default 5" },
  "rejoin": { kind: "bool", value: "", help: "Rejoin from the snapshot even after a leave" },
  "replay": { kind: "bool", value: "", help: "Replay past user events when joining at start" },
  "retry-interval": { kind: "string", value: "<duration>", help: "Wait between attempts of -retry-join; default 30s, at least 1s" },
  "retry-join": { kind: "list", value: "<addr>", help: "Member to join, tried again until it answers; may be repeated" },
  "retry-max": { kind: "int", value: "<n>", help: "Attempts of -retry-join before the agent gives up and ends; default 0, no limit" },
  "role": { kind: "string", value: "<text>", help: "Deprecated: use -tag role=<text>" },
  "rpc-addr": { kind: "string", value: "<ip:port>", help: "Address to listen on for RPC clients; default 127.0.0.1:7373" },
  "snapshot": { kind: "string", value: "<file>", help: "File that remembers members and clocks over a restart" },
  "syslog": { kind: "bool", value: "", help: "Send the log to syslog as well" },
  "tag": { kind: "list", value: "<key=value>", help: "Tag of this node; may be repeated" },
  "tags-file": { kind: "string", value: "<file>", help: "File that keeps tags changed at run time; cannot be used with -tag" },
} as const satisfies FlagSpecs;

/** Settings that the flags give. The error is the original's, complete. */
export function configFromFlags(flags: FlagValues<typeof AGENT_FLAGS>): Result<SerfConfig> {
  const tags = parseTagFlags(flags.tag ?? []);
  if (!tags.ok) return tags;
  const retryInterval = optionalDuration(flags["retry-interval"]);
  if (!retryInterval.ok) return retryInterval;
  const broadcastTimeout = optionalDuration(flags["broadcast-timeout"]);
  if (!broadcastTimeout.ok) return broadcastTimeout;
  const config: { [Field in keyof SerfConfig]: SerfConfig[Field] | undefined } = {
    nodeName: flags.node,
    role: flags.role,
    tags: tags.value,
    tagsFile: flags["tags-file"],
    bind: flags.bind,
    advertise: flags.advertise,
    interface: flags.iface,
    encryptKey: flags.encrypt,
    keyringFile: flags["keyring-file"],
    logLevel: flags["log-level"],
    rpcAddr: flags["rpc-addr"],
    protocol: flags.protocol,
    replayOnJoin: flags.replay,
    startJoin: flags.join,
    retryJoin: flags["retry-join"],
    retryMaxAttempts: flags["retry-max"],
    retryInterval: retryInterval.value,
    eventHandlers: flags["event-handler"],
    profile: flags.profile,
    snapshotPath: flags.snapshot,
    rejoinAfterLeave: flags.rejoin,
    discover: flags.discover,
    enableSyslog: flags.syslog,
    broadcastTimeout: broadcastTimeout.value,
    metricsAddr: flags["metrics-addr"],
    packetWorkers: flags["packet-workers"],
    mdnsInterface: flags["mdns-iface"],
    mdnsDisableIPv4: flags["mdns-disable-ipv4"],
    mdnsDisableIPv6: flags["mdns-disable-ipv6"],
  };
  return ok(Object.fromEntries(Object.entries(config).filter(([, value]) => value !== undefined)) as SerfConfig);
}

function optionalDuration(text: string | undefined): Result<number | undefined> {
  return text === undefined || text === "" ? ok(undefined) : parseDuration(text);
}
