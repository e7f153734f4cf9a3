/** Commands on their way through the log: gathered per turn, handed to Raft as one input, and told what the state machine made of them. */
import type { ApplyResult } from "../../catalog/types.ts";
import type { Proposal, RaftInput, RaftReply, RequestId } from "../../raft/types.ts";
import { ENTRY_TYPE } from "../../wire/raft-messages.ts";

const NO_EXTENSIONS = new Uint8Array();

/** `result` is null when the command did not become part of the state here; `reply` says why. */
export type Applied = (result: ApplyResult | null, reply: RaftReply) => void;

export class Proposals {
  readonly #waiting = new Map<RequestId, Applied>();
  #gathered: Proposal[] = [];
  #next = 1;
  /** Results of entries whose replies have not come yet: those of one `step` at most. */
  readonly #results = new Map<number, ApplyResult>();

  /** A request of another kind (a read index, a configuration change) shares the numbers. */
  request(done: Applied): RequestId {
    const request = this.#next;
    this.#next += 1;
    this.#waiting.set(request, done);
    return request;
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

  /** Something waits for `take`. */
  get gathered(): boolean {
    return this.#gathered.length > 0;
  }

  applied(index: number, result: ApplyResult): void {
    if (this.#waiting.size > 0) this.#results.set(index, result);
  }

  replied(request: RequestId, reply: RaftReply): void {
    const done = this.#waiting.get(request);
    if (done === undefined) return;
    this.#waiting.delete(request);
    done(reply.ok ? (this.#results.get(reply.index) ?? null) : null, reply);
  }

  /** Replies follow their `apply` within one step: what is left belongs to nobody here. */
  endOfStep(): void {
    if (this.#results.size > 0) this.#results.clear();
  }
}
