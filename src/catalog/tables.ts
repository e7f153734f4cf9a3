/** All replicated tables, and a point in time of all of them. */
import type { CatalogNode, HealthCheck, NodeService, Session } from "../wire/fsm-commands.ts";
import { CowMap, type CowMark, type CowView } from "./cow-map.ts";
import { Epoch } from "./epoch.ts";
import { nameKey } from "./order-key.ts";
import { RecordTree, type RecordMark } from "./record-tree.ts";
import type { RecordView } from "./record-view.ts";

/** A service with the node it is on. */
export interface ServiceRow {
  readonly node: string;
  readonly service: NodeService;
}

/** A lock: which session holds which key. */
export interface LockRow {
  readonly key: string;
  readonly session: string;
}

/** When a table was last changed; the name as it was written last. */
export interface IndexRow {
  readonly table: string;
  readonly index: number;
}

/** A snapshot record of a table without a structure of its own here: the bytes behind the type byte, as they came. */
export interface OpaqueRow {
  readonly type: number;
  readonly body: Uint8Array;
}

/** The ordered maps; the comment names the key, made by `compoundKey` of order keys. Node names, service names and check ids are in lower case. */
export interface MapTables {
  /** key */
  readonly locks: LockRow;
  /** session, key */
  readonly locksBySession: LockRow;
  /** id */
  readonly sessions: Session;
  /** node, id */
  readonly sessionsByNode: Session;
  /** node, check, session id */
  readonly sessionChecks: string;
  /** node */
  readonly nodes: CatalogNode;
  /** id; the value is the node's key */
  readonly nodesById: string;
  /** node, service id */
  readonly services: ServiceRow;
  /** service name, node, service id */
  readonly servicesByName: ServiceRow;
  /** node, check id */
  readonly checks: HealthCheck;
  /** table, in any case */
  readonly indexes: IndexRow;
  /** place in a snapshot, then what identifies the row: see `opaque-tables.ts` */
  readonly opaque: OpaqueRow;
}

const MAP_NAMES = [
  "locks", "locksBySession", "sessions", "sessionsByNode", "sessionChecks", "nodes", "nodesById", "services", "servicesByName", "checks", "indexes", "opaque",
] as const satisfies readonly (keyof MapTables)[];

export type MapViews = { readonly [T in keyof MapTables]: CowView<MapTables[T]> };

/** What a read needs. `kvIndex` and `tombstoneIndex` are the table indexes of those two, 0 when absent. */
export interface TablesView {
  readonly kv: RecordView;
  readonly tombstones: RecordView;
  readonly kvIndex: number;
  readonly tombstoneIndex: number;
  /** Tombstones up to this index count as gone. */
  readonly reapedIndex: number;
  readonly maps: MapViews;
}

interface TablesMark {
  readonly kv: RecordMark;
  readonly tombstones: RecordMark;
  readonly kvIndex: number;
  readonly tombstoneIndex: number;
  readonly maps: readonly CowMark[];
}

export class Tables implements TablesView {
  readonly #epoch = new Epoch();
  readonly kv = new RecordTree(this.#epoch);
  readonly tombstones = new RecordTree(this.#epoch);
  kvIndex = 0;
  tombstoneIndex = 0;
  reapedIndex = 0;
  readonly maps: { readonly [T in keyof MapTables]: CowMap<MapTables[T]> };

  constructor() {
    this.maps = Object.fromEntries(MAP_NAMES.map((name) => [name, new CowMap(this.#epoch)])) as unknown as Tables["maps"];
  }

  /** Notes that a table other than kvs and tombstones was changed. */
  setIndex(table: string, index: number): void {
    this.maps.indexes.set(nameKey(table), { table, index });
  }

  /** A point in time; O(1). */
  view(): TablesView {
    const maps = Object.fromEntries(MAP_NAMES.map((name) => [name, this.maps[name].view()])) as unknown as MapViews;
    const { kvIndex, tombstoneIndex, reapedIndex } = this;
    const view = { kv: this.kv.view(), tombstones: this.tombstones.view(), kvIndex, tombstoneIndex, reapedIndex, maps };
    this.#epoch.end();
    return view;
  }

  /** Runs `change`; when it returns false, everything is as it was before. */
  transaction(change: () => boolean): boolean {
    const mark: TablesMark = {
      kv: this.kv.mark(),
      tombstones: this.tombstones.mark(),
      kvIndex: this.kvIndex,
      tombstoneIndex: this.tombstoneIndex,
      maps: MAP_NAMES.map((name) => this.maps[name].mark()),
    };
    this.#epoch.end();
    const done = change();
    if (done) {
      this.kv.commit();
      this.tombstones.commit();
    } else this.#reset(mark);
    return done;
  }

  #reset(mark: TablesMark): void {
    this.kv.reset(mark.kv);
    this.tombstones.reset(mark.tombstones);
    this.kvIndex = mark.kvIndex;
    this.tombstoneIndex = mark.tombstoneIndex;
    MAP_NAMES.forEach((name, i) => this.maps[name].reset(mark.maps[i] as CowMark));
    // Nodes that the undone change made carry this epoch; none of them is reachable any more.
    this.#epoch.end();
  }
}
