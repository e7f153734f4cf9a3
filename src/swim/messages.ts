/**
 * Gossip messages by number, so that a queue of ten thousand of them is a few typed arrays. A number is held by whoever refers to it and
 * reused when its last holder lets go.
 */
import { assert } from "../base/assert.ts";

export interface Messages {
  /** A number for `message`, which must not change afterwards, held once by the caller. */
  hold(message: Uint8Array): number;
  /** Holds a number once more. */
  retain(number: number): void;
  release(number: number): void;
  bytesOf(number: number): Uint8Array;
}

/** The messages of one node alone: no two are compared. */
export class OwnMessages implements Messages {
  readonly #bytes: (Uint8Array | null)[] = [];
  readonly #holders: number[] = [];
  readonly #free: number[] = [];

  hold(message: Uint8Array): number {
    const number = this.#free.pop() ?? this.#bytes.length;
    this.#bytes[number] = message;
    this.#holders[number] = 1;
    return number;
  }

  retain(number: number): void {
    this.#holders[number] = (this.#holders[number] as number) + 1;
  }

  release(number: number): void {
    const left = (this.#holders[number] as number) - 1;
    this.#holders[number] = left;
    if (left > 0) return;
    this.#bytes[number] = null;
    this.#free.push(number);
  }

  bytesOf(number: number): Uint8Array {
    const bytes = this.#bytes[number];
    assert(bytes !== null && bytes !== undefined, "no message has this number");
    return bytes;
  }
}
