import assert from "node:assert/strict";
import { test } from "node:test";
import { Net, type Host } from "./harness.ts";

/** `count` pools that all know each other. */
export function cluster(count: number): { readonly net: Net; readonly hosts: readonly Host[] } {
  const net = new Net();
  const hosts = Array.from({ length: count }, (_, i) => net.start(`n${i + 1}`));
  const [first, ...rest] = hosts as [Host, ...Host[]];
  for (const host of rest) net.join(host, first);
  net.until(() => hosts.every((host) => host.view.filter((line) => line.endsWith(" alive")).length === count), 20_000);
  return { net, hosts };
}

test("members join, see each other and say so", () => {
  const { hosts } = cluster(3);
  for (const host of hosts) assert.deepEqual(host.view, ["n1 alive", "n2 alive", "n3 alive"]);
  assert.ok(hosts[0]?.logs.includes("[info] serf: EventMemberJoin: n2 10.0.0.2"));
});

test("a user event reaches every node once", () => {
  const { net, hosts } = cluster(5);
  const [first] = hosts as [Host];
  const request = net.command(first, { kind: "userEvent", name: "deploy", payload: null, coalesce: false });
  assert.deepEqual(first.reply(request)?.errors, []);
  net.advance(3000);
  for (const host of hosts) assert.deepEqual(host.userEvents, ["deploy"]);
});

test("a query gathers acks and answers, then is done", () => {
  const { net, hosts } = cluster(3);
  const [first] = hosts as [Host];
  const params = { filterNodes: [], filterTags: new Map(), requestAck: true, relayFactor: 1, timeoutMs: 0 };
  const request = net.command(first, { kind: "query", name: "load", payload: null, params });
  net.advance(500);
  for (const host of hosts) {
    const query = host.events.find((event) => event.kind === "query");
    assert.ok(query?.kind === "query");
    net.command(host, { kind: "respond", token: query.token, payload: new Uint8Array([1]) });
  }
  net.advance(5000);
  const progress = first.effects.filter((effect) => "request" in effect && effect.request === request).map((effect) => effect.kind);
  assert.equal(progress[0], "reply");
  assert.equal(progress.at(-1), "queryDone");
  assert.equal(progress.filter((kind) => kind === "queryAck").length, 3);
  assert.equal(progress.filter((kind) => kind === "queryResponse").length, 3);
});

test("a graceful leave shows left, a crash shows failed", () => {
  const { net, hosts } = cluster(4);
  const [first, second, third] = hosts as [Host, Host, Host];
  const request = net.command(second, { kind: "leave" });
  third.isCut = true;
  net.until(() => second.reply(request) !== undefined, 20_000);
  assert.deepEqual(second.reply(request)?.errors, []);
  net.until(() => first.view.includes("n3 failed"), 60_000);
  assert.ok(first.view.includes("n2 left"));
});
