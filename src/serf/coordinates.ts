/** The network coordinates of one pool: ours, learnt from probes, and the last one each probed member told (reference: serf-protocol §8.12). */
import type { Random } from "../base/random.ts";
import { decodeCoordinate, encodeCoordinate } from "../wire/serf-coordinate.ts";
import { CoordinateClient } from "./coordinate-client.ts";
import type { Reporter } from "./reporter.ts";
import type { PoolEffect } from "./types.ts";
import type { Coordinate } from "./vivaldi.ts";

const COORDINATE_VERSION = 1;
const NS_PER_MS = 1_000_000;

/**
 * Beyond these no honest coordinate lies: a measured round trip is at most 10 s, and an error estimate at most 1.5. The original takes
 * whatever is finite, so that one node with 1e200 or a negative error throws the others far off (serf#468, #487, #490).
 */
const COORDINATE_SECONDS_MAX = 1000;
const COORDINATE_ERROR_MAX = 10;

function isPlausible({ vec, error, adjustment, height }: Coordinate): boolean {
  for (let i = 0; i < vec.length; i += 1) if (!isInRange(vec[i] as number)) return false;
  return isInRange(adjustment) && height >= 0 && isInRange(height) && error >= 0 && error <= COORDINATE_ERROR_MAX;
}

function isInRange(seconds: number): boolean {
  return Math.abs(seconds) <= COORDINATE_SECONDS_MAX;
}

export class Coordinates {
  readonly #self: string;
  readonly #client: CoordinateClient;
  readonly #report: Reporter;
  #payload: Uint8Array | null = null;

  constructor(self: string, random: Random, report: Reporter) {
    this.#self = self;
    this.#client = new CoordinateClient(random);
    this.#report = report;
  }

  get resets(): number {
    return this.#client.resets;
  }

  get(name: string): Coordinate | null {
    if (name !== this.#self) return this.#client.known(name);
    const { coordinate } = this.#client;
    return { ...coordinate, vec: coordinate.vec.slice() };
  }

  forget(name: string): void {
    this.#client.forget(name);
  }

  /** What our acks carry. */
  ackPayload(): Uint8Array {
    this.#payload ??= encodeCoordinate(this.#client.coordinate);
    return this.#payload;
  }

  /** A direct probe of `name` took `rttMs` and its ack brought `payload`. */
  measured(name: string, rttMs: number, payload: Uint8Array | null, out: PoolEffect[]): void {
    if (payload === null || payload.length === 0) return;
    if (payload[0] !== COORDINATE_VERSION) {
      this.#report.log("err", `serf: Unsupported ping version: ${payload[0]}`, out);
      return;
    }
    const decoded = decodeCoordinate(payload);
    if (!decoded.ok) {
      this.#report.log("err", `serf: Failed to decode coordinate from ping: ${decoded.error}`, out);
      return;
    }
    const refusal = !isPlausible(decoded.value) ? "coordinate is out of range" : this.#client.update(name, decoded.value, Math.round(rttMs * NS_PER_MS));
    if (refusal !== null) {
      this.#report.count("serf.coordinate.rejected", out);
      this.#report.log("trace", `serf: Rejected coordinate from ${name}: ${refusal}`, out);
      return;
    }
    this.#payload = null;
  }
}
