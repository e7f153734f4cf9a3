/** Commands on their way through the log: gathered per turn, handed to Raft as one input, and told what the state machine made of them. */
import type { ApplyResult } from "../../catalog/types.ts";
import type { Proposal, RaftInput, RaftReply, RequestId } from "../../raft/types.ts";
import { Slots } from "../../base/slots.ts";
import { ENTRY_TYPE } from "../../wire/raft-messages.ts";

const NO_EXTENSIONS = new Uint8Array();

/** `result` is null when the command did not become part of the state here; `reply` says why. */
export type Applied = (result: ApplyResult | null, reply: RaftReply) => void;

export class Proposals {
  readonly #waiting = new Slots<Applied>();
  #gathered: Proposal[] = [];
  /** Results of entries whose replies have not come yet: those of one `step` at most, from index `#resultsFrom` on; null for entries that are no commands. */
  #results: (ApplyResult | null)[] = [];
  #resultsFrom = 0;

  /** A request of another kind (a read index, a configuration change) shares the numbers. */
  request(done: Applied): RequestId {
    return this.#waiting.add(done);
  }

  propose(data: Uint8Array, done: Applied, type: Proposal["type"] = ENTRY_TYPE.command): void {
    this.#gathered.push({ request: this.request(done), type, data, extensions: NO_EXTENSIONS });
  }

  /** What was gathered since the last call, as one input; null when nothing was. */
  take(): Extract<RaftInput, { readonly kind: "propose" }> | null {
    if (this.#gathered.length === 0) return null;
    const proposals = this.#gathered;
    this.#gathered = [];
    return { kind: "propose", proposals };
  }

  /** How many wait for `take`. */
  get gathered(): number {
    return this.#gathered.length;
  }

  applied(index: number, result: ApplyResult): void {
    if (this.#waiting.size === 0) return;
    if (this.#results.length === 0) this.#resultsFrom = index;
    while (this.#results.length < index - this.#resultsFrom) this.#results.push(null);
    this.#results.push(result);
  }

  replied(request: RequestId, reply: RaftReply): void {
    this.#waiting.take(request)?.(reply.ok ? (this.#results[reply.index - this.#resultsFrom] ?? null) : null, reply);
  }

  /** Replies follow their `apply` within one step: what is left belongs to nobody here. */
  endOfStep(): void {
    if (this.#results.length > 0) this.#results = [];
  }
}
