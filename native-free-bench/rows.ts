/** What is reported: one row per figure, with every sample of both sides, and the bar it has to hold. */
import { median, ratio } from "./statistics.ts";

/** Whose agent: ours, or the original's. */
export type Side = "ours" | "peer";

/** Kept when ours/peer, or our own figure, is at most or at least a limit. */
export type Bar =
  | { readonly of: "ratio"; readonly atMost: number }
  | { readonly of: "ratio"; readonly atLeast: number }
  | { readonly of: "ours"; readonly atMost: number }
  | { readonly of: "ours"; readonly atLeast: number };

export interface RowSpec {
  /** The driver that measured it. */
  readonly group: string;
  readonly operation: string;
  readonly metric: string;
  readonly unit: string;
  readonly bar?: Bar;
}

export interface Row extends RowSpec {
  readonly samples: Readonly<Record<Side, number[]>>;
}

export function makeRow(spec: RowSpec): Row {
  return { ...spec, samples: { ours: [], peer: [] } };
}

export type Verdict = "holds" | "misses" | "unknown";

/** "unknown" when there is no bar, or nothing to compare with. */
export function verdict({ bar, samples }: Row): Verdict {
  if (bar === undefined) return "unknown";
  const figure = bar.of === "ours" ? (samples.ours.length === 0 ? null : median(samples.ours)) : (ratio(samples.ours, samples.peer)?.ofMedians ?? null);
  if (figure === null) return "unknown";
  const holds = "atMost" in bar ? figure <= bar.atMost : figure >= bar.atLeast;
  return holds ? "holds" : "misses";
}

export function barText(bar: Bar): string {
  const [sign, limit] = "atMost" in bar ? ["≤", bar.atMost] : ["≥", bar.atLeast];
  const text = bar.of === "ratio" && limit < 1 ? `1/${Math.round(1 / limit)}` : String(limit);
  return bar.of === "ratio" ? `${sign} ${text}` : `ours ${sign} ${text}`;
}

/** Three significant digits; whole numbers stay whole. */
export function formatFigure(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  if (Number.isInteger(value) || Math.abs(value) >= 1000) return value.toFixed(0);
  return Number(value.toPrecision(3)).toString();
}
