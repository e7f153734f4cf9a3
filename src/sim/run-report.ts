/** What came out of a run: of each shard apart, and of all together. */
import { countUpTo } from "../base/sorted.ts";
import { percentile } from "./percentile.ts";
import type { SimStats, Violation } from "./simulation.ts";
import { TraceHash } from "./trace-hash.ts";

export interface EventReport {
  readonly sent: number;
  /** Pairs of an event and a node that was owed it, and how many of them arrived in 2 s and in 10 s, and at all. */
  readonly pairs: number;
  readonly within2s: number;
  readonly within10s: number;
  readonly delivered: number;
  readonly p50Ms: number;
  readonly p90Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

export interface RunReport {
  readonly scenario: string;
  readonly seed: number;
  readonly nodes: number;
  readonly codec: string;
  /** Shards that played it. */
  readonly threads: number;
  readonly traceHash: string;
  readonly virtualSeconds: number;
  /** Virtual seconds from the end of the faults until every view was right; -1 when that never came. */
  readonly convergedAfterSeconds: number;
  readonly falseFailures: number;
  readonly detections: number;
  readonly detectionP50Ms: number;
  readonly detectionP90Ms: number;
  readonly detectionP99Ms: number;
  readonly detectionMaxMs: number;
  readonly events: EventReport;
  readonly queries: { readonly sent: number; readonly acks: number; readonly responses: number };
  readonly steps: number;
  readonly datagrams: number;
  readonly datagramsLost: number;
  readonly messages: number;
  readonly bytes: number;
  readonly streams: number;
  readonly encoded: number;
  readonly violations: readonly Violation[];
}

/** Of the nodes of one shard, or of all. */
export interface Outcome {
  readonly traceHash: string;
  readonly nowUs: number;
  readonly stats: SimStats;
  readonly encoded: number;
  readonly violations: readonly Violation[];
  readonly falseFailures: number;
  readonly eventsSent: number;
  /** Pairs of an event and a node that was owed it: how many there were, and the latencies of those that came, in ms, sorted. */
  readonly owed: number;
  readonly latenciesMs: Float64Array<ArrayBuffer>;
  /** Sorted. */
  readonly detectionMs: Float64Array<ArrayBuffer>;
  readonly queries: RunReport["queries"];
}

/** What the outcomes of all shards say together. */
export function joined(outcomes: readonly Outcome[]): Outcome {
  const [first] = outcomes;
  if (first === undefined || outcomes.length === 1) return first as Outcome;
  const sum = (read: (outcome: Outcome) => number): number => outcomes.reduce((total, outcome) => total + read(outcome), 0);
  const stats = { ...first.stats };
  for (const key of Object.keys(stats) as (keyof SimStats)[]) stats[key] = sum((outcome) => outcome.stats[key]);
  const hash = new TraceHash();
  for (const { traceHash } of outcomes) hash.text(traceHash);
  const violations = outcomes.flatMap((outcome) => outcome.violations).sort((a, b) => a.atUs - b.atUs);
  return {
    traceHash: hash.hex,
    // Where it was over, some shards have gone on for a moment.
    nowUs: violations[0]?.atUs ?? first.nowUs,
    stats,
    encoded: sum(({ encoded }) => encoded),
    violations,
    falseFailures: sum(({ falseFailures }) => falseFailures),
    eventsSent: first.eventsSent,
    owed: sum(({ owed }) => owed),
    latenciesMs: merged(outcomes.map(({ latenciesMs }) => latenciesMs)),
    detectionMs: merged(outcomes.map(({ detectionMs }) => detectionMs)),
    queries: first.queries,
  };
}

/** Sorted values of several lists as one. */
function merged(lists: readonly Float64Array<ArrayBuffer>[]): Float64Array<ArrayBuffer> {
  return lists.reduce((all, list) => {
    const both = new Float64Array(all.length + list.length);
    let i = 0;
    let j = 0;
    for (let at = 0; at < both.length; at += 1) {
      const isFirst = j === list.length || (i < all.length && (all[i] as number) <= (list[j] as number));
      both[at] = (isFirst ? all[i++] : list[j++]) as number;
    }
    return both;
  }, new Float64Array(0));
}

export function eventReport({ owed, latenciesMs, eventsSent }: Outcome): EventReport {
  return {
    sent: eventsSent,
    pairs: owed,
    within2s: countUpTo(latenciesMs, 2_000),
    within10s: countUpTo(latenciesMs, 10_000),
    delivered: latenciesMs.length,
    p50Ms: percentile(latenciesMs, 500),
    p90Ms: percentile(latenciesMs, 900),
    p99Ms: percentile(latenciesMs, 990),
    maxMs: latenciesMs.at(-1) ?? 0,
  };
}
