/** Blocked readers and what they wait for. A write marks those who are concerned; `flush` wakes them once the write is complete. */
import { encodeUtf8 } from "../base/utf8.ts";
import { nameKey } from "./order-key.ts";
import { uuidKey } from "./uuid.ts";
import type { Interest, WakeReason, Watch } from "./types.ts";
import { WatchTree, type WatchPlace } from "./watch-tree.ts";

class Watcher implements Watch {
  readonly #all: Watches;
  readonly wake: (reason: WakeReason) => void;
  readonly places: WatchPlace<Watcher>[] = [];
  readonly names: { readonly group: string; readonly set: Set<Watcher> }[] = [];
  due = false;
  done = false;

  constructor(all: Watches, wake: (reason: WakeReason) => void) {
    this.#all = all;
    this.wake = wake;
  }

  cancel(): void {
    if (this.done) return;
    this.done = true;
    this.#all.forget(this);
  }
}

/** How interests other than keys are filed. */
function groupOf(interest: Exclude<Interest, { kind: "key" | "prefix" }>): string {
  switch (interest.kind) {
    case "session":
      return sessionGroup(interest.id);
    case "node":
      return nodeGroup(interest.node);
    case "service":
      return serviceGroup(interest.service);
    case "table":
      return tableGroup(interest.table);
  }
}

export function sessionGroup(id: string): string {
  return `s${uuidKey(id)}`;
}

export function nodeGroup(node: string): string {
  return `n${nameKey(node)}`;
}

export function serviceGroup(service: string): string {
  return `v${nameKey(service)}`;
}

export function tableGroup(table: string): string {
  return `t${table}`;
}

export class Watches {
  readonly #keys = new WatchTree<Watcher>();
  readonly #groups = new Map<string, Set<Watcher>>();
  readonly #everyone = new Set<Watcher>();
  #due: Watcher[] = [];
  readonly #mark = (watcher: Watcher): void => this.#markDue(watcher);

  /** Number of blocked readers. */
  get size(): number {
    return this.#everyone.size;
  }

  watch(interests: readonly Interest[], wake: (reason: WakeReason) => void): Watch {
    const watcher = new Watcher(this, wake);
    this.#everyone.add(watcher);
    for (const interest of interests) {
      if (interest.kind === "key") this.#addPath(watcher, "key", interest.key);
      else if (interest.kind === "prefix") this.#addPath(watcher, "prefix", interest.prefix);
      else this.#addGroup(watcher, groupOf(interest));
    }
    return watcher;
  }

  #addPath(watcher: Watcher, kind: "key" | "prefix", path: string): void {
    watcher.places.push(this.#keys.add(encodeUtf8(path), kind, watcher));
  }

  #addGroup(watcher: Watcher, group: string): void {
    let set = this.#groups.get(group);
    if (set === undefined) {
      set = new Set();
      this.#groups.set(group, set);
    }
    set.add(watcher);
    watcher.names.push({ group, set });
  }

  /** Takes a watcher out everywhere. */
  forget(watcher: Watcher): void {
    this.#everyone.delete(watcher);
    for (const place of watcher.places) this.#keys.remove(place, watcher);
    for (const { group, set } of watcher.names) {
      set.delete(watcher);
      if (set.size === 0 && this.#groups.get(group) === set) this.#groups.delete(group);
    }
  }

  #markDue(watcher: Watcher): void {
    if (watcher.due) return;
    watcher.due = true;
    this.#due.push(watcher);
  }

  keyChanged(bytes: Uint8Array, at: number, length: number): void {
    if (this.#keys.size > 0) this.#keys.touched(bytes, at, length, this.#mark);
  }

  prefixChanged(prefix: Uint8Array): void {
    if (this.#keys.size > 0) this.#keys.touchedBelow(prefix, this.#mark);
  }

  groupChanged(group: string): void {
    if (this.#groups.size === 0) return;
    const set = this.#groups.get(group);
    if (set !== undefined) for (const watcher of set) this.#markDue(watcher);
  }

  /** The writes since the last `flush` were undone: nobody is woken for them. */
  undo(): void {
    for (const watcher of this.#due) watcher.due = false;
    this.#due = [];
  }

  /** Wakes whom the writes concern. A callback may watch again; that counts for the next write. */
  flush(reason: WakeReason): void {
    if (this.#due.length === 0) return;
    const due = this.#due;
    this.#due = [];
    for (const watcher of due) this.forget(watcher);
    for (const watcher of due) {
      if (watcher.done) continue;
      watcher.done = true;
      watcher.wake(reason);
    }
  }

  /** Wakes everyone: the whole state was replaced. */
  wakeAll(): void {
    for (const watcher of this.#everyone) this.#markDue(watcher);
    this.flush("restored");
  }
}
