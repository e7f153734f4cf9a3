/**
 * Join and leave intents about nodes that SWIM has not shown us yet (reference: serf-protocol §8.3). Gossip may bring the intent
 * before the member; when the member appears, its newest intent decides its status. A join does not consume the entry.
 */
export type IntentType = "join" | "leave";

export interface Intent {
  readonly type: IntentType;
  readonly lamportTime: number;
  readonly atMs: number;
}

/** Most names remembered; beyond it the oldest entry goes (the original has no bound: serf#402). */
export const INTENT_BUFFER_MAX = 16_384;

export class IntentBuffer {
  readonly #intents = new Map<string, Intent>();

  get size(): number {
    return this.#intents.size;
  }

  get(node: string): Intent | undefined {
    return this.#intents.get(node);
  }

  /** Keeps the intent if it is strictly newer than what is known about the node; true when it was kept (and is worth passing on). */
  offer(node: string, type: IntentType, lamportTime: number, nowMs: number): boolean {
    const known = this.#intents.get(node);
    if (known !== undefined && lamportTime <= known.lamportTime) return false;
    this.#intents.delete(node); // Insertion order is age, which `expire` and the bound rely on.
    this.#intents.set(node, { type, lamportTime, atMs: nowMs });
    if (this.#intents.size > INTENT_BUFFER_MAX) {
      for (const oldest of this.#intents.keys()) {
        this.#intents.delete(oldest);
        break;
      }
    }
    return true;
  }

  /** Forgets intents older than `timeoutMs`. */
  expire(timeoutMs: number, nowMs: number): void {
    for (const [node, intent] of this.#intents) {
      if (nowMs - intent.atMs <= timeoutMs) return;
      this.#intents.delete(node);
    }
  }
}
