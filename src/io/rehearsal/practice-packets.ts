/** Packets that nobody in a rehearsal sends by itself, in the form in which the agent that practises would get them. */
import { EMPTY_BYTES } from "../../base/bytes.ts";
import { encodeUtf8 } from "../../base/utf8.ts";
import { encodeAlive, encodePing, encodeUser } from "../../wire/gossip-codec.ts";
import { encodeJoin, encodeUserEvent } from "../../wire/serf-codec.ts";
import { encodeTags } from "../../wire/serf-tags.ts";
import type { PacketFormat } from "../lanes/packet-lane.ts";
import { packJob } from "../lanes/packet-work.ts";
import { NodeSealer } from "../node-sealer.ts";
import type { SerfAgentOptions } from "../serf-agent-api.ts";

/** Members that are only spoken of: enough for a push/pull with several, and for probes that nobody answers. */
const MEMBERS = 4;
const PORT = 7946;
const EVENTS_PER_PACKET = 20;
export const EVENT_BYTES = 24;
export function packetSealer({ keys, compression, label = "", verifyIncoming = true, verifyOutgoing = true }: SerfAgentOptions): (messages: readonly Uint8Array[]) => Uint8Array[] {
  const sealer = new NodeSealer(keys);
  const format: PacketFormat = { compress: compression, label: encodeUtf8(label), verifyIncoming, verifyOutgoing };
  return (messages) => packJob({ targets: 1, messages, crc: true }, format, sealer)[0] ?? [];
}

export function announcements({ tags, protocol }: SerfAgentOptions): Uint8Array[] {
  const meta = encodeTags(tags, protocol);
  return Array.from({ length: MEMBERS }, (_, i) => {
    const node = `member-${i}`;
    const versions = Uint8Array.of(1, 5, 2, 2, 5, protocol);
    const alive = encodeAlive({ incarnation: 1, node, addr: Uint8Array.of(127, 0, 0, 2 + i), port: PORT, meta, versions });
    const intent = encodeUser(encodeJoin({ lamportTime: 2 + i, node }));
    return i % 2 === 0 ? [alive, intent] : [intent, alive]; // Where many join, an intent often comes before its member.
  }).flat();
}

export function events(lamportTime: number): Uint8Array[] {
  return Array.from({ length: EVENTS_PER_PACKET }, (_, i) => encodeUser(encodeUserEvent({ lamportTime: lamportTime + (i % 2), name: `event-${i}`, payload: new Uint8Array(EVENT_BYTES), coalesce: false })));
}

/** As those of a cluster that has been busy for long: names that differ, Lamport times of four bytes. */
export function busyEvents(packet: number): Uint8Array[] {
  return Array.from({ length: EVENTS_PER_PACKET }, (_, i) => encodeUser(encodeUserEvent({ lamportTime: 70_000 + packet, name: `event-${packet}-${i}-${"abcdefgh".slice(i % 8)}`, payload: new Uint8Array(EVENT_BYTES + i), coalesce: false })));
}

export function ping(seq: number, node: string): Uint8Array {
  return encodePing({ seq, node, sourceAddr: EMPTY_BYTES, sourceNode: "", sourcePort: 0 });
}
