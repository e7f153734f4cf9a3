/** Rows and keys below a prefix, one by one. */
import { decodeUtf8 } from "../base/utf8.ts";
import type { DirEntry } from "../wire/fsm-commands.ts";
import { keyBytesOf, keyTextOf, readEntry } from "./record-slabs.ts";
import { behindPrefix, type RecordView } from "./record-view.ts";

export function* listEntries(kv: RecordView, prefix: Uint8Array): Generator<DirEntry, void> {
  const cursor = kv.cursor(prefix);
  for (let address = cursor.next(); address >= 0; address = cursor.next()) yield readEntry(kv.slabs, address);
}

/** Each key up to and with the first separator behind the prefix; a group costs one descent, however many keys it has. */
export function* listKeys(kv: RecordView, prefix: Uint8Array, separator: Uint8Array): Generator<string, void> {
  const cursor = kv.cursor(prefix);
  for (let address = cursor.next(); address >= 0; address = cursor.next()) {
    const end = separator.length === 0 ? -1 : groupEnd(keyBytesOf(kv.slabs, address), prefix.length, separator);
    if (end < 0) {
      yield keyTextOf(kv.slabs, address);
      continue;
    }
    const group = keyBytesOf(kv.slabs, address).slice(0, end);
    yield decodeUtf8(group);
    const next = behindPrefix(group);
    if (next === null) return;
    cursor.seek(next);
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
