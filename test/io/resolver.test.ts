import assert from "node:assert/strict";
import { test } from "node:test";
import { AllowList, canonicalIp, privateAddress } from "../../src/io/network.ts";
import { ADDRESSES_PER_NAME_MAX, resolveJoinAddresses, type LookupAll } from "../../src/io/resolver.ts";
import { ensurePort, hasPort } from "../../src/swim/address.ts";

const lookup: LookupAll = (host) => {
  if (host === "two.example") return Promise.resolve(["10.0.0.1", "fd00::1", "10.0.0.1"]);
  if (host === "many.example") return Promise.resolve(Array.from({ length: 1000 }, (_, i) => `10.1.${i >> 8}.${i & 255}`));
  return Promise.reject(Object.assign(new Error("getaddrinfo"), { code: "ENOTFOUND" }));
};

test("addresses: IPs as they are, names to all their addresses, default port, node names", async () => {
  const { targets, errors } = await resolveJoinAddresses(["10.0.0.9", "n1/10.0.0.8:80", "::1", "[fd00::2]:7", "two.example"], 7946, lookup);
  assert.deepEqual(errors, []);
  assert.deepEqual(targets, [
    { name: "", to: { ip: "10.0.0.9", port: 7946 } },
    { name: "n1", to: { ip: "10.0.0.8", port: 80 } },
    { name: "", to: { ip: "::1", port: 7946 } },
    { name: "", to: { ip: "fd00::2", port: 7 } },
    { name: "", to: { ip: "10.0.0.1", port: 7946 } },
    { name: "", to: { ip: "fd00::1", port: 7946 } },
  ]);
  assert.equal((await resolveJoinAddresses(["many.example"], 1, lookup)).targets.length, ADDRESSES_PER_NAME_MAX);
});

// Texts recorded from the real agent.
const failures: readonly (readonly [address: string, error: RegExp])[] = [
  ["foo:99999", /^Failed to resolve foo:99999: strconv.ParseUint: parsing "99999": value out of range$/],
  ["foo:x", /^Failed to resolve foo:x: strconv.ParseUint: parsing "x": invalid syntax$/],
  ["x:", /^Failed to resolve x:: strconv.ParseUint: parsing "": invalid syntax$/],
  ["[::1", /^Failed to resolve \[::1: address \[::1: missing '\]' in address$/],
  ["[a]b:1", /^Failed to resolve \[a\]b:1: address \[a\]b:1: missing port in address$/],
  ["/x", /^Failed to resolve \/x: empty node name provided$/],
  ["a:b:c", /^Failed to resolve a:b:c: lookup a:b:c: no such host$/],
  ["1.2.3.4.5", /^Failed to resolve 1.2.3.4.5: lookup 1.2.3.4.5: no such host$/],
  ["a/b/c", /^Failed to resolve a\/b\/c: lookup b\/c: no such host$/],
  ["", /^Failed to resolve : lookup : no such host$/],
  ["nosuch.invalid", /^Failed to resolve nosuch.invalid: lookup nosuch.invalid( on [0-9a-f.:[\]]+)?: no such host$/],
];

test("addresses that cannot be used: the original's texts, the others go on", async () => {
  for (const [address, expected] of failures) {
    const { targets, errors } = await resolveJoinAddresses([address, "10.0.0.1"], 7946, lookup);
    assert.equal(errors.length, 1, address);
    assert.match(errors[0] ?? "", expected);
    assert.equal(targets.length, 1);
  }
});

test("ports are recognised as memberlist does", () => {
  assert.equal(ensurePort("host", 7946), "host:7946");
  assert.equal(ensurePort("[::1]", 7946), "[::1]:7946");
  assert.equal(ensurePort("a:b:c", 7946), "[a:b:c]:7946");
  assert.equal(hasPort("[::1]:7"), true);
  assert.equal(hasPort("::1"), false);
});

test("bound to everything, the first private address is advertised", () => {
  const lo = { name: "lo", ip: "127.0.0.1", internal: true };
  const pub = { name: "eth0", ip: "8.8.8.8", internal: false };
  const v6 = { name: "eth1", ip: "fd00::5", internal: false };
  const docker = { name: "docker0", ip: "172.17.0.1", internal: false };
  const lan = { name: "eth1", ip: "10.1.2.3", internal: false };
  assert.deepEqual(privateAddress([lo, pub, docker, v6, lan], new Set(["eth1"])), { ok: true, value: "10.1.2.3" });
  assert.deepEqual(privateAddress([lo, pub, docker], new Set()), { ok: true, value: "172.17.0.1" });
  assert.deepEqual(privateAddress([lo, pub], new Set()), {
    ok: false,
    error: "Failed to get final advertise address: No private IP address found, and explicit IP not provided",
  });
});

test("allow list: null lets everybody in, an empty list nobody", () => {
  const list = (cidrs: readonly string[] | null): AllowList => {
    const parsed = AllowList.parse(cidrs);
    assert.ok(parsed.ok);
    return parsed.value;
  };
  assert.equal(list(null).allows("1.2.3.4"), true);
  assert.equal(list([]).allows("127.0.0.1"), false);
  assert.equal(list(["10.0.0.0/8", "fd00::/8"]).allows("10.255.0.1"), true);
  assert.equal(list(["10.0.0.0/8", "fd00::/8"]).allows("fd12::1"), true);
  assert.equal(list(["10.0.0.0/8"]).allows("11.0.0.1"), false);
  assert.equal(list(["10.0.0.7"]).allows("10.0.0.8"), false);
  assert.deepEqual(AllowList.parse(["10.0.0.0/33"]), { ok: false, error: "invalid CIDR address: 10.0.0.0/33" });
  assert.equal(AllowList.parse(["x/8"]).ok, false);
});

test("peer addresses lose zone and mapping", () => {
  assert.equal(canonicalIp("::ffff:10.0.0.1"), "10.0.0.1");
  assert.equal(canonicalIp("fe80::1%eth0"), "fe80::1");
  assert.equal(canonicalIp("10.0.0.1"), "10.0.0.1");
});
