/** Builds tables from a snapshot that comes in pieces cut anywhere. */
import { concatBytes, EMPTY_BYTES } from "../base/bytes.ts";
import { FSM_TYPE } from "../wire/fsm-commands.ts";
import { readRegister } from "../wire/fsm-codec.ts";
import { readSession } from "../wire/fsm-structs.ts";
import { KvCommand } from "../wire/kv-command.ts";
import { Reader, Schema, structLength } from "../wire/msgpack.ts";
import type { OpaqueTables } from "./opaque-tables.ts";
import { RecordDraft } from "./record-slabs.ts";
import type { Tables } from "./tables.ts";
import type { Writers } from "./writers.ts";

const INDEX_MAX = Number.MAX_SAFE_INTEGER;
/** No record of a valid snapshot is longer; a longer one is refused before memory is taken for it. */
export const SNAPSHOT_RECORD_BYTES_MAX = 64 << 20;

const headerSchema = new Schema("LastIndex");
const indexSchema = new Schema("Key", "Value");

export class SnapshotReader {
  readonly #tables: Tables;
  readonly #writers: Writers;
  readonly #opaque: OpaqueTables;
  readonly #entry = new KvCommand();
  readonly #draft = new RecordDraft();
  #rest: Uint8Array = EMPTY_BYTES;
  #headerRead = false;
  #error: string | null = null;

  constructor(tables: Tables, writers: Writers) {
    this.#tables = tables;
    this.#writers = writers;
    this.#opaque = writers.opaque;
  }

  /** Null, or why this is no snapshot. */
  push(piece: Uint8Array): string | null {
    if (this.#error !== null) return this.#error;
    const bytes = this.#rest.length === 0 ? piece : concatBytes([this.#rest, piece]);
    const r = new Reader();
    let at = 0;
    while (at < bytes.length) {
      r.reset(bytes, at);
      this.#readNext(r, bytes);
      if (r.failed && !r.short) {
        this.#error ??= `malformed snapshot record ${bytes[at] ?? ""}`;
        return this.#error;
      }
      if (r.failed) break;
      at = r.at;
    }
    // A copy, since the piece is the caller's.
    this.#rest = at === bytes.length ? EMPTY_BYTES : bytes.slice(at);
    if (this.#rest.length > SNAPSHOT_RECORD_BYTES_MAX) this.#error = "snapshot record is too long";
    return this.#error;
  }

  /** Null when the snapshot was whole. */
  finish(): string | null {
    if (this.#error !== null) return this.#error;
    if (!this.#headerRead) return "snapshot is empty";
    return this.#rest.length === 0 ? null : "snapshot ends too early";
  }

  /** Reads the header or one record, and takes it over when it was whole. */
  #readNext(r: Reader, bytes: Uint8Array): void {
    if (!this.#headerRead) {
      this.#readHeader(r);
      return;
    }
    const type = (r.raw(1) as Uint8Array)[0] as number;
    switch (type) {
      case FSM_TYPE.register:
        this.#register(r);
        break;
      case FSM_TYPE.session: {
        const session = readSession(r);
        if (!r.failed) this.#writers.sessions.insert(session);
        break;
      }
      case FSM_TYPE.kvs:
        this.#key(r, bytes);
        break;
      case FSM_TYPE.tombstone:
        this.#tombstone(r, bytes);
        break;
      case FSM_TYPE.index:
        this.#index(r);
        break;
      default:
        this.#opaqueRow(type, r, bytes);
    }
  }

  #readHeader(r: Reader): void {
    const head = r.structHead();
    for (let i = 0; i < structLength(head) && !r.failed; i += 1) {
      if (r.field(headerSchema, head, i) === 0) r.uint(INDEX_MAX);
      else r.skip();
    }
    this.#headerRead = !r.failed;
  }

  #register(r: Reader): void {
    const request = readRegister(r);
    if (r.failed) return;
    const { catalog } = this.#writers;
    const { id, node, address, datacenter, taggedAddresses, nodeMeta: meta, createIndex, modifyIndex } = request;
    catalog.putNode({ id, node, address, datacenter, taggedAddresses, meta, createIndex, modifyIndex });
    if (request.service !== null) catalog.putService(node, request.service);
    if (request.check !== null) catalog.putCheck(request.check);
    for (const check of request.checks ?? []) catalog.putCheck(check);
  }

  #fillDraft(r: Reader, bytes: Uint8Array): boolean {
    const entry = this.#entry;
    entry.readRecord(r);
    if (r.failed) return false;
    const draft = this.#draft;
    draft.keyBytes = bytes;
    draft.keyAt = entry.keyAt;
    draft.keyLength = entry.keyLength;
    draft.valueBytes = bytes;
    draft.valueAt = entry.valueAt;
    draft.valueLength = entry.valueLength;
    draft.session = entry.session;
    draft.setFlags(entry.flags);
    draft.lockIndex = entry.lockIndex;
    draft.createIndex = entry.createIndex;
    draft.modifyIndex = entry.modifyIndex;
    return true;
  }

  #key(r: Reader, bytes: Uint8Array): void {
    if (this.#fillDraft(r, bytes)) this.#writers.kv.restore(this.#draft);
  }

  #tombstone(r: Reader, bytes: Uint8Array): void {
    if (!this.#fillDraft(r, bytes)) return;
    this.#tables.tombstones.locate(this.#draft.keyBytes, this.#draft.keyAt, this.#draft.keyLength);
    this.#tables.tombstones.putHere(this.#draft);
  }

  #index(r: Reader): void {
    let table = "";
    let index = 0;
    const head = r.structHead();
    for (let i = 0; i < structLength(head) && !r.failed; i += 1) {
      const field = r.field(indexSchema, head, i);
      if (field === 0) table = r.text();
      else if (field === 1) index = r.uint(INDEX_MAX);
      else r.skip();
    }
    if (r.failed) return;
    if (table === "kvs") this.#tables.kvIndex = index;
    else if (table === "tombstones") this.#tables.tombstoneIndex = index;
    else this.#tables.setIndex(table, index);
  }

  #opaqueRow(type: number, r: Reader, bytes: Uint8Array): void {
    const at = r.at;
    r.skip();
    if (!r.failed) this.#opaque.restore(type, bytes.slice(at, r.at));
  }
}
