/** Network coordinates of nodes as a server keeps them: records of the command that updates many at once, and the rows of its table (reference: consul-agent §6.4, §7.2). */
import { FSM_TYPE } from "./fsm-commands.ts";
import { encodeKey, Float64, Schema, structLength, Writer, type MsgpackValue, type Reader } from "./msgpack.ts";
import { readCoordinate, writeCoordinate } from "./serf-coordinate.ts";
import type { WireCoordinate } from "./serf-messages.ts";

export interface NodeCoordinate {
  readonly node: string;
  /** "" outside network segments. */
  readonly segment: string;
  readonly coord: WireCoordinate;
}

const writer = new Writer("gossip");
const K = { coord: encodeKey("Coord"), node: encodeKey("Node"), segment: encodeKey("Segment") };

export function writeNodeCoordinate(w: Writer, { node, segment, coord }: NodeCoordinate): void {
  w.mapHead(3).raw(K.coord);
  writeCoordinate(w, coord);
  w.raw(K.node).text(node).raw(K.segment).text(segment);
}

const nodeSchema = new Schema("Node", "Segment", "Coord");

/** Null when it carries no coordinate. */
export function readNodeCoordinate(r: Reader): NodeCoordinate | null {
  let node = "";
  let segment = "";
  let coord: WireCoordinate | null = null;
  const head = r.structHead();
  for (let i = 0; i < structLength(head) && !r.failed; i += 1) {
    const field = r.field(nodeSchema, head, i);
    if (field === 0) node = r.text();
    else if (field === 1) segment = r.text();
    else if (field === 2) coord = r.nil() ? null : readCoordinate(r);
    else r.skip();
  }
  return coord === null ? null : { node, segment, coord };
}

export function encodeCoordinateBatch(updates: readonly NodeCoordinate[]): Uint8Array {
  writer.byte(FSM_TYPE.coordinateBatchUpdate).arrayHead(updates.length);
  for (const update of updates) writeNodeCoordinate(writer, update);
  return writer.finish();
}

/** A row of the table, which holds a batch of one. Null when it is none. */
export function coordinateOfRow(row: MsgpackValue): NodeCoordinate | null {
  const update: unknown = Array.isArray(row) ? (row as readonly MsgpackValue[])[0] : undefined;
  if (!(update instanceof Map)) return null;
  const fields = update as ReadonlyMap<string, MsgpackValue>;
  const coord = fields.get("Coord");
  if (!(coord instanceof Map)) return null;
  const numbers = coord as ReadonlyMap<string, MsgpackValue>;
  const vec = numbers.get("Vec");
  return {
    node: textOf(fields.get("Node")),
    segment: textOf(fields.get("Segment")),
    coord: {
      vec: Array.isArray(vec) ? (vec as readonly MsgpackValue[]).map(floatOf) : [],
      error: floatOf(numbers.get("Error")),
      adjustment: floatOf(numbers.get("Adjustment")),
      height: floatOf(numbers.get("Height")),
    },
  };
}

function floatOf(value: MsgpackValue | undefined): number {
  return value instanceof Float64 ? value.value : typeof value === "number" ? value : 0;
}

function textOf(value: MsgpackValue | undefined): string {
  return typeof value === "string" ? value : "";
}
