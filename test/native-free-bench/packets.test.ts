import assert from "node:assert/strict";
import { test } from "node:test";
import { announcements, EVENTS_PER_PACKET, PacketFactory, serialOf, WRAPPINGS } from "../../native-free-bench/load/packets.ts";
import { cpuUsOfStat, rssMibOfStatus, udpDropsOf } from "../../native-free-bench/load/process-cost.ts";
import { EMPTY_BYTES } from "../../src/base/bytes.ts";
import { SeededRandom } from "../../src/base/random.ts";
import { NodeSealer } from "../../src/io/node-sealer.ts";
import { decodePacketMessage } from "../../src/wire/gossip-codec.ts";
import { MessageType, type Alive } from "../../src/wire/gossip-messages.ts";
import { openPacket } from "../../src/wire/packet.ts";
import { decodeSerfMessage } from "../../src/wire/serf-codec.ts";
import type { UserEventMessage } from "../../src/wire/serf-messages.ts";

const inClear = new NodeSealer([]);

function messagesOf(packet: Uint8Array, sealer = inClear): readonly Uint8Array[] {
  const { messages, drops } = openPacket(packet, { sealer, label: EMPTY_BYTES, verifyIncoming: true });
  assert.deepEqual(drops, []);
  return messages;
}

function eventOf(message: Uint8Array): UserEventMessage {
  const outer = decodePacketMessage(message);
  assert(outer.ok && outer.value.kind === "user");
  const inner = decodeSerfMessage(outer.value.payload);
  assert(inner.ok && inner.value.kind === "userEvent");
  return inner.value;
}

for (const wrapping of WRAPPINGS) {
  test(`packets, ${wrapping}: 20 events each, numbered on, one Lamport time a packet`, () => {
    const factory = new PacketFactory(wrapping, new SeededRandom(1));
    for (let i = 0; i < 3; i += 1) {
      const events = messagesOf(factory.seal(factory.events()), factory.sealer).map(eventOf);
      assert.equal(events.length, EVENTS_PER_PACKET);
      assert.deepEqual(events.map(({ name }) => serialOf(name)), Array.from({ length: EVENTS_PER_PACKET }, (_, j) => i * EVENTS_PER_PACKET + j));
      assert.deepEqual([...new Set(events.map(({ lamportTime }) => lamportTime))], [i + 1]);
    }
    assert.equal(factory.serial, 3 * EVENTS_PER_PACKET);
  });
}

test("the wrappings differ in what they wrap: a key, a smaller packet, and always a CRC", () => {
  const packet = (wrapping: (typeof WRAPPINGS)[number]): Uint8Array => {
    const factory = new PacketFactory(wrapping, new SeededRandom(1));
    return factory.seal(factory.events());
  };
  const [plain, lzw, aes, both] = WRAPPINGS.map(packet) as [Uint8Array, Uint8Array, Uint8Array, Uint8Array];
  assert.deepEqual([plain[0], lzw[0]], [MessageType.hasCrc, MessageType.hasCrc]);
  assert.equal(plain[5], MessageType.compound);
  assert.equal(lzw[5], MessageType.compress);
  assert(lzw.length < plain.length / 2);
  assert.equal(aes.length - plain.length, both.length - lzw.length);
  assert(aes.length > plain.length);
  assert.equal(openPacket(aes, { sealer: new NodeSealer([new Uint8Array(16)]), label: EMPTY_BYTES, verifyIncoming: true }).drops[0], "decrypt");
});

test("sealing twice with a key gives other bytes of the same content", () => {
  const factory = new PacketFactory("both", new SeededRandom(1));
  const plain = factory.events();
  const [first, second] = [factory.seal(plain), factory.seal(plain)];
  assert.notDeepEqual(first, second);
  assert.deepEqual(messagesOf(first, factory.sealer), messagesOf(second, factory.sealer));
});

test("announcements name every member once, at the given endpoint, in packets that fit", () => {
  const packets = announcements(499, Uint8Array.of(127, 0, 0, 9), 7946);
  const alives = packets.flatMap((packet) => messagesOf(packet)).map((message): Alive => {
    const decoded = decodePacketMessage(message);
    assert(decoded.ok && decoded.value.kind === "alive");
    return decoded.value;
  });
  assert.equal(new Set(alives.map(({ node }) => node)).size, 499);
  assert(alives.every(({ addr, port }) => addr.join(".") === "127.0.0.9" && port === 7946));
  assert(packets.every(({ length }) => length < 1400));
});

test("an event of somebody else has no number", () => {
  assert.equal(serialOf("deploy"), -1);
  assert.equal(serialOf("event-00000042"), 42);
});

test("CPU time of a stat line, whatever the command is called", () => {
  const rest = "S 1 2 3 4 5 6 7 8 9 10 250 75 0 0 20 0 11 0 100 200 300";
  assert.equal(cpuUsOfStat(`42 (node) ${rest}`), 3_250_000);
  assert.equal(cpuUsOfStat(`42 (a) b) 9 9 (c) ${rest}`), 3_250_000);
});

test("resident memory, and 0 of a process that is ending", () => {
  assert.equal(rssMibOfStatus("Name:\tnode\nVmRSS:\t   75776 kB\nThreads:\t11\n"), 74);
  assert.equal(rssMibOfStatus("Name:\tnode\nState:\tZ (zombie)\n"), 0);
});

test("drops of the socket bound to an address, not of its neighbours", () => {
  const table = [
    "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops",
    "  100: 0115007F:1F0A 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 11 2 00000000 3",
    "  101: 0215007F:1F0A 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 12 2 00000000 17",
  ].join("\n");
  assert.equal(udpDropsOf(table, { ip: "127.0.21.2", port: 7946 }), 17);
  assert.equal(udpDropsOf(table, { ip: "127.0.21.3", port: 7946 }), null);
});
