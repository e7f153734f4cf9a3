/** Keeps our own network coordinate up to date from the round trips of probes (reference: serf-protocol §8.12). */
import { fail, ok, type Result } from "../base/result.ts";
import type { Random } from "../base/random.ts";
import { formatDuration } from "./go-duration.ts";
import { distance, gravityStep, isValidCoordinate, originCoordinate, vivaldiStep, type Coordinate } from "./vivaldi.ts";
import { rawDistance } from "../wire/coordinate-distance.ts";

const ADJUSTMENT_WINDOW = 20;
const LATENCY_FILTER_SIZE = 3;
/** Longer round trips say more about a stalled process than about the network. */
export const RTT_MAX_NS = 10_000_000_000;

export class CoordinateClient {
  readonly #random: Random;
  #coordinate = originCoordinate();
  readonly #adjustments = new Array<number>(ADJUSTMENT_WINDOW).fill(0);
  #adjustmentIndex = 0;
  /** Last round trips of each node in seconds, oldest first. */
  readonly #latencies = new Map<string, number[]>();
  #resets = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  get coordinate(): Coordinate {
    return this.#coordinate;
  }

  /** How often a computation ended in NaN or infinity and the coordinate began anew. */
  get resets(): number {
    return this.#resets;
  }

  /** Replaces our coordinate; for tests and recorded vectors. */
  set(coordinate: Coordinate): void {
    this.#coordinate = coordinate;
  }

  forget(node: string): void {
    this.#latencies.delete(node);
  }

  /** Takes in one measured round trip to `node`; the new own coordinate, or why the measurement was refused (nothing changed then). */
  update(node: string, other: Coordinate, rttNs: number): Result<Coordinate> {
    if (other.vec.length !== this.#coordinate.vec.length) return fail("dimensions aren't compatible");
    if (!isValidCoordinate(other)) return fail("coordinate is invalid");
    if (!(rttNs >= 0 && rttNs <= RTT_MAX_NS)) {
      // The space at the end is the original's.
      return fail(`round trip time not in valid range, duration ${formatDuration(rttNs)} is not a positive value less than 10s `);
    }
    const rtt = this.#filterLatency(node, toSeconds(rttNs));
    this.#coordinate = vivaldiStep(this.#coordinate, other, rtt, this.#random);
    this.#adjust(other, rtt);
    this.#coordinate = gravityStep(this.#coordinate, this.#random);
    if (!isValidCoordinate(this.#coordinate)) {
      this.#resets += 1;
      this.#coordinate = originCoordinate();
    }
    return ok(this.#coordinate);
  }

  /** Estimated round trip from us to `other`, in seconds. */
  distanceTo(other: Coordinate): number {
    return distance(this.#coordinate, other);
  }

  /** Median of the last samples: one late ack must not move us. */
  #filterLatency(node: string, rttSeconds: number): number {
    // A new array each time: one that grows by `push` has room for sixteen samples, of every member.
    const before = this.#latencies.get(node);
    const samples = before === undefined ? [rttSeconds] : [...before, rttSeconds].slice(-LATENCY_FILTER_SIZE);
    this.#latencies.set(node, samples);
    if (before === undefined) return rttSeconds;
    const sorted = [...samples].sort((a, b) => a - b);
    return sorted[Math.trunc(sorted.length / 2)] as number;
  }

  #adjust(other: Coordinate, rttSeconds: number): void {
    this.#adjustments[this.#adjustmentIndex] = rttSeconds - rawDistance(this.#coordinate, other);
    this.#adjustmentIndex = (this.#adjustmentIndex + 1) % ADJUSTMENT_WINDOW;
    let sum = 0;
    for (const sample of this.#adjustments) sum += sample;
    const { vec, error, height } = this.#coordinate;
    this.#coordinate = { vec, error, adjustment: sum / (2.0 * ADJUSTMENT_WINDOW), height };
  }
}

/** Nanoseconds to seconds as the original's duration type does it: whole seconds and the rest apart. */
function toSeconds(ns: number): number {
  const whole = Math.trunc(ns / 1e9);
  return whole + (ns - whole * 1e9) / 1e9;
}
