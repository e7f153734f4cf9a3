/** Network coordinates in the payload of a probe's ack (reference: serf-protocol §8). */
import { fail, ok, type Result } from "../base/result.ts";
import { Reader, Schema, Writer, encodeKey, structLength } from "./msgpack.ts";
import type { WireCoordinate } from "./serf-messages.ts";

const COORDINATE_VERSION = 1;

const coordinateSchema = new Schema("Vec", "Error", "Adjustment", "Height");
const key = { adjustment: encodeKey("Adjustment"), error: encodeKey("Error"), height: encodeKey("Height"), vec: encodeKey("Vec") };
const reader = new Reader();
const writer = new Writer("gossip");
/** For one call. */
const components: number[] = [];

export function writeCoordinate(w: Writer, { vec, error, adjustment, height }: WireCoordinate): void {
  w.mapHead(4).raw(key.adjustment).float(adjustment).raw(key.error).float(error).raw(key.height).float(height).raw(key.vec).arrayHead(vec.length);
  for (let i = 0; i < vec.length; i += 1) w.float(vec[i] as number);
}

/** The reader says whether it was one. */
export function readCoordinate(r: Reader): WireCoordinate {
  let vec: readonly number[] = [];
  let error = 0;
  let adjustment = 0;
  let height = 0;
  const head = r.structHead();
  for (let i = 0; i < structLength(head) && !r.failed; i += 1) {
    const field = r.field(coordinateSchema, head, i);
    if (field === 0) vec = readVec(r);
    else if (field === 1) error = r.float();
    else if (field === 2) adjustment = r.float();
    else if (field === 3) height = r.float();
    else r.skip();
  }
  return { vec, error, adjustment, height };
}

function readVec(r: Reader): number[] {
  const count = r.arrayHead();
  while (components.length > 0) components.pop();
  for (let i = 0; i < count && !r.failed; i += 1) components.push(r.float());
  return components.slice(); // Without the spare room of an array that grew: one is kept of each member.
}

/** The payload of a probe's ack. */
export function encodeCoordinate(coordinate: WireCoordinate): Uint8Array {
  writer.byte(COORDINATE_VERSION);
  writeCoordinate(writer, coordinate);
  return writer.finish();
}

export function decodeCoordinate(payload: Uint8Array): Result<WireCoordinate> {
  if (payload[0] !== COORDINATE_VERSION) return fail("unknown coordinate version");
  const r = reader;
  r.reset(payload, 1);
  const coordinate = readCoordinate(r);
  return r.failed ? fail(r.short ? "message ends too early" : "malformed message") : ok(coordinate);
}
