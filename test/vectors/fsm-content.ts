/**
 * The state machine's part of the Raft recordings: every command and every snapshot record decoded, compared with what was recorded and encoded to the same
 * bytes; commands applied without a fatal verdict; a whole snapshot restored and written again, equal but for the order of Go maps (which is arbitrary there).
 */
import { strict as assert } from "node:assert";
import { concatBytes, fromHex, toHex } from "../../src/base/bytes.ts";
import { encodeUtf8 } from "../../src/base/utf8.ts";
import { createStateMachine } from "../../src/catalog/state-machine.ts";
import type { StateMachine } from "../../src/catalog/types.ts";
import {
  decodeDeregisterRequest, decodeKvRequest, decodeOpaque, decodeRegisterRequest, decodeSessionRequest, decodeTombstoneRequest, decodeTxnRequest,
  encodeDeregisterRequest, encodeKvRequest, encodeOpaque, encodeRegisterRequest, encodeSessionRequest, encodeTombstoneRequest, encodeTxnRequest, readRegister,
  writeRegister,
} from "../../src/wire/fsm-codec.ts";
import { FSM_TYPE } from "../../src/wire/fsm-commands.ts";
import { readDirEntry, readSession, writeDirEntry, writeSession } from "../../src/wire/fsm-structs.ts";
import { Float64, Reader, Writer, type MsgpackValue } from "../../src/wire/msgpack.ts";
import { attempt } from "./compare.ts";
import type { Report } from "./registry.ts";
import { unwrap } from "./values.ts";

type Json = Readonly<Record<string, unknown>>;

interface Command {
  readonly index: number;
  readonly data: Uint8Array;
  readonly decoded: Json;
}

interface Snapshot {
  readonly bytes: Uint8Array;
  readonly decoded: Json | undefined;
}

/** Every committed command and every snapshot stream anywhere in a recording. */
export function checkFsmContent(data: unknown, report: Report): void {
  const commands: Command[] = [];
  const snapshots: Snapshot[] = [];
  collect(data, commands, snapshots);
  for (const command of commands) attempt(`command ${String(command.decoded["name"])} at ${command.index}`, report, () => checkCommand(command));
  attempt("all commands applied in order", report, () => checkApplied(commands));
  snapshots.forEach((snapshot, i) => attempt(`snapshot ${i}`, report, () => checkSnapshot(snapshot)));
}

function collect(value: unknown, commands: Command[], snapshots: Snapshot[]): void {
  if (typeof value !== "object" || value === null) return;
  const json = value as Json;
  const decoded = json["$decodedData"] as Json | undefined;
  const hex = (json["Data"] as Json | null | undefined)?.["$hex"];
  if (typeof hex === "string" && decoded?.["messageType"] !== undefined) commands.push({ index: json["Index"] as number, data: fromHex(hex), decoded });
  if (typeof json["streamHex"] === "string") snapshots.push({ bytes: fromHex(json["streamHex"]), decoded: json["fsmSnapshot"] as Json | undefined });
  for (const member of Object.values(json)) collect(member, commands, snapshots);
}

function checkCommand({ data, decoded }: Command): void {
  assert.equal(data[0], decoded["messageType"]);
  assert.equal(toHex(again(data)), toHex(data));
  assert.deepEqual(comparable(unwrap(decodeOpaque(data))), comparableJson(decoded["body"]));
}

/** The command through its own codec, or as it is for types without one. */
function again(data: Uint8Array): Uint8Array {
  switch (data[0]) {
    case FSM_TYPE.register:
      return encodeRegisterRequest(unwrap(decodeRegisterRequest(data)));
    case FSM_TYPE.deregister:
      return encodeDeregisterRequest(unwrap(decodeDeregisterRequest(data)));
    case FSM_TYPE.kvs:
      return encodeKvRequest(unwrap(decodeKvRequest(data)));
    case FSM_TYPE.session:
      return encodeSessionRequest(unwrap(decodeSessionRequest(data)));
    case FSM_TYPE.tombstone:
      return encodeTombstoneRequest(unwrap(decodeTombstoneRequest(data)));
    case FSM_TYPE.txn:
      return encodeTxnRequest(unwrap(decodeTxnRequest(data)));
    default:
      return encodeOpaque(data[0] as number, unwrap(decodeOpaque(data)));
  }
}

/** Types that this program does not apply; their recordings are only read and written again. */
const NOT_APPLIED: ReadonlySet<number> = new Set([4, 10, 11, 13, 14, 17, 18, 19, 20, 21, 23, 24, 25, 26, 27, 28]);

function checkApplied(commands: readonly Command[]): void {
  const machine = createStateMachine();
  const seen = new Map<number, Uint8Array>();
  for (const { index, data } of commands) if (!NOT_APPLIED.has((data[0] as number) & 127)) seen.set(index, data);
  for (const [index, data] of [...seen].sort(([a], [b]) => a - b)) {
    const result = machine.apply(index, data, 0);
    assert.notEqual(result.kind, "fatal", `command at ${index}: ${JSON.stringify(result)}`);
  }
  const bytes = snapshotOf(machine);
  assert.deepEqual(recordsOf(snapshotOf(restored(bytes))), recordsOf(bytes));
}

function restored(bytes: Uint8Array): StateMachine {
  const machine = createStateMachine();
  const restorer = machine.beginRestore();
  for (let at = 0; at < bytes.length; at += 1000) assert.equal(restorer.push(bytes.slice(at, at + 1000)), null);
  assert.equal(restorer.finish(1_000_000), null);
  return machine;
}

function snapshotOf(machine: StateMachine): Uint8Array {
  const encoder = machine.snapshot().encode();
  const pieces: Uint8Array[] = [];
  for (let piece = encoder.next(); piece.done !== true; piece = encoder.next()) pieces.push(piece.value);
  return concatBytes(pieces);
}

interface SnapshotRecord {
  readonly type: number;
  readonly body: unknown;
  readonly offset: number;
}

/** Header (type -1) and records of a snapshot. */
export function recordsOf(bytes: Uint8Array): Omit<SnapshotRecord, "offset">[] {
  return splitRecords(bytes).map(({ type, body }) => ({ type, body }));
}

function splitRecords(bytes: Uint8Array): SnapshotRecord[] {
  const r = new Reader(bytes);
  const records: SnapshotRecord[] = [{ type: -1, body: comparable(r.value()), offset: 0 }];
  while (r.left > 0 && !r.failed) {
    const offset = r.at;
    const type = (r.raw(1) as Uint8Array)[0] as number;
    const start = r.at;
    records.push({ type, body: comparable(r.value()), offset });
    if (r.failed) break;
    const body = bytes.slice(start, r.at);
    assert.equal(toHex(recordAgain(type, body)), toHex(body), `record of type ${type} at ${offset}`);
  }
  assert.equal(r.failed, false, "the snapshot is whole");
  return records;
}

function recordAgain(type: number, body: Uint8Array): Uint8Array {
  const r = new Reader(body);
  const w = new Writer("gossip");
  if (type === FSM_TYPE.register) writeRegister(w, readRegister(r));
  else if (type === FSM_TYPE.session) writeSession(w, readSession(r));
  else if (type === FSM_TYPE.kvs || type === FSM_TYPE.tombstone) writeDirEntry(w, readDirEntry(r));
  else w.raw(encodeOpaque(type, r.value()).subarray(1));
  return w.finish();
}

function checkSnapshot({ bytes, decoded }: Snapshot): void {
  const records = splitRecords(bytes);
  if (decoded !== undefined) checkDecoded(records, decoded);
  assert.deepEqual(recordsOf(snapshotOf(restored(bytes))), records.map(({ type, body }) => ({ type, body })));
}

function checkDecoded(records: readonly SnapshotRecord[], decoded: Json): void {
  const counts = decoded["recordCounts"] as Readonly<Record<string, number>> | undefined;
  if (counts !== undefined) assert.equal(records.length, Object.values(counts).reduce((sum, count) => sum + count, 0));
  for (const sample of (decoded["firstThreeOfEachKind"] ?? []) as readonly Json[]) {
    if (sample["header"] !== undefined) assert.deepEqual(records[0]?.body, comparableJson(sample["header"]));
    else {
      const record = records.find(({ offset, type }) => type >= 0 && offset === sample["offset"]);
      assert.deepEqual(record?.body, comparableJson(sample["body"]), `record at ${String(sample["offset"])}`);
    }
  }
}

/** Decoded values with sorted keys and strings as hex, as `comparableJson` gives recorded ones. */
function comparable(value: MsgpackValue): unknown {
  if (typeof value === "string") return toHex(encodeUtf8(value));
  if (value instanceof Uint8Array) return toHex(value);
  if (value instanceof Float64) return value.value;
  if (typeof value === "bigint") return Number(value);
  if (Array.isArray(value)) return (value as readonly MsgpackValue[]).map(comparable);
  if (value instanceof Map) return sorted([...(value as ReadonlyMap<string, MsgpackValue>)].map(([key, item]) => [key, comparable(item)]));
  return value;
}

function comparableJson(value: unknown): unknown {
  if (typeof value === "string") return toHex(encodeUtf8(value));
  if (Array.isArray(value)) return value.map(comparableJson);
  if (typeof value !== "object" || value === null) return value;
  const json = value as Json;
  if (typeof json["$hex"] === "string") return json["$hex"];
  return sorted(Object.entries(json).map(([key, item]) => [key, comparableJson(item)]));
}

function sorted(entries: readonly (readonly [string, unknown])[]): unknown {
  return Object.fromEntries([...entries].sort(([a], [b]) => (a < b ? -1 : 1)));
}
