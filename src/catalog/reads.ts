/** Reads of the tables, live or of a point in time, with the index rules of the agent reference §1.2. */
import { encodeUtf8 } from "../base/utf8.ts";
import { coordinateOfRow, type NodeCoordinate } from "../wire/coordinate-command.ts";
import { FSM_TYPE, type CatalogNode, type DirEntry, type HealthCheck, type NodeService, type Session, type TxnOp } from "../wire/fsm-commands.ts";
import type { MsgpackValue } from "../wire/msgpack.ts";
import { LAST_EXTINCTION, serviceIndexName } from "./catalog-writer.ts";
import { EntryRows, KeyRows } from "./kv-lists.ts";
import { nameKey } from "./order-key.ts";
import { opaqueRows } from "./opaque-tables.ts";
import { modifyIndexOf, readEntry } from "./record-slabs.ts";
import { opaquePrefix } from "./snapshot-order.ts";
import type { TablesView } from "./tables.ts";
import { readTransaction } from "./txn.ts";
import type { CatalogReads, CheckedInstance, Indexed, Rows, ServiceInstance, TxnOutcome } from "./types.ts";
import { uuidKey } from "./uuid.ts";

/** Fewer characters of an id name no node. */
const ID_PREFIX_MIN = 2;

export class Reads implements CatalogReads {
  protected tables: TablesView;

  constructor(tables: TablesView) {
    this.tables = tables;
  }

  // ---- KV

  kvGet(key: string): Indexed<DirEntry | null> {
    const { kv } = this.tables;
    const bytes = encodeUtf8(key);
    const found = kv.find(bytes, 0, bytes.length);
    if (found < 0) return { index: this.#kvTablesIndex(), value: null };
    return { index: modifyIndexOf(kv.slabs, found), value: readEntry(kv.slabs, found) };
  }

  #kvTablesIndex(): number {
    return Math.max(this.tables.kvIndex, this.tables.tombstoneIndex);
  }

  /** The newest of the keys and tombstones below a prefix; the tables' index when there are none. */
  #prefixIndex(prefix: Uint8Array): number {
    const { kv, tombstones, reapedIndex } = this.tables;
    if (prefix.length === 0) return this.#kvTablesIndex();
    const buried = tombstones.maxBelow(prefix);
    const index = Math.max(kv.maxBelow(prefix), buried > reapedIndex ? buried : 0);
    return index === 0 ? this.#kvTablesIndex() : index;
  }

  kvList(prefix: string): Indexed<Rows<DirEntry>> {
    const bytes = encodeUtf8(prefix);
    return { index: this.#prefixIndex(bytes), value: new EntryRows(this.tables.kv, bytes) };
  }

  kvKeys(prefix: string, separator: string): Indexed<Rows<string>> {
    const bytes = encodeUtf8(prefix);
    return { index: this.#prefixIndex(bytes), value: new KeyRows(this.tables.kv, bytes, encodeUtf8(separator)) };
  }

  get kvCount(): number {
    return this.tables.kv.size;
  }

  txnRead(ops: readonly TxnOp[]): TxnOutcome {
    return readTransaction(this.tables, this, ops);
  }

  // ---- Sessions

  session(id: string): Indexed<Session | null> {
    const session = this.tables.maps.sessions.get(uuidKey(id));
    return session === undefined ? { index: this.tableIndex("sessions"), value: null } : { index: session.modifyIndex, value: session };
  }

  sessions(): Indexed<readonly Session[]> {
    return { index: this.tableIndex("sessions"), value: [...this.tables.maps.sessions.values()] };
  }

  nodeSessions(node: string): Indexed<readonly Session[]> {
    return { index: this.tableIndex("sessions"), value: [...this.tables.maps.sessionsByNode.values(`${nameKey(node)}\0`)] };
  }

  // ---- Nodes, services, checks

  node(name: string): Indexed<CatalogNode | null> {
    const node = this.tables.maps.nodes.get(nameKey(name)) ?? null;
    return { index: node === null ? 0 : this.#nodeIndex(node), value: node };
  }

  /** A node's own index or that of its newest service. */
  #nodeIndex(node: CatalogNode): number {
    let index = node.modifyIndex;
    for (const { service } of this.tables.maps.services.values(`${nameKey(node.node)}\0`)) index = Math.max(index, service.modifyIndex);
    return index;
  }

  nodeById(id: string): CatalogNode | null {
    const key = this.tables.maps.nodesById.get(uuidKey(id));
    return key === undefined ? null : (this.tables.maps.nodes.get(key) ?? null);
  }

  nodeByIdPrefix(prefix: string): CatalogNode | null {
    if (prefix.length < ID_PREFIX_MIN || !/^[0-9a-fA-F-]+$/.test(prefix)) return null;
    const found: string[] = [];
    for (const key of this.tables.maps.nodesById.values(uuidKey(prefix))) {
      found.push(key);
      if (found.length > 1) return null;
    }
    return found.length === 0 ? null : (this.tables.maps.nodes.get(found[0] as string) ?? null);
  }

  nodes(): Indexed<readonly CatalogNode[]> {
    return { index: this.tableIndex("nodes"), value: [...this.tables.maps.nodes.values()] };
  }

  nodeServices(node: string): Indexed<readonly NodeService[]> {
    const value = [...this.tables.maps.services.values(`${nameKey(node)}\0`)].map(({ service }) => service);
    return { index: this.node(node).index, value };
  }

  nodeChecks(node: string): Indexed<readonly HealthCheck[]> {
    return { index: this.tableIndex("checks"), value: [...this.tables.maps.checks.values(`${nameKey(node)}\0`)] };
  }

  check(node: string, checkId: string): HealthCheck | null {
    return this.tables.maps.checks.get(`${nameKey(node)}\0${nameKey(checkId)}`) ?? null;
  }

  checksInState(state: string): Indexed<readonly HealthCheck[]> {
    const all = [...this.tables.maps.checks.values()];
    return { index: this.tableIndex("checks"), value: state === "any" ? all : all.filter(({ status }) => status === state) };
  }

  /** A service's own index while it has instances; else when the last service died out, or the table's. */
  #serviceIndex(service: string, exists: boolean): number {
    if (exists) return this.tableIndex(serviceIndexName(service)) || this.tableIndex("services");
    return this.tableIndex(LAST_EXTINCTION) || this.tableIndex("services");
  }

  serviceInstances(service: string): Indexed<readonly ServiceInstance[]> {
    const { nodes, servicesByName } = this.tables.maps;
    const instances: ServiceInstance[] = [];
    for (const { node, service: instance } of servicesByName.values(`${nameKey(service)}\0`)) {
      const row = nodes.get(nameKey(node));
      if (row !== undefined) instances.push({ node: row, service: instance });
    }
    return { index: this.#serviceIndex(service, instances.length > 0), value: instances };
  }

  serviceChecks(service: string): Indexed<readonly HealthCheck[]> {
    const checks: HealthCheck[] = [];
    for (const { node, service: instance } of this.tables.maps.servicesByName.values(`${nameKey(service)}\0`)) {
      for (const check of this.tables.maps.checks.values(`${nameKey(node)}\0`)) {
        if (check.serviceId !== "" && nameKey(check.serviceId) === nameKey(instance.id)) checks.push(check);
      }
    }
    return { index: this.tableIndex("checks"), value: checks };
  }

  checkedInstances(service: string): Indexed<readonly CheckedInstance[]> {
    const { index, value } = this.serviceInstances(service);
    // Instances of one node stand together: its checks are looked through once.
    let node = "";
    let checks = new Map<string, HealthCheck[]>();
    const instances = value.map((instance) => {
      if (instance.node.node !== node) {
        node = instance.node.node;
        checks = this.#checksByService(node);
      }
      return { ...instance, checks: [...(checks.get("") ?? []), ...(checks.get(nameKey(instance.service.id)) ?? [])] };
    });
    return { index, value: instances };
  }

  /** By the key form of the service's id; "" for those of the node itself. */
  #checksByService(node: string): Map<string, HealthCheck[]> {
    const byService = new Map<string, HealthCheck[]>();
    for (const check of this.tables.maps.checks.values(`${nameKey(node)}\0`)) {
      const key = nameKey(check.serviceId);
      const known = byService.get(key);
      if (known === undefined) byService.set(key, [check]);
      else known.push(check);
    }
    return byService;
  }

  coordinates(): Indexed<readonly NodeCoordinate[]> {
    return this.#coordinates("");
  }

  nodeCoordinates(node: string): Indexed<readonly NodeCoordinate[]> {
    return this.#coordinates(`${nameKey(node)}\0`);
  }

  #coordinates(below: string): Indexed<readonly NodeCoordinate[]> {
    const rows = opaqueRows(this.tables.maps.opaque.values(`${opaquePrefix(FSM_TYPE.coordinateBatchUpdate)}${below}`));
    return { index: this.tableIndex("coordinates"), value: [...rows].map(coordinateOfRow).filter((row) => row !== null) };
  }

  services(): Indexed<ReadonlyMap<string, readonly string[]>> {
    const tags = new Map<string, Set<string>>();
    for (const { service } of this.tables.maps.servicesByName.values()) {
      const known = tags.get(service.service) ?? new Set<string>();
      for (const tag of service.tags ?? []) known.add(tag);
      tags.set(service.service, known);
    }
    return { index: this.tableIndex("services"), value: new Map([...tags].map(([name, set]) => [name, [...set]])) };
  }

  rows(type: number): MsgpackValue[] {
    return [...opaqueRows(this.tables.maps.opaque.values(opaquePrefix(type)))];
  }

  tableIndex(...tables: readonly string[]): number {
    let index = 0;
    for (const table of tables) index = Math.max(index, this.#indexOf(table));
    return index;
  }

  #indexOf(table: string): number {
    if (table === "kvs") return this.tables.kvIndex;
    if (table === "tombstones") return this.tables.tombstoneIndex;
    return this.tables.maps.indexes.get(nameKey(table))?.index ?? 0;
  }
}
