/** The HTML report of one run. */
import type { Fault } from "../../sim/ledger.ts";
import type { Sample } from "../../sim/recorder.ts";
import type { Scenario } from "../../sim/scenario.ts";
import { histogram, lineChart, timeline, type Span } from "./charts.ts";
import type { MeasuredRun } from "./measured-run.ts";
import { htmlPage, table } from "./report-page.ts";
import { summaryRows, type Summary } from "./summary.ts";

/** Rows of the table of samples: enough to read, whatever the run's length. */
const TABLE_ROWS_MAX = 60;
/** What is done without harm is in the timeline, but not behind the curves. */
const HARMLESS: ReadonlySet<Fault["what"]> = new Set(["start", "restart", "leave"]);
/** A fault of one moment is shown as wide as this share of the axis. */
const MOMENT_SHARE = 0.003;

export function htmlReport(scenario: Scenario, summary: Summary, measured: MeasuredRun, replay: string): string {
  const { samples, detectionMs, faults } = measured.recorder;
  const xMax = Math.max(summary.virtualSeconds, 1e-3);
  const spans = mergeSpans(faults.filter(({ what }) => !HARMLESS.has(what)).map((fault) => spanOf(fault, xMax)));
  const line = (read: (sample: Sample) => number): (readonly [number, number])[] => samples.map((sample) => [sample.atSeconds, read(sample)]);
  const common = { xMax, spans };
  const { convergedAtSeconds, falseFailures, violations, detectionLatencyMs } = summary;
  return htmlPage({
    title: `${summary.scenario}: ${summary.nodes} nodes, seed ${summary.seed}`,
    about: scenario.about,
    tiles: [
      { name: "all views right at", value: convergedAtSeconds === null ? "never" : `${convergedAtSeconds.toFixed(1)} s`, isBad: convergedAtSeconds === null },
      { name: "false failures", value: String(falseFailures) },
      { name: "violations", value: String(violations.length), isBad: violations.length > 0 },
      { name: "failure detected, median", value: detectionLatencyMs.count === 0 ? "–" : `${(detectionLatencyMs.p50 / 1000).toFixed(1)} s` },
      { name: "virtual time", value: `${summary.virtualSeconds.toFixed(0)} s` },
      { name: "wall time", value: `${summary.wallSeconds.toFixed(1)} s` },
    ],
    cards: [
      lineChart({
        ...common,
        title: "Convergence",
        about: "How much of the running cluster the nodes' views show alive; shaded while a fault lasts",
        series: [{ name: "mean share of members known", points: line((sample) => sample.knownShare) }, { name: "share of nodes with the right count", points: line((sample) => sample.completeShare) }],
        ...(samples.every(({ knownShare }) => knownShare <= 1.05) ? { yMax: 1.05 } : {}),
        format: (y) => `${(100 * y).toFixed(0)} %`,
      }),
      histogram("Detection latency", `From the end of a process to each report of its failure (${detectionMs.length} reports)`, detectionMs, "No process ended without leaving, so there was nothing to detect."),
      lineChart({
        ...common,
        title: "False positives",
        about: "Reports of failed members, and those about members that ran undisturbed",
        series: [{ name: "all reports", points: line((sample) => sample.failedReports) }, { name: "false", points: line((sample) => sample.falseFailures) }],
        format: (y) => y.toLocaleString("en", { maximumFractionDigits: 1 }),
      }),
      lineChart({
        ...common,
        title: "Bandwidth per node",
        about: "Bytes sent per running node and second, before compression and sealing",
        series: [{ name: "sent", points: line((sample) => sample.bytesPerSecond) }],
        format: bytesText,
      }),
      lineChart({
        ...common,
        title: "Queue depth",
        about: "Broadcasts of all kinds that wait at one node",
        series: [{ name: "mean of all nodes", points: line((sample) => sample.queuedMean) }, { name: "fullest node", points: line((sample) => sample.queuedMax) }],
        format: (y) => y.toLocaleString("en", { maximumFractionDigits: 1 }),
      }),
      lineChart({
        ...common,
        title: "Running nodes",
        about: "Processes that run and have not been asked to leave",
        series: [{ name: "running", points: line((sample) => sample.running) }],
        format: (y) => y.toLocaleString("en", { maximumFractionDigits: 1 }),
      }),
      timeline("What was done to the cluster", "Each mark lasts as long as what it stands for", timelineRows(faults), xMax),
    ],
    tables: [
      violations.length === 0 ? "" : section("Violations", table(violations.map(({ atSeconds, checker, text }) => [`${atSeconds.toFixed(3)} s`, checker, text]), ["at", "checker", "seen"])),
      section("The run", table([...summaryRows(summary, measured).map((row) => [...row]), ["replay", replay]])),
      `<details class="card"><summary>Samples as a table</summary>${sampleTable(samples)}</details>`,
    ],
  });
}

function section(title: string, content: string): string {
  return `<section class="card" style="margin-top:16px"><h2>${title}</h2>${content}</section>`;
}

function spanOf({ fromUs, toUs }: Fault, xMax: number): Span {
  return { from: fromUs / 1e6, to: Math.min(xMax, Math.max(toUs / 1e6, fromUs / 1e6 + xMax * MOMENT_SHARE)) };
}

function mergeSpans(spans: readonly Span[]): Span[] {
  const merged: Span[] = [];
  for (const span of [...spans].sort((a, b) => a.from - b.from)) {
    const last = merged.at(-1);
    if (last !== undefined && span.from <= last.to) merged[merged.length - 1] = { from: last.from, to: Math.max(last.to, span.to) };
    else merged.push(span);
  }
  return merged;
}

function timelineRows(faults: readonly Fault[]): { readonly name: string; readonly spans: readonly Span[] }[] {
  const rows = new Map<string, Span[]>();
  for (const { what, fromUs, toUs } of faults) {
    const spans = rows.get(what) ?? [];
    spans.push({ from: fromUs / 1e6, to: toUs / 1e6 });
    rows.set(what, spans);
  }
  return [...rows].map(([name, spans]) => ({ name, spans }));
}

function bytesText(bytes: number): string {
  return bytes >= 1_000_000 ? `${(bytes / 1e6).toFixed(1)} MB/s` : bytes >= 1_000 ? `${(bytes / 1e3).toFixed(1)} kB/s` : `${bytes.toFixed(0)} B/s`;
}

function sampleTable(samples: readonly Sample[]): string {
  const every = Math.max(1, Math.ceil(samples.length / TABLE_ROWS_MAX));
  const rows = samples
    .filter((_, i) => i % every === 0)
    .map(({ atSeconds, running, knownShare, completeShare, bytesPerSecond, queuedMean, queuedMax, failedReports, falseFailures }) => [
      `${atSeconds.toFixed(1)} s`, String(running), `${(100 * knownShare).toFixed(1)} %`, `${(100 * completeShare).toFixed(1)} %`, bytesText(bytesPerSecond), queuedMean.toFixed(1), String(queuedMax),
      String(failedReports), String(falseFailures),
    ]);
  return table(rows, ["at", "running", "known", "right count", "sent per node", "queued, mean", "queued, max", "failed reports", "false"]);
}
