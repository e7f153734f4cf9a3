/**
 * A lane works on packets of its own making before it says that it is ready. Cold code takes 200 µs a packet and compiled code 8, and a lane is
 * started when there is much to do: without this, the packets of its first second fill the queues, and pings among them wait as long. Meanwhile the
 * packets go inline, as while the lane loads.
 */
import { randomFillSync } from "node:crypto";
import { MessageType } from "../../wire/gossip-messages.ts";
import type { HashKey } from "../../wire/message-hash.ts";
import { RepeatFilter } from "../../wire/repeat-filter.ts";
import { SerfMessageType } from "../../wire/serf-messages.ts";
import { NodeSealer } from "../node-sealer.ts";
import { Batch } from "./batch.ts";
import { decodeOpen, encodeOpen, encodeOpened } from "./lane-protocol.ts";
import type { PacketFormat } from "./packet-lane.ts";
import { openPackets, packJob } from "./packet-work.ts";

/** Measured: the time per packet falls no further. Together some 100 ms of the lane's thread. */
const ROUNDS = 24;
const PACKETS_PER_ROUND = 32;
const MESSAGES_PER_PACKET = 10;
/** Messages that go through. */
export const WARM_UP_MESSAGES = ROUNDS * PACKETS_PER_ROUND * MESSAGES_PER_PACKET;
const MESSAGE_BYTES = 80;
const KEY_BYTES = 16;
const FORMAT: PacketFormat = { compress: true, label: new Uint8Array(0), verifyIncoming: true, verifyOutgoing: true };

/** Leaves nothing behind but compiled code. Returns the number of messages that went through, for a test. */
export function warmUp(hashKey: HashKey): number {
  const sealer = new NodeSealer([randomFillSync(new Uint8Array(KEY_BYTES))]);
  const filter = new RepeatFilter(hashKey, 0);
  let messages = 0;
  for (let round = 0; round < ROUNDS; round += 1) {
    const packets = Array.from({ length: PACKETS_PER_ROUND }, () => packJob({ targets: 1, messages: sample(), crc: true }, FORMAT, sealer)[0]?.[0] ?? new Uint8Array(0));
    const settled = [filter.low, filter.high];
    filter.settle(filter.low, filter.high, 0);
    const request = decodeOpen(new Batch(encodeOpen({ pool: 0, shedGossip: false, settled, packets })));
    const opened = openPackets(request.packets, { sealer, format: FORMAT, filter, pool: 0, shedGossip: false });
    messages += new Batch(encodeOpened(opened)).partCount;
  }
  return messages;
}

/** Looks like user events as far as a lane looks; half of it is random, so that it shrinks as gossip does. */
function sample(): Uint8Array[] {
  return Array.from({ length: MESSAGES_PER_PACKET }, () => {
    const message = new Uint8Array(MESSAGE_BYTES);
    randomFillSync(message, MESSAGE_BYTES / 2);
    message[0] = MessageType.user;
    message[1] = SerfMessageType.userEvent;
    return message;
  });
}
