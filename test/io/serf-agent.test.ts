import assert from "node:assert/strict";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { SerfAgent } from "../../src/io/serf-agent.ts";
import { SerfError, type QueryRecord } from "../../src/io/serf-agent-api.ts";
import { eventOf, logged, memberEvent, startAgent, testOptions, within, type TestAgent } from "./support/agents.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const text = (payload: Uint8Array | null): string => new TextDecoder().decode(payload ?? new Uint8Array(0));
const NO_PARAMS = { filterNodes: [], filterTags: new Map<string, string>(), requestAck: true, relayFactor: 0, timeoutMs: 2000 };

function tempDir(t: TestContext): string {
  const dir = mkdtempSync(join(tmpdir(), "muster-agent-"));
  t.after(() => rmSync(dir, { recursive: true }));
  return dir;
}

async function ask(of: TestAgent, name: string, params = NO_PARAMS): Promise<QueryRecord[]> {
  const records: QueryRecord[] = [];
  await within(
    new Promise<void>((resolve, reject) => {
      const asked = of.agent.query(name, null, params, (record) => {
        records.push(record);
        if (record.kind === "done") resolve();
      });
      asked.then(() => assert.equal(records.length, 0, "no record before the caller knows of the query"), reject);
    }),
    `query ${name}`,
  );
  return records;
}

test("two agents: join, event, query with answers of both, tags, leave", async (t) => {
  const a = await startAgent(t, "a", "127.0.14.21", { tags: new Map([["role", "web"]]) });
  const b = await startAgent(t, "b", "127.0.14.22");
  for (const node of [a, b]) {
    node.agent.subscribe((event) => {
      if (event.kind === "query") void node.agent.respond(event.token, bytes(`I am ${node.agent.name}`));
    });
  }
  assert.deepEqual(await b.agent.join([a.address], false), { nodes: 1, error: "" });
  await eventOf(a, memberEvent("member-join", "b"), "b joins a");
  assert.deepEqual(b.agent.members().map(({ name, status }) => `${name} ${status}`).sort(), ["a alive", "b alive"]);

  await a.agent.userEvent("deploy", bytes("v1"), false);
  const event = await eventOf(b, ({ kind }) => kind === "user", "the event reaches b");
  assert.equal(event.kind === "user" && `${event.name} ${text(event.payload)}`, "deploy v1");

  const records = await ask(a, "who");
  const show = (record: QueryRecord): string => (record.kind === "response" ? `${record.from}: ${text(record.payload)}` : record.kind === "ack" ? `ack ${record.from}` : "done");
  assert.deepEqual(records.map(show).sort(), ["a: I am a", "ack a", "ack b", "b: I am b", "done"]);

  await b.agent.setTags(new Map([["v", "2"]]));
  await eventOf(a, memberEvent("member-update", "b"), "the new tags reach a");
  assert.deepEqual([...(a.agent.members().find(({ name }) => name === "b")?.tags ?? [])], [["v", "2"]]);

  await b.agent.leave();
  await eventOf(a, memberEvent("member-leave", "b"), "b has left");
  await b.agent.shutdown();
  assert.deepEqual(await b.agent.stopped, { reason: "leave" });
  await assert.rejects(b.agent.userEvent("late", null, false), SerfError);
});

test("an encrypted pair changes its key; the keyring file follows and is validated first", async (t) => {
  const dir = tempDir(t);
  const keyringFile = join(dir, "keyring.json");
  const old = new Uint8Array(16).fill(1);
  const fresh = new Uint8Array(32).fill(2);
  const base64 = (key: Uint8Array): string => Buffer.from(key).toString("base64");
  const a = await startAgent(t, "a", "127.0.14.23", { keys: [old], keyringFile });
  const b = await startAgent(t, "b", "127.0.14.24", { keys: [old] });
  await b.agent.join([a.address], false);
  await eventOf(a, memberEvent("member-join", "b"), "b joins a");

  const change = async (operation: "install" | "use" | "remove" | "list", key: string): Promise<[string, number, number]> => {
    const { result, error } = await within(b.agent.keys(operation, key), operation);
    return [error, result.responses, result.failures];
  };
  assert.deepEqual(await change("install", base64(fresh)), ["", 2, 0]);
  assert.deepEqual(JSON.parse(readFileSync(keyringFile, "utf8")), [base64(old), base64(fresh)]);
  assert.deepEqual(await change("install", base64(new Uint8Array(7))), ["2/2 nodes reported failure", 2, 2]);
  assert.deepEqual(await change("use", base64(fresh)), ["", 2, 0]);
  assert.deepEqual(await change("remove", base64(old)), ["", 2, 0]);
  assert.deepEqual(JSON.parse(readFileSync(keyringFile, "utf8")), [base64(fresh)]);
  assert.equal(statSync(keyringFile).mode & 0o777, 0o600);
  assert.deepEqual(await change("list", ""), ["", 2, 0]);

  // A file that cannot be written: the ring stays as it was, the cluster hears why.
  rmSync(keyringFile);
  mkdirSync(keyringFile);
  const { result, error } = await within(b.agent.keys("install", base64(old)), "install without a file");
  assert.equal(error, "1/2 nodes reported failure");
  assert.match(result.messages.get("a") ?? "", /^Failed to write keyring file: /);
  assert.deepEqual((await b.agent.keys("list", "")).result.keys.get(base64(old)), 1);
});

test("a stranger without the key gets nowhere", async (t) => {
  const a = await startAgent(t, "a", "127.0.14.25", { keys: [new Uint8Array(16).fill(1)] });
  const plain = await startAgent(t, "plain", "127.0.14.26");
  const other = await startAgent(t, "other", "127.0.14.27", { keys: [new Uint8Array(16).fill(9)] });
  const refused = await plain.agent.join([a.address], false);
  assert.equal(refused.nodes, 0);
  // The refusal itself comes encrypted, so a plain node cannot read it.
  assert.match(refused.error, /Remote state is encrypted and encryption is not configured/);
  assert.match((await other.agent.join([a.address], false)).error, /No installed keys could decrypt the message/);
  assert.equal(a.agent.members().length, 1);
});

test("snapshot: a restarted agent finds its cluster by itself; after a leave it does not", async (t) => {
  const snapshotPath = join(tempDir(t), "snap");
  const a = await startAgent(t, "a", "127.0.14.28");
  const first = await startAgent(t, "b", "127.0.14.29", { snapshotPath });
  await first.agent.join([a.address], false);
  await eventOf(a, memberEvent("member-join", "b"), "b joins a");
  const { bind } = first.agent;
  await first.agent.shutdown();
  assert.match(readFileSync(snapshotPath, "utf8"), new RegExp(`^alive: a ${a.address.replaceAll(".", "\\.")}$`, "m"));

  const second = await startAgent(t, "b", bind.ip, { bind, snapshotPath });
  await eventOf(second, memberEvent("member-join", "a"), "b rejoins by itself");
  await second.agent.leave();
  await second.agent.shutdown();
  assert.match(readFileSync(snapshotPath, "utf8"), /^leave$/m);
  const third = await startAgent(t, "b", bind.ip, { bind, snapshotPath });
  assert.deepEqual(third.agent.members().map(({ name }) => name), ["b"]);
});

test("snapshot: a disk error is logged and counted, the agent goes on", async (t) => {
  const dir = join(tempDir(t), "gone");
  mkdirSync(dir);
  const metrics = await (async () => {
    const a = await startAgent(t, "a", "127.0.14.30", { snapshotPath: join(dir, "snap") });
    rmSync(dir, { recursive: true });
    await logged(a, "[ERR] serf: Failed to update snapshot: no such file or directory");
    await a.agent.userEvent("still", null, false);
    return a.metrics;
  })();
  assert.equal(metrics.counter("serf.snapshot.error"), 1);
});

test("start errors have the original's texts and leave nothing open", async (t) => {
  const a = await startAgent(t, "a", "127.0.14.31");
  const refusal = async (more: Parameters<typeof testOptions>[2]): Promise<string> => {
    const started = SerfAgent.start(testOptions("x", "127.0.14.31", more));
    return started.then(
      async (agent) => {
        await agent.shutdown();
        return "started";
      },
      (error: unknown) => (error instanceof SerfError ? error.message : `not a SerfError: ${String(error)}`),
    );
  };
  const { ip, port } = a.agent.bind;
  const inUse = `listen tcp ${ip}:${port}: bind: address already in use`;
  const transport = "Error creating Serf: Failed to create memberlist: Could not set up network transport: failed to obtain an address:";
  assert.equal(await refusal({ bind: { ip, port } }), `${transport} Failed to start TCP listener on "${ip}" port ${port}: ${inUse}`);
  assert.match(await refusal({ bind: { ip: "203.0.113.9", port: 17946 } }), /listen tcp 203\.0\.113\.9:17946: bind: cannot assign requested address$/);
  assert.equal(await refusal({ protocol: 1 }), "Error creating Serf: Protocol version '1' too low. Must be in range: [2, 5]");
  assert.equal(await refusal({ protocol: 6 }), "Error creating Serf: Protocol version '6' too high. Must be in range: [2, 5]");
  assert.equal(await refusal({ keys: [new Uint8Array(3)] }), "Error creating Serf: Failed to create memberlist: key size must be 16, 24 or 32 bytes");
  assert.equal(await refusal({ tags: new Map([["a", "x".repeat(600)]]) }), "Error creating Serf: Encoded length of tags exceeds limit of 512 bytes");
  assert.equal(await refusal({ userEventSizeMax: 10_000 }), "Error creating Serf: user event size limit exceeds limit of 9216 bytes");
  const dir = tempDir(t);
  assert.match(await refusal({ snapshotPath: dir }), /^Error creating Serf: Failed to setup snapshot: failed to open snapshot: open .*: is a directory$/);
  assert.equal(existsSync(dir), true);
  chmodSync(dir, 0o700);
});

test("an address that refuses is named as the original names it", async (t) => {
  const a = await startAgent(t, "a", "127.0.14.32");
  const { error, nodes } = await a.agent.join(["127.0.14.33:1", "127.0.14.33:x"], false);
  assert.equal(nodes, 0);
  assert.match(error, /^2 errors occurred:\n\t\* /);
  assert.match(error, /\t\* Failed to join 127\.0\.14\.33: dial tcp 127\.0\.14\.33:1: connect: connection refused\n/);
  assert.match(error, /\t\* Failed to resolve 127\.0\.14\.33:x: strconv\.ParseUint: parsing "x": invalid syntax\n/);
});

test("a label keeps clusters apart", async (t) => {
  const a = await startAgent(t, "a", "127.0.14.34", { label: "blue" });
  const b = await startAgent(t, "b", "127.0.14.35", { label: "blue", keys: [] });
  const c = await startAgent(t, "c", "127.0.14.36");
  assert.equal((await b.agent.join([a.address], false)).nodes, 1);
  assert.equal((await c.agent.join([a.address], false)).nodes, 0);
  await eventOf(a, memberEvent("member-join", "b"), "b joins a");
});

test("addresses outside the allow list are not heard", async (t) => {
  const a = await startAgent(t, "a", "127.0.14.37", { allowedCidrs: ["127.0.14.37/32"] });
  const b = await startAgent(t, "b", "127.0.14.38");
  // Loopback connections come from 127.0.0.1, which is not on the list.
  assert.equal((await b.agent.join([a.address], false)).nodes, 0);
  assert.equal(a.metrics.counter("memberlist.tcp.refused_address"), 1);
  assert.equal(a.agent.members().length, 1);
});
