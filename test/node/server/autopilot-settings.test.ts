/** Autopilot's replicated settings and the health it sees, on virtual time. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { ClusterHealth, RpcMethods } from "../../../src/api/rpc/types.ts";
import type { AutopilotSettings } from "../../../src/wire/autopilot-command.ts";
import { AUTOPILOT, Bench, EPOCH_OFFSET_MS, idOf, READ, valueOf, type Node } from "./bench.ts";

const OPTIONS = { datacenter: "dc1", options: READ };

function settingsOf(bench: Bench, node: Node): AutopilotSettings {
  return valueOf(bench.call(node, "Operator.AutopilotGetConfiguration", OPTIONS)) as AutopilotSettings;
}

function set(bench: Bench, node: Node, changes: Partial<AutopilotSettings>, cas: boolean): boolean {
  const args: RpcMethods["Operator.AutopilotSetConfiguration"]["args"] = { datacenter: "dc1", config: { ...settingsOf(bench, node), ...changes }, cas, token: "" };
  return valueOf(bench.call(node, "Operator.AutopilotSetConfiguration", args)) as boolean;
}

function healthOf(bench: Bench, node: Node): ClusterHealth {
  return valueOf(bench.call(node, "Operator.ServerHealth", OPTIONS)) as ClusterHealth;
}

test("the first leader writes its settings; they are replicated, changed, and compared before a change that asks for it", () => {
  const { bench, leader, followers: [follower] } = Bench.three();
  const first = settingsOf(bench, follower);
  assert.deepEqual([first.cleanupDeadServers, first.maxTrailingLogs, first.createIndex > 0], [AUTOPILOT.cleanupDeadServers, AUTOPILOT.maxTrailingLogs, true]);
  set(bench, follower, { maxTrailingLogs: 7 }, false);
  const second = settingsOf(bench, leader);
  assert.deepEqual([second.maxTrailingLogs, second.createIndex, second.modifyIndex > first.modifyIndex], [7, first.createIndex, true]);
  assert.equal(set(bench, leader, { maxTrailingLogs: 8, modifyIndex: first.modifyIndex }, true), false);
  assert.equal(set(bench, leader, { maxTrailingLogs: 9 }, true), true);
  assert.equal(settingsOf(bench, leader).maxTrailingLogs, 9);
});

test("a leader sees who is healthy, since when, and how many may fail", () => {
  const { bench, leader, followers: [first] } = Bench.three();
  bench.advance(4000);
  const before = healthOf(bench, leader);
  assert.deepEqual([before.healthy, before.failureTolerance, before.servers.length], [true, 1, 3]);
  assert.deepEqual(before.servers.filter((server) => server.leader).map(({ id, lastContactMs }) => [id, lastContactMs]), [[idOf(leader.name), 0]]);
  bench.cut.add(first.name);
  bench.advance(4000);
  const after = healthOf(bench, leader);
  const lost = after.servers.find(({ id }) => id === idOf(first.name));
  assert.deepEqual([after.healthy, after.failureTolerance, lost?.healthy], [false, 0, false]);
  assert.ok((lost?.stableSinceNs ?? 0n) > BigInt(EPOCH_OFFSET_MS) * 1_000_000n);
  assert.deepEqual(after.servers.filter(({ id }) => id !== idOf(first.name)).map((server) => server.stableSinceNs),
    before.servers.filter(({ id }) => id !== idOf(first.name)).map((server) => server.stableSinceNs), "who stayed healthy has been so since the same time");
});
