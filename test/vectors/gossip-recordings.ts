/**
 * gossip-udp and gossip-tcp: what live agents sent and answered. Checked here: every recorded byte string opens and decodes to the recorded
 * tree, and encodes to the same bytes again where the original has one form only.
 */
import { strict as assert } from "node:assert";
import { EMPTY_BYTES, toHex } from "../../src/base/bytes.ts";
import { decodeCompress, encodeCompress } from "../../src/wire/compress.ts";
import { decodePacketMessage, decodeStreamMessage, encodePushPull, encodeStreamUser } from "../../src/wire/gossip-codec.ts";
import { MessageType } from "../../src/wire/gossip-messages.ts";
import { addCrc, decodeCompound, encodeCompound, openPacket } from "../../src/wire/packet.ts";
import type { Sealer } from "../../src/wire/sealer.ts";
import { StreamReader } from "../../src/wire/stream.ts";
import { attempt, fieldsOf } from "./compare.ts";
import { checkDecoded as checkGossip, checkNodeState, encodeFields as encodeGossip } from "./gossip-fields.ts";
import { sealerOf } from "./recorded-sealer.ts";
import type { Report } from "./registry.ts";
import { checkCoordinate, checkDecoded as checkSerf, encodeFields as encodeSerf, isCanonical } from "./serf-fields.ts";
import { asFields, asList, asText, hexBytes, unwrap, type Fields } from "./values.ts";

const TYPES: Readonly<Record<string, number>> = { ping: 0, indirectPing: 1, ack: 2, suspect: 3, alive: 4, dead: 5, nack: 11, err: 13 };
const SERF_TYPES: Readonly<Record<string, number>> = {
  leave: 0,
  join: 1,
  pushPull: 2,
  userEvent: 3,
  query: 4,
  queryResponse: 5,
  conflictResponse: 6,
  keyRequest: 7,
  keyResponse: 8,
};
const INFLATED_MAX = 1 << 26;

interface UdpExchange {
  readonly name: string;
  readonly keyHex?: string;
  readonly sent: Fields;
  readonly sentHex: string;
  readonly replies: readonly { readonly decoded: Fields; readonly hex: string }[] | null;
}
interface UdpRecording {
  readonly exchanges: readonly UdpExchange[];
  readonly fakeMember: { readonly packets: readonly { readonly decoded: Fields; readonly dir: string; readonly hex: string; readonly tMs: number }[] };
}

export function checkGossipUdp(data: unknown, report: Report): void {
  const { exchanges, fakeMember } = fieldsOf<UdpRecording>(data, ["exchanges", "fakeMember"], report);
  for (const { name, keyHex, sent, sentHex, replies } of exchanges ?? []) {
    const sealer = sealerOf(keyHex === undefined ? [] : [hexBytes(keyHex)]);
    attempt(`sent: ${name}`, report, () => checkPacket(hexBytes(sentHex), sent, sealer));
    for (const [i, { decoded, hex }] of (replies ?? []).entries()) attempt(`reply ${i}: ${name}`, report, () => checkPacket(hexBytes(hex), decoded, sealer));
  }
  for (const { decoded, dir, hex, tMs } of fakeMember?.packets ?? []) {
    attempt(`fake member ${dir} ${tMs} ms`, report, () => checkPacket(hexBytes(hex), decoded, sealerOf([])));
  }
}

/** A datagram against its recorded tree, layer by layer, and then as a whole through `openPacket`. */
function checkPacket(bytes: Uint8Array, tree: Fields, sealer: Sealer): void {
  const { messages } = openPacket(bytes, { sealer, label: EMPTY_BYTES, verifyIncoming: true });
  if ("encrypted" in tree) {
    checkPlain(unwrap(sealer.open(bytes, EMPTY_BYTES)), asFields(tree["inner"]), sealer);
    assert.equal(bytes[0], asFields(tree["encrypted"])["version"]);
    assert.equal(toHex(bytes.subarray(1, 13)), asFields(tree["encrypted"])["nonceHex"]);
  } else if (isUnintelligible(tree)) {
    // Sealed bytes may look like any message, by chance; an unknown type must be refused.
    if (tree["type"] === "") for (const message of messages) assert.equal(decodePacketMessage(message).ok, false);
    return;
  } else checkPlain(bytes, tree, sealer);
  // A recording may hold packets that the agent dropped on purpose: a wrong CRC.
  if (hasWrongCrc(tree, bytes, sealer)) assert.deepEqual(messages, []);
  else for (const message of messages) if (message[0] !== MessageType.hasCrc) unwrap(decodePacketMessage(message));
}

/** The recorder could not name it: an unknown type, or bytes that only look like a message (another key). */
function isUnintelligible(tree: Fields): boolean {
  return tree["type"] === "" || "error" in tree;
}

function hasWrongCrc(tree: Fields, bytes: Uint8Array, sealer: Sealer): boolean {
  return tree["type"] === "crc" && tree["crc32"] !== sealer.crc32(bytes.subarray(5));
}

function checkPlain(bytes: Uint8Array, tree: Fields, sealer: Sealer): void {
  const type = asText(tree["type"]);
  if (typeof tree["hex"] === "string") assert.equal(toHex(bytes), tree["hex"]);
  switch (type) {
    case "crc":
      assert.equal(bytes[0], MessageType.hasCrc);
      if (tree["crc32"] === sealer.crc32(bytes.subarray(5))) assert.equal(toHex(addCrc(bytes.subarray(5), sealer)), toHex(bytes));
      checkPlain(bytes.subarray(5), asFields(tree["inner"]), sealer);
      return;
    case "compound": {
      const trees = asList(tree["parts"]).map(asFields);
      const { parts, truncated } = unwrap(decodeCompound(bytes));
      assert.deepEqual({ parts: parts.length, truncated }, { parts: trees.length, truncated: 0 });
      parts.forEach((part, i) => checkPlain(part, trees[i] as Fields, sealer));
      assert.equal(toHex(encodeCompound(parts)), toHex(bytes));
      return;
    }
    case "compress": {
      const plain = unwrap(decodeCompress(bytes, INFLATED_MAX));
      checkPlain(plain, asFields(tree["inner"]), sealer);
      assert.equal(toHex(encodeCompress(plain)), toHex(bytes));
      return;
    }
    case "user":
      checkSerfMessage(bytes.subarray(1), asFields(tree["serf"]));
      return;
    default:
      checkSimple(bytes, type, tree);
  }
}

function checkSimple(bytes: Uint8Array, type: string, tree: Fields): void {
  const code = TYPES[type];
  assert.ok(code !== undefined, `unknown message type ${type}`);
  const fields = asFields(tree["fields"]);
  checkGossip(bytes, code, fields);
  // One message is written by hand with other forms of strings and integers, to show that they are accepted.
  if (isOwnForm(bytes)) assert.equal(toHex(encodeGossip(code, fields)), toHex(bytes));
  if (tree["payload"] !== undefined && tree["payload"] !== null) {
    const { coordinate, version } = asFields(tree["payload"]);
    const message = unwrap(decodePacketMessage(bytes));
    assert.ok(message.kind === "ack" && message.payload !== null);
    assert.equal(message.payload[0], version);
    checkCoordinate(message.payload, asFields(coordinate));
  }
}

/** No str8, bin or 64-bit form before the first field ends: what the originals write. */
function isOwnForm(bytes: Uint8Array): boolean {
  return ((bytes[2] ?? 0) & 0xe0) === 0xa0;
}

function checkSerfMessage(bytes: Uint8Array, serf: Fields): void {
  const code = SERF_TYPES[asText(serf["type"])];
  assert.ok(code !== undefined, `unknown Serf type ${String(serf["type"])}`);
  checkSerf(bytes, code, serf["fields"]);
  if (code !== SERF_TYPES["pushPull"] && isCanonical(code, serf["fields"])) assert.equal(toHex(encodeSerf(code, serf["fields"])), toHex(bytes));
}

interface TcpExchange {
  readonly name: string;
  readonly keyHex?: string;
  readonly sent: Fields;
  readonly sentHex: string;
  readonly received: Fields | null;
  readonly receivedHex: string;
}
interface TcpRecording {
  readonly exchanges: readonly TcpExchange[];
  readonly realJoin: { readonly joiner: Fields; readonly joinerHex: string; readonly target: Fields; readonly targetHex: string };
}

export function checkGossipTcp(data: unknown, report: Report): void {
  const { exchanges, realJoin } = fieldsOf<TcpRecording>(data, ["exchanges", "realJoin"], report);
  for (const { name, keyHex, sent, sentHex, received, receivedHex } of exchanges ?? []) {
    const keys = keyHex === undefined ? [] : [hexBytes(keyHex)];
    attempt(`sent: ${name}`, report, () => checkStream(sentHex, sent, sealerOf(keys), true));
    attempt(`received: ${name}`, report, () => {
      if (received === null) assert.equal(receivedHex, "");
      else checkStream(receivedHex, received, sealerOf(keys), false);
    });
  }
  if (realJoin === undefined) return;
  attempt("real join: joiner", report, () => checkStream(realJoin.joinerHex, realJoin.joiner, sealerOf([]), true));
  attempt("real join: target", report, () => checkStream(realJoin.targetHex, realJoin.target, sealerOf([]), false));
}

/** One direction of a connection, given to the reader whole and byte by byte. */
function checkStream(hex: string, tree: Fields, sealer: Sealer, acceptor: boolean): void {
  const bytes = hexBytes(hex);
  const options = { sealer, label: EMPTY_BYTES, acceptor, verifyIncoming: true };
  const whole = new StreamReader(options);
  const messages = whole.push(bytes);
  const bytewise = new StreamReader(options);
  const pieces: Uint8Array[] = [];
  for (const byte of bytes) pieces.push(...bytewise.push(Uint8Array.of(byte)));
  assert.deepEqual(pieces.map(toHex), messages.map(toHex));
  assert.deepEqual(bytewise.failure, whole.failure);

  if (messages.length === 0) {
    // What the agent refused, we refuse; what ended too early, we still wait for.
    assert.ok(whole.failure !== null || whole.buffered > 0, "neither a message nor a failure");
    if (typeof tree["error"] === "string" && tree["type"] === "encrypt") assert.deepEqual(whole.failure, { error: tree["error"], answer: true });
    return;
  }
  assert.equal(messages.length, 1);
  const inner = unsealed(tree);
  assert.equal(toHex(layered(bytes, tree, sealer)), toHex(messages[0] as Uint8Array));
  checkStreamMessage(messages[0] as Uint8Array, inner);
}

/** The innermost tree. */
function unsealed(tree: Fields): Fields {
  return tree["type"] === "encrypt" || tree["type"] === "compress" ? unsealed(asFields(tree["inner"])) : tree;
}

/** The plain message, taken out layer by layer as the tree says; each layer we can write is written again. */
function layered(bytes: Uint8Array, tree: Fields, sealer: Sealer): Uint8Array {
  switch (tree["type"]) {
    case "encrypt": {
      assert.equal(toHex(bytes.subarray(0, 5)), tree["aadHex"]);
      assert.equal(bytes.length - 5, tree["length"]);
      const plain = unwrap(sealer.open(bytes.subarray(5), bytes.subarray(0, 5)));
      if (tree["plainHex"] !== undefined) assert.equal(toHex(plain), tree["plainHex"]);
      return layered(plain, asFields(tree["inner"]), sealer);
    }
    case "compress": {
      const plain = unwrap(decodeCompress(bytes, INFLATED_MAX));
      if (tree["plainHex"] !== undefined) assert.equal(toHex(plain), tree["plainHex"]);
      assert.equal(toHex(encodeCompress(plain)), toHex(bytes));
      return layered(plain, asFields(tree["inner"]), sealer);
    }
    default:
      return bytes;
  }
}

function checkStreamMessage(bytes: Uint8Array, tree: Fields): void {
  const type = asText(tree["type"]);
  if (type === "ping" || type === "ack" || type === "err") {
    checkSimple(bytes, type, tree);
    return;
  }
  const message = unwrap(decodeStreamMessage(bytes));
  if (type === "user") {
    assert.ok(message.kind === "user");
    assert.deepEqual({ UserMsgLen: message.payload.length }, tree["header"]);
    checkSerfMessage(message.payload, asFields(tree["serf"]));
    assert.equal(toHex(encodeStreamUser(message.payload)), toHex(bytes));
    return;
  }
  assert.equal(type, "pushPull", "unknown stream message");
  assert.ok(message.kind === "pushPull");
  const { join, nodes, userState } = message;
  assert.deepEqual({ Join: join, Nodes: nodes.length, UserStateLen: userState?.length ?? 0 }, tree["header"]);
  let hasNil = false;
  for (const node of asList(tree["nodes"] ?? [])) {
    const { fields, hex } = asFields(node);
    checkNodeState(asText(hex), hexBytes(hex), asFields(fields));
    hasNil ||= Object.values(asFields(fields)).includes(null);
  }
  assert.equal((userState?.length ?? 0) > 0, tree["userState"] !== undefined);
  if (userState !== null) checkSerfMessage(userState, asFields(tree["userState"]));
  // A nil field of a node is not told from an empty one when decoded; no real agent sends either.
  if (!hasNil) assert.equal(toHex(encodePushPull(message)), toHex(bytes));
}
