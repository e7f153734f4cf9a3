/** Packets that nobody in a rehearsal sends by itself, in the form in which the agent that practises would get them. */
import { concatBytes, EMPTY_BYTES } from "../../base/bytes.ts";
import type { Endpoint } from "../../base/endpoint.ts";
import { encodeUtf8 } from "../../base/utf8.ts";
import { encodeAlive, encodePing, encodeUser } from "../../wire/gossip-codec.ts";
import { MessageType } from "../../wire/gossip-messages.ts";
import { encodeValue } from "../../wire/msgpack.ts";
import { encodeJoin, encodeUserEvent } from "../../wire/serf-codec.ts";
import { SerfMessageType, type UserEventMessage } from "../../wire/serf-messages.ts";
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
/** Lamport time of a cluster that has been busy for long. */
const BUSY_TIME = 70_000;
/** One of so many messages is encoded as other programs may do it. */
const OTHER_EVERY = 4;

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

/** As those of a cluster that has been busy for long: names that differ, Lamport times of four bytes; some were encoded by others than agents. */
export function busyEvents(packet: number): Uint8Array[] {
  return Array.from({ length: EVENTS_PER_PACKET }, (_, i) => {
    const event = { lamportTime: BUSY_TIME + packet, name: `event-${packet}-${i}-${"abcdefgh".slice(i % 8)}`, payload: new Uint8Array(EVENT_BYTES + i), coalesce: false };
    return encodeUser(i % OTHER_EVERY === 0 ? otherEvent(event) : encodeUserEvent(event));
  });
}

/** With and without the fields that tell where the answer goes; some were encoded by others than agents. */
export function ping(seq: number, node: string, from: Endpoint): Uint8Array {
  if (seq % OTHER_EVERY === 0) return join(MessageType.ping, encodeValue({ SeqNo: seq, Node: node }, "gossip"));
  const source = seq % 2 === 0 ? { sourceAddr: EMPTY_BYTES, sourceNode: "", sourcePort: 0 } : { sourceAddr: Uint8Array.from(from.ip.split("."), Number), sourceNode: "practice", sourcePort: from.port };
  return encodePing({ seq, node, ...source });
}

/** Fields in another order than agents': they are looked for by name then. */
function otherEvent({ lamportTime, name, payload, coalesce }: Omit<UserEventMessage, "kind">): Uint8Array {
  return join(SerfMessageType.userEvent, encodeValue({ LTime: lamportTime, Name: name, Payload: payload, CC: coalesce }, "gossip"));
}

function join(type: number, body: Uint8Array): Uint8Array {
  return concatBytes([Uint8Array.of(type), body]);
}
