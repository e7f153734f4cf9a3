import assert from "node:assert/strict";
import { test } from "node:test";
import { cluster, Net, PLAIN_QUERY, type Host } from "./harness.ts";
import { encodeAlive } from "../../src/wire/gossip-codec.ts";
import { KEYRING_CHANGES_MAX } from "../../src/serf/internal-queries.ts";
import type { KeyResult } from "../../src/serf/types.ts";

const KEY = Buffer.alloc(16, 7).toString("base64");

function keysReply(host: Host, request: number): { readonly result: KeyResult; readonly errors: readonly string[] } {
  const reply = host.reply(request);
  assert.ok(reply?.value.kind === "keys");
  return { result: reply.value.result, errors: reply.errors };
}

test("keys are changed on every node before it says so, and listed with their counts", () => {
  const { net, hosts } = cluster(3, { encrypted: () => true });
  const [first] = hosts as [Host];
  for (const host of hosts) host.keys = [KEY];
  const install = net.command(first, { kind: "keys", operation: "install", key: KEY });
  net.until(() => first.reply(install) !== undefined, 5000);
  const { result: installed, errors: none } = keysReply(first, install);
  assert.deepEqual([installed.nodes, installed.responses, installed.failures, installed.messages.size, installed.keys.size, installed.keysOf.size, none.length], [3, 3, 0, 0, 0, 3, 0]);
  for (const host of hosts) {
    const change = host.effects.find((effect) => effect.kind === "keyring");
    assert.ok(change?.kind === "keyring" && change.operation === "install");
    assert.deepEqual(Buffer.from(change.key).toString("base64"), KEY);
    assert.ok(host.logs.includes("[info] serf: Received install-key query"));
    assert.ok(!host.events.some((event) => event.kind === "query"), "an internal query was shown");
  }
  const list = net.command(first, { kind: "keys", operation: "list", key: "" });
  net.until(() => first.reply(list) !== undefined, 5000);
  assert.deepEqual(keysReply(first, list).result.keys, new Map([[KEY, 3]]));
  assert.deepEqual([...keysReply(first, list).result.keysOf.values()], [[KEY], [KEY], [KEY]]);
});

test("without encryption every node reports a failure", () => {
  const { net, hosts } = cluster(2);
  const [first] = hosts as [Host];
  const request = net.command(first, { kind: "keys", operation: "use", key: KEY });
  net.until(() => first.reply(request) !== undefined, 10_000);
  const { result, errors } = keysReply(first, request);
  assert.deepEqual(errors, ["2/2 nodes reported failure"]);
  const message = "No keyring to modify (encryption not enabled)";
  assert.deepEqual(result.messages, new Map([["n1", message], ["n2", message]]));
});

test("nodes that do not answer make the operation fail after its time", () => {
  const { net, hosts } = cluster(3, { encrypted: () => true });
  const [first, , third] = hosts as [Host, Host, Host];
  third.isCut = true;
  const request = net.command(first, { kind: "keys", operation: "remove", key: KEY });
  net.advance(1000);
  assert.equal(first.reply(request), undefined);
  net.advance(4000);
  assert.deepEqual(keysReply(first, request).errors, ["2/3 nodes reported success"]);
});

test("a key that is no base64 is refused at once with an empty result", () => {
  const net = new Net();
  const host = net.start("n1", { encrypted: () => true });
  const { result, errors } = keysReply(host, net.command(host, { kind: "keys", operation: "install", key: "not base64!" }));
  assert.deepEqual(errors, ["illegal base64 data at input byte 3"]);
  assert.deepEqual([result.nodes, result.responses], [0, 0]);
});

test("a key list that is too long for a response is cut, and says so (serf#546)", () => {
  const { net, hosts } = cluster(2, { encrypted: () => true });
  const [first] = hosts as [Host];
  const keys = Array.from({ length: 200 }, (_, i) => Buffer.alloc(32, i).toString("base64"));
  for (const host of hosts) host.keys = keys;
  const request = net.command(first, { kind: "keys", operation: "list", key: "" });
  net.until(() => first.reply(request) !== undefined, 5000);
  const { result, errors } = keysReply(first, request);
  assert.deepEqual(errors, []);
  const message = result.messages.get("n2") ?? "";
  const shown = Number(/^truncated key list response, showing first (\d+) of 200 keys$/.exec(message)?.[1]);
  assert.ok(shown > 15 && shown < 30, message);
  assert.equal(result.keys.size, shown);
  for (const host of hosts) {
    for (const effect of host.effects) if (effect.kind === "packet") for (const bytes of effect.messages) assert.ok(bytes.length <= 1025);
  }
});

test("a ping query brings acks and nothing else", () => {
  const { net, hosts } = cluster(3);
  const [first] = hosts as [Host];
  net.command(first, { kind: "query", name: "_serf_ping", payload: null, params: { ...PLAIN_QUERY, requestAck: true } });
  net.advance(5000);
  assert.equal(first.effects.filter((effect) => effect.kind === "queryAck").length, 3);
  assert.equal(first.effects.filter((effect) => effect.kind === "queryResponse").length, 0);
});

test("key queries that the driver never carries out are bounded, and later ones are served again", () => {
  const net = new Net();
  const host = net.start("n1", { encrypted: () => true, queryTimeoutMult: 1 });
  const asked = (): number => host.effects.filter((effect) => effect.kind === "keyring").length;
  // The harness answers through `step`; here nobody does.
  const silent = (): boolean => host.pool.step({ kind: "keys", request: 1, operation: "use", key: KEY }, net.nowMs, host.effects);
  for (let i = 0; i < KEYRING_CHANGES_MAX + 10; i += 1) silent();
  assert.equal(asked(), KEYRING_CHANGES_MAX);
  net.nowMs += 10_000;
  silent();
  assert.equal(asked(), KEYRING_CHANGES_MAX + 1);
});

test("of two nodes with one name the newcomer loses the vote and stops", () => {
  const { net, hosts } = cluster(4);
  const [first, second] = hosts as [Host, Host];
  const claimant = net.start("n2");
  net.join(claimant, first);
  net.until(() => claimant.effects.some((effect) => effect.kind === "stop"), 60_000);
  assert.ok(claimant.logs.some((line) => /^\[warn\] serf: minority in name conflict resolution, quitting \[0 \/ \d+\]$/.test(line)));
  assert.ok(!second.effects.some((effect) => effect.kind === "stop"));
  assert.ok(first.logs.some((line) => line.includes("serf: Name conflict for 'n2' both 10.0.0.2:7946 and 10.0.0.5:7946 are claiming")));
});

test("a forged claim of its name does not end a node without company (S-059: a conflict must not stop the wrong side)", () => {
  const net = new Net();
  const alone = net.start("n1");
  const alive = encodeAlive({ incarnation: 1, node: "n1", addr: Uint8Array.of(10, 6, 6, 6), port: 7946, meta: null, versions: Uint8Array.of(1, 5, 2, 2, 5, 5) });
  net.step(alone, { kind: "message", from: { ip: "10.6.6.6", port: 7946 }, bytes: alive });
  net.advance(60_000);
  assert.ok(alone.logs.some((line) => line.includes("nobody voted in name conflict resolution, keeping the name")));
  assert.ok(!alone.effects.some((effect) => effect.kind === "stop"));
});
