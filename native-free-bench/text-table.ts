/** Rows as text: one line each, under a heading per driver. */
import type { KernelRow } from "./run-kernels.ts";
import { barText, formatFigure, verdict, type Row, type Side } from "./rows.ts";
import { ratio, summarize } from "./statistics.ts";

const HEADINGS = ["operation", "figure", "unit", "ours", "peer", "ours/peer", "bar", ""] as const;

export function loadTable(rows: readonly Row[]): string {
  const lines: string[][] = [];
  let group = "";
  for (const row of rows) {
    if (row.group !== group) {
      if (group !== "") lines.push([]);
      group = row.group;
      lines.push([...HEADINGS]);
    }
    lines.push([row.operation, row.metric, row.unit, spread(row, "ours"), spread(row, "peer"), ratioText(row), row.bar === undefined ? "" : barText(row.bar), verdictText(row)]);
  }
  return align(lines);
}

export function kernelTable(rows: readonly KernelRow[]): string {
  const lines = rows.map(({ opsPerSecond, microseconds, spreadPercent, hash, name }) => [opsPerSecond.toFixed(0), microseconds.toFixed(3), `±${spreadPercent.toFixed(1)} %`, hash, name]);
  return align([["ops/s", "µs/op", "spread", "hash", "kernel"], ...lines]);
}

/** median [min..max] */
export function spread({ samples }: Row, side: Side): string {
  const summary = summarize(samples[side]);
  if (summary === null) return "-";
  const { count, median, min, max } = summary;
  return count === 1 ? formatFigure(median) : `${formatFigure(median)} [${formatFigure(min)}..${formatFigure(max)}]`;
}

export function ratioText({ samples }: Row): string {
  const found = ratio(samples.ours, samples.peer);
  if (found === null) return "";
  const figure = (value: number): string => value.toPrecision(2);
  return samples.ours.length === 1 ? figure(found.ofMedians) : `${figure(found.ofMedians)} [${figure(found.min)}..${figure(found.max)}]`;
}

export function verdictText(row: Row): string {
  const found = verdict(row);
  return found === "unknown" ? "" : found;
}

function align(lines: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const line of lines) for (const [i, cell] of line.entries()) widths[i] = Math.max(widths[i] ?? 0, cell.length);
  const padded = lines.map((line) => line.map((cell, i) => cell.padEnd(widths[i] as number)).join("  ").trimEnd());
  return padded.map((line) => `${line}\n`).join("");
}
