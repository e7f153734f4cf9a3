/** Rows and keys below a prefix. */
import { decodeUtf8 } from "../base/utf8.ts";
import type { DirEntry } from "../wire/fsm-commands.ts";
import { keyBytesOf, keyTextOf, readEntry, type Slabs } from "./record-slabs.ts";
import { behindPrefix, type RecordView } from "./record-view.ts";
import type { Rows } from "./types.ts";

/** The rows below a prefix as they are now. They are found at once and read when they are asked for; what changes meanwhile does not show. */
export class EntryRows implements Rows<DirEntry> {
  readonly #slabs: Slabs;
  readonly #addresses: number[] = [];

  constructor(kv: RecordView, prefix: Uint8Array) {
    const cursor = kv.cursor(prefix);
    for (let address = cursor.next(); address >= 0; address = cursor.next()) this.#addresses.push(address);
    this.#slabs = this.#addresses.length === 0 ? [] : kv.lastingSlabs();
  }

  get length(): number {
    return this.#addresses.length;
  }

  *[Symbol.iterator](): Generator<DirEntry, void> {
    for (const address of this.#addresses) yield readEntry(this.#slabs, address);
  }
}

/** Each key up to and with the first separator behind the prefix; a group costs one descent, however many keys it has. Otherwise as `EntryRows`. */
export class KeyRows implements Rows<string> {
  readonly #slabs: Slabs;
  readonly #addresses: number[] = [];
  /** How many bytes of each key are told, 0: all; empty without a separator. */
  readonly #ends: number[] = [];

  constructor(kv: RecordView, prefix: Uint8Array, separator: Uint8Array) {
    const cursor = kv.cursor(prefix);
    for (let address = cursor.next(); address >= 0; address = cursor.next()) {
      this.#addresses.push(address);
      if (separator.length === 0) continue;
      const key = keyBytesOf(kv.slabs, address);
      const end = groupEnd(key, prefix.length, separator);
      this.#ends.push(Math.max(0, end));
      if (end < 0) continue;
      const next = behindPrefix(key.slice(0, end));
      if (next === null) break;
      cursor.seek(next);
    }
    this.#slabs = this.#addresses.length === 0 ? [] : kv.lastingSlabs();
  }

  get length(): number {
    return this.#addresses.length;
  }

  *[Symbol.iterator](): Generator<string, void> {
    for (const [i, address] of this.#addresses.entries()) {
      const end = this.#ends[i] ?? 0;
      yield end === 0 ? keyTextOf(this.#slabs, address) : decodeUtf8(keyBytesOf(this.#slabs, address).subarray(0, end));
    }
  }
}

/** Where the first separator at or behind `from` ends, -1 when there is none. */
function groupEnd(key: Uint8Array, from: number, separator: Uint8Array): number {
  for (let at = from; at + separator.length <= key.length; at += 1) {
    let i = 0;
    while (i < separator.length && key[at + i] === separator[i]) i += 1;
    if (i === separator.length) return at + i;
  }
  return -1;
}
