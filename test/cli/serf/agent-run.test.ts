import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, beforeEach, mock, test } from "node:test";
import { runAgent, type AgentSignal, type AgentWorld } from "../../../src/cli/serf/agent-run.ts";
import { AgentUi } from "../../../src/cli/serf/agent-ui.ts";
import type { RpcServerOptions } from "../../../src/io/rpc-server.ts";
import { SerfError, type SerfAgentApi, type SerfAgentOptions } from "../../../src/io/serf-agent-api.ts";
import type { Member } from "../../../src/serf/types.ts";

const dir = mkdtempSync(join(tmpdir(), "muster-agent-"));
after(() => rmSync(dir, { recursive: true }));
const file = join(dir, "c.json");
beforeEach(() => writeFileSync(file, "{}"));

/** Runs the command with an agent that only remembers what it was told. */
function start(words: readonly string[], joins: (addresses: readonly string[]) => { nodes: number; error: string } = () => ({ nodes: 1, error: "" })) {
  const lines: string[] = [];
  const calls: string[] = [];
  let options: SerfAgentOptions | null = null;
  let rpc: RpcServerOptions | null = null;
  let signal: (name: AgentSignal) => void = () => assert.fail("no signal is expected yet");
  let leave: { resolve: () => void; reject: (error: Error) => void } | null = null;
  let stop: (reason: "leave" | "shutdown" | "conflict") => void = () => undefined;
  const stopped = new Promise<{ reason: "leave" | "shutdown" | "conflict" }>((resolve) => (stop = (reason) => resolve({ reason })));
  let tags: ReadonlyMap<string, string> = new Map();
  const world: AgentWorld = {
    startAgent: (given) => {
      options = given;
      tags = given.tags;
      const { name, bind, advertise } = given;
      const agent: Partial<SerfAgentApi> = {
        name,
        bind,
        advertise,
        stopped,
        self: () => ({ tags }) as Member,
        subscribe: () => () => undefined,
        stats: () => new Map([["agent", new Map([["name", name]])]]),
        join: async (addresses, replay) => {
          calls.push(`join ${addresses.join(" ")} ${replay}`);
          return joins(addresses);
        },
        leave: () =>
          new Promise((resolve, reject) => {
            calls.push("leave");
            leave = { resolve, reject };
          }),
        shutdown: async () => void calls.push("shutdown"),
        setTags: async (given) => {
          if ([...given.values()].includes("too long")) throw new SerfError("Encoded length of tags exceeds limit of 512 bytes");
          tags = given;
          calls.push(`tags ${[...given].flat().join(" ")}`);
        },
      };
      return Promise.resolve(agent as SerfAgentApi);
    },
    startRpc: (given) => {
      rpc = given;
      return Promise.resolve({ address: given.listen, connectionCount: 0, close: async () => void calls.push("rpc closed") });
    },
    onSignal: (listener) => {
      signal = listener;
      return () => undefined;
    },
  };
  const ui = new AgentUi({ out: (line) => void lines.push(line), err: (line) => void lines.push(`stderr ${line}`) });
  const exit = runAgent(["-node=n", "-bind=127.0.0.1:7946", `-config-file=${file}`, ...words], "USAGE", ui, world);
  const settle = async (): Promise<void> => {
    for (let i = 0; i < 20; i += 1) await new Promise((resolve) => setImmediate(resolve));
  };
  return {
    exit, lines, calls, settle,
    signal: async (name: AgentSignal) => (signal(name), settle()),
    ready: async () => {
      while (!lines.some((line) => line.includes("Log data"))) await new Promise((resolve) => setImmediate(resolve));
      await settle();
      lines.length = 0;
    },
    options: () => options as SerfAgentOptions | null,
    rpc: () => rpc as RpcServerOptions | null,
    leave: () => leave as { resolve: () => void; reject: (error: Error) => void } | null,
    stop: (reason: "leave" | "shutdown" | "conflict") => stop(reason),
  };
}

test("an interrupt leaves, then closes everything", async () => {
  const run = start([]);
  await run.ready();
  await run.signal("interrupt");
  assert.deepEqual(run.lines, ["==> Caught signal: interrupt", "==> Gracefully shutting down agent..."]);
  run.leave()?.resolve();
  assert.equal(await run.exit, 0);
  assert.deepEqual(run.calls, ["leave", "shutdown", "rpc closed"]);
});

test("a leave that fails is shown and ends with 1", async () => {
  const run = start([]);
  await run.ready();
  await run.signal("interrupt");
  run.leave()?.reject(new SerfError("timeout while waiting for graceful leave"));
  assert.equal(await run.exit, 1);
  assert.ok(run.lines.includes("==> Error: timeout while waiting for graceful leave"));
});

test("a leave that takes longer than three seconds is given up", async () => {
  const run = start([]);
  await run.ready();
  mock.timers.enable({ apis: ["setTimeout"] });
  try {
    await run.signal("interrupt");
    mock.timers.tick(2999);
    await run.settle();
    assert.ok(!run.calls.includes("shutdown"));
    mock.timers.tick(1);
    assert.equal(await run.exit, 1);
  } finally {
    mock.timers.reset();
  }
});

test("a second signal ends the agent at once", async () => {
  const run = start([]);
  await run.ready();
  await run.signal("interrupt");
  await run.signal("terminated");
  assert.equal(await run.exit, 1);
});

test("an RPC client's leave ends with 0, a lost name with a warning", async () => {
  const left = start([]);
  await left.ready();
  left.stop("leave");
  assert.equal(await left.exit, 0);
  const lost = start([]);
  await lost.ready();
  lost.stop("conflict");
  assert.equal(await lost.exit, 0);
  assert.match(lost.lines.at(-1) ?? "", / \[WARN\] agent: Serf shutdown detected, quitting$/);
});

test("a reload applies level, handlers, tags and the switches about leaving, and names the rest", async () => {
  writeFileSync(file, '{"tags": {"a": "1"}, "profile": "lan", "event_handlers": ["user=one"]}');
  const run = start([]);
  await run.ready();
  assert.deepEqual([...(run.rpc()?.stats?.().get("event_handlers") ?? [])], [["user:", "one"]]);
  writeFileSync(file, '{"tags": {"a": "2"}, "profile": "wan", "rpc_auth": "x", "start_join": ["127.0.0.1:1"], "mdns": {"disable_ipv6": true},' +
    '"leave_on_terminate": true, "skip_leave_on_interrupt": true, "log_level": "err", "event_handlers": ["query:q=two", "*=three"]}');
  await run.signal("hangup");
  assert.deepEqual(run.lines, [
    "==> Caught signal: hangup",
    "==> Reloading configuration...",
    "==> Changed, but needs a restart: mdns.disable_ipv6, profile, rpc_auth, start_join",
  ]);
  assert.deepEqual(run.calls, ["tags a 2"]);
  assert.deepEqual([...(run.rpc()?.stats?.().get("event_handlers") ?? [])], [["query:q", "two"], ["*:", "three"]]);
  run.lines.length = 0;
  run.options()?.log.write("warn", "agent: not shown any more");
  run.options()?.log.write("err", "agent: shown");
  assert.match(run.lines.join(), /^ {4}.* \[ERR\] agent: shown$/);
  await run.signal("terminated");
  assert.deepEqual(run.calls.slice(1), ["leave"]);
  run.leave()?.resolve();
  assert.equal(await run.exit, 0);
});

test("a reload with mistakes changes nothing, or what it can", async () => {
  writeFileSync(file, '{"tags": {"a": "1"}}');
  const run = start([]);
  await run.ready();
  writeFileSync(file, '{"tags');
  await run.signal("hangup");
  assert.deepEqual(run.lines.slice(2), [
    `==> Error decoding '${file}': unexpected EOF`,
    `stderr hint: ${file}: expects one JSON object such as {"node_name": "web-1"}`,
    "==> Failed to reload configs",
  ]);
  run.lines.length = 0;
  writeFileSync(file, '{"tags": {"a": "too long"}, "log_level": "loud"}');
  await run.signal("hangup");
  assert.deepEqual(run.lines.slice(2), [
    "==> Invalid log level: LOUD. Valid log levels are: [TRACE DEBUG INFO WARN ERR]",
    `stderr hint: ${file}: log_level: expects trace, debug, info, warn or err, in quotes`,
    "==> Failed to update tags: Encoded length of tags exceeds limit of 512 bytes",
  ]);
  assert.deepEqual(run.calls, []);
  run.stop("leave");
  await run.exit;
});

test("a reload leaves the tags of a tags file alone", async () => {
  const tagsFile = join(dir, "tags.json");
  writeFileSync(tagsFile, '{"a": "1"}');
  const run = start([`-tags-file=${tagsFile}`]);
  await run.ready();
  assert.deepEqual(run.options()?.tags, new Map([["a", "1"]]));
  await run.signal("hangup");
  assert.deepEqual(run.calls, []);
  run.stop("leave");
  await run.exit;
});

test("the signal for measurements prints what was counted to standard error", async () => {
  const run = start([]);
  await run.ready();
  run.options()?.metrics?.count("serf.events", 2);
  await run.signal("user defined signal 1");
  assert.match(run.lines.join("\n"), /^stderr \[.* \+0000 UTC\]\[C\] 'serf-agent\.serf\.events': Count: 1 Sum: 2\.000 LastUpdated: /);
  run.stop("leave");
  await run.exit;
});

test("an RPC port that anybody reaches without a token is warned about", async () => {
  for (const [words, warns] of [
    [["-rpc-addr=0.0.0.0:7373"], true],
    [["-rpc-addr=127.0.0.1:7373"], false],
  ] as const) {
    const run = start(words);
    while (!run.lines.some((line) => line.includes("Log data"))) await new Promise((resolve) => setImmediate(resolve));
    await run.settle();
    assert.equal(run.lines.some((line) => /\[WARN\] agent: RPC on 0\.0\.0\.0:7373 asks for no token/.test(line)), warns);
    run.stop("leave");
    await run.exit;
  }
});

test("a join at start that reaches nobody ends the agent", async () => {
  const run = start(["-join=a", "-join=b", "-replay"], () => ({ nodes: 0, error: "2 errors occurred:\n\t* x\n\t* y\n\n" }));
  assert.equal(await run.exit, 1);
  assert.deepEqual(run.lines.slice(-2), ["==> Joining cluster...(replay: true)", "==> 2 errors occurred:\n\t* x\n\t* y\n\n"]);
  assert.deepEqual(run.calls, ["join a b true", "shutdown", "rpc closed"]);
});

test("a background join goes on until a member answers", async () => {
  let attempts = 0;
  mock.timers.enable({ apis: ["setTimeout"] });
  try {
    const run = start(["-retry-join=a", "-retry-interval=90s"], () => ((attempts += 1) < 3 ? { nodes: 0, error: "no" } : { nodes: 2, error: "" }));
    while (!run.lines.some((line) => line.includes("Log data"))) await new Promise((resolve) => setImmediate(resolve));
    await run.settle();
    for (let i = 0; i < 4; i += 1) {
      mock.timers.tick(90_000);
      await run.settle();
    }
    assert.equal(attempts, 3);
    const about = run.lines.filter((line) => /Join/.test(line)).map((line) => line.slice(line.indexOf("[")));
    assert.deepEqual(about, [
      "[INFO] agent: Joining cluster...(replay: false)",
      "[WARN] agent: Join failed: no, retrying in 1m30s",
      "[INFO] agent: Joining cluster...(replay: false)",
      "[WARN] agent: Join failed: no, retrying in 1m30s",
      "[INFO] agent: Joining cluster...(replay: false)",
      "[INFO] agent: Join completed. Synced with 2 initial agents",
    ]);
    run.stop("leave");
    await run.exit;
  } finally {
    mock.timers.reset();
  }
});

/** A value that no decoder can refuse, and what the agent says about it. */
const WRONG_VALUES: readonly (readonly [string, string])[] = [
  ['{"log_level": "loud"}', "Invalid log level: LOUD. Valid log levels are: [TRACE DEBUG INFO WARN ERR]"],
  ['{"profile": "moon"}', "Unknown profile: moon"],
  ['{"advertise": "1.2.3.4:70000"}', "Invalid advertise address: address 70000: invalid port"],
  ['{"interface": "nosuch0"}', "Invalid network interface: route ip+net: no such network interface"],
  ['{"encrypt_key": "%%%"}', "Invalid encryption key: illegal base64 data at input byte 0"],
  ['{"event_handlers": ["a=b"]}', "Invalid event script: Event 'a' invoking 'b'"],
  ['{"statsd_addr": "nowhere"}', "Invalid statsd address: address nowhere: missing port in address"],
  ['{"statsite_addr": "127.0.0.1:x"}', "Invalid statsite address: address tcp/x: unknown port"],
  ['{"metrics_addr": "127.0.0.1"}', "Invalid metrics address: address 127.0.0.1: missing port in address"],
  ['{"enable_syslog": true, "syslog_facility": "FOO"}', "Syslog setup failed: invalid syslog facility: FOO"],
  ['{"rpc_addr": "127.0.0.1"}', "Error starting RPC listener: listen tcp: address 127.0.0.1: missing port in address"],
  ['{"tags_file": "/dev/null/x"}', "Failed to setup the Serf agent: Failed to read tags file: open /dev/null/x: not a directory"],
  ['{"keyring_file": "/nosuch"}', "Failed to setup the Serf agent: stat /nosuch: no such file or directory"],
  ['{"packet_workers": 65}', "Failed to start the Serf agent: Error creating Serf: Number of packet workers '65' out of range: [0, 16]"],
  ['{"protocol": 300}', "Failed to start the Serf agent: Error creating Serf: Protocol version '44' too high. Must be in range: [2, 5]"],
  ['{"protocol": 258}', "Failed to start the Serf agent: Error creating Serf: Protocol version '258' too high. Must be in range: [2, 5]"],
];

test("a wrong value ends the start with its message, and names file, key and accepted form", async () => {
  for (const [text, message] of WRONG_VALUES) {
    writeFileSync(file, text);
    const run = start([]);
    assert.equal(await run.exit, 1, text);
    assert.ok(run.lines.includes(`==> ${message}`), `${text}: ${run.lines.join("\n")}`);
    const key = Object.keys(JSON.parse(text) as object).at(-1) as string;
    assert.ok(run.lines.some((line) => line.startsWith(`stderr hint: ${file}: ${key}: expects `)), `${text}: ${run.lines.join("\n")}`);
  }
});

test("every setting reaches the agent", async () => {
  writeFileSync(
    file,
    JSON.stringify({
      role: "r", tags: { a: "b" }, advertise: "127.0.0.2", encrypt_key: "MDEyMzQ1Njc4OWFiY2RlZg==", protocol: 4, query_response_size_limit: 1, query_size_limit: 2,
      user_event_size_limit: 3, profile: "wan", snapshot_path: join(dir, "s"), rejoin_after_leave: true, reconnect_interval: "1s", reconnect_timeout: "2s",
      tombstone_timeout: "3s", disable_name_resolution: true, disable_coordinates: true, broadcast_timeout: "4s", rpc_auth: "secret", validate_node_names: true, packet_workers: 0,
    }),
  );
  const run = start(["-disable-compression", "-tag=c=d", "-log-level=err", "-rpc-addr=127.0.0.1:1"]);
  await run.ready();
  const { log, metrics, ...options } = run.options() as SerfAgentOptions;
  assert.ok(log !== undefined && metrics !== undefined);
  assert.deepEqual(options, {
    name: "n", bind: { ip: "127.0.0.1", port: 7946 }, advertise: { ip: "127.0.0.2", port: 7946 }, profile: "wan", protocol: 4,
    tags: new Map([["a", "b"], ["c", "d"], ["role", "r"]]), tagsFile: "", keys: [new Uint8Array(Buffer.from("0123456789abcdef"))], keyringFile: "",
    snapshotPath: join(dir, "s"), rejoinAfterLeave: true, compression: false, coordinates: false, resolveConflicts: false, coalesce: true, logLevel: "err",
    broadcastTimeoutMs: 4000, reconnectIntervalMs: 1000, reconnectTimeoutMs: 2000, tombstoneTimeoutMs: 3000,
    querySizeMax: 2, queryResponseSizeMax: 1, userEventSizeMax: 3, packetWorkers: 0, streamLane: false, lanesAtOnce: true, laneStats: true, rehearse: true,
  });
  assert.equal(run.rpc()?.authKey, "secret");
  assert.deepEqual(run.rpc()?.listen, { ip: "127.0.0.1", port: 1 });
  run.stop("leave");
  await run.exit;
});
