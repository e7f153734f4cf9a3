/**
 * The live, ordered table of records (keys as bytes): a copy-on-write B-tree over a `RecordHeap`. A point-in-time view is O(1).
 *
 * A change is `locate`, then one of `putHere` and `removeHere`: both use the path that `locate` walked, so that a write walks down once.
 *
 * Waste: a record that is replaced or removed leaves a hole in its page. Once holes exceed half of what is live (and a constant), each further change
 * also moves a few records out of the page with the largest share of holes; an empty page is given back. Nothing moves inside a transaction.
 */
import { assert } from "../base/assert.ts";
import type { Epoch } from "./epoch.ts";
import { compareKey, keyBytesOf, modifyIndexOf, offsetOf, RecordHeap, sizeOf, type RecordDraft, type Slab, type Slabs } from "./record-slabs.ts";
import { beginDescent, behindPrefix, childAlone, childOf, keyHash, placeIn, placeOf, RecordView, type RecordInner, type RecordLeaf, type RecordNode } from "./record-view.ts";

/** Records of a leaf, and children of an inner node. */
const LEAF_MAX = 64;
const INNER_MAX = 64;
/** A node below a quarter is joined with a neighbour, if the two then fill at most three quarters. */
const SMALL = 16;
const JOINED_MAX = 48;
/** Holes may take half of what is live and this much more. */
const WASTE_FREE_BYTES = 4 << 20;
/** Records looked at by one change while a page is being emptied. */
const MOVES_PER_CHANGE = 8;
/** Addresses of removed subtrees that are given back by one change. */
const FREES_PER_CHANGE = 64;

/** What `mark` remembers. */
export interface RecordMark {
  readonly root: RecordNode;
  readonly height: number;
  readonly rows: number;
}

export class RecordTree extends RecordView {
  readonly #epoch: Epoch;
  readonly #heap: RecordHeap;
  /** The path of the last `locate`: nodes and places by height. */
  readonly #path: RecordNode[] = [];
  readonly #places: number[] = [];
  #found = -1;
  /** In a transaction: what it wrote, and what it would free. */
  #written: number[] | null = null;
  #unneeded: number[] = [];
  /** Leaves of removed subtrees whose records are still to be given back. */
  #orphans: number[][] = [];
  /** The page being emptied, and how far. */
  #victim: Slab | null = null;
  #victimNumber = -1;
  #victimAt = 0;

  constructor(epoch: Epoch) {
    const heap = new RecordHeap();
    super({ owner: epoch.current, max: 0, addresses: [], hashes: [] } satisfies RecordLeaf, 0, 0, heap.slabs);
    this.#epoch = epoch;
    this.#heap = heap;
  }

  override get slabs(): Slabs {
    return this.#heap.slabs;
  }

  override lastingSlabs(): Slabs {
    return this.#heap.share();
  }

  /** Bytes of pages, and how much of that is holes: for metrics and tests. */
  get liveBytes(): number {
    return this.#heap.liveBytes;
  }

  get wasteBytes(): number {
    return this.#heap.wasteBytes;
  }

  /** The table as it is now. The caller ends the epoch. */
  view(): RecordView {
    return new RecordView(this.root, this.height, this.rows, this.#heap.share());
  }

  /** Begins a transaction, which ends with `commit` or `reset`. The caller ends the epoch. */
  mark(): RecordMark {
    assert(this.#written === null, "one transaction at a time");
    this.#written = [];
    return { root: this.root, height: this.height, rows: this.rows };
  }

  commit(): void {
    this.#written = null;
    for (const address of this.#unneeded) this.#heap.free(address);
    this.#unneeded = [];
  }

  /** Back to what it was at `mark`. */
  reset(mark: RecordMark): void {
    const written = this.#written as number[];
    this.#written = null;
    this.#unneeded = [];
    this.root = mark.root;
    this.height = mark.height;
    this.rows = mark.rows;
    for (const address of written) this.#heap.free(address);
  }

  /** Finds the place of a key; the address of its record, or -1. Valid for one `putHere` or `removeHere`. */
  locate(bytes: Uint8Array, at: number, length: number): number {
    let node = this.root;
    beginDescent();
    for (let height = this.height; height > 0; height -= 1) {
      const inner = node as RecordInner;
      const place = childOf(inner, bytes, at, length);
      this.#path[height] = node;
      this.#places[height] = place;
      node = inner.children[place] as RecordNode;
    }
    const leaf = node as RecordLeaf;
    const slabs = this.#heap.slabs;
    const place = placeOf(leaf, slabs, bytes, at, length);
    this.#path[0] = leaf;
    this.#places[0] = place >= 0 ? place : placeIn(leaf, slabs, bytes, at, length);
    this.#found = place >= 0 ? (leaf.addresses[place] as number) : -1;
    return this.#found;
  }

  /** Writes the draft at the place of the last `locate`, which was for the draft's key. */
  putHere(draft: RecordDraft): number {
    const address = this.#heap.write(draft);
    this.#written?.push(address);
    const leaf = this.#ownPath(draft.modifyIndex);
    const place = this.#places[0] as number;
    if (this.#found >= 0) {
      leaf.addresses[place] = address;
      this.#free(this.#found);
    } else {
      insertAt(leaf.addresses, place, address);
      insertAt(leaf.hashes, place, keyHash(draft.keyBytes, draft.keyAt, draft.keyLength));
      this.rows += 1;
      if (leaf.addresses.length > LEAF_MAX) this.#splitLeaf(leaf, place);
    }
    this.#upkeep();
    return address;
  }

  /** Removes the record that the last `locate` found. */
  removeHere(): void {
    assert(this.#found >= 0, "there is a record to remove");
    const index = modifyIndexOf(this.#heap.slabs, this.#found);
    const leaf = this.#ownPath(0);
    leaf.addresses.splice(this.#places[0] as number, 1);
    leaf.hashes.splice(this.#places[0] as number, 1);
    this.rows -= 1;
    this.#free(this.#found);
    if (index === leaf.max) this.#lowerMax(leaf);
    if (leaf.addresses.length < SMALL) this.#shrink();
    this.#upkeep();
  }

  /** Removes all records whose keys start with `prefix`; how many there were. */
  removePrefix(prefix: Uint8Array): number {
    const before = this.rows;
    const to = behindPrefix(prefix);
    this.root = this.#removeRange(this.root, this.height, prefix.length === 0 ? null : prefix, to) ?? this.#emptyLeaf();
    if ("addresses" in this.root) this.height = 0;
    this.#lowerRoot();
    this.#upkeep();
    return before - this.rows;
  }

  #emptyLeaf(): RecordLeaf {
    return { owner: this.#epoch.current, max: 0, addresses: [], hashes: [] };
  }

  #free(address: number): void {
    if (this.#written === null) this.#heap.free(address);
    else this.#unneeded.push(address);
  }

  /** Makes every node of the path one that may be written, and the leaf's and its parents' maximum at least `max`. */
  #ownPath(max: number): RecordLeaf {
    const owner = this.#epoch.current;
    for (let height = this.height; height > 0; height -= 1) {
      let node = this.#path[height] as RecordInner;
      if (node.owner !== owner) {
        node = { owner, max: node.max, separators: node.separators.slice(), children: node.children.slice() };
        this.#replace(height, node);
      }
      if (node.max < max) node.max = max;
    }
    let leaf = this.#path[0] as RecordLeaf;
    if (leaf.owner !== owner) {
      leaf = { owner, max: leaf.max, addresses: leaf.addresses.slice(), hashes: leaf.hashes.slice() };
      this.#replace(0, leaf);
    }
    if (leaf.max < max) leaf.max = max;
    return leaf;
  }

  #replace(height: number, node: RecordNode): void {
    this.#path[height] = node;
    if (height === this.height) this.root = node;
    else (this.#path[height + 1] as RecordInner).children[this.#places[height + 1] as number] = node;
  }

  #splitLeaf(leaf: RecordLeaf, place: number): void {
    // Keys that come in rising order leave full leaves behind instead of half-full ones.
    const cut = place === leaf.addresses.length - 1 ? leaf.addresses.length - 1 : leaf.addresses.length >>> 1;
    const right: RecordLeaf = { owner: leaf.owner, max: 0, addresses: leaf.addresses.splice(cut), hashes: leaf.hashes.splice(cut) };
    leaf.max = this.#leafMax(leaf);
    right.max = this.#leafMax(right);
    this.#insertChild(1, this.#separator(leaf, right), right);
  }

  /** The shortest key that parts two neighbouring leaves. */
  #separator(left: RecordLeaf, right: RecordLeaf): Uint8Array {
    const slabs = this.#heap.slabs;
    const a = keyBytesOf(slabs, left.addresses[left.addresses.length - 1] as number);
    const b = keyBytesOf(slabs, right.addresses[0] as number);
    let shared = 0;
    while (shared < a.length && a[shared] === b[shared]) shared += 1;
    return b.slice(0, shared + 1);
  }

  /** Puts `right` behind the child of the path at `height`; a root is split into a new one. */
  #insertChild(height: number, separator: Uint8Array, right: RecordNode): void {
    if (height > this.height) {
      const left = this.root;
      this.root = { owner: this.#epoch.current, max: Math.max(left.max, right.max), separators: [separator], children: [left, right] };
      this.height = height;
      return;
    }
    const node = this.#path[height] as RecordInner;
    const place = this.#places[height] as number;
    node.separators.splice(place, 0, separator);
    node.children.splice(place + 1, 0, right);
    if (node.children.length <= INNER_MAX) return;
    const cut = place >= node.children.length - 2 ? node.children.length - 2 : node.children.length >>> 1;
    const other: RecordInner = { owner: node.owner, max: 0, separators: node.separators.splice(cut), children: node.children.splice(cut) };
    const between = node.separators.pop() as Uint8Array;
    node.max = innerMax(node);
    other.max = innerMax(other);
    this.#insertChild(height + 1, between, other);
  }

  #leafMax(leaf: RecordLeaf): number {
    const slabs = this.#heap.slabs;
    let max = 0;
    for (const address of leaf.addresses) {
      const index = modifyIndexOf(slabs, address);
      if (index > max) max = index;
    }
    return max;
  }

  /** The leaf at the end of the path lost its newest record. */
  #lowerMax(leaf: RecordLeaf): void {
    const old = leaf.max;
    leaf.max = this.#leafMax(leaf);
    if (leaf.max === old) return;
    for (let height = 1; height <= this.height; height += 1) {
      const inner = this.#path[height] as RecordInner;
      if (inner.max !== old) return;
      inner.max = innerMax(inner);
      if (inner.max === old) return;
    }
  }

  /** The leaf of the path has become small: joins it, and then parents, with neighbours. */
  #shrink(): void {
    for (let height = 1; height <= this.height; height += 1) {
      const parent = this.#path[height] as RecordInner;
      this.#joinChild(parent, this.#places[height] as number, height - 1);
      if (parent.children.length >= SMALL) break;
    }
    this.#lowerRoot();
  }

  #joinChild(parent: RecordInner, place: number, height: number): void {
    if (childCount(parent.children[place] as RecordNode, height) === 0 && parent.children.length > 1) {
      parent.children.splice(place, 1);
      parent.separators.splice(place === 0 ? 0 : place - 1, 1);
      return;
    }
    const at = place > 0 ? place - 1 : place;
    const left = parent.children[at];
    const right = parent.children[at + 1];
    if (left === undefined || right === undefined || childCount(left, height) + childCount(right, height) > JOINED_MAX) return;
    parent.children[at] = this.#joined(left, right, parent.separators[at] as Uint8Array, height);
    parent.children.splice(at + 1, 1);
    parent.separators.splice(at, 1);
  }

  #joined(left: RecordNode, right: RecordNode, separator: Uint8Array, height: number): RecordNode {
    const owner = this.#epoch.current;
    const max = Math.max(left.max, right.max);
    if (height === 0) {
      const [a, b] = [left as RecordLeaf, right as RecordLeaf];
      return { owner, max, addresses: [...a.addresses, ...b.addresses], hashes: [...a.hashes, ...b.hashes] };
    }
    const a = left as RecordInner;
    const b = right as RecordInner;
    return { owner, max, separators: [...a.separators, separator, ...b.separators], children: [...a.children, ...b.children] };
  }

  #lowerRoot(): void {
    while (this.height > 0 && (this.root as RecordInner).children.length === 1) {
      this.root = (this.root as RecordInner).children[0] as RecordNode;
      this.height -= 1;
    }
  }

  /** The node without the keys from `from` (null: the first) up to, not including, `to` (null: the last); null when nothing is left. */
  #removeRange(node: RecordNode, height: number, from: Uint8Array | null, to: Uint8Array | null): RecordNode | null {
    if (from === null && to === null) {
      this.#orphan(node, height);
      return null;
    }
    const owner = this.#epoch.current;
    if (height === 0) {
      const leaf = node as RecordLeaf;
      const slabs = this.#heap.slabs;
      const start = from === null ? 0 : placeIn(leaf, slabs, from, 0, from.length);
      const end = to === null ? leaf.addresses.length : placeIn(leaf, slabs, to, 0, to.length);
      if (start >= end) return node;
      this.rows -= end - start;
      this.#orphanAddresses(leaf.addresses.slice(start, end));
      const kept: RecordLeaf = { owner, max: 0, addresses: without(leaf.addresses, start, end), hashes: without(leaf.hashes, start, end) };
      kept.max = this.#leafMax(kept);
      return kept.addresses.length === 0 ? null : kept;
    }
    const inner = node as RecordInner;
    const first = from === null ? 0 : childAlone(inner, from);
    const last = to === null ? inner.children.length - 1 : childAlone(inner, to);
    const children: RecordNode[] = [];
    const separators: Uint8Array[] = [];
    for (let i = 0; i < inner.children.length; i += 1) {
      let child: RecordNode | null = inner.children[i] as RecordNode;
      if (i >= first && i <= last) child = this.#removeRange(child, height - 1, i === first ? from : null, i === last ? to : null);
      if (child === null) continue;
      // A separator on the left of any child that is kept still parts it from all kept ones before it.
      if (children.length > 0) separators.push(inner.separators[i - 1] as Uint8Array);
      children.push(child);
    }
    if (children.length === 0) return null;
    const kept: RecordInner = { owner, max: 0, separators, children };
    kept.max = innerMax(kept);
    return kept;
  }

  #orphan(node: RecordNode, height: number): void {
    if (height > 0) for (const child of (node as RecordInner).children) this.#orphan(child, height - 1);
    else {
      this.rows -= (node as RecordLeaf).addresses.length;
      this.#orphanAddresses((node as RecordLeaf).addresses.slice());
    }
  }

  #orphanAddresses(addresses: number[]): void {
    if (this.#written === null) this.#orphans.push(addresses);
    else for (const address of addresses) this.#unneeded.push(address);
  }

  /** Work that keeps memory bounded, a little with each change. */
  #upkeep(): void {
    if (this.#written !== null) return;
    if (this.#orphans.length > 0) this.#freeOrphans(FREES_PER_CHANGE);
    else if (this.#victim !== null) this.#emptyVictim(MOVES_PER_CHANGE);
    else this.#chooseVictimIfDue();
  }

  /** Gives back up to `count` records of removed subtrees. */
  #freeOrphans(count: number): void {
    for (let left = count; left > 0 && this.#orphans.length > 0; left -= 1) {
      const addresses = this.#orphans[this.#orphans.length - 1] as number[];
      const address = addresses.pop();
      if (address === undefined) this.#orphans.pop();
      else this.#heap.free(address);
    }
  }

  #chooseVictimIfDue(): void {
    if (this.#heap.wasteBytes <= WASTE_FREE_BYTES + this.#heap.liveBytes / 2) return;
    this.#victimNumber = this.#heap.mostWasted();
    this.#victim = this.#heap.slabs[this.#victimNumber] ?? null;
    this.#victimAt = 0;
  }

  /** Moves what is live among the next `count` records of the page. */
  #emptyVictim(count: number): void {
    const slab = this.#victim as Slab;
    for (let left = count; left > 0; left -= 1) {
      if (this.#victimAt >= slab.used || this.#heap.slabs[this.#victimNumber] !== slab) {
        this.#victim = null;
        return;
      }
      const offset = this.#victimAt;
      this.#victimAt += sizeOf(slab, offset);
      this.#moveIfLive(slab, offset);
    }
  }

  #moveIfLive(slab: Slab, offset: number): void {
    const address = this.#heap.addressAt(this.#victimNumber, offset);
    const key = keyBytesOf(this.#heap.slabs, address);
    if (this.locate(key, 0, key.length) !== address) return;
    const leaf = this.#ownPath(0);
    leaf.addresses[this.#places[0] as number] = this.#heap.move(slab, offset);
    this.#heap.free(address);
  }

  /** Upkeep of up to `count` records, without a change: for idle time. True while there is more. */
  tidy(count: number): boolean {
    if (this.#orphans.length > 0) this.#freeOrphans(count);
    else if (this.#victim !== null) this.#emptyVictim(count);
    else this.#chooseVictimIfDue();
    return this.#orphans.length > 0 || this.#victim !== null;
  }

  /** Every invariant of the tree; throws when one is broken. For tests. */
  verify(): void {
    const seen = this.#verifyNode(this.root, this.height, null, null);
    assert(seen === this.rows, "the number of rows is the number of records");
  }

  #verifyNode(node: RecordNode, height: number, from: Uint8Array | null, to: Uint8Array | null): number {
    const slabs = this.#heap.slabs;
    if (height > 0) {
      const inner = node as RecordInner;
      assert(inner.children.length === inner.separators.length + 1 && inner.children.length <= INNER_MAX, "an inner node has one separator less than children");
      assert(inner.max === innerMax(inner), "an inner node knows its maximum");
      let rows = 0;
      inner.children.forEach((child, i) => {
        rows += this.#verifyNode(child, height - 1, inner.separators[i - 1] ?? from, inner.separators[i] ?? to);
      });
      return rows;
    }
    const leaf = node as RecordLeaf;
    assert(leaf.max === this.#leafMax(leaf) && leaf.addresses.length <= LEAF_MAX && leaf.hashes.length === leaf.addresses.length, "a leaf knows its maximum");
    leaf.addresses.forEach((address, i) => {
      assert(offsetOf(address) < (slabs[address >>> 17] as Slab).used, "an address points to a record");
      if (from !== null) assert(compareKey(slabs, address, from, 0, from.length) <= 0, "keys are not below their separator");
      if (to !== null) assert(compareKey(slabs, address, to, 0, to.length) > 0, "keys are below their separator");
      const next = leaf.addresses[i + 1];
      const key = keyBytesOf(slabs, address);
      assert(leaf.hashes[i] === keyHash(key, 0, key.length), "a leaf knows the hashes of its keys");
      if (next === undefined) return;
      assert(compareKey(slabs, next, key, 0, key.length) < 0, "keys rise");
    });
    return leaf.addresses.length;
  }
}

function innerMax(node: RecordInner): number {
  let max = 0;
  for (const child of node.children) if (child.max > max) max = child.max;
  return max;
}

function childCount(node: RecordNode, height: number): number {
  return height === 0 ? (node as RecordLeaf).addresses.length : (node as RecordInner).children.length;
}

/** A copy without the items from `start` up to, not including, `end`. */
function without(items: readonly number[], start: number, end: number): number[] {
  return [...items.slice(0, start), ...items.slice(end)];
}

/** `splice` without its detour through an array of results. */
function insertAt(addresses: number[], place: number, address: number): void {
  let i = addresses.length;
  addresses.push(address);
  for (; i > place; i -= 1) addresses[i] = addresses[i - 1] as number;
  addresses[place] = address;
}
