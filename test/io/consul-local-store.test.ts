import assert from "node:assert/strict";
import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { LocalCheck } from "../../src/api/http/local-agent.ts";
import { LocalStore } from "../../src/io/consul-local-store.ts";
import type { NodeService } from "../../src/wire/fsm-commands.ts";
import { tempDir } from "../support/temp-dir.ts";

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

test("what was registered is there after a restart, its checks critical until they are looked at, and what was dropped is not", async (t) => {
  const dir = tempDir(t);
  const reports: string[] = [];
  const open = (): LocalStore => new LocalStore(dir, (text) => reports.push(text));
  const store = open();
  assert.deepEqual(await store.load(), { services: [], checks: [] });
  await store.putService(SERVICE);
  await store.putService({ ...SERVICE, port: 2 });
  await store.putCheck(CHECK);
  await store.putCheck({ ...CHECK, check: { ...CHECK.check, checkId: "m" }, plan: { ...CHECK.plan, kind: "none" } });
  const { services, checks } = await open().load();
  assert.deepEqual(JSON.stringify(services), JSON.stringify([{ ...SERVICE, port: 2 }]));
  assert.deepEqual([services[0]?.taggedAddresses, services[0]?.meta], [SERVICE.taggedAddresses, SERVICE.meta]);
  assert.deepEqual(checks.map(({ check, plan }) => [check.checkId, check.status, check.output, plan.headers.get("A")]).sort(([a], [b]) => (String(a) < String(b) ? -1 : 1)), [["c", "critical", "", ["b"]], ["m", "passing", "fine", ["b"]]]);
  await store.dropService(SERVICE.id);
  await store.dropCheck("c");
  await store.dropCheck("never there");
  writeFileSync(join(dir, "services", "torn.json"), '{"id":');
  writeFileSync(join(dir, "services", "other.json"), "{}");
  const after = await open().load();
  assert.deepEqual([after.services, after.checks.length, reports.length], [[], 1, 1]);
  assert.match(reports[0] ?? "", /torn\.json is left out/);
  assert.deepEqual(readdirSync(join(dir, "services")).sort(), ["other.json", "torn.json"], "what cannot be read stays");
});

test("without a directory nothing is kept", async () => {
  const store = new LocalStore("", () => assert.fail());
  await store.putService(SERVICE);
  assert.deepEqual(await store.load(), { services: [], checks: [] });
});
