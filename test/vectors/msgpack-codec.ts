/** msgpack-codec: what go-msgpack's decoder accepts and refuses, smallest integers, length headers of both profiles. */
import { strict as assert } from "node:assert";
import { concatBytes, toHex } from "../../src/base/bytes.ts";
import { readCompress } from "../../src/wire/compress.ts";
import { decodePacketMessage, decodeStreamMessage, readNodeState, readPushPullHead, readUserHead } from "../../src/wire/gossip-codec.ts";
import { Reader, Writer, encodeValue } from "../../src/wire/msgpack.ts";
import { decodeSerfMessage, decodeSerfPushPull } from "../../src/wire/serf-codec.ts";
import { attempt, fieldsOf } from "./compare.ts";
import { NODE_STATE, checkDecoded as checkGossip } from "./gossip-fields.ts";
import type { Report } from "./registry.ts";
import { checkDecoded as checkSerf } from "./serf-fields.ts";
import { asFields, completed, fieldsOfMessage, hexBytes, type Fields } from "./values.ts";

interface DecodeCase {
  readonly name: string;
  readonly target: string;
  readonly hex: string;
  readonly fields?: Fields;
  readonly error?: boolean;
  readonly errorText?: string;
}
interface Recording {
  readonly decode: readonly DecodeCase[];
  readonly encodeInt: readonly { readonly kind: string; readonly value: string; readonly hex: string }[];
  readonly lengthHeaders: readonly { readonly len: number; readonly gossipHeader: string; readonly rpcStringHeader: string; readonly rpcBytesHeader: string }[];
}

export function checkMsgpackCodec(data: unknown, report: Report): void {
  const { decode, encodeInt, lengthHeaders } = fieldsOf<Recording>(data, ["decode", "encodeInt", "lengthHeaders"], report);
  for (const item of decode ?? []) attempt(`decode ${item.name}`, report, () => checkDecode(item));
  for (const { kind, value, hex } of encodeInt ?? []) attempt(`${kind} ${value}`, report, () => checkInt(BigInt(value), hex));
  for (const { len, gossipHeader, rpcStringHeader, rpcBytesHeader, ...rest } of lengthHeaders ?? []) {
    attempt(`length ${len}`, report, () => {
      assert.deepEqual(rest, {});
      const text = "x".repeat(len);
      const bytes = new Uint8Array(len);
      const headers = [new Writer("gossip").text(text), new Writer("gossip").bytes(bytes), new Writer("rpc").text(text), new Writer("rpc").bytes(bytes)];
      const ours = headers.map((writer) => toHex(writer.finish().subarray(0, -len || undefined)));
      assert.deepEqual(ours, [gossipHeader, gossipHeader, rpcStringHeader, rpcBytesHeader]);
    });
  }
}

/** Type byte of the gossip or Serf message that a Go struct is the body of. */
const GOSSIP: Readonly<Record<string, number>> = { ping: 0, indirectPingReq: 1, ackResp: 2, suspect: 3, alive: 4, dead: 5, compress: 9, nackResp: 11, errResp: 13 };
const SERF: Readonly<Record<string, number>> = { messageLeave: 0, messageJoin: 1, messagePushPull: 2, messageUserEvent: 3, messageQuery: 4, messageQueryResponse: 5 };

function checkDecode({ target, hex, fields, error, errorText, ...rest }: DecodeCase): void {
  const { name, ...unknown } = rest;
  assert.deepEqual(unknown, {}, `unknown members of ${name}`);
  assert.equal(error === true, errorText !== undefined);
  const body = hexBytes(hex);
  if (error === true) assert.equal(accepts(target, body), false, `should be refused: ${errorText}`);
  else if (Object.values(fields ?? {}).some(isWide)) checkWide(target, body, asFields(fields));
  else checkFields(target, body, asFields(fields));
}

function isWide(value: unknown): boolean {
  return typeof value === "object" && value !== null && "$int" in value;
}

/**
 * Integers beyond 2^53: the codec reads them exactly, but a message with such a Lamport time is refused (serf-messages.ts says so:
 * witnessing it would leave no time after it).
 */
function checkWide(target: string, body: Uint8Array, fields: Fields): void {
  const decoded = new Reader(body).value();
  assert.ok(decoded instanceof Map);
  for (const [name, value] of Object.entries(fields)) if (isWide(value)) assert.equal(decoded.get(name), BigInt(String(asFields(value)["$int"])));
  assert.equal(accepts(target, body), false);
}

function checkFields(target: string, body: Uint8Array, fields: Fields): void {
  const gossip = GOSSIP[target];
  const serf = SERF[target];
  if (gossip !== undefined) checkGossip(typed(gossip, body), gossip, fields);
  else if (serf !== undefined) checkSerf(typed(serf, body), serf, fields);
  else {
    const reader = new Reader(body);
    assert.deepEqual(readHeader(target, reader), target === "pushNodeState" ? completed(fields, NODE_STATE) : fields);
    assert.equal(reader.failed, false);
  }
}

function accepts(target: string, body: Uint8Array): boolean {
  const gossip = GOSSIP[target];
  const serf = SERF[target];
  if (target === "compress") {
    const reader = new Reader(body);
    readCompress(reader);
    return !reader.failed;
  }
  if (target === "errResp") return decodeStreamMessage(typed(13, body)).ok;
  if (gossip !== undefined) return decodePacketMessage(typed(gossip, body)).ok;
  if (serf === 2) return decodeSerfPushPull(typed(serf, body)).ok;
  if (serf !== undefined) return decodeSerfMessage(typed(serf, body)).ok;
  const reader = new Reader(body);
  readHeader(target, reader);
  return !reader.failed;
}

function readHeader(target: string, reader: Reader): Fields {
  switch (target) {
    case "pushPullHeader": {
      const { join, nodes, userStateLength } = readPushPullHead(reader);
      return { Join: join, Nodes: nodes, UserStateLen: userStateLength };
    }
    case "userMsgHeader":
      return { UserMsgLen: readUserHead(reader) };
    case "pushNodeState":
      return fieldsOfMessage(readNodeState(reader), NODE_STATE);
    default:
      throw new Error(`no decoder for ${target}`);
  }
}

function typed(type: number, body: Uint8Array): Uint8Array {
  return concatBytes([Uint8Array.of(type), body]);
}

function checkInt(value: bigint, hex: string): void {
  assert.equal(toHex(encodeValue(value, "gossip")), hex);
  if (BigInt(Number(value)) === value && Number.isSafeInteger(Number(value))) assert.equal(toHex(encodeValue(Number(value), "rpc")), hex);
  const decoded = new Reader(hexBytes(hex)).value();
  assert.equal(typeof decoded === "bigint" ? decoded : BigInt(decoded as number), value);
}
