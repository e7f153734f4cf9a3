import assert from "node:assert/strict";
import { test } from "node:test";
import { drawHashKey } from "../../../src/io/entropy.ts";
import { InlineLane, WAITING_BYTES_MAX, WAITING_PACKETS_MAX } from "../../../src/io/lanes/inline-lane.ts";
import type { OpenedBatch } from "../../../src/io/lanes/packet-lane.ts";
import { OPENED_BYTES_MAX } from "../../../src/io/lanes/packet-work.ts";
import { NodeSealer } from "../../../src/io/node-sealer.ts";
import type { ReceivedPacket } from "../../../src/io/udp-socket.ts";
import { encodeCompress } from "../../../src/wire/compress.ts";
import { MessageType } from "../../../src/wire/gossip-messages.ts";
import { PACKET_BYTES_MAX, PACKET_INFLATED_BYTES_MAX } from "../../../src/wire/packet.ts";

const FROM = { ip: "127.0.0.1", port: 7946 };
const FORMAT = { compress: true, label: new Uint8Array(0), verifyIncoming: true, verifyOutgoing: true };
const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

function rig(): { readonly lane: InlineLane; readonly overflowed: number[]; readonly opened: OpenedBatch[]; open(packets: readonly ReceivedPacket[]): void } {
  const overflowed: number[] = [];
  const opened: OpenedBatch[] = [];
  const lane = new InlineLane({ sealer: new NodeSealer([]), format: FORMAT, pool: 0, hashKey: drawHashKey(), overflow: (packets) => overflowed.push(packets) });
  return { lane, overflowed, opened, open: (packets) => lane.open(packets, (batch) => opened.push(batch)) };
}

function packets(count: number, bytes: Uint8Array): ReceivedPacket[] {
  return Array.from({ length: count }, () => ({ from: FROM, bytes }));
}

test("packets that wait are bounded; those within the bound are all opened, in later turns", async () => {
  const { lane, overflowed, opened, open } = rig();
  open(packets(WAITING_PACKETS_MAX, Uint8Array.of(MessageType.ack, 0)));
  assert.deepEqual(overflowed, []);
  const room = WAITING_PACKETS_MAX - lane.waiting;
  open(packets(room, Uint8Array.of(MessageType.ack, 1)));
  assert.deepEqual(overflowed, []);
  open(packets(1, Uint8Array.of(MessageType.ack, 2)));
  assert.deepEqual(overflowed, [1]);
  while (lane.waiting > 0) await nextTurn();
  assert.equal(opened.reduce((sum, { messages }) => sum + messages.length, 0), WAITING_PACKETS_MAX + room);
});

test("and so are their bytes", () => {
  const { lane, overflowed, open } = rig();
  const large = new Uint8Array(PACKET_BYTES_MAX).fill(MessageType.ack);
  open(packets(WAITING_BYTES_MAX / large.length, large));
  const opened = WAITING_BYTES_MAX / large.length - lane.waiting;
  assert.deepEqual(overflowed, []);
  open(packets(opened + 1, large));
  assert.deepEqual(overflowed, [1]);
  void lane.stop();
});

test("what one batch may inflate to is bounded: bombs beyond it are dropped and counted (memberlist#363)", () => {
  const { opened, open } = rig();
  const bomb = encodeCompress(new Uint8Array(PACKET_INFLATED_BYTES_MAX).fill(MessageType.ping));
  const fitting = OPENED_BYTES_MAX / PACKET_INFLATED_BYTES_MAX;
  open(packets(fitting + 1, bomb));
  assert.equal(opened[0]?.messages.length, fitting);
  assert.deepEqual([...(opened[0]?.drops ?? [])], [["tooManyMessages", 1]]);
});
