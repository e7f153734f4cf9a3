import assert from "node:assert/strict";
import { test } from "node:test";
import { ipToBytes } from "../../src/base/endpoint.ts";
import { SeededRandom } from "../../src/base/random.ts";
import { isInside, parseCidr, type Cidr } from "../../src/swim/cidr.ts";
import { Swim } from "../../src/swim/swim.ts";
import type { SwimConfig, SwimEffect, SwimInput } from "../../src/swim/types.ts";
import { encodeAlive, encodePing } from "../../src/wire/gossip-codec.ts";
import { RecordingDelegate, SERF_VERSIONS, swimConfig } from "./fake-network.ts";

function cidr(text: string): Cidr {
  const parsed = parseCidr(text);
  assert.ok(parsed.ok, text);
  return parsed.value;
}

const cases: readonly [network: string, addr: string, inside: boolean][] = [
  ["10.0.0.0/8", "10.255.0.1", true],
  ["10.0.0.0/8", "11.0.0.1", false],
  ["10.1.0.0/20", "10.1.15.255", true],
  ["10.1.0.0/20", "10.1.16.0", false],
  ["10.1.2.3/32", "10.1.2.3", true],
  ["10.1.2.3/31", "10.1.2.2", true],
  ["0.0.0.0/0", "200.1.1.1", true],
  ["0.0.0.0/0", "fd00::1", false],
  ["fd00::/8", "fdff::1", true],
  ["fd00::/8", "fe80::1", false],
  ["10.0.0.0/8", "::ffff:10.0.0.1", true],
];

for (const [network, addr, inside] of cases) {
  test(`${addr} is ${inside ? "" : "not "}in ${network}`, () => assert.equal(isInside(ipToBytes(addr) as Uint8Array, [cidr(network)]), inside));
}

test("what is no network is refused", () => {
  for (const text of ["10.0.0.0", "10.0.0.0/33", "fd00::/129", "x/8", "10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/08"]) {
    assert.deepEqual(parseCidr(text), { ok: false, error: `invalid CIDR address: ${text}` });
  }
});

function run(overrides: Partial<SwimConfig>, input: SwimInput): { swim: Swim<SwimEffect>; out: SwimEffect[] } {
  const swim = new Swim<SwimEffect>({ ...swimConfig("self", { ip: "10.0.0.1", port: 7946 }), ...overrides }, new SeededRandom(1), new RecordingDelegate(), 0, []);
  const out: SwimEffect[] = [];
  swim.step(input, 0, out);
  return { swim, out };
}

function alive(ip: string): Uint8Array {
  return encodeAlive({ node: "b", incarnation: 1, addr: ipToBytes(ip), port: 7946, meta: null, versions: SERF_VERSIONS });
}

const dropped = { kind: "count", name: "memberlist.drop.address", delta: 1 } as const;

test("S-030: packets, streams and members from outside the allowed networks are refused", () => {
  const allowedNetworks = [cidr("10.0.0.0/8")];
  const outside = { ip: "192.0.2.1", port: 7946 };
  const inside = { ip: "10.0.0.9", port: 7946 };
  const ping = encodePing({ seq: 1, node: "self", sourceAddr: null, sourcePort: 0, sourceNode: "" });

  assert.deepEqual(run({ allowedNetworks }, { kind: "message", from: outside, bytes: ping }).out, [dropped]);
  assert.equal(run({ allowedNetworks }, { kind: "message", from: inside, bytes: ping }).out[0]?.kind, "packet");
  assert.deepEqual(run({ allowedNetworks }, { kind: "streamMessage", stream: -1, from: outside, bytes: ping }).out, [dropped, { kind: "streamClose", stream: -1 }]);

  const { swim, out } = run({ allowedNetworks }, { kind: "message", from: inside, bytes: alive("192.0.2.7") });
  assert.equal(swim.member("b"), null);
  assert.deepEqual(out, [{ kind: "log", level: "warn", text: "memberlist: Rejected node b (192.0.2.7): 192.0.2.7 is not allowed" }, dropped]);
  assert.equal(run({ allowedNetworks }, { kind: "message", from: inside, bytes: alive("10.0.0.7") }).swim.member("b")?.state, "alive");

  assert.deepEqual(run({ allowedNetworks: [] }, { kind: "message", from: inside, bytes: ping }).out, [dropped], "an empty list allows nobody");
  assert.equal(run({}, { kind: "message", from: outside, bytes: ping }).out[0]?.kind, "packet", "without a list anybody");
});

test("S-031: an address without a node name is not joined when names are required", () => {
  const to = { ip: "10.0.0.2", port: 7946 };
  const nameless = Array.from({ length: 20_000 }, () => ({ name: "", to }));
  const { out } = run({ requireNodeNames: true }, { kind: "join", request: 1, targets: nameless });
  const [reply, ...more] = out;
  assert.ok(reply?.kind === "reply" && reply.errors.length === 20_000 && more.length === 0);
  assert.equal(reply.errors[0], "Failed to join 10.0.0.2: memberlist: node names are required by configuration but one was not provided");
  const named = run({ requireNodeNames: true }, { kind: "join", request: 1, targets: [{ name: "b", to }] });
  assert.deepEqual(named.out, [{ kind: "dial", stream: 1, to, timeoutMs: 10_000 }]);
});
