import assert from "node:assert/strict";
import { test } from "node:test";
import { encodePushPull, encodeUser } from "../../src/wire/gossip-codec.ts";
import { encodeJoin, encodeLeave, encodeSerfPushPull } from "../../src/wire/serf-codec.ts";
import { cluster, Net, PLAIN_QUERY, type Host } from "./harness.ts";

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
  const params = { ...PLAIN_QUERY, requestAck: true, relayFactor: 1 };
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

test("a push/pull in the middle of a leave does not turn it into a failure", () => {
  const { net, hosts } = cluster(2);
  const [first, second] = hosts as [Host, Host];
  net.command(second, { kind: "leave" });
  net.join(first, second); // Before any gossip could carry the leave.
  net.until(() => first.view.includes("n2 left") || first.view.includes("n2 failed"), 20_000);
  assert.ok(first.view.includes("n2 left"));
});

test("a left list that comes with the time of the member's return does not make that return too old", () => {
  const { net, hosts } = cluster(3);
  const [first, second, third] = hosts as [Host, Host, Host];
  third.isCut = true; // It cannot object.
  const from = second.config.advertise;
  const hear = (bytes: Uint8Array): void => net.step(first, { kind: "message", from, bytes: encodeUser(bytes) });
  hear(encodeLeave({ lamportTime: 20, node: "n3", prune: false }));
  assert.ok(first.view.includes("n3 leaving"));
  // Who told us had heard of the join with time 30 already, but not yet from SWIM that n3 is back.
  const clocks = { lamportTime: 31, eventTime: 1, events: [], queryTime: 1 };
  const userState = encodeSerfPushPull({ ...clocks, statusTimes: new Map([["n3", 30]]), leftMembers: ["n3"] });
  net.step(first, { kind: "streamMessage", stream: -1, from, bytes: encodePushPull({ join: false, nodes: [], userState }) });
  hear(encodeJoin({ lamportTime: 30, node: "n3" }));
  assert.ok(first.view.includes("n3 alive"));
});

test("after a leave commands are refused in the original's words, and the node goes on answering", () => {
  const { net, hosts } = cluster(2);
  const [first, second] = hosts as [Host, Host];
  const leave = net.command(first, { kind: "leave" });
  const again = net.command(first, { kind: "leave" });
  assert.deepEqual(first.reply(again)?.errors, ["Leave already in progress"]);
  assert.deepEqual(first.reply(net.join(first, second))?.errors, ["Serf can't Join after Leave or Shutdown"]);
  net.until(() => first.reply(leave) !== undefined, 20_000);
  assert.deepEqual(first.reply(net.command(first, { kind: "leave" }))?.errors, []);
  net.step(first, { kind: "shutdown" });
  assert.deepEqual(first.reply(net.command(first, { kind: "leave" }))?.errors, ["Leave called after Shutdown"]);
  assert.ok(!first.logs.some((line) => line.includes("Shutdown without a Leave")));
});

test("a leave completes although its broadcast reaches nobody", () => {
  const { net, hosts } = cluster(3);
  const [first] = hosts as [Host];
  net.loses = (from) => from === first;
  const leave = net.command(first, { kind: "leave" });
  net.until(() => first.reply(leave) !== undefined, 15_000);
  assert.deepEqual(first.reply(leave)?.errors, []);
});

test("a shutdown without a leave says so and lets out what coalescing held back", () => {
  const net = new Net();
  const host = net.start("n1", { coalesceMembers: { periodMs: 3000, quiescentMs: 1000 } });
  assert.deepEqual(host.memberEvents, []);
  net.step(host, { kind: "shutdown" });
  assert.deepEqual(host.memberEvents, ["member-join n1"]);
  assert.ok(host.logs.includes("[warn] serf: Shutdown without a Leave"));
});

test("user events that are too long are refused", () => {
  const net = new Net();
  const host = net.start("n1");
  const fire = (bytes: number) => host.reply(net.command(host, { kind: "userEvent", name: "e", payload: new Uint8Array(bytes), coalesce: false }))?.errors;
  assert.deepEqual(fire(512), ["user event exceeds configured limit of 512 bytes before encoding"]);
  assert.deepEqual(fire(511), ["encoded user event exceeds configured limit of 512 bytes after encoding"]);
  assert.deepEqual(fire(470), []);
  assert.deepEqual(host.userEvents, ["e"]);
});

test("old events are replayed to a joiner, unless it asks not to", () => {
  const net = new Net();
  const first = net.start("n1");
  net.command(first, { kind: "userEvent", name: "old", payload: null, coalesce: true });
  const replaying = net.start("n2");
  const ignoring = net.start("n3");
  net.command(replaying, { kind: "join", targets: [{ name: "", to: first.config.advertise }], ignoreOld: false, errors: [] });
  net.command(ignoring, { kind: "join", targets: [{ name: "", to: first.config.advertise }], ignoreOld: true, errors: [] });
  net.advance(2000);
  net.command(first, { kind: "userEvent", name: "new", payload: null, coalesce: true });
  net.advance(3000);
  assert.deepEqual(replaying.userEvents, ["old", "new"]);
  assert.deepEqual(ignoring.userEvents, ["new"]);
});

test("a query goes only to the nodes and tags it names", () => {
  const net = new Net();
  const hosts = ["web", "web", "db"].map((role, i) => net.start(`n${i + 1}`, { tags: new Map([["role", role]]) }));
  const [first, second, third] = hosts as [Host, Host, Host];
  net.join(second, first);
  net.join(third, first);
  net.advance(2000);
  const ask = (params: object): string[] => {
    const from = hosts.map((host) => host.effects.length);
    const request = net.command(first, { kind: "query", name: "q", payload: null, params: { ...PLAIN_QUERY, requestAck: true, ...params } });
    net.advance(5000);
    assert.ok(first.effects.some((effect) => effect.kind === "queryDone" && effect.request === request));
    const acks = first.effects.flatMap((effect) => (effect.kind === "queryAck" && effect.request === request ? [effect.from] : []));
    const seen = hosts.filter((host, i) => host.effects.slice(from[i]).some((effect) => effect.kind === "event" && effect.event.kind === "query")).map((host) => host.config.name);
    assert.deepEqual(acks.sort(), seen);
    return seen;
  };
  assert.deepEqual(ask({}), ["n1", "n2", "n3"]);
  assert.deepEqual(ask({ filterNodes: ["n2", "nobody"] }), ["n2"]);
  assert.deepEqual(ask({ filterTags: new Map([["role", "we"]]) }), ["n1", "n2"]);
  assert.deepEqual(ask({ filterTags: new Map([["role", "("]]) }), []);
  assert.deepEqual(ask({ filterNodes: ["n1", "n3"], filterTags: new Map([["role", "^db$"]]) }), ["n3"]);
});

test("a response is refused when it is repeated, too long or too late", () => {
  const { net, hosts } = cluster(2);
  const [first, second] = hosts as [Host, Host];
  net.command(first, { kind: "query", name: "q", payload: null, params: PLAIN_QUERY });
  net.until(() => second.events.some((event) => event.kind === "query"), 2000);
  const query = second.events.find((event) => event.kind === "query");
  assert.ok(query?.kind === "query");
  const respond = (token: number, bytes: number) => second.reply(net.command(second, { kind: "respond", token, payload: new Uint8Array(bytes) }))?.errors;
  assert.deepEqual(respond(query.token, 1024), ["failed to respond to key query: response exceeds limit of 1024 bytes"]);
  assert.deepEqual(respond(query.token, 10), []);
  assert.deepEqual(respond(query.token, 10), ["failed to respond to key query: response already sent"]);
  net.advance(60_000);
  assert.deepEqual(respond(query.token + 1, 10), ["failed to respond to key query: response is past the deadline"]);
  net.command(first, { kind: "query", name: "late", payload: null, params: { ...PLAIN_QUERY, timeoutMs: 500 } });
  net.advance(2000);
  const late = second.events.find((event) => event.kind === "query" && event.name === "late");
  assert.ok(late?.kind === "query");
  assert.deepEqual(respond(late.token, 10), ["failed to respond to key query: response is past the deadline"]);
});

test("a lost direct answer arrives through a relay", () => {
  const { net, hosts } = cluster(4);
  const [first, second] = hosts as [Host, Host];
  const request = net.command(first, { kind: "query", name: "q", payload: null, params: { ...PLAIN_QUERY, filterNodes: ["n2"], requestAck: true, relayFactor: 2 } });
  net.loses = (from, to, message) => from === second && to === first && message[0] === 8;
  net.advance(5000);
  assert.deepEqual(first.effects.filter((effect) => effect.kind === "queryAck" && effect.request === request), [{ kind: "queryAck", request, from: "n2" }]);
});

test("queries that are too long or spoken in an old protocol are refused", () => {
  const net = new Net();
  const host = net.start("n1");
  const old = net.start("n2", { protocol: 3 });
  const ask = (from: Host, bytes: number) => from.reply(net.command(from, { kind: "query", name: "q", payload: new Uint8Array(bytes), params: PLAIN_QUERY }))?.errors;
  assert.deepEqual(ask(host, 1024), ["query exceeds limit of 1024 bytes"]);
  assert.deepEqual(ask(old, 1), ["Feature not supported"]);
});

test("tags change everywhere, unless they are too long", () => {
  const { net, hosts } = cluster(3);
  const [first, second] = hosts as [Host, Host];
  const request = net.command(first, { kind: "setTags", tags: new Map([["role", "db"]]) });
  net.until(() => first.reply(request) !== undefined, 6000);
  assert.deepEqual(first.reply(request)?.errors, []);
  assert.equal(second.pool.member("n1")?.tags.get("role"), "db");
  assert.ok(second.memberEvents.includes("member-update n1"));
  const tooLong = net.command(first, { kind: "setTags", tags: new Map([["t", "x".repeat(510)]]) });
  assert.deepEqual(first.reply(tooLong)?.errors, ["Encoded length of tags exceeds limit of 512 bytes"]);
});

test("force-leave of a failed member shows left on all, with prune it vanishes", () => {
  const { net, hosts } = cluster(4);
  const [first, second, third, fourth] = hosts as [Host, Host, Host, Host];
  third.isCut = true;
  fourth.isCut = true;
  net.until(() => [first, second].every((host) => host.view.includes("n3 failed") && host.view.includes("n4 failed")), 60_000);
  const plain = net.command(first, { kind: "forceLeave", node: "n3", prune: false });
  const pruned = net.command(second, { kind: "forceLeave", node: "n4", prune: true });
  net.advance(6000);
  assert.deepEqual([first.reply(plain)?.errors, second.reply(pruned)?.errors], [[], []]);
  for (const host of [first, second]) assert.deepEqual(host.view, ["n1 alive", "n2 alive", "n3 left"]);
  assert.ok(second.logs.includes("[info] serf: EventMemberLeave (forced): n3 10.0.0.3"));
  assert.ok(first.logs.includes("[info] serf: EventMemberReap (forced): n4 10.0.0.4"));
});

test("force-leave of a live member is refuted by it", () => {
  const { net, hosts } = cluster(3);
  const [first] = hosts as [Host];
  net.command(first, { kind: "forceLeave", node: "n3", prune: false });
  assert.ok(first.view.includes("n3 leaving"));
  net.advance(5000);
  for (const host of hosts) assert.deepEqual(host.view, ["n1 alive", "n2 alive", "n3 alive"]);
});

test("a failed member that comes back is found again by reconnecting", () => {
  const { net, hosts } = cluster(3);
  const [first, second, third] = hosts as [Host, Host, Host];
  third.isCut = true;
  net.until(() => [first, second].every((host) => host.view.includes("n3 failed")), 60_000);
  net.advance(60_000); // Longer than the dead are gossiped to.
  third.isCut = false;
  net.until(() => hosts.every((host) => host.view.every((line) => line.endsWith(" alive"))), 300_000);
  assert.ok([...first.logs, ...second.logs].some((line) => line === "[info] serf: attempting reconnect to n3 10.0.0.3:7946"));
});

test("statistics have the original's keys", () => {
  const { hosts } = cluster(2);
  const stats = hosts[0]?.pool.stats() ?? new Map();
  const names = ["coordinate_resets", "encrypted", "event_queue", "event_time", "failed", "health_score", "intent_queue", "left", "member_time", "members", "query_queue", "query_time"];
  assert.deepEqual([...stats.keys()], names);
  assert.equal(stats.get("members"), "2");
  assert.equal(stats.get("encrypted"), "false");
});

test("probes teach coordinates, own and others'", () => {
  const { net, hosts } = cluster(2);
  const [first] = hosts as [Host];
  net.advance(20_000);
  assert.ok(first.pool.coordinate("n2") !== null);
  assert.ok((first.pool.coordinate("n1")?.error ?? 2) < 1.5);
  assert.equal(first.pool.coordinate("nobody"), null);
});
