/**
 * The vote about our own name when another node claims it (reference: serf-protocol §8.11): the others say where the name lives.
 *
 * Difference from the original, on purpose: when nobody answers, the name is kept. There it is lost with 0 of 0 votes, so that one forged
 * packet ends an agent that has no company.
 */
import { equalBytes } from "../base/bytes.ts";
import { decodeConflictMember } from "../wire/serf-codec.ts";
import { SerfMessageType } from "../wire/serf-messages.ts";
import type { QuerySink } from "./query-tracker.ts";
import type { Reporter } from "./reporter.ts";
import type { PoolEffect } from "./types.ts";

export interface Claim {
  readonly addr: Uint8Array;
  readonly port: number;
}

export class NameVote implements QuerySink {
  readonly #own: Claim;
  readonly #report: Reporter;
  readonly #decided: (won: boolean, nowMs: number, out: PoolEffect[]) => void;
  #responses = 0;
  #matching = 0;

  constructor(own: Claim, report: Reporter, decided: (won: boolean, nowMs: number, out: PoolEffect[]) => void) {
    this.#own = own;
    this.#report = report;
    this.#decided = decided;
  }

  ack(): void {
    // The query does not ask for acks.
  }

  response(_from: string, payload: Uint8Array | null, _nowMs: number, out: PoolEffect[]): void {
    if (payload === null || payload[0] !== SerfMessageType.conflictResponse) {
      this.#report.log("err", `serf: Invalid conflict query response type: [${payload?.join(" ") ?? ""}]`, out);
      return;
    }
    const decoded = decodeConflictMember(payload);
    if (!decoded.ok) {
      this.#report.log("err", `serf: Failed to decode conflict query response: ${decoded.error}`, out);
      return;
    }
    this.#responses += 1;
    const member = decoded.value;
    if (member !== null && member.port === this.#own.port && sameAddress(member.addr, this.#own.addr)) this.#matching += 1;
  }

  done(nowMs: number, out: PoolEffect[]): void {
    if (this.#responses === 0) {
      this.#report.log("warn", "serf: nobody voted in name conflict resolution, keeping the name", out);
      this.#decided(true, nowMs, out);
      return;
    }
    const majority = Math.floor(this.#responses / 2) + 1;
    const count = `[${this.#matching} / ${this.#responses}]`;
    const won = this.#matching >= majority;
    if (won) this.#report.log("info", `serf: majority in name conflict resolution ${count}`, out);
    else this.#report.log("warn", `serf: minority in name conflict resolution, quitting ${count}`, out);
    this.#decided(won, nowMs, out);
  }
}

/** Equal as addresses: an IPv4 address may come in 4 bytes or mapped into 16. */
function sameAddress(a: Uint8Array, b: Uint8Array): boolean {
  return equalBytes(a, b) || (a.length !== b.length && equalBytes(mapped(a), mapped(b)));
}

function mapped(addr: Uint8Array): Uint8Array {
  if (addr.length !== 4) return addr;
  return Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, ...addr);
}
