/** Gathers the answers to a key query of ours (reference: serf-protocol §8.10, "Requester"). */
import { decodeKeyResponse } from "../wire/serf-codec.ts";
import { SerfMessageType } from "../wire/serf-messages.ts";
import type { QuerySink } from "./query-tracker.ts";
import type { Reporter } from "./reporter.ts";
import type { KeyResult, PoolEffect } from "./types.ts";

export const EMPTY_KEY_RESULT: KeyResult = { nodes: 0, responses: 0, failures: 0, messages: new Map(), keys: new Map(), keysOf: new Map() };

export class KeyCollector implements QuerySink {
  readonly #nodes: number;
  readonly #report: Reporter;
  readonly #finish: (result: KeyResult, errors: readonly string[], out: PoolEffect[]) => void;
  #finished = false;
  #responses = 0;
  #failures = 0;
  readonly #messages = new Map<string, string>();
  readonly #keys = new Map<string, number>();
  readonly #keysOf = new Map<string, readonly string[]>();

  /** `nodes`: how many are expected to answer. `finish` is called once, when all have or the query is over. */
  constructor(nodes: number, report: Reporter, finish: (result: KeyResult, errors: readonly string[], out: PoolEffect[]) => void) {
    this.#nodes = nodes;
    this.#report = report;
    this.#finish = finish;
  }

  ack(): void {
    // Key queries do not ask for acks.
  }

  response(from: string, payload: Uint8Array | null, _nowMs: number, out: PoolEffect[]): void {
    if (this.#finished) return;
    this.#responses += 1;
    this.#take(from, payload ?? new Uint8Array(0), out);
    if (this.#responses === this.#nodes) this.done(_nowMs, out);
  }

  #take(from: string, payload: Uint8Array, out: PoolEffect[]): void {
    if (payload[0] !== SerfMessageType.keyResponse) {
      this.#fail(from, `Invalid key query response type: [${payload.join(" ")}]`);
      return;
    }
    const decoded = decodeKeyResponse(payload);
    if (!decoded.ok) {
      this.#fail(from, `Failed to decode key query response: ${decoded.error}`);
      return;
    }
    const { result, message, keys } = decoded.value;
    if (!result) this.#fail(from, message);
    else if (message !== "") {
      this.#messages.set(from, message);
      this.#report.log("warn", `serf: ${message}`, out);
    }
    if (result) this.#keysOf.set(from, keys ?? []);
    for (const key of keys ?? []) this.#keys.set(key, (this.#keys.get(key) ?? 0) + 1);
  }

  #fail(from: string, message: string): void {
    this.#messages.set(from, message);
    this.#failures += 1;
  }

  done(_nowMs: number, out: PoolEffect[]): void {
    if (this.#finished) return;
    this.#finished = true;
    const nodes = this.#nodes;
    const errors: string[] = [];
    if (this.#failures !== 0) errors.push(`${this.#failures}/${nodes} nodes reported failure`);
    else if (this.#responses !== nodes) errors.push(`${this.#responses}/${nodes} nodes reported success`);
    this.#finish({ nodes, responses: this.#responses, failures: this.#failures, messages: this.#messages, keys: this.#keys, keysOf: this.#keysOf }, errors, out);
  }
}
