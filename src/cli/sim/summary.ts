/** What `muster sim` prints: a JSON object with fixed keys, or a short table of the same. */
import type { Scenario } from "../../sim/scenario.ts";
import type { MeasuredRun } from "./measured-run.ts";

export interface Percentiles {
  readonly count: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly max: number;
}

/** The keys are a promise to whoever parses them. */
export interface Summary {
  readonly traceHash: string;
  readonly scenario: string;
  readonly seed: number;
  readonly nodes: number;
  readonly threads: number;
  readonly virtualSeconds: number;
  /** Of the whole run; how much of it was over before virtual time began; and processor time of the whole. */
  readonly wallSeconds: number;
  readonly setupSeconds: number;
  readonly cpuSeconds: number;
  /** Resident memory at the end, and the most at any time. */
  readonly rssBytes: number;
  readonly rssPeakBytes: number;
  readonly bytesPerMemberView: number;
  /** Messages in the datagrams that nodes received. */
  readonly receptions: number;
  /** Virtual time at which every view was right (after the last fault); null when that never came. */
  readonly convergedAtSeconds: number | null;
  readonly falseFailures: number;
  readonly violations: readonly { readonly atSeconds: number; readonly checker: string; readonly text: string }[];
  /** From the sending of a user event to each delivery, and from the end of a process to each report of it. */
  readonly eventLatencyMs: Percentiles;
  readonly detectionLatencyMs: Percentiles;
}

export function summaryOf(scenario: Scenario, { report, wallSeconds, setupSeconds, cpuSeconds, rssBytes, rssPeakBytes, bytesPerMemberView }: MeasuredRun): Summary {
  const { events, convergedAfterSeconds } = report;
  const { detectionP50Ms: p50, detectionP90Ms: p90, detectionP99Ms: p99, detectionMaxMs: max } = report;
  return {
    traceHash: report.traceHash,
    scenario: report.scenario,
    seed: report.seed,
    nodes: report.nodes,
    threads: report.threads,
    virtualSeconds: report.virtualSeconds,
    wallSeconds,
    setupSeconds,
    cpuSeconds,
    rssBytes,
    rssPeakBytes,
    bytesPerMemberView,
    receptions: report.messages,
    convergedAtSeconds: convergedAfterSeconds < 0 ? null : scenario.expect.faultsEndMs / 1000 + convergedAfterSeconds,
    falseFailures: report.falseFailures,
    violations: report.violations.map(({ atUs, checker, text }) => ({ atSeconds: atUs / 1e6, checker, text })),
    eventLatencyMs: { count: events.delivered, p50: events.p50Ms, p90: events.p90Ms, p99: events.p99Ms, max: events.maxMs },
    detectionLatencyMs: { count: report.detections, p50, p90, p99, max },
  };
}

/** Name and value, as the table and the HTML report show them. */
export function summaryRows(summary: Summary, { report }: MeasuredRun): readonly (readonly [name: string, value: string])[] {
  const { virtualSeconds, wallSeconds, setupSeconds, cpuSeconds, convergedAtSeconds, rssBytes, rssPeakBytes } = summary;
  return [
    ["scenario", summary.scenario],
    ["seed", String(summary.seed)],
    ["nodes", String(summary.nodes)],
    ["threads", String(summary.threads)],
    ["codec", `${report.codec}, ${report.encoded} packets and streams encoded`],
    ["trace hash", summary.traceHash],
    ["virtual time", `${virtualSeconds.toFixed(1)} s`],
    ["wall time", `${wallSeconds.toFixed(2)} s, ${((1000 * (wallSeconds - setupSeconds)) / virtualSeconds).toFixed(1)} ms per virtual s after the first ${setupSeconds.toFixed(2)} s; ${cpuSeconds.toFixed(1)} s of processor time`],
    ["messages received", `${summary.receptions}, ${Math.round(summary.receptions / wallSeconds)} per second of wall time`],
    ["memory", `${(rssBytes / 1e6).toFixed(0)} MB resident, at most ${(rssPeakBytes / 1e6).toFixed(0)} MB; ${summary.bytesPerMemberView} bytes per member in a view`],
    ["all views right at", convergedAtSeconds === null ? "never" : `${convergedAtSeconds.toFixed(1)} s`],
    ["false failures", String(summary.falseFailures)],
    ["failures detected", percentilesText(summary.detectionLatencyMs)],
    ["events delivered", percentilesText(summary.eventLatencyMs)],
    ["traffic per node", `${(report.bytes / virtualSeconds / summary.nodes / 1000).toFixed(2)} kB/s, ${(report.datagrams / virtualSeconds / summary.nodes).toFixed(1)} datagrams/s`],
    ["violations", String(summary.violations.length)],
  ];
}

export function summaryTable(summary: Summary, measured: MeasuredRun): string {
  const rows = summaryRows(summary, measured);
  const width = Math.max(...rows.map(([name]) => name.length)) + 2;
  return rows.map(([name, value]) => `${name.padEnd(width)}${value}`).join("\n");
}

function percentilesText({ count, p50, p90, p99, max }: Percentiles): string {
  if (count === 0) return "none";
  return `${count}: p50 ${seconds(p50)}, p90 ${seconds(p90)}, p99 ${seconds(p99)}, slowest ${seconds(max)}`;
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(2)} s`;
}
