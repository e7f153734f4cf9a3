/** tags: node metadata to tags and back, and the 512-byte limit. */
import { strict as assert } from "node:assert";
import { toHex } from "../../src/base/bytes.ts";
import { decodeTags, encodeTags, tagsError } from "../../src/wire/serf-tags.ts";
import { attempt, fieldsOf } from "./compare.ts";
import type { Report } from "./registry.ts";
import { hexBytes } from "./values.ts";

type Tags = Readonly<Record<string, string>> | null;
interface Recording {
  readonly decode: readonly { readonly hex: string; readonly tags: Tags }[];
  readonly encode: readonly { readonly hex: string; readonly mapOrderVaries: boolean; readonly protocol: number; readonly tags: Tags }[];
  readonly sizeLimit: readonly { readonly allowed: boolean; readonly encodedLen: number; readonly key: string; readonly valueLen: number }[];
}

export function checkTags(data: unknown, report: Report): void {
  const { decode, encode, sizeLimit } = fieldsOf<Recording>(data, ["decode", "encode", "sizeLimit"], report);
  // Serf tells a nil map from an empty one; both mean no tags.
  for (const { hex, tags } of decode ?? []) attempt(`decode ${hex}`, report, () => assert.deepEqual(Object.fromEntries(decodeTags(hexBytes(hex))), tags ?? {}));
  for (const { hex, mapOrderVaries, protocol, tags } of encode ?? []) {
    attempt(`encode ${protocol} ${JSON.stringify(tags)}`, report, () => {
      const map = new Map(Object.entries(tags ?? {}));
      const ours = encodeTags(map, protocol);
      if (!mapOrderVaries) assert.equal(toHex(ours), hex);
      else {
        assert.equal(ours.length, hex.length / 2);
        assert.deepEqual(decodeTags(ours), map);
        assert.deepEqual(decodeTags(hexBytes(hex)), map);
      }
    });
  }
  for (const { allowed, encodedLen, key, valueLen } of sizeLimit ?? []) {
    attempt(`size ${encodedLen}`, report, () => {
      const encoded = encodeTags(new Map([[key, "v".repeat(valueLen)]]), 5);
      assert.equal(encoded.length, encodedLen);
      assert.equal(tagsError(encoded) === null, allowed);
    });
  }
}
