/** An agent's own services and checks on virtual time: what is to be told, and when. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { CheckPlan, LocalCheck } from "../../../src/api/http/local-agent.ts";
import { SeededRandom } from "../../../src/base/random.ts";
import { LocalState } from "../../../src/node/agent/local-state.ts";
import { cutOutput } from "../../../src/node/agent/output.ts";
import type { SyncOp } from "../../../src/node/agent/types.ts";
import type { HealthCheck, NodeService } from "../../../src/wire/fsm-commands.ts";

const UPDATE_INTERVAL_MS = 300_000;
const REAP_MS = 30_000;
const PLAN: CheckPlan = {
  kind: "ttl", ttlMs: 1000, intervalMs: 1000, timeoutMs: 1000, url: "", method: "GET", headers: new Map(), body: "", tlsSkipVerify: false, tcp: "", aliasService: "",
  outputBytesMax: 4096, successBeforePassing: 0, failuresBeforeCritical: 0, deregisterAfterMs: 0,
};

function serviceOf(id: string, changes: Partial<NodeService> = {}): NodeService {
  return {
    kind: "", id, service: id, tags: ["t"], address: "", taggedAddresses: null, meta: null, port: 1, weights: { passing: 1, warning: 1 }, enableTagOverride: false,
    locallyRegisteredAsSidecar: false, proxy: undefined, connect: undefined, createIndex: 0, modifyIndex: 0, ...changes,
  };
}

function checkOf(checkId: string, changes: Partial<HealthCheck> = {}, plan: Partial<CheckPlan> = {}): LocalCheck {
  const check = {
    node: "n", checkId, name: checkId, status: "passing", notes: "", output: "", serviceId: "", serviceName: "", serviceTags: null, type: plan.kind ?? "ttl", definition: undefined,
    createIndex: 0, modifyIndex: 0, ...changes,
  };
  return { check, plan: { ...PLAN, ...plan } };
}

function state(checkUpdateIntervalMs = UPDATE_INTERVAL_MS): LocalState {
  return new LocalState({ node: "n", checkUpdateIntervalMs, random: new SeededRandom(1) });
}

function names(ops: readonly SyncOp[]): readonly string[] {
  return ops.map((op) => `${op.kind} ${op.id}${op.kind === "putService" ? ` [${op.checks.map(({ id }) => id).join(" ")}]` : ""}`);
}

/** The catalog takes everything. */
function tellAll(local: LocalState): readonly string[] {
  const ops = local.changes();
  for (const op of ops) local.done(op);
  assert.deepEqual(local.changes(), []);
  return names(ops);
}

test("a service is told with its checks, a check with its service, and what is gone after that", () => {
  const local = state();
  local.addService(serviceOf("web"), [checkOf("c1", { serviceId: "web" })], false, 0);
  assert.equal(local.addCheck(checkOf("node"), 0), null);
  assert.deepEqual(tellAll(local), ["putService web [c1]", "putCheck node"]);
  assert.equal(local.addCheck(checkOf("c2", { serviceId: "web" }), 0), null);
  const [op] = local.changes();
  assert.ok(op?.kind === "putCheck" && op.service?.id === "web");
  assert.deepEqual([op.check.serviceName, op.check.serviceTags], ["web", ["t"]]);
  assert.deepEqual(tellAll(local), ["putCheck c2"]);
  assert.equal(local.addCheck(checkOf("c3", { serviceId: "none" }), 0), 'ServiceID "none" does not exist');
  assert.deepEqual([local.removeCheck("node"), local.removeCheck("node"), local.removeService("web"), local.removeService("web")], [true, false, ["c1", "c2"], null]);
  assert.deepEqual(tellAll(local), ["dropService web", "dropCheck node"], "its checks go with a service");
  assert.deepEqual([local.services().size, local.checks().size], [0, 0]);
});

test("what changes while it is told is told again", () => {
  const local = state();
  local.addService(serviceOf("web"), [checkOf("c", { serviceId: "web" })], false, 0);
  const [first] = local.changes();
  local.addService(serviceOf("web", { port: 2 }), [], false, 0);
  assert.ok(local.updateTtl("c", "critical", "", 0));
  local.done(first as SyncOp);
  assert.deepEqual(tellAll(local), ["putService web [c]"]);
});

test("a registration replaces checks only when it says so", () => {
  const local = state();
  local.addService(serviceOf("web"), [checkOf("a", { serviceId: "web" }), checkOf("b", { serviceId: "web" })], false, 0);
  local.addService(serviceOf("web"), [checkOf("c", { serviceId: "web" })], false, 0);
  assert.deepEqual([...local.checks().keys()], ["a", "b", "c"]);
  tellAll(local);
  assert.deepEqual(local.addService(serviceOf("web"), [checkOf("b", { serviceId: "web" })], true, 0), ["a", "c"]);
  assert.deepEqual([...local.checks().keys()], ["b"]);
  assert.deepEqual(tellAll(local), ["putService web [b]", "dropCheck a", "dropCheck c"]);
});

test("a TTL check turns critical when nobody speaks up in time, and says what was said last", () => {
  const local = state();
  local.addCheck(checkOf("c"), 0);
  tellAll(local);
  assert.equal(local.wakeAtMs, 1000);
  local.wake(999);
  assert.equal(local.check("c")?.check.status, "passing");
  assert.ok(local.updateTtl("c", "passing", "alive", 999));
  tellAll(local);
  local.wake(1998);
  assert.equal(local.check("c")?.check.status, "passing");
  local.wake(1999);
  assert.deepEqual([local.check("c")?.check.status, local.check("c")?.check.output], ["critical", "TTL expired (last output before timeout follows): alive"]);
  assert.deepEqual(tellAll(local), ["putCheck c"]);
  local.addCheck(checkOf("silent"), 2000);
  local.wake(3000);
  assert.equal(local.check("silent")?.check.output, "TTL expired");
  assert.equal(local.updateTtl("nobody", "passing", "", 0), false);
});

test("a check that is registered again keeps its status and output, whatever it is registered with, and its time begins anew", () => {
  const local = state();
  const again = (plan: Partial<CheckPlan>, nowMs: number): void => void local.addService(serviceOf("web"), [checkOf("c", { serviceId: "web", status: "critical" }, plan)], false, nowMs);
  again({}, 0);
  local.updateTtl("c", "passing", "alive", 500);
  again({}, 1000);
  tellAll(local);
  assert.deepEqual([local.check("c")?.check.status, local.check("c")?.check.output, local.wakeAtMs], ["passing", "alive", 2000]);
  local.wake(2000);
  assert.equal(local.check("c")?.check.output, "TTL expired", "the new one was told nothing");
  local.updateTtl("c", "warning", "slow", 2500);
  again({ kind: "http" }, 2600);
  assert.deepEqual([local.check("c")?.check.status, local.check("c")?.check.output, local.check("c")?.plan.kind], ["warning", "slow", "http"]);
  local.removeCheck("c");
  again({}, 3000);
  assert.deepEqual([local.check("c")?.check.status, local.check("c")?.check.output], ["critical", ""]);
});

test("a change of status is told at once, one of output alone much later, and none at all never", () => {
  const local = state();
  local.addCheck(checkOf("c", {}, { ttlMs: 10 * UPDATE_INTERVAL_MS }), 0);
  tellAll(local);
  local.updateTtl("c", "passing", "", 1);
  assert.deepEqual(local.changes(), []);
  local.updateTtl("c", "passing", "new words", 2);
  assert.deepEqual(local.changes(), []);
  const dueMs = local.wakeAtMs;
  assert.ok(dueMs >= 2 + UPDATE_INTERVAL_MS / 2 && dueMs < 2 + 1.5 * UPDATE_INTERVAL_MS, `${dueMs}`);
  local.compare([], [checkOf("c").check]);
  assert.deepEqual(local.changes(), [], "an output that waits is no difference");
  local.wake(dueMs);
  assert.deepEqual(tellAll(local), ["putCheck c"]);
  local.updateTtl("c", "warning", "bad", dueMs);
  assert.deepEqual(tellAll(local), ["putCheck c"]);
  const eager = state(0);
  eager.addCheck(checkOf("c"), 0);
  tellAll(eager);
  eager.updateTtl("c", "passing", "words", 0);
  assert.deepEqual(names(eager.changes()), ["putCheck c"]);
});

test("probes may have to agree before a status changes", () => {
  const local = state(0);
  local.addCheck(checkOf("c", { status: "critical" }, { kind: "http", successBeforePassing: 2, failuresBeforeCritical: 3 }), 0);
  const seen: string[] = [];
  for (const status of ["passing", "passing", "critical", "critical", "passing", "critical", "critical", "critical"]) {
    local.probed("c", status, status, 0);
    seen.push(local.check("c")?.check.status ?? "");
  }
  assert.deepEqual(seen, ["critical", "passing", "passing", "passing", "passing", "passing", "passing", "critical"]);
  local.probed("gone", "passing", "", 0);
});

test("aliases follow what they stand for, and never each other", () => {
  const local = state(0);
  local.addService(serviceOf("web"), [checkOf("w", { serviceId: "web" })], false, 0);
  for (const id of ["alias1", "alias2"]) local.addCheck(checkOf(id, { status: "critical" }, { kind: "alias", aliasService: "web" }), 0);
  local.addCheck(checkOf("of node", { status: "critical" }, { kind: "alias" }), 0);
  const status = (id: string): string => `${local.check(id)?.check.status}: ${local.check(id)?.check.output}`;
  assert.deepEqual([status("alias1"), status("alias2"), status("of node")], ["passing: All checks passing.", "passing: All checks passing.", "passing: No checks found."]);
  local.updateTtl("w", "warning", "hm", 1);
  assert.deepEqual([status("alias1"), status("of node")], ['warning: Aliased check "w" failing: hm', "passing: No checks found."]);
  local.addCheck(checkOf("disk", { status: "critical", output: "full" }), 1);
  assert.deepEqual([status("alias1"), status("of node")], ['critical: Aliased check "disk" failing: full', 'critical: Aliased check "disk" failing: full']);
});

test("a service whose check stays critical for too long is given up", () => {
  const local = state();
  local.addService(serviceOf("web"), [checkOf("c", { serviceId: "web", status: "critical" }, { ttlMs: 1e9, deregisterAfterMs: 60_000 })], false, 0);
  tellAll(local);
  for (let atMs = REAP_MS; atMs <= 60_000; atMs += REAP_MS) local.wake(atMs);
  assert.equal(local.services().size, 1);
  assert.deepEqual(local.wake(3 * REAP_MS), [{ service: "web", checks: ["c"] }]);
  assert.deepEqual([local.services().size, tellAll(local)], [0, ["dropService web"]]);
});

test("what the catalog has otherwise is put right, but for the servers' own rows and tags that others may set", () => {
  const local = state();
  local.addService(serviceOf("web"), [], false, 0);
  local.addService(serviceOf("tagged", { enableTagOverride: true }), [], false, 0);
  local.addCheck(checkOf("c"), 0);
  tellAll(local);
  const serfHealth = checkOf("serfHealth").check;
  local.compare([serviceOf("web"), serviceOf("tagged", { enableTagOverride: true, tags: ["theirs"] }), serviceOf("consul")], [checkOf("c").check, serfHealth]);
  assert.deepEqual(local.changes(), []);
  assert.deepEqual(local.service("tagged")?.tags, ["theirs"]);
  local.compare([serviceOf("web", { port: 9 }), serviceOf("stray")], [checkOf("c", { status: "critical" }).check, checkOf("of stray", { serviceId: "stray" }).check, checkOf("stray check").check, serfHealth]);
  assert.deepEqual(tellAll(local), ["dropService stray", "putService web []", "putService tagged []", "dropCheck stray check", "putCheck c"]);
});

test("outputs are cut at bytes, and say how many there were", () => {
  assert.equal(cutOutput("short", 10), "short");
  assert.equal(cutOutput("0123456789ab", 10), "0123456789 ... (captured 10 of 12 bytes)");
  assert.equal(cutOutput("éééééé", 12), "éééééé");
});
