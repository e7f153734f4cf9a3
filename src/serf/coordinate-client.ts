/** Keeps our own network coordinate up to date from the round trips of probes (reference: serf-protocol §8.12). */
import type { Random } from "../base/random.ts";
import { formatDuration } from "./go-duration.ts";
import { PeerCoordinates } from "./peer-coordinates.ts";
import { distance, gravityStep, isValidCoordinate, originCoordinate, vivaldiStep, zeros, type Coordinate, type OwnCoordinate } from "./vivaldi.ts";
import { rawDistance } from "../wire/coordinate-distance.ts";

const ADJUSTMENT_WINDOW = 20;
/** Longer round trips say more about a stalled process than about the network. */
export const RTT_MAX_NS = 10_000_000_000;

export class CoordinateClient {
  readonly #random: Random;
  #own: OwnCoordinate = originCoordinate();
  readonly #adjustments = zeros(ADJUSTMENT_WINDOW);
  #adjustmentIndex = 0;
  readonly #peers = new PeerCoordinates();
  #resets = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  /** Our coordinate as it is now: the next measurement moves it. */
  get coordinate(): Coordinate {
    return this.#own;
  }

  /** The last coordinate that `update` took in of a node, or null. */
  known(node: string): Coordinate | null {
    return this.#peers.get(node);
  }

  /** How often a computation ended in NaN or infinity and the coordinate began anew. */
  get resets(): number {
    return this.#resets;
  }

  /** Replaces our coordinate; for tests and recorded vectors. */
  set({ vec, error, adjustment, height }: Coordinate): void {
    this.#own = { vec: vec.slice(), error, adjustment, height };
  }

  forget(node: string): void {
    this.#peers.forget(node);
  }

  /** Takes in one measured round trip to `node`; null, or why the measurement was refused (nothing changed then). */
  update(node: string, other: Coordinate, rttNs: number): string | null {
    if (other.vec.length !== this.#own.vec.length) return "dimensions aren't compatible";
    if (!isValidCoordinate(other)) return "coordinate is invalid";
    if (!(rttNs >= 0 && rttNs <= RTT_MAX_NS)) {
      // The space at the end is the original's.
      return `round trip time not in valid range, duration ${formatDuration(rttNs)} is not a positive value less than 10s `;
    }
    const rtt = this.#peers.note(node, other, toSeconds(rttNs));
    vivaldiStep(this.#own, other, rtt, this.#random);
    this.#adjust(other, rtt);
    gravityStep(this.#own, this.#random);
    if (!isValidCoordinate(this.#own)) {
      this.#resets += 1;
      this.#own = originCoordinate();
    }
    return null;
  }

  /** Estimated round trip from us to `other`, in seconds. */
  distanceTo(other: Coordinate): number {
    return distance(this.#own, other);
  }

  #adjust(other: Coordinate, rttSeconds: number): void {
    const adjustments = this.#adjustments;
    adjustments[this.#adjustmentIndex] = rttSeconds - rawDistance(this.#own, other);
    this.#adjustmentIndex = (this.#adjustmentIndex + 1) % ADJUSTMENT_WINDOW;
    let sum = 0;
    for (let i = 0; i < ADJUSTMENT_WINDOW; i += 1) sum += adjustments[i] as number;
    this.#own.adjustment = sum / (2.0 * ADJUSTMENT_WINDOW);
  }
}

/** Nanoseconds to seconds as the original's duration type does it: whole seconds and the rest apart. */
function toSeconds(ns: number): number {
  const whole = Math.trunc(ns / 1e9);
  return whole + (ns - whole * 1e9) / 1e9;
}
