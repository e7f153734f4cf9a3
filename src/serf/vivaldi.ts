/**
 * Vivaldi network coordinates (Dabek et al., SIGCOMM 2004) with height vectors, the adjustment term of Lee et al. ("On Suitability of
 * Euclidean Embedding of Internet Hosts", 2006) and gravity (Ledlie et al., "Network Coordinates in the Wild", 2007), with Serf's
 * constants. All quantities are seconds.
 *
 * Frozen: every node of a cluster must compute alike, so the order of the float operations is part of the algorithm.
 */
import type { Random } from "../base/random.ts";
import { adjustedDistance, vectorDistance } from "../wire/coordinate-distance.ts";
import type { WireCoordinate } from "../wire/serf-messages.ts";

export type Coordinate = WireCoordinate;

export const VIVALDI_DIMENSIONS = 8;
export const VIVALDI_ERROR_MAX = 1.5;
const VIVALDI_CE = 0.25;
const VIVALDI_CC = 0.25;
export const HEIGHT_MIN = 10.0e-6;
const GRAVITY_RHO = 150.0;
/** Guards divisions. */
const ZERO_THRESHOLD = 1.0e-6;

export function originCoordinate(): Coordinate {
  return { vec: new Array<number>(VIVALDI_DIMENSIONS).fill(0), error: VIVALDI_ERROR_MAX, adjustment: 0, height: HEIGHT_MIN };
}

const ORIGIN = originCoordinate();

export function isValidCoordinate(coordinate: Coordinate): boolean {
  const { vec, error, adjustment, height } = coordinate;
  for (const x of vec) if (!Number.isFinite(x)) return false;
  return Number.isFinite(error) && Number.isFinite(adjustment) && Number.isFinite(height);
}

/** Estimated round trip in whole nanoseconds. Numbers beyond 2^53 ns (104 days) lose their last digits. */
export function distanceNs(a: Coordinate, b: Coordinate): number {
  return Math.trunc(adjustedDistance(a, b) * 1.0e9);
}

/**
 * Estimated round trip in seconds as the algorithm uses it: rounded to whole nanoseconds, then whole seconds and the rest converted
 * apart, which is how the original's duration type turns into a float.
 */
export function distance(a: Coordinate, b: Coordinate): number {
  const ns = distanceNs(a, b);
  const whole = Math.trunc(ns / 1e9);
  return whole + (ns - whole * 1e9) / 1e9;
}

/** The coordinate after a pull (negative force) towards or a push away from `other`; `error`: its new error estimate. */
export function applyForce(coordinate: Coordinate, force: number, other: Coordinate, random: Random, error = coordinate.error): Coordinate {
  const length = vectorDistance(coordinate.vec, other.vec);
  const vec = coordinate.vec.slice();
  let height = coordinate.height;
  if (length > ZERO_THRESHOLD) {
    const scale = 1.0 / length;
    for (let i = 0; i < vec.length; i += 1) {
      const x = vec[i] as number;
      vec[i] = x + (x - (other.vec[i] as number)) * scale * force;
    }
    height = Math.max(((coordinate.height + other.height) * force) / length + coordinate.height, HEIGHT_MIN);
  } else {
    const unit = randomDirection(vec.length, random);
    for (let i = 0; i < vec.length; i += 1) vec[i] = (vec[i] as number) + (unit[i] as number) * force;
  }
  return { vec, error, adjustment: coordinate.adjustment, height };
}

/** A random direction, for coordinates that coincide. */
function randomDirection(dimensions: number, random: Random): readonly number[] {
  const direction = Array.from({ length: dimensions }, () => random.below(0x1_0000_0000) / 0x1_0000_0000 - 0.5);
  const length = magnitude(direction);
  if (length > ZERO_THRESHOLD) {
    const scale = 1.0 / length;
    return direction.map((x) => x * scale);
  }
  // So unlikely that any fixed direction will do.
  return direction.map((_, i) => (i === 0 ? 1 : 0));
}

function magnitude(vec: readonly number[]): number {
  let sum = 0;
  for (const x of vec) sum += x * x;
  return Math.sqrt(sum);
}

/** The Vivaldi step: moves `coordinate` so that its distance to `other` comes closer to the measured `rttSeconds`. */
export function vivaldiStep(coordinate: Coordinate, other: Coordinate, rttSeconds: number, random: Random): Coordinate {
  const expected = distance(coordinate, other);
  const rtt = Math.max(rttSeconds, ZERO_THRESHOLD);
  const wrongness = Math.abs(expected - rtt) / rtt;
  const totalError = Math.max(coordinate.error + other.error, ZERO_THRESHOLD);
  const weight = coordinate.error / totalError;
  const error = Math.min(VIVALDI_CE * weight * wrongness + coordinate.error * (1.0 - VIVALDI_CE * weight), VIVALDI_ERROR_MAX);
  const force = VIVALDI_CC * weight * (rtt - expected);
  return applyForce(coordinate, force, other, random, error);
}

/** Pulls the coordinate gently back to the origin, so that a whole cluster does not drift away. */
export function gravityStep(coordinate: Coordinate, random: Random): Coordinate {
  const ratio = distance(ORIGIN, coordinate) / GRAVITY_RHO;
  return applyForce(coordinate, -1.0 * (ratio * ratio), ORIGIN, random);
}
