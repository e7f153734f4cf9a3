import type { Random } from "../src/base/random.ts";

/** A small piece of work that is measured alone. */
export interface Kernel {
  readonly name: string;
  /** Makes the inputs, from the seed alone. Not measured. */
  prepare(random: Random): PreparedKernel;
}

export interface PreparedKernel {
  /** How many inputs there are. They rotate, so that the engine cannot learn one of them by heart. */
  readonly inputCount: number;
  /** One operation on input `index`, below `inputCount`. Its result is hashed once over all inputs, so that two runs can be seen to have done the same work. */
  run(index: number): Uint8Array | number;
}
