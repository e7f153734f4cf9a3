/**
 * The first configuration of a cluster (`bootstrap_expect`): a server without any state waits until it sees as many servers of its kind as it expects, asks each
 * whether it has peers already, and only then writes the configuration. Every one of them writes the same (reference: consul-agent §5.5).
 */
import type { RaftConfiguration } from "../../wire/raft-messages.ts";
import type { ServerMember } from "./types.ts";

/** Answers that are awaited, and pauses between rounds of asking. */
const ROUND_MS = 1000;
const ROUNDS_MAX = 6;

export type BootstrapStep =
  | { readonly kind: "wait" }
  | { readonly kind: "ask"; readonly servers: readonly ServerMember[] }
  | { readonly kind: "bootstrap"; readonly configuration: RaftConfiguration }
  /** Somebody has peers: this cluster exists already. */
  | { readonly kind: "giveUp"; readonly because: string };

export class Bootstrap {
  readonly #self: { readonly name: string; readonly id: string; readonly address: string };
  readonly #expect: number;
  #done = false;
  #asked: readonly ServerMember[] = [];
  readonly #answers = new Map<string, readonly string[] | null>();
  #round = 0;
  #nextRoundMs = Infinity;

  constructor(self: { readonly name: string; readonly id: string; readonly address: string }, expect: number) {
    this.#self = self;
    this.#expect = expect;
    this.#done = expect === 0;
  }

  get wakeAtMs(): number {
    return this.#done ? Infinity : this.#nextRoundMs;
  }

  /** There is state, or a leader: nothing to bootstrap any more. */
  stop(): void {
    this.#done = true;
  }

  /** The servers of the pool changed, or a wake is due. */
  look(servers: readonly ServerMember[], nowMs: number): BootstrapStep {
    if (this.#done) return { kind: "wait" };
    const others = servers.filter(({ name, status, server }) => name !== this.#self.name && status === "alive" && server !== null && server.expect === this.#expect);
    if (this.#expect === 1) return this.#finish([]);
    if (others.length + 1 < this.#expect) return { kind: "wait" };
    if (this.#asked.length > 0 && nowMs < this.#nextRoundMs) return { kind: "wait" };
    if (this.#round >= ROUNDS_MAX) this.#round = 0;
    this.#asked = others;
    this.#answers.clear();
    this.#nextRoundMs = nowMs + ROUND_MS * 2 ** this.#round;
    this.#round += 1;
    return { kind: "ask", servers: others };
  }

  answer(name: string, peers: readonly string[] | null): BootstrapStep {
    if (this.#done || !this.#asked.some((server) => server.name === name)) return { kind: "wait" };
    if (peers !== null && peers.length > 0) {
      this.#done = true;
      return { kind: "giveUp", because: `Existing Raft peers reported by ${name}, disabling bootstrap mode` };
    }
    this.#answers.set(name, peers);
    const all = this.#asked.every((server) => this.#answers.get(server.name) !== undefined && this.#answers.get(server.name) !== null);
    return all ? this.#finish(this.#asked) : { kind: "wait" };
  }

  #finish(others: readonly ServerMember[]): BootstrapStep {
    this.#done = true;
    const servers = [
      { id: this.#self.id, address: this.#self.address },
      ...others.map((member) => ({ id: member.id, address: `${member.ip}:${member.server?.port ?? 0}` })),
    ];
    // The same order everywhere, whatever the order in which the members were seen.
    servers.sort((a, b) => (a.id < b.id ? -1 : 1));
    return { kind: "bootstrap", configuration: { servers: servers.map((server) => ({ ...server, suffrage: "voter" as const })) } };
  }
}
