/**
 * Local health multiplier (Lifeguard paper, section IV-A): how much this node doubts itself. Missed nacks and refuted suspicions
 * raise the score, answered probes lower it; probing slows down in proportion, so that a starved node accuses less.
 */
export class Awareness {
  readonly #max: number;
  #score = 0;

  /** `max`: the score stays below it (8). */
  constructor(max: number) {
    this.#max = max;
  }

  /** 0 is healthy. */
  get score(): number {
    return this.#score;
  }

  apply(delta: number): void {
    this.#score = Math.max(0, Math.min(this.#max - 1, this.#score + delta));
  }

  /** `base` × (score + 1), in the unit of `base`. */
  scale(base: number): number {
    return base * (this.#score + 1);
  }
}
