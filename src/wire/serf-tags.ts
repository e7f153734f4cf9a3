/** Tags as node metadata (reference: serf-protocol §7). */
import { decodeUtf8, encodeUtf8 } from "../base/utf8.ts";
import { Reader, Writer } from "./msgpack.ts";

/** Encoded tags must fit memberlist's node metadata. */
export const TAGS_BYTES_MAX = 512;

const TAGS_MAGIC = 255;
/** Protocol from which on tags travel as a map; below it the metadata is the bare role. */
const TAGS_PROTOCOL_MIN = 3;

const reader = new Reader();
const writer = new Writer("gossip");

/** Node metadata of `tags`, keys sorted so that equal tags give equal bytes. `protocol` is the Serf protocol spoken. */
export function encodeTags(tags: ReadonlyMap<string, string>, protocol: number): Uint8Array {
  if (protocol < TAGS_PROTOCOL_MIN) return encodeUtf8(tags.get("role") ?? "");
  writer.byte(TAGS_MAGIC);
  writeTags(writer, tags);
  return writer.finish();
}

/** The original's complaint when encoded tags are too long for node metadata, or null. */
export function tagsError(encoded: Uint8Array): string | null {
  return encoded.length > TAGS_BYTES_MAX ? `Encoded length of tags exceeds limit of ${TAGS_BYTES_MAX} bytes` : null;
}

/** A map, keys sorted. */
export function writeTags(writer: Writer, tags: ReadonlyMap<string, string>): void {
  writer.mapHead(tags.size);
  for (const name of [...tags.keys()].sort()) writer.text(name).text(tags.get(name) ?? "");
}

/** Tags of node metadata. Metadata of another form is the role alone; after a malformed pair the pairs before it count. */
export function decodeTags(meta: Uint8Array): Map<string, string> {
  if (meta[0] !== TAGS_MAGIC) return new Map([["role", decodeUtf8(meta)]]);
  reader.reset(meta, 1);
  return readTags(reader, reader.mapHead(0));
}

/** The next `count` pairs; after a malformed one those before it count. */
export function readTags(r: Reader, count: number): Map<string, string> {
  const tags = new Map<string, string>();
  for (let i = 0; i < count; i += 1) {
    const name = r.text();
    const value = r.text();
    if (r.failed) break;
    tags.set(name, value);
  }
  return tags;
}
