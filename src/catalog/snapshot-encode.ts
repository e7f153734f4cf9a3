/** A point in time of the tables as Consul's snapshot (agent reference §7.3), in pieces, so that no turn is long. */
import { FSM_TYPE, type CatalogNode, type HealthCheck, type NodeService } from "../wire/fsm-commands.ts";
import { writeRegister } from "../wire/fsm-codec.ts";
import { wireKeys, writeSession } from "../wire/fsm-structs.ts";
import { Writer } from "../wire/msgpack.ts";
import { modifyIndexOf, writeRecordEntry } from "./record-slabs.ts";
import { OPAQUE_AFTER_TOMBSTONES, OPAQUE_BEFORE_KV, OPAQUE_BEFORE_SESSIONS, opaquePrefix } from "./snapshot-order.ts";
import type { IndexRow, TablesView } from "./tables.ts";

/** A piece is handed out once it is this long: a fraction of a millisecond of work. */
const PIECE_BYTES = 1 << 16;
const NO_PREFIX = new Uint8Array(0);

const K = wireKeys("ChunkMap", "Key", "LastIndex", "Value");

export function* encodeSnapshot(tables: TablesView): Generator<Uint8Array, void> {
  // A writer of its own: others write between two pieces.
  const w = new Writer("gossip");
  w.mapHead(1).raw(K.LastIndex).int(lastIndex(tables));
  for (const _ of records(tables, w)) if (w.length >= PIECE_BYTES) yield w.finish();
  if (w.length > 0) yield w.finish();
}

/** The largest table index. */
function lastIndex(tables: TablesView): number {
  let last = Math.max(tables.kvIndex, tables.tombstoneIndex);
  for (const { index } of tables.maps.indexes.values()) last = Math.max(last, index);
  return last;
}

/** Writes record after record; yields after each. */
function* records(tables: TablesView, w: Writer): Generator<void, void> {
  yield* nodeRecords(tables, w);
  yield* opaqueRecords(tables, w, OPAQUE_BEFORE_SESSIONS);
  for (const session of tables.maps.sessions.values()) {
    writeSession(w.byte(FSM_TYPE.session), session);
    yield;
  }
  yield* opaqueRecords(tables, w, OPAQUE_BEFORE_KV);
  yield* keyRecords(tables, w);
  yield* opaqueRecords(tables, w, OPAQUE_AFTER_TOMBSTONES);
  yield* indexRecords(tables, w);
  const chunks = tables.maps.opaque.first(opaquePrefix(FSM_TYPE.chunkingState));
  if (chunks === undefined) w.byte(FSM_TYPE.chunkingState).mapHead(1).raw(K.ChunkMap).mapHead(0);
  else w.byte(chunks.type).raw(chunks.body);
}

function* nodeRecords(tables: TablesView, w: Writer): Generator<void, void> {
  for (const [key, node] of tables.maps.nodes.entries()) {
    registerRecord(w, node, null, null);
    yield;
    for (const { service } of tables.maps.services.values(`${key}\0`)) {
      registerRecord(w, node, service, null);
      yield;
    }
    for (const check of tables.maps.checks.values(`${key}\0`)) {
      registerRecord(w, node, null, check);
      yield;
    }
  }
}

function registerRecord(w: Writer, node: CatalogNode, service: NodeService | null, check: HealthCheck | null): void {
  writeRegister(w.byte(FSM_TYPE.register), {
    datacenter: node.datacenter,
    id: node.id,
    node: node.node,
    address: node.address,
    taggedAddresses: node.taggedAddresses,
    nodeMeta: node.meta,
    service,
    check,
    checks: null,
    skipNodeUpdate: false,
    token: "",
    createIndex: node.createIndex,
    modifyIndex: node.modifyIndex,
  });
}

function* opaqueRecords(tables: TablesView, w: Writer, types: readonly number[]): Generator<void, void> {
  for (const type of types) {
    for (const { body } of tables.maps.opaque.values(opaquePrefix(type))) {
      w.byte(type).raw(body);
      yield;
    }
  }
}

function* keyRecords({ kv, tombstones, reapedIndex }: TablesView, w: Writer): Generator<void, void> {
  const keys = kv.cursor(NO_PREFIX);
  for (let address = keys.next(); address >= 0; address = keys.next()) {
    writeRecordEntry(kv.slabs, address, w.byte(FSM_TYPE.kvs));
    yield;
  }
  const buried = tombstones.cursor(NO_PREFIX);
  for (let address = buried.next(); address >= 0; address = buried.next()) {
    if (modifyIndexOf(tombstones.slabs, address) <= reapedIndex) continue;
    writeRecordEntry(tombstones.slabs, address, w.byte(FSM_TYPE.tombstone));
    yield;
  }
}

function* indexRecords({ maps, kvIndex, tombstoneIndex }: TablesView, w: Writer): Generator<void, void> {
  const indexes: (readonly [string, IndexRow])[] = [...maps.indexes.entries()];
  if (kvIndex > 0) indexes.push(["kvs", { table: "kvs", index: kvIndex }]);
  if (tombstoneIndex > 0) indexes.push(["tombstones", { table: "tombstones", index: tombstoneIndex }]);
  indexes.sort(([a], [b]) => (a < b ? -1 : 1));
  for (const [, { table, index }] of indexes) {
    w.byte(FSM_TYPE.index).mapHead(2).raw(K.Key).text(table).raw(K.Value).int(index);
    yield;
  }
}
