/**
 * The state machine of the Raft simulation: the production catalog. Clients use registers in it, keys with the index of their last write; beside it a digest of everything
 * applied so far is kept. Snapshots are the catalog's own: a held root, encoded later, while the state goes on changing.
 */
import { assert } from "../../base/assert.ts";
import { createStateMachine } from "../../catalog/state-machine.ts";
import type { CatalogSnapshot, StateMachine } from "../../catalog/types.ts";
import { encodeKvRequest } from "../../wire/fsm-codec.ts";
import { ENTRY_TYPE, type LogEntry } from "../../wire/raft-messages.ts";
import { TraceHash, hashBytes } from "../trace-hash.ts";

export const KEYS = 5;
const VALUE_BYTES = 8;
const HASH_SEED = 0x1b873593;

export interface Register {
  /** Index of the entry that wrote it; 0: never written. */
  readonly version: number;
  readonly value: number;
}

/** State at one index; a value that never changes. */
export interface KvState {
  readonly index: number;
  /** The catalog as a snapshot; null: nothing yet. */
  readonly bytes: Uint8Array | null;
  /** Differs when any applied entry, or their order, differs. */
  readonly digest: number;
}

/** A state that is yet to be encoded. */
export interface HeldState {
  readonly index: number;
  readonly digest: number;
  readonly root: CatalogSnapshot;
}

export const EMPTY_STATE: KvState = { index: 0, bytes: null, digest: 0 };

/** `value` is unique in a run; `padding` makes entries large. */
export function putCommand(key: number, value: number, padding = 0): Uint8Array {
  const bytes = new Uint8Array(VALUE_BYTES + padding);
  new DataView(bytes.buffer).setFloat64(0, value);
  const entry = { key: registerKey(key), value: bytes, flags: 0, lockIndex: 0, session: "", createIndex: 0, modifyIndex: 0 };
  return encodeKvRequest({ datacenter: "dc1", op: "set", entry, token: "" });
}

function registerKey(key: number): string {
  return `register/${key}`;
}

export function entryHash(entry: LogEntry): number {
  return hashBytes(entry.data, HASH_SEED + entry.type);
}

/** Encodes what is held, as it is written to the store. */
export function encodeState({ index, digest, root }: HeldState): KvState {
  const pieces: Uint8Array[] = [];
  const encoding = root.encode();
  for (let next = encoding.next(); next.done !== true; next = encoding.next()) pieces.push(next.value);
  const bytes = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return { index, digest, bytes };
}

/** Two states are the same exactly when these are. */
export function contentOf({ bytes }: KvState): string {
  const hash = new TraceHash();
  if (bytes !== null) hash.bytes(bytes);
  return hash.hex;
}

export class SimKv {
  readonly #catalog: StateMachine;
  #index: number;
  #digest: number;

  constructor(state: KvState) {
    this.#index = state.index;
    this.#digest = state.digest;
    this.#catalog = createStateMachine();
    if (state.bytes === null) return;
    const restorer = this.#catalog.beginRestore();
    const error = restorer.push(state.bytes) ?? restorer.finish(state.index);
    assert(error === null, "a snapshot of the catalog can be restored");
  }

  get index(): number {
    return this.#index;
  }

  get digest(): number {
    return this.#digest;
  }

  register(key: number): Register {
    const row = this.#catalog.kvGet(registerKey(key)).value;
    if (row === null) return { version: 0, value: 0 };
    const bytes = row.value ?? new Uint8Array(VALUE_BYTES);
    return { version: row.modifyIndex, value: new DataView(bytes.buffer, bytes.byteOffset, bytes.length).getFloat64(0) };
  }

  /** The root a snapshot is made of: what is applied later does not change it. */
  hold(): HeldState {
    return { index: this.#index, digest: this.#digest, root: this.#catalog.snapshot() };
  }

  apply(entry: LogEntry): void {
    this.#index = entry.index;
    this.#digest = Math.imul(this.#digest ^ entryHash(entry) ^ Math.imul(entry.term, 0x9e3779b1), 0x85ebca77) + entry.index;
    this.#digest |= 0;
    if (entry.type !== ENTRY_TYPE.command) return;
    // Lock delays alone depend on the clock, and they are not part of the state.
    const result = this.#catalog.apply(entry.index, entry.data, 0);
    assert(result.kind !== "fatal", "every command of the simulation can be applied");
  }
}
