import assert from "node:assert/strict";
import { test } from "node:test";
import { decode, encode, type Answer } from "dns-packet";
import { answersTo, membersIn, type MdnsService } from "../../src/io/mdns-records.ts";

const service: MdnsService = { cluster: "zz", node: "web-1.a", host: "vm", advertise: { ip: "10.0.0.7", port: 7946 } };
const ask = (name: string, type: "PTR" | "SRV" | "TXT" | "A" | "ANY", of = service) => answersTo({ name, type: type as "PTR" }, of);
const types = (answers: readonly Answer[]): string => answers.map(({ type }) => type).join(" ");

test("a question for the cluster is answered with everything needed to join", () => {
  assert.deepEqual(ask("_serf_zz._tcp.local", "PTR"), [
    { type: "PTR", name: "_serf_zz._tcp.local", ttl: 120, data: "web-1.a._serf_zz._tcp.local" },
    { type: "SRV", name: "web-1.a._serf_zz._tcp.local", ttl: 120, data: { priority: 10, weight: 1, port: 7946, target: "vm" } },
    { type: "A", name: "vm", ttl: 120, data: "10.0.0.7" },
    { type: "TXT", name: "web-1.a._serf_zz._tcp.local", ttl: 120, data: ["Serf 'zz' cluster"] },
  ]);
});

test("names compare without case, each type is answered with its own, and other names not at all", () => {
  assert.equal(types(ask("_SERF_ZZ._tcp.LOCAL.", "ANY")), "PTR SRV A TXT");
  assert.equal(types(ask("web-1.a._serf_zz._tcp.local", "SRV")), "SRV A");
  assert.equal(types(ask("web-1.a._serf_zz._tcp.local", "TXT")), "TXT");
  assert.equal(types(ask("vm", "A")), "A");
  assert.equal(types(ask("vm", "ANY", { ...service, advertise: { ip: "fd00::2", port: 1 } })), "AAAA");
  assert.equal(types(ask("_services._dns-sd._udp.local", "PTR")), "PTR");
  assert.equal(types(ask("_serf_other._tcp.local", "PTR")), "");
  assert.equal(types(ask("_serf_zz._tcp.local", "TXT")), "");
});

test("what is answered can be read back from the wire", () => {
  const packet = decode(encode({ type: "response", answers: ask("_serf_zz._tcp.local", "PTR") }));
  assert.deepEqual(membersIn(packet.answers ?? [], "zz"), ["10.0.0.7:7946"]);
  assert.deepEqual(membersIn(packet.answers ?? [], "other"), []);
});

test("incomplete and strange answers are passed over, and many are bounded", () => {
  const place = (name: string, target: string, port = 1): Answer => ({ type: "SRV", name: `${name}._serf_zz._tcp.local`, data: { target, port } });
  assert.deepEqual(membersIn([place("a", "host")], "zz"), []);
  assert.deepEqual(membersIn([place("a", "host", 0), { type: "A", name: "host", data: "10.0.0.1" }], "zz"), []);
  assert.deepEqual(membersIn([place("a", "host"), { type: "A", name: "host", data: "not an address" }], "zz"), []);
  const both: Answer[] = [place("a", "host"), { type: "AAAA", name: "host", data: "fd00::1" }, { type: "A", name: "HOST.", data: "10.0.0.1" }];
  assert.deepEqual(membersIn(both, "zz"), ["10.0.0.1:1"]);
  assert.deepEqual(membersIn(both.slice(0, 2), "zz"), ["[fd00::1]:1"]);
  const many = Array.from({ length: 100 }, (_, i) => place(String(i), "host"));
  assert.equal(membersIn([...many, { type: "A", name: "host", data: "10.0.0.1" }], "zz").length, 16);
});
