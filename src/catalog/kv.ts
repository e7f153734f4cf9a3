/** Writes of the key-value table, with Consul's results (agent reference §2.4): a write that changes nothing keeps the key's index and wakes nobody. */
import { decodeUtf8, encodeUtf8 } from "../base/utf8.ts";
import { goQuote } from "../base/go-quote.ts";
import type { DirEntry } from "../wire/fsm-commands.ts";
import { compoundKey, orderKey } from "./order-key.ts";
import { createIndexOf, draftFrom, keyBytesOf, keyTextOf, lockIndexOf, modifyIndexOf, RecordDraft, sameContent, sessionOf } from "./record-slabs.ts";
import type { Tables } from "./tables.ts";
import { uuidKey, uuidProblem } from "./uuid.ts";
import { tableGroup, type Watches } from "./watches.ts";

const KVS_GROUP = tableGroup("kvs");
/** Tombstones looked at with each command while reaped ones are left. */
const SWEEP_PER_COMMAND = 32;
const TOMBSTONES_GROUP = tableGroup("tombstones");

/** True or false as Consul answers, or an error's text. */
export type KvOutcome = boolean | string;

export class KvWriter {
  readonly #tables: Tables;
  readonly #watches: Watches;
  readonly #scratch = new RecordDraft();
  readonly #tombstone = new RecordDraft();
  /** Where the removal of reaped tombstones goes on, null when none is left. */
  #sweepFrom: Uint8Array | null = null;

  constructor(tables: Tables, watches: Watches) {
    this.#tables = tables;
    this.#watches = watches;
  }

  /**
   * Writes the draft; afterwards its indexes are the row's. Its session counts only with `withSession`: a plain write keeps whatever lock there is, but not
   * the lock index.
   */
  set(draft: RecordDraft, index: number, withSession: boolean): void {
    const { kv } = this.#tables;
    const found = kv.locate(draft.keyBytes, draft.keyAt, draft.keyLength);
    const before = found < 0 ? "" : sessionOf(kv.slabs, found);
    if (!withSession) draft.session = before;
    draft.createIndex = found < 0 ? index : createIndexOf(kv.slabs, found);
    if (found >= 0 && sameContent(kv.slabs, found, draft)) {
      draft.modifyIndex = modifyIndexOf(kv.slabs, found);
      return;
    }
    draft.modifyIndex = index;
    if (before !== draft.session) this.#relock(keyText(draft), before, draft.session);
    kv.putHere(draft);
    this.#changed(draft, index);
  }

  #changed(draft: RecordDraft, index: number): void {
    this.#tables.kvIndex = index;
    this.#watches.keyChanged(draft.keyBytes, draft.keyAt, draft.keyLength);
    this.#watches.groupChanged(KVS_GROUP);
  }

  #relock(key: string, before: string, after: string): void {
    const { locks, locksBySession } = this.#tables.maps;
    if (before !== "") {
      locks.delete(orderKey(key));
      locksBySession.delete(compoundKey(uuidKey(before), key));
    }
    if (after !== "") {
      const row = { key, session: after };
      locks.set(orderKey(key), row);
      locksBySession.set(compoundKey(uuidKey(after), key), row);
    }
  }

  delete(keyBytes: Uint8Array, at: number, length: number, index: number): void {
    const { kv } = this.#tables;
    const found = kv.locate(keyBytes, at, length);
    if (found < 0) return;
    const session = sessionOf(kv.slabs, found);
    if (session !== "") this.#relock(keyTextOf(kv.slabs, found), session, "");
    this.#bury(keyBytes, at, length, index);
    kv.removeHere();
    this.#tables.kvIndex = index;
    this.#watches.keyChanged(keyBytes, at, length);
    this.#watches.groupChanged(KVS_GROUP);
  }

  /** The tombstone that makes a prefix's index rise although its newest key is gone. */
  #bury(keyBytes: Uint8Array, at: number, length: number, index: number): void {
    const draft = this.#tombstone;
    draft.keyBytes = keyBytes;
    draft.keyAt = at;
    draft.keyLength = length;
    draft.modifyIndex = index;
    this.#tables.tombstones.locate(keyBytes, at, length);
    this.#tables.tombstones.putHere(draft);
    this.#tables.tombstoneIndex = index;
    this.#watches.groupChanged(TOMBSTONES_GROUP);
  }

  /** Deletes only with the right index; a key that is not there is no failure. */
  deleteCas(keyBytes: Uint8Array, at: number, length: number, casIndex: number, index: number): boolean {
    const { kv } = this.#tables;
    const found = kv.locate(keyBytes, at, length);
    if (found < 0) return true;
    if (modifyIndexOf(kv.slabs, found) !== casIndex) return false;
    this.delete(keyBytes, at, length, index);
    return true;
  }

  /** Removes everything below a prefix, with one tombstone; none for the empty prefix, whose readers look at the table's index. */
  deleteTree(prefix: Uint8Array, index: number): void {
    const { kv, maps } = this.#tables;
    if (kv.cursor(prefix).next() < 0) return;
    for (const { key, session } of [...maps.locks.values(orderKey(decodeUtf8(prefix)))]) this.#relock(key, session, "");
    kv.removePrefix(prefix);
    if (prefix.length > 0) this.#bury(prefix, 0, prefix.length, index);
    this.#tables.kvIndex = index;
    this.#watches.prefixChanged(prefix);
    this.#watches.groupChanged(KVS_GROUP);
  }

  /** Writes only if the row's index is the draft's `modifyIndex`; 0 means: only if there is none. */
  cas(draft: RecordDraft, index: number): boolean {
    const { kv } = this.#tables;
    const found = kv.locate(draft.keyBytes, draft.keyAt, draft.keyLength);
    if (found < 0 ? draft.modifyIndex !== 0 : modifyIndexOf(kv.slabs, found) !== draft.modifyIndex) return false;
    this.set(draft, index, false);
    return true;
  }

  /** Takes the lock for the draft's session, or writes for its holder. */
  lock(draft: RecordDraft, index: number): KvOutcome {
    if (draft.session === "") return "missing session";
    const problem = uuidProblem(draft.session);
    if (problem !== null) return `failed session lookup: ${problem}`;
    const { kv, maps } = this.#tables;
    if (!maps.sessions.has(uuidKey(draft.session))) return `invalid session ${goQuote(draft.session)}`;
    const found = kv.locate(draft.keyBytes, draft.keyAt, draft.keyLength);
    const holder = found < 0 ? "" : sessionOf(kv.slabs, found);
    if (holder !== "" && holder !== draft.session) return false;
    const lockIndex = found < 0 ? 0 : lockIndexOf(kv.slabs, found);
    draft.lockIndex = holder === "" ? lockIndex + 1 : lockIndex;
    this.set(draft, index, true);
    return true;
  }

  /** Gives the lock back and writes the value; only for its holder. */
  unlock(draft: RecordDraft, index: number): KvOutcome {
    if (draft.session === "") return "missing session";
    const { kv } = this.#tables;
    const found = kv.locate(draft.keyBytes, draft.keyAt, draft.keyLength);
    if (found < 0 || sessionOf(kv.slabs, found) !== draft.session) return false;
    draft.lockIndex = lockIndexOf(kv.slabs, found);
    draft.session = "";
    this.set(draft, index, true);
    return true;
  }

  /** Takes a row of a snapshot over as it is. */
  restore(draft: RecordDraft): void {
    const { kv } = this.#tables;
    const found = kv.locate(draft.keyBytes, draft.keyAt, draft.keyLength);
    const before = found < 0 ? "" : sessionOf(kv.slabs, found);
    if (before !== draft.session) this.#relock(keyText(draft), before, draft.session);
    kv.putHere(draft);
  }

  /** Ends a session's hold of one key: clears the lock, or removes the key. */
  releaseLock(key: string, behavior: "release" | "delete", index: number): void {
    const { kv } = this.#tables;
    const bytes = encodeUtf8(key);
    if (behavior === "delete") {
      this.delete(bytes, 0, bytes.length, index);
      return;
    }
    const found = kv.locate(bytes, 0, bytes.length);
    if (found < 0) return;
    draftFrom(kv.slabs, found, this.#scratch);
    this.#scratch.session = "";
    this.set(this.#scratch, index, true);
  }

  /** Drops tombstones up to `reapIndex`, for readers at once, from memory bit by bit (`tidy`): there may be very many. No index moves by that. */
  reap(reapIndex: number): void {
    if (reapIndex <= this.#tables.reapedIndex) return;
    this.#tables.reapedIndex = reapIndex;
    this.#sweepFrom = new Uint8Array(0);
  }

  /** Removes some reaped tombstones; called with every command and when there is nothing else to do. True while there may be more. */
  tidy(count = SWEEP_PER_COMMAND): boolean {
    if (this.#sweepFrom === null) return false;
    const { tombstones, reapedIndex } = this.#tables;
    const cursor = tombstones.cursor(new Uint8Array(0));
    cursor.seek(this.#sweepFrom);
    const old: Uint8Array[] = [];
    let address = -1;
    for (let left = count; left > 0; left -= 1) {
      address = cursor.next();
      if (address < 0) break;
      if (modifyIndexOf(tombstones.slabs, address) <= reapedIndex) old.push(keyBytesOf(tombstones.slabs, address));
    }
    // A copy: the page may be given back.
    this.#sweepFrom = address < 0 ? null : keyBytesOf(tombstones.slabs, address).slice();
    for (const key of old) {
      tombstones.locate(key, 0, key.length);
      tombstones.removeHere();
    }
    return this.#sweepFrom !== null;
  }
}

function keyText(draft: RecordDraft): string {
  return decodeUtf8(draft.keyBytes, draft.keyAt, draft.keyAt + draft.keyLength);
}

/** Fills a draft from a row, as transactions and restores bring them. */
export function draftOf(entry: DirEntry, draft: RecordDraft): void {
  draft.keyBytes = encodeUtf8(entry.key);
  draft.keyAt = 0;
  draft.keyLength = draft.keyBytes.length;
  draft.valueBytes = entry.value ?? draft.keyBytes;
  draft.valueAt = 0;
  // An empty value is stored as nil, as Go's decoder makes it one.
  draft.valueLength = entry.value === null || entry.value.length === 0 ? -1 : entry.value.length;
  draft.session = entry.session;
  draft.setFlags(entry.flags);
  draft.lockIndex = entry.lockIndex;
  draft.createIndex = entry.createIndex;
  draft.modifyIndex = entry.modifyIndex;
}
