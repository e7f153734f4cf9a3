/**
 * Tables whose rows are kept as they are on the wire: coordinates, prepared queries, autopilot's configuration, intentions, configuration entries,
 * federation states. Their commands are applied as far as rows and indexes go (who may write, and what a row means, is decided before a command is made).
 * Records of any other type, of a snapshot, are kept in the order in which they came and written back unchanged.
 */
import { EMPTY_BYTES } from "../base/bytes.ts";
import { goQuote } from "../base/go-quote.ts";
import { decodeUtf8, encodeUtf8 } from "../base/utf8.ts";
import { FSM_TYPE } from "../wire/fsm-commands.ts";
import { encodeValue, Reader, type Encodable, type MsgpackValue } from "../wire/msgpack.ts";
import { nameKey, orderKey } from "./order-key.ts";
import { opaquePrefix } from "./snapshot-order.ts";
import type { OpaqueRow, Tables } from "./tables.ts";
import { uuidKey } from "./uuid.ts";
import { tableGroup, type Watches } from "./watches.ts";

type Struct = ReadonlyMap<string, MsgpackValue>;

/** What an applied command answers: an error's text, true or false, or nothing. */
export type OpaqueOutcome = { readonly error: string } | boolean | null;

/** Decimal digits of a row's number, so that numbers sort as texts. */
const NUMBER_DIGITS = 12;
const NO_STRUCT: Struct = new Map();

const APPLIED: ReadonlySet<number> = new Set([
  FSM_TYPE.coordinateBatchUpdate,
  FSM_TYPE.preparedQuery,
  FSM_TYPE.autopilot,
  FSM_TYPE.intention,
  FSM_TYPE.configEntry,
  FSM_TYPE.federationState,
]);

function structOf(value: MsgpackValue | undefined): Struct {
  return value instanceof Map ? (value as Struct) : NO_STRUCT;
}

function textOf(struct: Struct, field: string): string {
  const value = struct.get(field);
  return typeof value === "string" ? value : "";
}

function indexOf(struct: Struct, field: string): number {
  const value = struct.get(field);
  return typeof value === "number" ? value : 0;
}

function decodeRow(body: Uint8Array): MsgpackValue {
  return new Reader(body).value();
}

/** A configuration entry is one byte string: its kind, then the struct of the request (agent reference §6.3). */
function decodeConfigEntry(value: MsgpackValue): { readonly kind: string; readonly request: Struct } {
  const bytes = typeof value === "string" ? encodeUtf8(value) : value instanceof Uint8Array ? value : EMPTY_BYTES;
  const r = new Reader(bytes);
  const kind = r.text();
  return { kind, request: structOf(r.value()) };
}

function encodeConfigEntry(kind: string, request: Struct): MsgpackValue {
  const parts = [encodeValue(kind, "gossip"), encodeValue(request as Encodable, "gossip")];
  return decodeUtf8(parts[0] as Uint8Array) + decodeUtf8(parts[1] as Uint8Array);
}

/** What tells a row from the others of its table, as an order key; null for tables unknown here. */
function identityOf(type: number, value: MsgpackValue): string | null {
  switch (type) {
    case FSM_TYPE.coordinateBatchUpdate: {
      const update = structOf(Array.isArray(value) ? (value as readonly MsgpackValue[])[0] : undefined);
      return `${nameKey(textOf(update, "Node"))}\0${orderKey(textOf(update, "Segment"))}`;
    }
    case FSM_TYPE.preparedQuery:
    case FSM_TYPE.intention:
      return uuidKey(textOf(structOf(value), "ID"));
    case FSM_TYPE.autopilot:
    case FSM_TYPE.chunkingState:
      return "";
    case FSM_TYPE.configEntry: {
      const { kind, request } = decodeConfigEntry(value);
      return `${orderKey(kind)}\0${nameKey(textOf(structOf(request.get("Entry")), "Name"))}`;
    }
    case FSM_TYPE.federationState:
      return nameKey(textOf(structOf(structOf(value).get("State")), "Datacenter"));
    default:
      return null;
  }
}

export class OpaqueTables {
  readonly #tables: Tables;
  readonly #watches: Watches;

  constructor(tables: Tables, watches: Watches) {
    this.#tables = tables;
    this.#watches = watches;
  }

  /** Takes over a row of a snapshot: `body` is what stands behind the type byte. */
  restore(type: number, body: Uint8Array): void {
    const { opaque } = this.#tables.maps;
    const identity = identityOf(type, decodeRow(body)) ?? String(opaque.size).padStart(NUMBER_DIGITS, "0");
    opaque.set(`${opaquePrefix(type)}${identity}`, { type, body });
  }

  /** Whether commands of this type are for these tables. */
  static knows(type: number): boolean {
    return APPLIED.has(type);
  }

  /** Applies a command of one of these tables. */
  apply(type: number, value: MsgpackValue, index: number): OpaqueOutcome {
    switch (type) {
      case FSM_TYPE.coordinateBatchUpdate:
        return this.#updateCoordinates(value, index);
      case FSM_TYPE.preparedQuery:
        return this.#applyQuery(structOf(value), index);
      case FSM_TYPE.autopilot:
        return this.#applyAutopilot(structOf(value), index);
      case FSM_TYPE.intention:
        return this.#applyIntention(structOf(value), index);
      case FSM_TYPE.configEntry:
        return this.#applyConfigEntry(value, index);
      case FSM_TYPE.federationState:
        return this.#applyFederationState(structOf(value), index);
      default:
        return { error: `unexpected command type ${type}` };
    }
  }

  #row(type: number, identity: string): MsgpackValue | undefined {
    const row = this.#tables.maps.opaque.get(`${opaquePrefix(type)}${identity}`);
    return row === undefined ? undefined : decodeRow(row.body);
  }

  #put(type: number, identity: string, value: MsgpackValue): void {
    this.#tables.maps.opaque.set(`${opaquePrefix(type)}${identity}`, { type, body: encodeValue(value as Encodable, "gossip").slice() });
  }

  #touch(table: string, index: number): void {
    this.#tables.setIndex(table, index);
    this.#watches.groupChanged(tableGroup(table));
  }

  /** True when there was such a row. */
  #delete(type: number, identity: string, table: string, index: number): boolean {
    const deleted = this.#tables.maps.opaque.delete(`${opaquePrefix(type)}${identity}`);
    if (deleted) this.#touch(table, index);
    return deleted;
  }

  /** The row with its indexes: new rows are created now. */
  #indexed(struct: Struct, existing: Struct | null, index: number): Map<string, MsgpackValue> {
    const row = new Map(struct);
    row.set("CreateIndex", existing === null ? index : indexOf(existing, "CreateIndex"));
    row.set("ModifyIndex", index);
    return row;
  }

  /** Updates of nodes that are not registered are dropped: a node's coordinates go with it. */
  #updateCoordinates(value: MsgpackValue, index: number): OpaqueOutcome {
    for (const update of Array.isArray(value) ? (value as readonly MsgpackValue[]) : []) {
      const struct = structOf(update);
      if (!(struct.get("Coord") instanceof Map) || !this.#tables.maps.nodes.has(nameKey(textOf(struct, "Node")))) continue;
      this.#put(FSM_TYPE.coordinateBatchUpdate, identityOf(FSM_TYPE.coordinateBatchUpdate, [struct]) as string, [struct]);
    }
    this.#touch("coordinates", index);
    return null;
  }

  /** A node is gone, and its coordinates with it. */
  nodeGone(node: string, index: number): void {
    const prefix = `${opaquePrefix(FSM_TYPE.coordinateBatchUpdate)}${nameKey(node)}\0`;
    const keys = [...this.#tables.maps.opaque.entries(prefix)].map(([key]) => key);
    for (const key of keys) this.#tables.maps.opaque.delete(key);
    if (keys.length > 0) this.#touch("coordinates", index);
  }

  #applyQuery(request: Struct, index: number): OpaqueOutcome {
    const query = structOf(request.get("Query"));
    const identity = uuidKey(textOf(query, "ID"));
    const op = textOf(request, "Op");
    if (op === "delete") {
      this.#delete(FSM_TYPE.preparedQuery, identity, "prepared-queries", index);
      return null;
    }
    if (op !== "create" && op !== "update") return { error: `Invalid PreparedQuery operation '${op}'` };
    const session = textOf(query, "Session");
    if (session !== "" && !this.#tables.maps.sessions.has(uuidKey(session))) return { error: `invalid session ${goQuote(session)}` };
    const existing = this.#row(FSM_TYPE.preparedQuery, identity);
    this.#put(FSM_TYPE.preparedQuery, identity, this.#indexed(query, existing === undefined ? null : structOf(existing), index));
    this.#touch("prepared-queries", index);
    return null;
  }

  /** A session is gone, and the prepared queries bound to it. */
  sessionEnded(id: string, index: number): void {
    const prefix = opaquePrefix(FSM_TYPE.preparedQuery);
    const bound = [...this.#tables.maps.opaque.entries(prefix)].filter(([, { body }]) => textOf(structOf(decodeRow(body)), "Session") === id);
    for (const [key] of bound) this.#delete(FSM_TYPE.preparedQuery, key.slice(prefix.length), "prepared-queries", index);
  }

  /** No table index of its own. */
  #applyAutopilot(request: Struct, index: number): OpaqueOutcome {
    const config = structOf(request.get("Config"));
    const row = this.#row(FSM_TYPE.autopilot, "");
    const existing = row === undefined ? null : structOf(row);
    const compared = request.get("CAS") === true;
    if (compared && (existing === null || indexOf(existing, "ModifyIndex") !== indexOf(config, "ModifyIndex"))) return false;
    this.#put(FSM_TYPE.autopilot, "", this.#indexed(config, existing, index));
    this.#watches.groupChanged(tableGroup("autopilot-config"));
    return compared ? true : null;
  }

  #applyIntention(request: Struct, index: number): OpaqueOutcome {
    const intention = structOf(request.get("Intention"));
    const identity = uuidKey(textOf(intention, "ID"));
    const op = textOf(request, "Op");
    if (op === "delete") {
      this.#delete(FSM_TYPE.intention, identity, "connect-intentions", index);
      return null;
    }
    if (op !== "create" && op !== "update") return { error: `Invalid Intention operation '${op}'` };
    const stored = this.#row(FSM_TYPE.intention, identity);
    const existing = stored === undefined ? null : structOf(stored);
    const row = this.#indexed(intention, existing, index);
    if (row.get("Meta") === null) row.set("Meta", new Map());
    if (existing !== null) row.set("CreatedAt", existing.get("CreatedAt") ?? "");
    this.#put(FSM_TYPE.intention, identity, row);
    this.#touch("connect-intentions", index);
    return null;
  }

  #applyConfigEntry(value: MsgpackValue, index: number): OpaqueOutcome {
    const { kind, request } = decodeConfigEntry(value);
    const entry = structOf(request.get("Entry"));
    const identity = identityOf(FSM_TYPE.configEntry, value) as string;
    const op = textOf(request, "Op");
    const stored = this.#row(FSM_TYPE.configEntry, identity);
    const existing = stored === undefined ? null : structOf(decodeConfigEntry(stored).request.get("Entry"));
    switch (op) {
      case "delete":
        this.#delete(FSM_TYPE.configEntry, identity, "config-entries", index);
        return null;
      case "upsert-cas":
        if ((existing === null ? 0 : indexOf(existing, "ModifyIndex")) !== indexOf(entry, "ModifyIndex")) return false;
        break;
      case "upsert":
        break;
      default:
        return { error: `invalid config entry operation type: ${op}` };
    }
    const row = new Map<string, MsgpackValue>([["Datacenter", ""], ["Entry", this.#indexed(entry, existing, index)], ["Op", ""], ["Token", ""]]);
    this.#put(FSM_TYPE.configEntry, identity, encodeConfigEntry(kind, row));
    this.#touch("config-entries", index);
    return true;
  }

  #applyFederationState(request: Struct, index: number): OpaqueOutcome {
    const state = structOf(request.get("State"));
    const identity = nameKey(textOf(state, "Datacenter"));
    const op = textOf(request, "Op");
    if (op === "delete") {
      this.#delete(FSM_TYPE.federationState, identity, "federation-states", index);
      return null;
    }
    if (op !== "upsert") return { error: `invalid federation state operation type: ${op}` };
    const stored = this.#row(FSM_TYPE.federationState, identity);
    const row = this.#indexed(state, stored === undefined ? null : structOf(structOf(stored).get("State")), index);
    if (indexOf(row, "PrimaryModifyIndex") === 0) row.set("PrimaryModifyIndex", index);
    this.#put(FSM_TYPE.federationState, identity, new Map<string, MsgpackValue>([["Datacenter", ""], ["Op", "upsert"], ["State", row], ["Token", ""]]));
    this.#touch("federation-states", index);
    return true;
  }
}

/** Rows of one of these tables, decoded, in order. */
export function* opaqueRows(rows: Iterable<OpaqueRow>): Generator<MsgpackValue, void> {
  for (const { body } of rows) yield decodeRow(body);
}
