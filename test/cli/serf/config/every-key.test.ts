/** The whole list of configuration keys: a good value, another one, and values of the right type that no agent can run with. A new key fails here until it has its row. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { runAgent, type AgentSignal, type AgentWorld } from "../../../../src/cli/serf/agent-run.ts";
import type { FullConfig } from "../../../../src/cli/serf/agent-settings.ts";
import { notReloadable } from "../../../../src/cli/serf/agent-reload.ts";
import { AgentUi } from "../../../../src/cli/serf/agent-ui.ts";
import { decodeConfig } from "../../../../src/cli/serf/config/decode.ts";
import { DEFAULTS, mergeConfigs } from "../../../../src/cli/serf/config/merge.ts";
import { CONFIG_KEYS, MDNS_KEYS, type ConfigKey, type SerfConfig } from "../../../../src/cli/serf/config/schema.ts";
import { startRpcServer } from "../../../../src/io/rpc-server.ts";
import { SerfAgent } from "../../../../src/io/serf-agent.ts";
import { nextLoopbackIp } from "../../../support/loopback.ts";
import { projectPath } from "../../../support/project-root.ts";
import { tempDir } from "../../../support/temp-dir.ts";

interface Row {
  readonly good: unknown;
  /** What the decoder makes of `good`, where that is not the same. */
  readonly means?: unknown;
  readonly other: unknown;
  /** Of the right type, and refused at the start; left out where every value is one. */
  readonly refused?: readonly unknown[];
}

const KEY_16 = "MDEyMzQ1Njc4OWFiY2RlZg==";
const NOWHERE = "/nonexistent-muster/file";
const ROWS: Readonly<Record<string, Row>> = {
  node_name: { good: "web-1", other: "web-2" },
  role: { good: "web", other: "db" },
  tags: { good: { a: "1", b: "" }, means: new Map([["a", "1"], ["b", ""]]), other: { a: "2" } },
  tags_file: { good: "/var/tags", other: "/var/others", refused: [projectPath("README.md")] },
  bind: { good: "127.0.0.9:7946", other: "127.0.0.10", refused: ["127.0.0.9:x", "127.0.0.9:70000", "1.2.3.4.5", "192.0.2.1:7946"] },
  advertise: { good: "127.0.0.9:7946", other: "127.0.0.10", refused: ["127.0.0.9:x", ":7946"] },
  interface: { good: "lo", other: "eth0", refused: ["nosuch0"] },
  encrypt_key: { good: KEY_16, other: "MDEyMzQ1Njc4OWFiY2RlZw==", refused: ["***", "c2hvcnQ="] },
  keyring_file: { good: "/var/keys", other: "/var/others", refused: [NOWHERE] },
  log_level: { good: "debug", other: "WARN", refused: ["loud"] },
  rpc_addr: { good: "127.0.0.9:7373", other: "127.0.0.9:7374", refused: ["127.0.0.9", "127.0.0.9:x", "192.0.2.1:7373"] },
  rpc_auth: { good: "secret", other: "other" },
  protocol: { good: 4, other: 3, refused: [1, 6, 258] },
  replay_on_join: { good: true, other: false },
  query_response_size_limit: { good: 2048, other: 512, refused: [-1] },
  query_size_limit: { good: 2048, other: 512, refused: [-1] },
  user_event_size_limit: { good: 600, other: 700, refused: [-1, 9217] },
  start_join: { good: ["127.0.0.2", "127.0.0.3:7946"], other: ["127.0.0.2"] },
  retry_join: { good: ["127.0.0.2"], other: ["127.0.0.2", "127.0.0.3"] },
  retry_max_attempts: { good: 3, other: 4, refused: [-1] },
  retry_interval: { good: "1m30s", means: 90_000, other: "10s", refused: ["5", "soon"] },
  event_handlers: { good: ["member-join=a", "b"], other: ["b"], refused: [["nope=x"]] },
  profile: { good: "local", other: "wan", refused: ["moon"] },
  snapshot_path: { good: "/var/snap", other: "/var/other", refused: [NOWHERE] },
  rejoin_after_leave: { good: true, other: false },
  leave_on_terminate: { good: true, other: false },
  skip_leave_on_interrupt: { good: true, other: false },
  discover: { good: "web", other: "db" },
  reconnect_interval: { good: "5s", means: 5000, other: "6s", refused: ["-1s", "x"] },
  reconnect_timeout: { good: "1h", means: 3_600_000, other: "6s", refused: ["-1s", "x"] },
  tombstone_timeout: { good: "1h", means: 3_600_000, other: "6s", refused: ["-1s", "x"] },
  disable_name_resolution: { good: true, other: false },
  disable_coordinates: { good: true, other: false },
  enable_syslog: { good: true, other: false },
  syslog_facility: { good: "DAEMON", other: "LOCAL1" },
  enable_compression: { good: true, other: false },
  broadcast_timeout: { good: "2s", means: 2000, other: "3s", refused: ["x"] },
  statsite_addr: { good: "127.0.0.1:8125", other: "127.0.0.1:8126", refused: ["127.0.0.1", "127.0.0.1:x"] },
  statsd_addr: { good: "127.0.0.1:8125", other: "127.0.0.1:8126", refused: ["127.0.0.1", "127.0.0.1:x"] },
  metrics_addr: { good: "127.0.0.1:9107", other: "127.0.0.1:9108", refused: ["127.0.0.1", "127.0.0.1:x", "192.0.2.1:9107"] },
  packet_workers: { good: 2, other: 0, refused: [-1, 17] },
  validate_node_names: { good: true, other: false },
  mdns: { good: {}, other: {} },
  "mdns.interface": { good: "lo", other: "eth0" },
  "mdns.disable_ipv4": { good: true, other: false },
  "mdns.disable_ipv6": { good: true, other: false },
};
const ALL: readonly (readonly [string, ConfigKey])[] = [...CONFIG_KEYS.map((key) => [key.key, key] as const), ...MDNS_KEYS.map((key) => [`mdns.${key.key}`, key] as const)];
/** A JSON value of each type that is not the key's. */
const OTHER_TYPES: Readonly<Record<ConfigKey["kind"], readonly unknown[]>> = {
  string: [1, true, ["a"], { a: "b" }],
  duration: [30, true, ["1s"]],
  int: ["1", true, [1], {}],
  bool: ["true", 1, []],
  strings: ["a", 1, { a: "b" }, [1]],
  tags: ["a=b", ["a"], 1, { a: 1 }],
  mdns: ["lo", true, ["lo"]],
};

function file(path: string, value: unknown): string {
  return JSON.stringify(path.startsWith("mdns.") ? { mdns: { [path.slice(5)]: value } } : { [path]: value });
}

function decode(path: string, value: unknown): SerfConfig {
  const decoded = decodeConfig("c.json", Buffer.from(file(path, value)));
  assert.ok(decoded.ok, decoded.ok ? "" : decoded.error);
  return decoded.config;
}

test("every key has its row here", () => {
  assert.deepEqual(Object.keys(ROWS).sort(), ALL.map(([path]) => path).sort());
});

test("every key: a good value is taken, and together they are one configuration", () => {
  let merged: SerfConfig = {};
  for (const [path, { field }] of ALL) {
    const row = ROWS[path] as Row;
    const config = decode(path, row.good);
    assert.deepEqual(config, field === null ? {} : { [field]: row.means ?? row.good }, path);
    merged = mergeConfigs(merged, config);
  }
  const fields = ALL.flatMap(([, { field }]) => (field === null ? [] : [field]));
  assert.deepEqual(Object.keys(merged).sort(), fields.sort());
});

test("every key: a value of another type is refused with file, key and accepted form", () => {
  for (const [path, { kind, accepts }] of ALL) {
    for (const value of OTHER_TYPES[kind]) {
      const decoded = decodeConfig("c.json", Buffer.from(file(path, value)));
      assert.ok(!decoded.ok, `${path}: ${JSON.stringify(value)}`);
      assert.match(decoded.error, /^Error decoding 'c\.json': 1 error\(s\) decoding:/);
      assert.deepEqual(decoded.hints, [`c.json: ${path}: expects ${accepts}`]);
    }
  }
});

test("every key: a reload applies it, or says that it needs a restart", () => {
  const settings = (path: string, value: unknown) => ({ ...DEFAULTS, ...decode(path, value) }) as FullConfig;
  for (const [path, { field, reloads }] of ALL) {
    const { good, other } = ROWS[path] as Row;
    assert.deepEqual(notReloadable(settings(path, good), settings(path, other)), reloads || field === null ? [] : [path], path);
    assert.deepEqual(notReloadable(settings(path, good), settings(path, good)), [], path);
  }
});

test("every key: a value that no agent can run with ends the start with 1, naming file, key and accepted form", async (t) => {
  const dir = tempDir(t);
  const wrong: string[] = [];
  for (const [path, { accepts }] of ALL) {
    for (const [i, value] of ((ROWS[path] as Row).refused ?? []).entries()) {
      const config = join(dir, `${path}-${i}.json`);
      writeFileSync(config, file(path, value));
      const ip = nextLoopbackIp();
      const given: Readonly<Record<string, string>> = { bind: `-bind=${ip}:7946`, rpc_addr: `-rpc-addr=${ip}:7373`, node_name: "-node=n" };
      const words = Object.entries(given).flatMap(([key, flag]) => (key === path ? [] : [flag]));
      const { exit, out, hints } = await startAndEnd([...words, `-config-file=${config}`]);
      if (exit === 1 && hints.includes(`hint: ${config}: ${path}: expects ${accepts}`)) continue;
      wrong.push(`${path} ${JSON.stringify(value)}: ${exit}\n${[...out, ...hints].join("\n")}`);
    }
  }
  assert.deepEqual(wrong, []);
});

/** Runs the agent in this process. One that gets as far as running is ended, which gives null for the exit code. */
async function startAndEnd(words: readonly string[]): Promise<{ readonly exit: number | null; readonly out: readonly string[]; readonly hints: readonly string[] }> {
  let end: (signal: AgentSignal) => void = () => undefined;
  let ran = false;
  const world: AgentWorld = {
    startAgent: (options) => SerfAgent.start(options),
    startRpc: startRpcServer,
    onSignal(listener) {
      end = listener;
      return () => undefined;
    },
  };
  const out: string[] = [];
  const hints: string[] = [];
  const ui = new AgentUi({
    out(line) {
      out.push(line);
      if (ran || !line.includes("Log data will now stream in")) return;
      ran = true;
      setImmediate(() => end("terminated"));
    },
    err: (line) => void hints.push(line),
  });
  const exit = await runAgent(words, "USAGE", ui, world);
  return { exit: ran ? null : exit, out, hints };
}
