/**
 * Who waits for which key or prefix: a radix tree over the bytes of what is watched. A write walks it along its key and meets exactly those who are
 * concerned; with nobody there it costs nothing, and with others it ends at the first byte that differs.
 */
class TreeNode<W> {
  /** Bytes from the parent to here; empty for the root alone. */
  label: Uint8Array;
  parent: TreeNode<W> | null;
  readonly children = new Map<number, TreeNode<W>>();
  /** Watchers of exactly this key, and of everything below it. */
  readonly keys = new Set<W>();
  readonly prefixes = new Set<W>();

  constructor(label: Uint8Array, parent: TreeNode<W> | null) {
    this.label = label;
    this.parent = parent;
  }

  get unused(): boolean {
    return this.keys.size === 0 && this.prefixes.size === 0;
  }
}

/** Where a watcher was put: hand it back to `remove`. */
export interface WatchPlace<W> {
  readonly node: unknown;
  readonly set: Set<W>;
}

export class WatchTree<W> {
  readonly #root = new TreeNode<W>(new Uint8Array(0), null);
  #count = 0;

  /** Number of watchers. */
  get size(): number {
    return this.#count;
  }

  /** Adding a watcher twice for the same is adding it once. */
  add(path: Uint8Array, kind: "key" | "prefix", watcher: W): WatchPlace<W> {
    const node = this.#nodeFor(path);
    const set = kind === "key" ? node.keys : node.prefixes;
    if (!set.has(watcher)) this.#count += 1;
    set.add(watcher);
    return { node, set };
  }

  /** True when it was still there. */
  remove(place: WatchPlace<W>, watcher: W): boolean {
    if (!place.set.delete(watcher)) return false;
    this.#count -= 1;
    this.#prune(place.node as TreeNode<W>);
    return true;
  }

  #nodeFor(path: Uint8Array): TreeNode<W> {
    let node = this.#root;
    let at = 0;
    while (at < path.length) {
      const child = node.children.get(path[at] as number);
      if (child === undefined) {
        const leaf = new TreeNode<W>(path.slice(at), node);
        node.children.set(path[at] as number, leaf);
        return leaf;
      }
      const shared = sharedLength(child.label, path, at, path.length);
      at += shared;
      node = shared === child.label.length ? child : this.#cut(child, shared);
    }
    return node;
  }

  /** Makes a node of the first `length` bytes of the child's label, between it and its parent. */
  #cut(child: TreeNode<W>, length: number): TreeNode<W> {
    const parent = child.parent as TreeNode<W>;
    const upper = new TreeNode<W>(child.label.slice(0, length), parent);
    parent.children.set(child.label[0] as number, upper);
    child.label = child.label.slice(length);
    child.parent = upper;
    upper.children.set(child.label[0] as number, child);
    return upper;
  }

  #prune(from: TreeNode<W>): void {
    let node = from;
    while (node.unused && node.parent !== null && node.children.size === 0) {
      const parent = node.parent;
      // A place held by a late `remove` may name a node that is already gone.
      if (parent.children.get(node.label[0] as number) !== node) return;
      parent.children.delete(node.label[0] as number);
      node = parent;
    }
    if (node.unused && node.parent !== null && node.children.size === 1) mergeWithChild(node);
  }

  /** Calls `due` for everyone who watches this key or a prefix of it. They stay until removed. */
  touched(bytes: Uint8Array, at: number, length: number, due: (watcher: W) => void): void {
    const end = at + length;
    let node = this.#root;
    let offset = at;
    for (;;) {
      for (const watcher of node.prefixes) due(watcher);
      if (offset === end) {
        for (const watcher of node.keys) due(watcher);
        return;
      }
      const child = node.children.get(bytes[offset] as number);
      if (child === undefined || sharedLength(child.label, bytes, offset, end) < child.label.length) return;
      offset += child.label.length;
      node = child;
    }
  }

  /** The same for all keys below `prefix`: also those who watch something below it. */
  touchedBelow(prefix: Uint8Array, due: (watcher: W) => void): void {
    let node = this.#root;
    let offset = 0;
    while (offset < prefix.length) {
      for (const watcher of node.prefixes) due(watcher);
      const child = node.children.get(prefix[offset] as number);
      if (child === undefined) return;
      const shared = sharedLength(child.label, prefix, offset, prefix.length);
      offset += shared;
      if (shared < child.label.length && offset < prefix.length) return;
      node = child;
    }
    everyone(node, due);
  }
}

function everyone<W>(node: TreeNode<W>, due: (watcher: W) => void): void {
  for (const watcher of node.prefixes) due(watcher);
  for (const watcher of node.keys) due(watcher);
  for (const child of node.children.values()) everyone(child, due);
}

function mergeWithChild<W>(node: TreeNode<W>): void {
  const parent = node.parent as TreeNode<W>;
  if (parent.children.get(node.label[0] as number) !== node) return;
  for (const child of node.children.values()) {
    const label = new Uint8Array(node.label.length + child.label.length);
    label.set(node.label);
    label.set(child.label, node.label.length);
    child.label = label;
    child.parent = parent;
    parent.children.set(label[0] as number, child);
  }
  node.children.clear();
}

/** How many bytes `label` has in common with `bytes[at, end)`. */
function sharedLength(label: Uint8Array, bytes: Uint8Array, at: number, end: number): number {
  const most = Math.min(label.length, end - at);
  let shared = 0;
  while (shared < most && label[shared] === bytes[at + shared]) shared += 1;
  return shared;
}
