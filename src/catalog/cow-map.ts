/**
 * An ordered map from text to values as a copy-on-write B-tree: a point-in-time view costs nothing, and goes on showing what it showed. Keys sort with
 * `<`: see `orderKey`. Values are never changed in place, only replaced. For the tables of some hundred or thousand rows; keys and values of the KV
 * store live in `RecordTree`.
 */
import { assert } from "../base/assert.ts";
import type { Epoch } from "./epoch.ts";

/** Keys of a leaf, and children of an inner node. */
const FANOUT = 32;
/** A node below this many is joined with a neighbour if both fit one. */
const SMALL = FANOUT / 4;

interface Leaf<V> {
  readonly owner: number;
  readonly keys: string[];
  readonly values: V[];
}

interface Inner<V> {
  readonly owner: number;
  /** `keys[i]`: nothing below child i + 1 is smaller, everything below child i is. */
  readonly keys: string[];
  readonly children: Node<V>[];
}

type Node<V> = Leaf<V> | Inner<V>;

function isInner<V>(node: Node<V>): node is Inner<V> {
  return "children" in node;
}

/** Number of keys that are at most `key` (`upper`), or below it. */
function position(keys: readonly string[], key: string, upper: boolean): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const at = keys[middle] as string;
    if (at < key || (upper && at === key)) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** What a view and the live map can both be asked. */
export class CowView<V> {
  protected root: Node<V>;
  protected rows: number;

  protected constructor(root: Node<V>, rows: number) {
    this.root = root;
    this.rows = rows;
  }

  get size(): number {
    return this.rows;
  }

  get(key: string): V | undefined {
    let node = this.root;
    while (isInner(node)) node = node.children[position(node.keys, key, true)] as Node<V>;
    const at = position(node.keys, key, false);
    return node.keys[at] === key ? node.values[at] : undefined;
  }

  has(key: string): boolean {
    return this.get(key) !== undefined;
  }

  /** Keys that start with `prefix` and their values, in order. Of the live map: not across a change. */
  *entries(prefix = ""): Generator<readonly [string, V], void> {
    yield* walk(this.root, prefix, true);
  }

  *values(prefix = ""): Generator<V, void> {
    for (const entry of walk(this.root, prefix, true)) yield entry[1];
  }

  /** The first value whose key starts with `prefix`. */
  first(prefix = ""): V | undefined {
    for (const entry of walk(this.root, prefix, true)) return entry[1];
    return undefined;
  }
}

/** Returns false when it came behind the prefix. */
function* walk<V>(node: Node<V>, prefix: string, seek: boolean): Generator<readonly [string, V], boolean> {
  let at = seek ? position(node.keys, prefix, isInner(node)) : 0;
  if (isInner(node)) {
    for (let first = seek; at < node.children.length; at += 1) {
      if (!(yield* walk(node.children[at] as Node<V>, prefix, first))) return false;
      first = false;
    }
    return true;
  }
  for (; at < node.keys.length; at += 1) {
    const key = node.keys[at] as string;
    if (!key.startsWith(prefix)) return false;
    yield [key, node.values[at] as V];
  }
  return true;
}

class FrozenMap<V> extends CowView<V> {
  static of<V>(root: Node<V>, rows: number): CowView<V> {
    return new FrozenMap(root, rows);
  }
}

/** What `CowMap.mark` remembers. */
export interface CowMark {
  readonly root: unknown;
  readonly rows: number;
}

export class CowMap<V> extends CowView<V> {
  readonly #epoch: Epoch;
  /** Right half of a node that was split, and its smallest key: from `#insert` to its caller. */
  #split: Node<V> | null = null;
  #splitKey = "";

  constructor(epoch: Epoch) {
    super({ owner: epoch.current, keys: [], values: [] }, 0);
    this.#epoch = epoch;
  }

  /** The map as it is now. The caller ends the epoch. */
  view(): CowView<V> {
    return FrozenMap.of(this.root, this.rows);
  }

  /** For `reset`. The caller ends the epoch. */
  mark(): CowMark {
    return { root: this.root, rows: this.rows };
  }

  /** Back to what it was at `mark`. */
  reset(mark: CowMark): void {
    this.root = mark.root as Node<V>;
    this.rows = mark.rows;
  }

  clear(): void {
    this.root = { owner: this.#epoch.current, keys: [], values: [] };
    this.rows = 0;
  }

  set(key: string, value: V): void {
    this.root = this.#insert(this.root, key, value);
    const right = this.#split;
    if (right === null) return;
    this.#split = null;
    this.root = { owner: this.#epoch.current, keys: [this.#splitKey], children: [this.root, right] };
  }

  /** False when there was no such key. */
  delete(key: string): boolean {
    if (this.get(key) === undefined) return false;
    this.root = this.#remove(this.root, key);
    while (isInner(this.root) && this.root.children.length === 1) this.root = this.root.children[0] as Node<V>;
    this.rows -= 1;
    return true;
  }

  #own(node: Node<V>): Node<V> {
    const owner = this.#epoch.current;
    if (node.owner === owner) return node;
    return isInner(node)
      ? { owner, keys: node.keys.slice(), children: node.children.slice() }
      : { owner, keys: node.keys.slice(), values: node.values.slice() };
  }

  #insert(given: Node<V>, key: string, value: V): Node<V> {
    const node = this.#own(given);
    if (!isInner(node)) {
      const at = position(node.keys, key, false);
      if (node.keys[at] === key) node.values[at] = value;
      else {
        node.keys.splice(at, 0, key);
        node.values.splice(at, 0, value);
        this.rows += 1;
        if (node.keys.length > FANOUT) this.#splitLeaf(node);
      }
      return node;
    }
    const at = position(node.keys, key, true);
    node.children[at] = this.#insert(node.children[at] as Node<V>, key, value);
    const right = this.#split;
    if (right === null) return node;
    node.keys.splice(at, 0, this.#splitKey);
    node.children.splice(at + 1, 0, right);
    this.#split = null;
    if (node.children.length > FANOUT) this.#splitInner(node);
    return node;
  }

  #splitLeaf(node: Leaf<V>): void {
    const half = node.keys.length >>> 1;
    this.#split = { owner: node.owner, keys: node.keys.splice(half), values: node.values.splice(half) };
    this.#splitKey = this.#split.keys[0] as string;
  }

  #splitInner(node: Inner<V>): void {
    const half = node.children.length >>> 1;
    this.#split = { owner: node.owner, keys: node.keys.splice(half), children: node.children.splice(half) };
    this.#splitKey = node.keys.pop() as string;
  }

  #remove(given: Node<V>, key: string): Node<V> {
    const node = this.#own(given);
    if (!isInner(node)) {
      const at = position(node.keys, key, false);
      assert(node.keys[at] === key, "the key to remove is there");
      node.keys.splice(at, 1);
      node.values.splice(at, 1);
      return node;
    }
    const at = position(node.keys, key, true);
    const child = this.#remove(node.children[at] as Node<V>, key);
    node.children[at] = child;
    if (sizeOf(child) < SMALL) this.#join(node, at);
    return node;
  }

  /** Joins child `at` with a neighbour, if one node holds both. */
  #join(node: Inner<V>, at: number): void {
    const left = at > 0 ? at - 1 : at;
    const a = node.children[left];
    const b = node.children[left + 1];
    if (a === undefined || b === undefined || sizeOf(a) + sizeOf(b) > FANOUT - SMALL) return;
    const joined = this.#own(a);
    if (isInner(joined) && isInner(b)) {
      joined.keys.push(node.keys[left] as string, ...b.keys);
      joined.children.push(...b.children);
    } else if (!isInner(joined) && !isInner(b)) {
      joined.keys.push(...b.keys);
      joined.values.push(...b.values);
    }
    node.children[left] = joined;
    node.children.splice(left + 1, 1);
    node.keys.splice(left, 1);
  }
}

function sizeOf<V>(node: Node<V>): number {
  return isInner(node) ? node.children.length : node.keys.length;
}
