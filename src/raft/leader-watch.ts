/**
 * A follower's eye on its leader's connections. That all of them closed proves nothing (they do for harmless reasons), but together with a
 * fresh dial that is refused it says that the process is gone, long before any timeout.
 */
import type { Context } from "./context.ts";
import type { Election } from "./election.ts";
import type { ConnectionId, OutgoingCall } from "./types.ts";

/** Connections remembered of one leader: it uses two or three. */
const CONNECTIONS_MAX = 16;
/**
 * A dying process may close its connections some ms before its listener: a dial that came through is repeated, first after this long, later ones after twice
 * as long each, until the leader speaks or the heartbeat timeout decides.
 */
const AGAIN_MS = 10;
const AGAIN_MS_MAX = 640;

export class LeaderWatch {
  readonly #context: Context;
  readonly #election: Election;
  readonly #connections = new Set<ConnectionId>();
  #dial: OutgoingCall = 0;
  #againMs = AGAIN_MS;
  #againAtMs = Infinity;

  constructor(context: Context, election: Election) {
    this.#context = context;
    this.#election = election;
  }

  /** Another leader, or none: what was asked about the last one has no meaning any more. */
  reset(): void {
    this.#connections.clear();
    this.#dial = 0;
    this.#againAtMs = Infinity;
  }

  get wakeAtMs(): number {
    return this.#againAtMs;
  }

  wake(): void {
    if (this.#context.nowMs >= this.#againAtMs) this.#ask();
  }

  /** The leader spoke on this connection. */
  spoke(connection: ConnectionId): void {
    this.#dial = 0;
    this.#againAtMs = Infinity;
    this.#connections.add(connection);
    if (this.#connections.size <= CONNECTIONS_MAX) return;
    for (const oldest of this.#connections) {
      this.#connections.delete(oldest);
      return;
    }
  }

  closed(connection: ConnectionId): void {
    if (!this.#connections.delete(connection) || this.#connections.size > 0) return;
    this.#againMs = AGAIN_MS;
    this.#ask();
  }

  #ask(): void {
    this.#againAtMs = Infinity;
    const { leader, role, config, isVoter } = this.#context;
    if (leader === null || role !== "follower" || !isVoter || !config.preVote) return;
    this.#dial = this.#context.nextCall();
    this.#context.out.push({ kind: "dialCheck", call: this.#dial, to: leader, timeoutMs: config.timing.electionTimeoutMs });
  }

  dialed(call: OutgoingCall, outcome: "connected" | "refused" | "unknown"): void {
    const { leader, role } = this.#context;
    if (call !== this.#dial || call === 0) return;
    this.#dial = 0;
    if (outcome === "connected") {
      this.#againAtMs = this.#context.nowMs + this.#againMs;
      this.#againMs = Math.min(AGAIN_MS_MAX, 2 * this.#againMs);
    }
    if (outcome !== "refused" || leader === null || role !== "follower") return;
    this.#context.say("warn", `leader's process is gone: leader=${leader.address}`);
    this.#context.count("raft.leader.gone");
    this.#context.leader = null;
    this.#election.leaderGone(leader.id);
  }
}
