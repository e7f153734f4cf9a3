/**
 * A point in time of a `RecordTree`: its root and the pages its addresses point into. Reads only; the live tree extends it.
 *
 * The tree is a B-tree whose leaves are arrays of record addresses, which V8 keeps as plain small integers. Every node knows the largest modify index
 * below it, so that the index of a prefix takes a walk down and not over all its keys.
 */
import { compareKey, keyStartsWith, modifyIndexOf, type Slabs } from "./record-slabs.ts";

export interface RecordLeaf {
  readonly owner: number;
  max: number;
  readonly addresses: number[];
  /** `keyHash` of each key: a search looks at these, which lie together, and then at one record instead of six. */
  readonly hashes: number[];
}

export interface RecordInner {
  readonly owner: number;
  max: number;
  /** `separators[i]` is above every key of child i and not above any of child i + 1. */
  readonly separators: Uint8Array[];
  readonly children: RecordNode[];
}

/** Which of the two a node is follows from its height: leaves have height 0. */
export type RecordNode = RecordLeaf | RecordInner;

/** A key above every key that starts with `prefix` and not above any other greater one; null when there is none (only bytes ff). */
export function behindPrefix(prefix: Uint8Array): Uint8Array | null {
  let length = prefix.length;
  while (length > 0 && prefix[length - 1] === 0xff) length -= 1;
  if (length === 0) return null;
  const end = prefix.slice(0, length);
  end[length - 1] = (end[length - 1] as number) + 1;
  return end;
}

/** Bytes of a key that its hash is made of, from the end, where keys of one leaf differ. */
const HASHED_BYTES = 24;

/** A small integer that tells keys apart in nearly all cases. */
export function keyHash(bytes: Uint8Array, at: number, length: number): number {
  let hash = length;
  const end = at + length;
  for (let i = length > HASHED_BYTES ? end - HASHED_BYTES : at; i < end; i += 1) hash = Math.imul(hash ^ (bytes[i] as number), 0x01000193);
  return (hash ^ (hash >>> 15)) & 0x3fff_ffff;
}

/** Place of a key that is in the leaf, -1 when it is not. */
export function placeOf(leaf: RecordLeaf, slabs: Slabs, bytes: Uint8Array, at: number, length: number): number {
  const hash = keyHash(bytes, at, length);
  const { hashes } = leaf;
  for (let place = 0; place < hashes.length; place += 1) {
    if (hashes[place] === hash && compareKey(slabs, leaf.addresses[place] as number, bytes, at, length) === 0) return place;
  }
  return -1;
}

/**
 * How many bytes the searched key has in common with the separator below it and with the one above it, both as found so far on the way down. Everything
 * between the two has at least the smaller number of bytes in common with it, so comparisons start behind those.
 */
let sharedBelow = 0;
let sharedAbove = 0;

/** Every walk down from a root starts with this, then `childOf` at each inner node. */
export function beginDescent(): void {
  sharedBelow = 0;
  sharedAbove = 0;
}

/** Number of separators that are not above the key: the child to go to. Within a descent. */
export function childOf(node: RecordInner, bytes: Uint8Array, at: number, length: number): number {
  const { separators } = node;
  let low = 0;
  let high = separators.length;
  let below = sharedBelow;
  let above = sharedAbove;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const separator = separators[middle] as Uint8Array;
    const end = length < separator.length ? length : separator.length;
    let i = below < above ? below : above;
    while (i < end && bytes[at + i] === separator[i]) i += 1;
    // Equal so far: the longer one is above. Else the first byte that differs decides.
    const notAbove = i === end ? length >= separator.length : (bytes[at + i] as number) > (separator[i] as number);
    if (notAbove) {
      low = middle + 1;
      below = i;
    } else {
      high = middle;
      above = i;
    }
  }
  sharedBelow = below;
  sharedAbove = above;
  return low;
}

/** `childOf` for one node, outside a descent. */
export function childAlone(node: RecordInner, key: Uint8Array): number {
  beginDescent();
  return childOf(node, key, 0, key.length);
}

/** First place in a leaf whose key is not below the given one. */
export function placeIn(leaf: RecordLeaf, slabs: Slabs, bytes: Uint8Array, at: number, length: number): number {
  let low = 0;
  let high = leaf.addresses.length;
  // Keys often come in rising order.
  if (high > 0 && compareKey(slabs, leaf.addresses[high - 1] as number, bytes, at, length) > 0) return high;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (compareKey(slabs, leaf.addresses[middle] as number, bytes, at, length) > 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

export class RecordView {
  protected root: RecordNode;
  protected height: number;
  protected rows: number;

  constructor(root: RecordNode, height: number, rows: number, slabs: Slabs) {
    this.root = root;
    this.height = height;
    this.rows = rows;
    this.frozenSlabs = slabs;
  }

  private readonly frozenSlabs: Slabs;

  get slabs(): Slabs {
    return this.frozenSlabs;
  }

  get size(): number {
    return this.rows;
  }

  /** Address of the record with this key, -1 when there is none. */
  find(bytes: Uint8Array, at: number, length: number): number {
    let node = this.root;
    beginDescent();
    for (let height = this.height; height > 0; height -= 1) {
      const inner = node as RecordInner;
      node = inner.children[childOf(inner, bytes, at, length)] as RecordNode;
    }
    const leaf = node as RecordLeaf;
    const place = placeOf(leaf, this.slabs, bytes, at, length);
    return place < 0 ? -1 : (leaf.addresses[place] as number);
  }

  /** Largest modify index of the records whose keys start with `prefix`, 0 when there is none. */
  maxBelow(prefix: Uint8Array): number {
    return prefix.length === 0 ? this.root.max : this.#maxOf(this.root, this.height, prefix, behindPrefix(prefix));
  }

  /** Over keys from `from` (null: the first) up to, not including, `to` (null: the last). */
  #maxOf(node: RecordNode, height: number, from: Uint8Array | null, to: Uint8Array | null): number {
    if (from === null && to === null) return node.max;
    let max = 0;
    if (height === 0) {
      const leaf = node as RecordLeaf;
      const start = from === null ? 0 : placeIn(leaf, this.slabs, from, 0, from.length);
      const end = to === null ? leaf.addresses.length : placeIn(leaf, this.slabs, to, 0, to.length);
      for (let i = start; i < end; i += 1) max = Math.max(max, modifyIndexOf(this.slabs, leaf.addresses[i] as number));
      return max;
    }
    const inner = node as RecordInner;
    const first = from === null ? 0 : childAlone(inner, from);
    const last = to === null ? inner.children.length - 1 : childAlone(inner, to);
    for (let i = first; i <= last; i += 1) {
      max = Math.max(max, this.#maxOf(inner.children[i] as RecordNode, height - 1, i === first ? from : null, i === last ? to : null));
    }
    return max;
  }

  /** The pages, in an array that will not change: addresses of now stay good in it. */
  lastingSlabs(): Slabs {
    return this.slabs;
  }

  /** Addresses of the records whose keys start with `prefix`, in order. Of the live tree: not across a change. */
  cursor(prefix: Uint8Array): RecordCursor {
    return new RecordCursor(this.root, this.height, this.slabs, prefix);
  }
}

export class RecordCursor {
  readonly #root: RecordNode;
  readonly #height: number;
  readonly #slabs: Slabs;
  readonly #prefix: Uint8Array;
  /** Path to the current leaf: at height h the node `#nodes[h]`, in which place `#places[h]` comes next (leaf) or is being visited (inner). */
  readonly #nodes: RecordNode[] = [];
  readonly #places: number[] = [];
  #done = false;

  constructor(root: RecordNode, height: number, slabs: Slabs, prefix: Uint8Array) {
    this.#root = root;
    this.#height = height;
    this.#slabs = slabs;
    this.#prefix = prefix;
    this.seek(prefix);
  }

  /** Goes to the first key that is not below `key`; forward or back. */
  seek(key: Uint8Array): void {
    let node = this.#root;
    beginDescent();
    for (let height = this.#height; height > 0; height -= 1) {
      const inner = node as RecordInner;
      const place = childOf(inner, key, 0, key.length);
      this.#nodes[height] = node;
      this.#places[height] = place;
      node = inner.children[place] as RecordNode;
    }
    this.#nodes[0] = node;
    this.#places[0] = placeIn(node as RecordLeaf, this.#slabs, key, 0, key.length);
  }

  /** The next address, -1 behind the last key of the prefix. */
  next(): number {
    while (!this.#done) {
      const leaf = this.#nodes[0] as RecordLeaf;
      const place = this.#places[0] as number;
      const address = leaf.addresses[place];
      if (address !== undefined) {
        this.#places[0] = place + 1;
        if (keyStartsWith(this.#slabs, address, this.#prefix)) return address;
        this.#done = true;
      } else if (!this.#nextLeaf()) this.#done = true;
    }
    return -1;
  }

  #nextLeaf(): boolean {
    for (let height = 1; height <= this.#height; height += 1) {
      const inner = this.#nodes[height] as RecordInner;
      const place = (this.#places[height] as number) + 1;
      if (place >= inner.children.length) continue;
      this.#places[height] = place;
      for (let down = height; down > 0; down -= 1) {
        this.#nodes[down - 1] = (this.#nodes[down] as RecordInner).children[this.#places[down] as number] as RecordNode;
        this.#places[down - 1] = 0;
      }
      return true;
    }
    return false;
  }
}
