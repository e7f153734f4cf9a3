/** Registrations and what is read of them: shared results, their end, and what wakes a blocked reader. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { CheckedInstance, ServiceInstance } from "../../../src/catalog/types.ts";
import type { Queried, RpcMethods, ServiceArgs } from "../../../src/api/rpc/types.ts";
import { KEPT_RESULTS_MAX, KEPT_ROWS_MAX, KeptReads } from "../../../src/node/server/kept-reads.ts";
import type { HealthCheck, NodeService, RegisterRequest } from "../../../src/wire/fsm-commands.ts";
import { Bench, errorOf, READ, valueOf, type Node } from "./bench.ts";

const SERVICE: NodeService = {
  kind: "", id: "", service: "web", tags: ["a", "B"], address: "", taggedAddresses: null, meta: null, port: 80, weights: null, enableTagOverride: false,
  locallyRegisteredAsSidecar: false, proxy: undefined, connect: undefined, createIndex: 0, modifyIndex: 0,
};
const CHECK: HealthCheck = {
  node: "", checkId: "", name: "alive", status: "passing", notes: "", output: "", serviceId: "", serviceName: "", serviceTags: null, type: "", definition: undefined,
  createIndex: 0, modifyIndex: 0,
};

function request(node: string, changes: Partial<RegisterRequest> = {}): RegisterRequest {
  return {
    datacenter: "dc1", id: "", node, address: "10.0.0.1", taggedAddresses: null, nodeMeta: null, service: null, check: null, checks: null, skipNodeUpdate: false, token: "",
    createIndex: 0, modifyIndex: 0, ...changes,
  };
}

function register(bench: Bench, node: Node, asked: RegisterRequest): void {
  valueOf(bench.call(node, "Catalog.Register", asked));
}

function serviceArgs(service: string, changes: Partial<ServiceArgs> = {}): ServiceArgs {
  return { datacenter: "dc1", nodeMeta: new Map(), near: "", service, tags: [], address: "", options: READ, ...changes };
}

function instances(bench: Bench, node: Node, args: ServiceArgs): Queried<readonly CheckedInstance[]> {
  return valueOf(bench.call(node, "Health.ServiceNodes", args)) as Queried<readonly CheckedInstance[]>;
}

test("what a registration must say, in the order in which it is looked at", () => {
  const { bench, node } = Bench.alone();
  for (const [asked, error] of [
    [request(""), "Must provide node"],
    [request("n", { address: "" }), "Must provide address if SkipNodeUpdate is not set"],
    [request("n", { id: "short" }), "Bad node ID: uuid string is wrong length"],
    [request("n", { id: "40e4a748+2192-161a-0510-9bf59fe950b5" }), "Bad node ID: uuid is improperly formatted"],
    [request("n", { id: "40e4a748-2192-161a-0510-9bf59fe950bZ" }), "Bad node ID: encoding/hex: invalid byte: U+005A 'Z'"],
    [request("n", { service: { ...SERVICE, id: "x", service: "" } }), "Must provide service name with ID"],
    [request("n", { service: { ...SERVICE, address: "::" } }), "Invalid service address"],
    [request("n", { service: { ...SERVICE, kind: "connect-proxy", port: 0 } }),
      "2 errors occurred:\n\t* Proxy.DestinationServiceName must be non-empty for Connect proxy services\n\t* Port must be set for a Connect proxy\n\n"],
    [request("n", { checks: [{ ...CHECK, node: "other" }] }), 'check node "other" does not match node "n"'],
    [request("n", { checks: [{ ...CHECK, serviceId: "none" }] }), 'failed inserting check: Missing service registration on node "n"'],
  ] as const) assert.equal(errorOf(bench.call(node, "Catalog.Register", asked)), error);
  assert.equal(node.state.node("n").value, null, "a refused registration leaves nothing behind");
  assert.equal(errorOf(bench.call(node, "Catalog.Deregister", { datacenter: "dc1", node: "", serviceId: "", checkId: "", token: "" })), "Must provide node");
});

test("names fill in ids, and instances come with the checks of their node and their own", () => {
  const { bench, node } = Bench.alone();
  register(bench, node, request("n", { service: SERVICE, checks: [{ ...CHECK, serviceId: "web" }, { ...CHECK, name: "disk" }] }));
  register(bench, node, request("n", { service: { ...SERVICE, id: "web2" }, check: { ...CHECK, name: "two", serviceId: "web2" } }));
  const found = instances(bench, node, serviceArgs("WEB")).value;
  assert.deepEqual(found.map(({ service, checks }) => [service.id, checks.map(({ checkId }) => checkId)]), [["web", ["disk", "alive"]], ["web2", ["disk", "two"]]]);
  const ids = (changes: Partial<ServiceArgs>): readonly string[] =>
    (valueOf(bench.call(node, "Catalog.ServiceNodes", serviceArgs("web", changes))) as Queried<readonly ServiceInstance[]>).value.map(({ service }) => service.id);
  assert.deepEqual([ids({ tags: ["A", "b"] }), ids({ tags: ["c"] }), ids({ address: "10.0.0.1" }), ids({ address: "10.0.0.2" })], [["web", "web2"], [], ["web", "web2"], []]);
});

test("a result is shared until a row it shows changes, and only then", () => {
  const { bench, node } = Bench.alone();
  register(bench, node, request("n", { service: SERVICE, check: { ...CHECK, serviceId: "web" } }));
  const ask = (): readonly CheckedInstance[] => instances(bench, node, serviceArgs("web")).value;
  const first = ask();
  assert.equal(ask(), first);
  register(bench, node, request("other", { service: { ...SERVICE, service: "db" } }));
  assert.equal(ask(), first, "of no concern");
  for (const [what, change] of [
    ["check", request("n", { check: { ...CHECK, serviceId: "web", status: "critical" } })],
    ["node", request("n", { address: "10.0.0.9" })],
    ["service", request("n", { address: "10.0.0.9", service: { ...SERVICE, port: 81 } })],
    ["instance", request("m", { service: SERVICE })],
  ] as const) {
    const before = ask();
    register(bench, node, change);
    assert.notEqual(ask(), before, what);
    assert.equal(ask(), ask());
  }
  // The instance turns into one of another service.
  register(bench, node, request("n", { address: "10.0.0.9", service: { ...SERVICE, id: "web", service: "renamed" } }));
  assert.deepEqual(ask().map((row) => row.node.node), ["m"]);
});

test("a blocked reader of a service is woken by its changes, not by those of others", () => {
  const { bench, node } = Bench.alone();
  register(bench, node, request("n", { service: SERVICE }));
  const { meta } = instances(bench, node, serviceArgs("web"));
  const blocked = bench.call(node, "Health.ServiceNodes", serviceArgs("web", { options: { ...READ, minQueryIndex: meta.index, maxQueryTimeMs: 60_000 } }));
  register(bench, node, request("unrelated"));
  register(bench, node, request("unrelated", { service: { ...SERVICE, service: "db" } }));
  assert.deepEqual(blocked.replies, []);
  register(bench, node, request("n", { check: { ...CHECK, serviceId: "web" } }));
  assert.equal(blocked.replies.length, 1);
});

test("results kept are bounded in number and in rows, and nothing empty is kept", () => {
  const { node } = Bench.alone();
  const kept = new KeptReads(node.state);
  const of = (rows: number) => () => ({ index: 1, value: Array.from({ length: rows }, () => 0) });
  for (let i = 0; i < KEPT_RESULTS_MAX + 5; i += 1) kept.read(`k${i}`, [], of(1));
  assert.equal(kept.size, KEPT_RESULTS_MAX);
  kept.read("large", [], of(KEPT_ROWS_MAX - 10));
  assert.equal(kept.size, 11);
  kept.read("too large", [], of(KEPT_ROWS_MAX + 1));
  kept.read("nothing", [], of(0));
  kept.read("error", [], () => "no");
  assert.equal(kept.size, 11);
});

test("dumps show every node and every instance", () => {
  const { bench, node } = Bench.alone();
  register(bench, node, request("n", { service: SERVICE, check: CHECK }));
  const args = { datacenter: "dc1", nodeMeta: new Map<string, string>(), near: "", options: READ };
  const dump = (valueOf(bench.call(node, "Internal.NodeDump", args)) as RpcMethods["Internal.NodeDump"]["reply"]).value;
  assert.deepEqual(dump.map((row) => [row.node.node, row.services.map(({ id }) => id), row.checks.map(({ checkId }) => checkId)]), [["a", ["consul"], ["serfHealth"]], ["n", ["web"], ["alive"]]]);
  const services = (valueOf(bench.call(node, "Internal.ServiceDump", args)) as RpcMethods["Internal.ServiceDump"]["reply"]).value;
  assert.deepEqual(services.map(({ service, checks }) => [service.service, checks.length]), [["consul", 1], ["web", 1]]);
  const info = (valueOf(bench.call(node, "Internal.NodeInfo", { datacenter: "dc1", node: "N", options: READ })) as RpcMethods["Internal.NodeInfo"]["reply"]).value;
  assert.deepEqual(info.map((row) => row.node.node), ["n"]);
});
