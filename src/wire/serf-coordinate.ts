/** Network coordinates in the payload of a probe's ack (reference: serf-protocol §8). */
import { fail, ok, type Result } from "../base/result.ts";
import { Reader, Schema, Writer, encodeKey, structLength } from "./msgpack.ts";
import type { WireCoordinate } from "./serf-messages.ts";

const COORDINATE_VERSION = 1;

const coordinateSchema = new Schema("Vec", "Error", "Adjustment", "Height");
const key = { adjustment: encodeKey("Adjustment"), error: encodeKey("Error"), height: encodeKey("Height"), vec: encodeKey("Vec") };
const reader = new Reader();
const writer = new Writer("gossip");

/** The payload of a probe's ack. */
export function encodeCoordinate({ vec, error, adjustment, height }: WireCoordinate): Uint8Array {
  writer.byte(COORDINATE_VERSION).mapHead(4);
  writer.raw(key.adjustment).float(adjustment);
  writer.raw(key.error).float(error);
  writer.raw(key.height).float(height);
  writer.raw(key.vec).arrayHead(vec.length);
  for (const component of vec) writer.float(component);
  return writer.finish();
}

export function decodeCoordinate(payload: Uint8Array): Result<WireCoordinate> {
  if (payload[0] !== COORDINATE_VERSION) return fail("unknown coordinate version");
  const r = reader;
  r.reset(payload, 1);
  let vec: readonly number[] = [];
  let error = 0;
  let adjustment = 0;
  let height = 0;
  const head = r.structHead();
  for (let i = 0; i < structLength(head) && !r.failed; i += 1) {
    switch (r.field(coordinateSchema, head, i)) {
      case 0:
        vec = readVec(r);
        break;
      case 1:
        error = r.float();
        break;
      case 2:
        adjustment = r.float();
        break;
      case 3:
        height = r.float();
        break;
      default:
        r.skip();
    }
  }
  return r.failed ? fail(r.short ? "message ends too early" : "malformed message") : ok({ vec, error, adjustment, height });
}

function readVec(r: Reader): number[] {
  const count = r.arrayHead();
  const vec: number[] = [];
  for (let i = 0; i < count && !r.failed; i += 1) vec.push(r.float());
  return vec;
}
