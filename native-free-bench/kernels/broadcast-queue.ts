import { encodeAlive, encodeUser } from "../../src/wire/gossip-codec.ts";
import { BroadcastQueue, NO_KEY } from "../../src/swim/broadcast-queue.ts";
import { bytesOf } from "../bytes.ts";
import type { Kernel } from "../kernel.ts";

const NODES = 5_000;
const PACKET_BYTES = 1_400;
const PART_OVERHEAD_BYTES = 2;
const RETRANSMIT_MULT = 4;

/** A mass join as the queue sees it: every operation queues the alive message of one of 5,000 nodes, most of them replacing an older one. */
const replaceNamed: Kernel = {
  name: `broadcast queue: queue a named message, ${NODES} waiting`,
  prepare(random) {
    const names = Array.from({ length: NODES }, (_, i) => `node-${i}`);
    const versions = Uint8Array.of(1, 5, 2, 2, 5, 5);
    const messages = names.map((node) => encodeAlive({ incarnation: 1, node, addr: bytesOf(random, 4), port: 7946, meta: bytesOf(random, random.below(100)), versions }));
    const queue = new BroadcastQueue(RETRANSMIT_MULT, () => NODES);
    names.forEach((_, i) => queue.queue(i, messages[i] as Uint8Array));
    return {
      inputCount: NODES,
      run(index) {
        queue.queue(index, messages[index] as Uint8Array);
        queue.finished.length = 0;
        return queue.length;
      },
    };
  },
};

/** Steady gossip: one new user event comes in, one packet for three nodes goes out. */
const fillPacket: Kernel = {
  name: "broadcast queue: queue an event, fill a packet for 3 nodes",
  prepare(random) {
    const events = Array.from({ length: 512 }, () => encodeUser(bytesOf(random, 40 + random.below(100))));
    const queue = new BroadcastQueue(RETRANSMIT_MULT, () => NODES);
    const packet: Uint8Array[] = [];
    return {
      inputCount: events.length,
      run(index) {
        queue.queue(NO_KEY, events[index] as Uint8Array);
        packet.length = 0;
        const used = queue.take(PART_OVERHEAD_BYTES, PACKET_BYTES, 3, packet);
        queue.finished.length = 0;
        return used;
      },
    };
  },
};

export const broadcastQueueKernels: readonly Kernel[] = [replaceNamed, fillPacket];
