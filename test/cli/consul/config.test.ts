/** Every setting of `consul agent` from a file and by its flag, what is refused, and `consul validate` in the recorded words of the original. */
import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { mergedSettings, type AgentFlags } from "../../../src/cli/consul/agent-run.ts";
import { consulSettings } from "../../../src/cli/consul/agent-options.ts";
import { readConfigFiles, type SettingValue } from "../../../src/cli/consul/config-files.ts";
import { runConsul } from "../../../src/cli/consul/persona.ts";
import { AGENT_FLAGS, NOT_OFFERED, SETTINGS, type Setting } from "../../../src/cli/consul/settings.ts";
import { parseFlags } from "../../../src/cli/flags.ts";
import { projectPath } from "../../support/project-root.ts";
import { tempDir, type Cleanup } from "../../support/temp-dir.ts";

function fileOf(t: Cleanup, content: unknown, name = "c.json"): string {
  const path = join(tempDir(t), name);
  writeFileSync(path, typeof content === "string" ? content : JSON.stringify(content));
  return path;
}

/** As a file holds it: groups are objects. */
function nested(key: string, value: unknown): unknown {
  const [group, name] = key.split(".") as [string, string | undefined];
  return name === undefined ? { [group]: value } : { [group]: { [name]: value } };
}

const SAMPLES: Readonly<Record<Setting["kind"], { readonly value: unknown; readonly flag: readonly string[]; readonly taken: SettingValue; readonly wrong: readonly unknown[] }>> = {
  string: { value: "text", flag: ["text"], taken: "text", wrong: [1, true, ["a"], { a: "b" }] },
  duration: { value: "90s", flag: ["90s"], taken: "90s", wrong: [1, true, ["1s"]] },
  bool: { value: true, flag: ["true"], taken: true, wrong: ["true", 1, []] },
  int: { value: 7, flag: ["7"], taken: 7, wrong: ["7", 7.5, false, [7]] },
  list: { value: ["x", "y"], flag: ["x", "y"], taken: ["x", "y"], wrong: [1, [1], { a: "b" }] },
  map: { value: { k: "v", l: "" }, flag: ["k:v", "l"], taken: new Map([["k", "v"], ["l", ""]]), wrong: [1, "k:v", { k: 1 }, []] },
};

function flagsOf(words: readonly string[]): AgentFlags {
  const parsed = parseFlags(AGENT_FLAGS, words);
  assert.ok(parsed.ok, parsed.ok ? "" : parsed.error);
  return parsed.flags;
}

test("every setting is read from a file, and refused there when it is of the wrong type", (t) => {
  for (const { key, kind } of SETTINGS) {
    const { value, taken, wrong } = SAMPLES[kind];
    const read = readConfigFiles([fileOf(t, nested(key, value))]);
    assert.ok(read.ok, `${key}: ${read.ok ? "" : read.error}`);
    assert.deepEqual([...read.value], [[key, taken]]);
    for (const mistake of wrong) {
      const refused = readConfigFiles([fileOf(t, nested(key, mistake))]);
      assert.ok(!refused.ok && refused.error.includes(`* ${key}: expects `), `${key} ${JSON.stringify(mistake)}`);
    }
    const nothing = readConfigFiles([fileOf(t, nested(key, null))]);
    assert.ok(nothing.ok && nothing.value.size === 0, `${key} null`);
  }
});

test("every flag sets its setting, and overrides or extends what a file says", (t) => {
  for (const { key, kind, flag } of SETTINGS) {
    if (flag === "") continue;
    const sample = SAMPLES[kind];
    const words = sample.flag.map((text) => `-${flag}=${text}`);
    const alone = mergedSettings(flagsOf(words));
    assert.ok(alone.ok, flag);
    assert.deepEqual([...alone.value], [[key, sample.taken]], flag);
    const other = { string: "other", duration: "1s", bool: false, int: 1, list: ["first"], map: { k: "old", m: "kept" } }[kind];
    const both = mergedSettings(flagsOf([`-config-file=${fileOf(t, nested(key, other))}`, ...words]));
    assert.ok(both.ok, flag);
    const expected = kind === "list" ? ["first", "x", "y"] : kind === "map" ? new Map([["k", "v"], ["m", "kept"], ["l", ""]]) : sample.taken;
    assert.deepEqual(both.value.get(key), expected, flag);
  }
});

test("settings of the original that are not offered are named, unknown ones too, all of a file at once", (t) => {
  for (const key of NOT_OFFERED) {
    const refused = readConfigFiles([fileOf(t, nested(key, "x"))]);
    assert.ok(!refused.ok && refused.error.includes(`config key ${key} is not offered by this version of muster: remove it`), key);
    assert.ok(!SETTINGS.some((setting) => setting.key === key), `${key} is both`);
  }
  for (const key of ["datacentre", "ports.htttp", "performance", "constructor", "__proto__x"]) {
    const refused = readConfigFiles([fileOf(t, nested(key, "x"))]);
    assert.ok(!refused.ok && refused.error.includes(`1 error occurred:\n\t* invalid config key ${key}\n`), `${key}: ${refused.ok ? "taken" : refused.error}`);
  }
  const three = readConfigFiles([fileOf(t, { a: 1, telemetry: {}, server: "yes" })]);
  assert.match(three.ok ? "" : three.error, /3 errors occurred:\n\t\* invalid config key a\n\t\* config key telemetry is not offered.*\n\t\* server: expects true or false\n/);
});

test("files are merged in order, those of a directory by name; other files of it are left alone", (t) => {
  const dir = tempDir(t);
  mkdirSync(join(dir, "conf"));
  writeFileSync(join(dir, "conf", "2.json"), '{"datacenter":"two","retry_join":["b"],"node_meta":{"k":"2"}}');
  writeFileSync(join(dir, "conf", "1.json"), '{"datacenter":"one","retry_join":"a","node_meta":{"k":"1","l":"1"},"server":true}');
  writeFileSync(join(dir, "conf", "notes.txt"), "not JSON");
  const read = readConfigFiles([join(dir, "conf"), fileOf(t, { retry_join: ["c"] })]);
  assert.ok(read.ok);
  assert.deepEqual(Object.fromEntries(read.value), { datacenter: "two", retry_join: ["a", "b", "c"], node_meta: new Map([["k", "2"], ["l", "1"]]), server: true });
});

test("what is of the right type and still no agent can run with", () => {
  const refused: readonly (readonly [string, SettingValue, RegExp])[] = [
    ["datacenter", "BAD DC", /^datacenter cannot be "bad dc"\. Please use only \[a-z0-9-_\]$/],
    ["data_dir", "", /^data_dir cannot be empty$/],
    ["bind_addr", "nowhere", /^bind_addr/],
    ["client_addr", "127.0.0.1 nowhere", /^client_addr: expects IP addresses, not "nowhere"$/],
    ["advertise_addr", "host", /^advertise_addr/],
    ["encrypt", "***", /^encrypt has invalid key: /],
    ["encrypt", "c2hvcnQ=", /^encrypt has invalid key: key size must be 16, 24 or 32 bytes$/],
    ["log_level", "loud", /^Invalid log level: loud\. /],
    ["bootstrap_expect", -1, /^bootstrap_expect cannot be -1/],
    ["reconnect_timeout", "1h", /^reconnect_timeout must be at least 8h0m0s$/],
    ["retry_interval", "soon", /^retry_interval: invalid duration: "soon"/],
    ["performance.raft_multiplier", 11, /^performance\.raft_multiplier cannot be 11\. Must be between 1 and 10$/],
    ["performance.rpc_hold_timeout", "-1s", /must not be negative$/],
    ["raft_protocol", 2, /^raft_protocol version 2 is not supported/],
    ["ports.grpc", 8502, /^ports\.grpc is not offered/],
    ["ports.https", 8501, /^ports\.https is not offered/],
    ["ports.http", 70_000, /^ports\.http: expects a port, not 70000$/],
    ["ports.server", -1, /^ports\.server: expects a port, not -1$/],
    ["node_meta", new Map([["a b", "v"]]), /^node_meta invalid: Couldn't load metadata pair \('a b', 'v'\): Key contains invalid characters$/],
    ["node_meta", new Map([["consul-x", "v"]]), /reserved for internal use$/],
    ["node_meta", new Map([["k", "v".repeat(513)]]), /Value is too long \(limit: 512 characters\)$/],
    ["node_meta", new Map(Array.from({ length: 65 }, (_, i) => [`k${i}`, ""] as const)), /cannot contain more than 64 key/],
  ];
  const right: readonly (readonly [string, SettingValue])[] = [["data_dir", "/nonexistent-muster"], ["bind_addr", "127.0.50.2"], ["server", true]];
  assert.ok(consulSettings(new Map(right), false).ok);
  for (const [key, value, error] of refused) {
    const settings = consulSettings(new Map([...right, [key, value]]), false);
    assert.match(settings.ok ? `${key} taken` : settings.error, error);
  }
});

test("defaults, and what the dev agent changes", () => {
  const server = consulSettings(new Map<string, SettingValue>([["data_dir", "/d"], ["bind_addr", "127.0.50.2"], ["server", true], ["bootstrap_expect", 3]]), false);
  assert.ok(server.ok);
  assert.equal(server.value.options.server?.bootstrapExpect, 3);
  assert.deepEqual([server.value.process.leaveOnTerminate, server.value.process.skipLeaveOnInterrupt], [false, true]);
  assert.deepEqual(server.value.options.ports, { http: 8500, serfLan: 8301, server: 8300 });
  const client = consulSettings(new Map<string, SettingValue>([["data_dir", "/d"], ["bind_addr", "127.0.50.2"]]), false);
  assert.ok(client.ok && client.value.options.server === null);
  assert.deepEqual([client.value.process.leaveOnTerminate, client.value.process.skipLeaveOnInterrupt], [true, false]);
  const dev = consulSettings(new Map<string, SettingValue>(), true);
  assert.ok(dev.ok);
  assert.deepEqual([dev.value.options.bindIp, dev.value.options.dataDir, dev.value.options.server?.bootstrapExpect], ["127.0.0.1", "", 1]);
  const both = consulSettings(new Map<string, SettingValue>([["bootstrap_expect", 1]]), true);
  assert.equal(both.ok ? "" : both.error, "'bootstrap_expect > 0' not allowed in dev mode");
});

async function run(words: readonly string[]): Promise<{ readonly code: number; readonly out: string; readonly err: string }> {
  let out = "";
  let err = "";
  const code = await runConsul({ out: (text) => (out += `${text}\n`), err: (text) => (err += `${text}\n`), env: {}, onInterrupt: () => undefined }, words);
  return { code, out, err };
}

test("consul validate says what the original says", async (t) => {
  const dir = tempDir(t);
  const cases: readonly (readonly [content: string, code: number, out: string, err: string])[] = [
    ['{"datacenter":"dc1","data_dir":"/dd"}', 0, "Configuration is valid!\n", ""],
    ['{"datacenter":', 1, "", "Config validation failed: failed to parse FILE: unexpected end of JSON input\n"],
    ['{"datacentre":"x","data_dir":"/dd"}', 1, "", "Config validation failed: failed to parse FILE: 1 error occurred:\n\t* invalid config key datacentre\n\n\n"],
    [
      '{"bootstrap_expect":1,"server":true,"data_dir":"/dd","node_name":"bad_name!"}', 0, "Configuration is valid!\n",
      "BootstrapExpect is set to 1; this is the same as Bootstrap mode.\nNode name \"bad_name!\" will not be discoverable via DNS due to invalid characters. Valid characters include all alpha-numerics and dashes.\nbootstrap = true: do not enable unless necessary\n",
    ],
    ['{"server":true}', 1, "", "Config validation failed: data_dir cannot be empty\n"],
    [
      '{"server":true,"bootstrap_expect":2,"data_dir":"/dd","node_name":"n"}', 0, "Configuration is valid!\n",
      "bootstrap_expect = 2: A cluster with 2 servers will provide no failure tolerance. See https://www.consul.io/docs/internals/consensus.html#deployment-table\nbootstrap_expect > 0: expecting 2 servers\n",
    ],
    ['{"datacenter":"BAD DC","data_dir":"/dd"}', 1, "", 'Config validation failed: datacenter cannot be "bad dc". Please use only [a-z0-9-_]\n'],
    ['{"bootstrap_expect":3,"data_dir":"/dd"}', 1, "", "Config validation failed: 'bootstrap_expect > 0' requires 'server = true'\n"],
    ['{"server":true,"bootstrap":true,"bootstrap_expect":3,"data_dir":"/dd"}', 1, "", "Config validation failed: 'bootstrap_expect > 0' and 'bootstrap = true' are mutually exclusive\n"],
  ];
  for (const [i, [content, code, out, err]] of cases.entries()) {
    const file = join(dir, `${i}.json`);
    // The address is given, so that the machine's own do not matter, and the name where it would warn.
    const object = content.endsWith("}") ? content.replace("{", `{"bind_addr":"127.0.50.2",${content.includes("node_name") ? "" : '"node_name":"n",'}`) : content;
    writeFileSync(file, object);
    assert.deepEqual(await run(["validate", file]), { code, out, err: err.replace("FILE", file) }, content);
  }
  const right = join(dir, "0.json");
  const broken = join(dir, "1.json");
  assert.deepEqual(await run(["validate", "-quiet", right]), { code: 0, out: "", err: "" });
  assert.deepEqual(await run(["validate"]), { code: 1, out: "", err: "Must specify at least one config file or directory\n" });
  assert.deepEqual(await run(["validate", right, broken]), { code: 1, out: "", err: `Config validation failed: failed to parse ${broken}: unexpected end of JSON input\n` });
  const missing = join(dir, "nosuch.json");
  assert.deepEqual(await run(["validate", missing]), { code: 1, out: "", err: `Config validation failed: config: Open failed on ${missing}. open ${missing}: no such file or directory\n` });
});

test("the sample configuration is valid", async () => {
  assert.deepEqual(await run(["validate", projectPath("deploy/consul/agent.json")]), {
    code: 0,
    out: "Configuration is valid!\n",
    err: "bootstrap_expect > 0: expecting 3 servers\n",
  });
});

test("help, version and words that are no command", async () => {
  for (const flag of ["-h", "-help", "--help"]) {
    const help = await run(["validate", flag]);
    assert.equal(help.code, 0);
    assert.match(help.out, /^Usage: consul validate \[options\] FILE_OR_DIRECTORY\.\.\.\n/);
    const agent = await run(["agent", flag]);
    assert.deepEqual([agent.code, agent.err], [0, ""]);
    for (const { flag: name } of SETTINGS) if (name !== "") assert.ok(agent.out.includes(`-${name}`), name);
  }
  assert.equal((await run(["-h"])).code, 0);
  assert.match((await run(["version"])).out, /^Consul v\d+\.\d+\.\d+\nProtocol 2 spoken by default, understands 2 to 3 /);
  for (const words of [[], ["nope"]]) assert.equal((await run(words)).code, 127);
  const extra = await run(["agent", "-dev", "word"]);
  assert.deepEqual([extra.code, extra.err], [1, "==> Unexpected extra arguments: [word]\n"]);
  const unknown = await run(["agent", "-nope"]);
  assert.equal(unknown.code, 1);
  assert.match(unknown.err, /^flag provided but not defined: -nope\n/);
});
