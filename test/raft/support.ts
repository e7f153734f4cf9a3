/** A small bench for one core: fixed timers, an obedient disk, effects by kind. */
import { SeededRandom } from "../../src/base/random.ts";
import { Raft } from "../../src/raft/raft.ts";
import type { RaftConfig, RaftEffect, RaftInput, RaftStart } from "../../src/raft/types.ts";
import type { RaftConfiguration, RaftHeader, RaftRequest, RaftResponse } from "../../src/wire/raft-messages.ts";

export const EMPTY_START: RaftStart = {
  hardState: { currentTerm: 0, lastVoteTerm: 0, lastVoteCandidate: "" },
  snapshot: null, firstIndex: 0, lastIndex: 0, termRuns: [], configurations: [], tail: [],
};

export function configOf(id: string): RaftConfig {
  return {
    id,
    address: addressOf(id),
    timing: { heartbeatTimeoutMs: 1000, electionTimeoutMs: 1000, leaderLeaseTimeoutMs: 500, commitTimeoutMs: 50, snapshotIntervalMs: 30_000 },
    limits: {
      maxAppendEntries: 64, maxAppendBytes: 1 << 20, maxInFlight: 128, trailingLogs: 10, snapshotThreshold: 100,
      tailBytesMax: 1 << 20, uncommittedBytesMax: 1 << 20, applyingBytesMax: 1 << 20,
    },
    preVote: true,
    protocolVersion: 3,
  };
}

export function addressOf(id: string): string {
  return `10.0.0.1:${id.charCodeAt(0)}`;
}

export function headerOf(id: string): RaftHeader {
  return { protocolVersion: 3, id, address: addressOf(id) };
}

export function votersOf(...ids: readonly string[]): RaftConfiguration {
  return { servers: ids.map((id) => ({ id, address: addressOf(id), suffrage: "voter" })) };
}

export class Bench {
  readonly raft: Raft;
  nowMs = 1000;
  #call = 0;

  constructor(id: string, start: RaftStart = EMPTY_START) {
    this.raft = new Raft(configOf(id), start, new SeededRandom(1));
  }

  step(input: RaftInput): RaftEffect[] {
    const out: RaftEffect[] = [];
    this.raft.step(input, this.nowMs, out);
    return out;
  }

  /** As `step`, and the disk does at once what it is asked. Gives also what that leads to. */
  settle(input: RaftInput): RaftEffect[] {
    const all = this.step(input);
    for (let i = 0; i < all.length; i += 1) {
      const effect = all[i] as RaftEffect;
      if (effect.kind === "append") all.push(...effect.afterDurable, ...this.step({ kind: "durable", seq: effect.seq }));
      if (effect.kind === "apply") all.push(...this.step({ kind: "applied", index: effect.entries.at(-1)?.index ?? 0 }));
    }
    return all;
  }

  request(message: RaftRequest, connection = 1): RaftEffect[] {
    this.#call += 1;
    return this.settle({ kind: "request", call: this.#call, connection, message });
  }

  /** Sleeps until the next deadline. */
  wake(): RaftEffect[] {
    this.nowMs = Math.max(this.nowMs, this.raft.wakeAtMs);
    return this.settle({ kind: "wake" });
  }

  /** A leader of term 2 of a, b and c; `b` and `c` voted for it. */
  static leader(): Bench {
    const bench = new Bench("a");
    bench.settle({ kind: "wake" });
    bench.settle({ kind: "bootstrap", request: 1, configuration: votersOf("a", "b", "c") });
    bench.request({ kind: "timeoutNow", header: headerOf("b") });
    for (const call of [1, 2]) bench.settle({ kind: "response", call, message: { kind: "requestVote", header: headerOf("b"), term: 2, granted: true } });
    return bench;
  }
}

export function ofKind<K extends RaftEffect["kind"]>(effects: readonly RaftEffect[], kind: K): Extract<RaftEffect, { readonly kind: K }>[] {
  return effects.filter((effect): effect is Extract<RaftEffect, { readonly kind: K }> => effect.kind === kind);
}

export function answerOf(effects: readonly RaftEffect[]): RaftResponse | null {
  return ofKind(effects, "answer").at(-1)?.message ?? null;
}
