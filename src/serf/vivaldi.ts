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

/** A coordinate that is moved where it stands: each answered probe moves one. */
export interface OwnCoordinate {
  readonly vec: number[];
  error: number;
  adjustment: number;
  height: number;
}

export const VIVALDI_DIMENSIONS = 8;
export const VIVALDI_ERROR_MAX = 1.5;
const VIVALDI_CE = 0.25;
const VIVALDI_CC = 0.25;
export const HEIGHT_MIN = 10.0e-6;
const GRAVITY_RHO = 150.0;
/** Guards divisions. */
const ZERO_THRESHOLD = 1.0e-6;

/** An array that holds doubles from the beginning: where some arrays hold small integers, each number read from any of them becomes an object. */
export function zeros(length: number): number[] {
  return Array.from({ length }, () => 0.5).fill(0);
}

export function originCoordinate(): OwnCoordinate {
  return { vec: zeros(VIVALDI_DIMENSIONS), error: VIVALDI_ERROR_MAX, adjustment: 0, height: HEIGHT_MIN };
}

const ORIGIN: Coordinate = originCoordinate();

export function isValidCoordinate(coordinate: Coordinate): boolean {
  const { vec, error, adjustment, height } = coordinate;
  for (let i = 0; i < vec.length; i += 1) if (!Number.isFinite(vec[i])) return false;
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

/** Pulls the coordinate towards `other` (negative force) or pushes it away. */
export function applyForce(coordinate: OwnCoordinate, force: number, other: Coordinate, random: Random): void {
  const { vec, height } = coordinate;
  const length = vectorDistance(vec, other.vec);
  if (length > ZERO_THRESHOLD) {
    const scale = 1.0 / length;
    for (let i = 0; i < vec.length; i += 1) {
      const x = vec[i] as number;
      vec[i] = x + (x - (other.vec[i] as number)) * scale * force;
    }
    coordinate.height = Math.max(((height + other.height) * force) / length + height, HEIGHT_MIN);
  } else {
    const unit = randomDirection(vec.length, random);
    for (let i = 0; i < vec.length; i += 1) vec[i] = (vec[i] as number) + (unit[i] as number) * force;
  }
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
export function vivaldiStep(coordinate: OwnCoordinate, other: Coordinate, rttSeconds: number, random: Random): void {
  const expected = distance(coordinate, other);
  const rtt = Math.max(rttSeconds, ZERO_THRESHOLD);
  const wrongness = Math.abs(expected - rtt) / rtt;
  const totalError = Math.max(coordinate.error + other.error, ZERO_THRESHOLD);
  const weight = coordinate.error / totalError;
  const force = VIVALDI_CC * weight * (rtt - expected);
  coordinate.error = Math.min(VIVALDI_CE * weight * wrongness + coordinate.error * (1.0 - VIVALDI_CE * weight), VIVALDI_ERROR_MAX);
  applyForce(coordinate, force, other, random);
}

/** Pulls the coordinate gently back to the origin, so that a whole cluster does not drift away. */
export function gravityStep(coordinate: OwnCoordinate, random: Random): void {
  const ratio = distance(ORIGIN, coordinate) / GRAVITY_RHO;
  applyForce(coordinate, -1.0 * (ratio * ratio), ORIGIN, random);
}
