import assert from "node:assert/strict";
import { mkdirSync, readdirSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { LocalCheck } from "../../src/api/http/local-agent.ts";
import { LocalStore } from "../../src/io/consul-local-store.ts";
import type { NodeService } from "../../src/wire/fsm-commands.ts";
import { tempDir, type Cleanup } from "../support/temp-dir.ts";

const SERVICE: NodeService = {
  kind: "", id: "web/1 é", service: "web", tags: ["a"], address: "", taggedAddresses: new Map([["lan", { address: "1.2.3.4", port: 5 }]]), meta: new Map([["k", "v"]]), port: 1,
  weights: { passing: 1, warning: 1 }, enableTagOverride: false, locallyRegisteredAsSidecar: false, proxy: undefined, connect: undefined, createIndex: 0, modifyIndex: 0,
};
const CHECK: LocalCheck = {
  check: {
    node: "n", checkId: "c", name: "c", status: "passing", notes: "", output: "fine", serviceId: "web/1 é", serviceName: "web", serviceTags: ["a"], type: "http", definition: undefined,
    createIndex: 0, modifyIndex: 0,
  },
  plan: {
    kind: "http", ttlMs: 0, intervalMs: 1000, timeoutMs: 1000, url: "http://x", method: "GET", headers: new Map([["A", ["b"]]]), body: "", tlsSkipVerify: false, tcp: "",
    aliasService: "", outputBytesMax: 10, successBeforePassing: 0, failuresBeforeCritical: 0, deregisterAfterMs: 0,
  },
};
const CRITICAL: LocalCheck = { ...CHECK, check: { ...CHECK.check, status: "critical", output: "" } };

function rig(t: Cleanup) {
  const dir = tempDir(t);
  const reports: string[] = [];
  const open = (): LocalStore => new LocalStore({ dataDir: dir, node: "n", report: (text) => reports.push(text) });
  const files = (kind: string): readonly string[] => readdirSync(join(dir, kind)).sort();
  return { dir, reports, open, files };
}

test("what was registered is there after a restart, its checks critical until they are looked at, and what was dropped is not", async (t) => {
  const { dir, reports, open, files } = rig(t);
  const store = open();
  assert.deepEqual(await store.load(), { services: [], checks: [] });
  assert.equal(statSync(join(dir, "services")).mode & 0o777, 0o700);
  await store.putService(SERVICE);
  await store.putService({ ...SERVICE, port: 2 });
  await store.putCheck(CHECK);
  assert.deepEqual(await open().load(), { services: [{ ...SERVICE, port: 2 }], checks: [CRITICAL] });
  assert.equal(statSync(join(dir, "checks", files("checks")[0] ?? "")).mode & 0o777, 0o600);
  await store.dropService(SERVICE.id);
  await store.dropCheck("c");
  await store.dropCheck("never there");
  assert.deepEqual(await open().load(), { services: [], checks: [] });
  assert.deepEqual([files("services"), files("checks"), reports], [[], [], []]);
});

test("what cannot be read is reported and stays; what was being written, and directories, are passed over", async (t) => {
  const { dir, reports, open, files } = rig(t);
  await open().load();
  for (const [name, content] of [["torn", '{"Service":{"ID":'], ["other", "{}"], ["earlier.json", "[]"], ["c4.tmp", "{"]] as const) writeFileSync(join(dir, "services", name), content);
  mkdirSync(join(dir, "services", "configs"));
  writeFileSync(join(dir, "checks", "text"), '{"Check":"c"}');
  assert.deepEqual(await open().load(), { services: [], checks: [] });
  assert.deepEqual(files("services"), ["c4.tmp", "configs", "earlier.json", "other", "torn"]);
  assert.deepEqual(reports.map((text) => text.slice(text.lastIndexOf("/") + 1)).map((text) => text.slice(0, text.indexOf(" "))), ["earlier.json", "other", "torn", "text"]);
});

test("a file of another name counts until the service changes or goes; of two, that with our name", async (t) => {
  const { dir, reports, open, files } = rig(t);
  const first = open();
  await first.load();
  await first.putService(SERVICE);
  const [own] = files("services") as [string];
  renameSync(join(dir, "services", own), join(dir, "services", "0-another-hash"));
  const second = open();
  assert.deepEqual((await second.load()).services, [SERVICE]);
  await second.putService({ ...SERVICE, port: 2 });
  assert.deepEqual(files("services"), [own]);

  writeFileSync(join(dir, "services", "0-another-hash"), readFileSync(join(dir, "services", own), "utf8").replace('"Port":2', '"Port":3'));
  const third = open();
  assert.deepEqual((await third.load()).services.map(({ port }) => port), [2]);
  await third.dropService(SERVICE.id);
  assert.deepEqual([files("services"), reports], [[], []]);
});

test("what muster kept in its own way before is taken up, and written as the original does with the next change", async (t) => {
  const { dir, reports, open, files } = rig(t);
  await open().load();
  const plain = (_name: string, value: unknown): unknown => (value instanceof Map ? { $map: [...(value as ReadonlyMap<unknown, unknown>)] } : value);
  writeFileSync(join(dir, "services", "5f.json"), JSON.stringify(SERVICE, plain));
  writeFileSync(join(dir, "checks", "6f.json"), JSON.stringify(CHECK, plain));
  const store = open();
  const { services, checks } = await store.load();
  assert.deepEqual([services, checks], [[SERVICE], [CRITICAL]]);
  await store.putService(SERVICE);
  await store.dropCheck("c");
  assert.deepEqual([files("services").length, files("services").includes("5f.json"), files("checks"), reports], [1, false, [], []]);
  assert.deepEqual((await open().load()).services, [SERVICE]);
});

test("without a directory nothing is kept", async () => {
  const store = new LocalStore({ dataDir: "", node: "n", report: () => assert.fail() });
  await store.putService(SERVICE);
  assert.deepEqual(await store.load(), { services: [], checks: [] });
});
