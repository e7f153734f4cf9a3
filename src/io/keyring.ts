/**
 * The gossip keys of one pool, in order: the first seals, all of them open (serf-protocol §2.4). Rules and error texts are memberlist's.
 * Values are never changed in place: an operation returns the next ring, so that a ring can be prepared, persisted and only then installed.
 */
import { timingSafeEqual } from "node:crypto";
import { fail, ok, type Result } from "../base/result.ts";

export type KeyList = readonly Uint8Array[];

/** Bytes of AES-128, -192 and -256 keys. */
const KEY_SIZES = [16, 24, 32];

/** A ring with `primary` first, then the other keys in their order, each once. No keys at all is the empty ring: no encryption. */
export function newKeyring(keys: KeyList, primary: Uint8Array | null): Result<KeyList> {
  if (primary === null || primary.length === 0) return keys.length === 0 ? ok([]) : fail("Empty primary key not allowed");
  let ring: KeyList = [];
  for (const key of [primary, ...keys]) {
    const next = installKey(ring, key);
    if (!next.ok) return next;
    ring = next.value;
  }
  return ok(ring);
}

/** Adds a key at the end; one that is there already stays where it is. */
export function installKey(ring: KeyList, key: Uint8Array): Result<KeyList> {
  if (!KEY_SIZES.includes(key.length)) return fail("key size must be 16, 24 or 32 bytes");
  return ok(findKey(ring, key) >= 0 ? ring : [...ring, key]);
}

/** Makes an installed key the primary; the others keep their order behind it. */
export function useKey(ring: KeyList, key: Uint8Array): Result<KeyList> {
  const at = findKey(ring, key);
  if (at < 0) return fail("Requested key is not in the keyring");
  return ok([ring[at] as Uint8Array, ...ring.filter((_, index) => index !== at)]);
}

/** Removes a key; an absent one is no error. */
export function removeKey(ring: KeyList, key: Uint8Array): Result<KeyList> {
  const at = findKey(ring, key);
  if (at === 0) return fail("Removing the primary key is not allowed");
  return ok(at < 0 ? ring : ring.filter((_, index) => index !== at));
}

/** Index of the key, or -1. Each comparison takes the same time wherever the keys differ. */
function findKey(ring: KeyList, key: Uint8Array): number {
  let found = -1;
  ring.forEach((candidate, index) => {
    if (candidate.length === key.length && timingSafeEqual(candidate, key) && found < 0) found = index;
  });
  return found;
}
