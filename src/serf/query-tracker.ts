/** Our own queries while they run: who has acknowledged and answered (reference: serf-protocol §8.9, "Origin"). */
import { Deadlines } from "../base/deadlines.ts";
import { QueryFlag, type QueryResponseMessage } from "../wire/serf-messages.ts";
import type { Reporter } from "./reporter.ts";
import type { PoolEffect } from "./types.ts";

/** Most queries of ours at once; further ones are refused. */
export const RUNNING_QUERIES_MAX = 4096;
/** Answers accepted beyond the number of members alive at the start: for those that join while the query runs. */
export const LATE_RESPONDERS_MAX = 32;

/** Who asked. Calls come in the order of arrival; `done` once, at the end. */
export interface QuerySink {
  ack(from: string, out: PoolEffect[]): void;
  response(from: string, payload: Uint8Array | null, nowMs: number, out: PoolEffect[]): void;
  done(nowMs: number, out: PoolEffect[]): void;
}

interface Running {
  readonly id: number;
  readonly sink: QuerySink;
  /** Null: acks were not asked for. */
  readonly acks: Set<string> | null;
  readonly responses: Set<string>;
  readonly respondersMax: number;
}

export class QueryTracker {
  readonly #running = new Map<number, Running>(); // By Lamport time, which no two queries of ours share.
  readonly #deadlines = new Deadlines<number>();
  readonly #report: Reporter;

  constructor(report: Reporter) {
    this.#report = report;
  }

  get wakeAtMs(): number {
    return this.#deadlines.nextAtMs;
  }

  get isFull(): boolean {
    return this.#running.size >= RUNNING_QUERIES_MAX;
  }

  start(query: { lamportTime: number; id: number; wantsAcks: boolean; alive: number; deadlineMs: number }, sink: QuerySink): void {
    const { lamportTime, id, wantsAcks, alive, deadlineMs } = query;
    const respondersMax = alive + LATE_RESPONDERS_MAX;
    this.#running.set(lamportTime, { id, sink, acks: wantsAcks ? new Set() : null, responses: new Set(), respondersMax });
    this.#deadlines.set(lamportTime, deadlineMs);
  }

  /** A response or an ack arrived: to be passed on once per node, if the query still runs. */
  received({ lamportTime, id, from, flags, payload }: QueryResponseMessage, nowMs: number, out: PoolEffect[]): void {
    const running = this.#running.get(lamportTime);
    if (running === undefined) {
      this.#report.log("warn", `serf: reply for non-running query (LTime: ${lamportTime}, ID: ${id}) From: ${from}`, out);
      return;
    }
    if (running.id !== id) {
      this.#report.log("warn", `serf: query reply ID mismatch (Local: ${running.id}, Response: ${id})`, out);
      return;
    }
    const isAck = (flags & QueryFlag.ack) !== 0;
    const seen = isAck ? running.acks : running.responses;
    if (seen === null) return;
    const kind = isAck ? "ack" : "response";
    if (seen.has(from)) {
      this.#report.count(`serf.query_duplicate_${kind}s`, out);
      return;
    }
    if (seen.size >= running.respondersMax) {
      this.#report.log("warn", `serf: Failed to deliver query ${kind}, dropping`, out);
      return;
    }
    seen.add(from);
    this.#report.count(`serf.query_${kind}s`, out);
    if (isAck) running.sink.ack(from, out);
    else running.sink.response(from, payload, nowMs, out);
  }

  wake(nowMs: number, out: PoolEffect[]): void {
    for (;;) {
      const lamportTime = this.#deadlines.popDue(nowMs);
      if (lamportTime === undefined) return;
      const running = this.#running.get(lamportTime);
      this.#running.delete(lamportTime);
      running?.sink.done(nowMs, out);
    }
  }
}
