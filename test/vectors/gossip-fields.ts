/** memberlist messages as recordings name their fields, both ways through our codec. */
import { strict as assert } from "node:assert";
import { toHex } from "../../src/base/bytes.ts";
import { readCompress, wrapCompressed } from "../../src/wire/compress.ts";
import * as codec from "../../src/wire/gossip-codec.ts";
import type { Ack, Alive, Dead, IndirectPing, Nack, Ping, PushPullNode, Suspect } from "../../src/wire/gossip-messages.ts";
import { Reader } from "../../src/wire/msgpack.ts";
import { completed, fieldsOfMessage, messageOf, tagBytes, taggedBytes, unwrap, withoutEmptyBytes, type Fields, type Shape } from "./values.ts";

const SOURCE: Shape = [
  ["SourceAddr", "sourceAddr", "bytes"],
  ["SourceNode", "sourceNode", "text"],
  ["SourcePort", "sourcePort", "int"],
];
const ACCUSATION: Shape = [
  ["From", "from", "text"],
  ["Incarnation", "incarnation", "int"],
  ["Node", "node", "text"],
];
const RECORD: Shape = [
  ["Addr", "addr", "bytes"],
  ["Incarnation", "incarnation", "int"],
  ["Meta", "meta", "bytes"],
  ["Port", "port", "int"],
  ["Vsn", "versions", "bytes"],
];
export const NODE_STATE: Shape = [...RECORD, ["Name", "name", "text"], ["State", "state", "int"]];

interface Entry {
  readonly kind: string;
  readonly shape: Shape;
  readonly encode: (message: never) => Uint8Array;
}

/** Datagram messages by type byte. */
const ENTRIES: ReadonlyMap<number, Entry> = new Map<number, Entry>([
  [0, { kind: "ping", shape: [["Node", "node", "text"], ["SeqNo", "seq", "int"], ...SOURCE], encode: (m: codec.Fields<Ping>) => codec.encodePing(m) }],
  [
    1,
    {
      kind: "indirectPing",
      shape: [["Nack", "nack", "bool"], ["Node", "node", "text"], ["Port", "port", "int"], ["SeqNo", "seq", "int"], ...SOURCE, ["Target", "target", "bytes"]],
      encode: (m: codec.Fields<IndirectPing>) => codec.encodeIndirectPing(m),
    },
  ],
  [2, { kind: "ack", shape: [["Payload", "payload", "bytes"], ["SeqNo", "seq", "int"]], encode: (m: codec.Fields<Ack>) => codec.encodeAck(m) }],
  [3, { kind: "suspect", shape: ACCUSATION, encode: (m: codec.Fields<Suspect>) => codec.encodeSuspect(m) }],
  [4, { kind: "alive", shape: [...RECORD, ["Node", "node", "text"]], encode: (m: codec.Fields<Alive>) => codec.encodeAlive(m) }],
  [5, { kind: "dead", shape: ACCUSATION, encode: (m: codec.Fields<Dead>) => codec.encodeDead(m) }],
  [11, { kind: "nack", shape: [["SeqNo", "seq", "int"]], encode: (m: codec.Fields<Nack>) => codec.encodeNack(m) }],
]);

/** Decodes a message and compares its fields; returns our message's kind. */
export function checkDecoded(bytes: Uint8Array, type: number, fields: Fields): string {
  if (type === 13) {
    const message = unwrap(codec.decodeStreamMessage(bytes));
    assert.ok(message.kind === "err");
    assert.deepEqual({ Error: message.error }, fields);
    return "err";
  }
  if (type === 9) {
    const reader = new Reader(bytes, 1);
    const { algo, buf } = readCompress(reader);
    assert.equal(reader.failed, false);
    assert.deepEqual({ Algo: algo, Buf: tagBytes(buf) }, withoutEmptyBytes(fields));
    return "compress";
  }
  const entry = ENTRIES.get(type);
  assert.ok(entry !== undefined, `no codec for type ${type}`);
  const message = unwrap(codec.decodePacketMessage(bytes));
  assert.equal(message.kind, entry.kind);
  assert.deepEqual(fieldsOfMessage(message, entry.shape), completed(fields, entry.shape));
  if ("seq" in message) assert.equal(codec.peekSeq(bytes), message.seq, "peekSeq");
  assert.equal(codec.peekType(bytes), type, "peekType");
  return entry.kind;
}

/** Encodes fields; byte-exact with the original. */
export function encodeFields(type: number, fields: Fields): Uint8Array {
  if (type === 13) return codec.encodeErr(String(fields["Error"]));
  if (type === 9) return wrapCompressed(taggedBytes(fields["Buf"]));
  const entry = ENTRIES.get(type);
  assert.ok(entry !== undefined, `no codec for type ${type}`);
  return entry.encode(messageOf(fields, entry.shape) as never);
}

export function checkNodeState(hex: string, bytes: Uint8Array, fields: Fields): void {
  const reader = new Reader(bytes);
  const state = codec.readNodeState(reader);
  assert.equal(reader.failed, false);
  assert.equal(reader.left, 0);
  assert.deepEqual(fieldsOfMessage(state, NODE_STATE), completed(fields, NODE_STATE));
  assert.equal(toHex(codec.encodeNodeState(messageOf(fields, NODE_STATE) as unknown as codec.Fields<PushPullNode>)), hex);
}
