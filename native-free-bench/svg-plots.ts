/** The plots of the page, as SVG text. Colours come from classes of the page's style. */
import { formatFigure, verdict, type Row, type Side } from "./rows.ts";
import { median, ratio } from "./statistics.ts";

const WIDTH = 1000;
const LABEL_WIDTH = 330;
const VALUE_WIDTH = 130;
const LINE = 24;
const MARGIN = 26;
const PLOT_WIDTH = WIDTH - LABEL_WIDTH - VALUE_WIDTH;

/** Bars of ours/peer on a logarithmic axis around 1, of every row that has a bar for it. */
export function ratioPlot(rows: readonly Row[]): string {
  const shown = rows.flatMap((row) => {
    const found = ratio(row.samples.ours, row.samples.peer);
    return found === null || found.ofMedians <= 0 || row.bar?.of !== "ratio" ? [] : [{ row, found, limit: "atMost" in row.bar ? row.bar.atMost : row.bar.atLeast }];
  });
  const values = shown.flatMap(({ found, limit }) => [found.ofMedians, found.min, found.max, limit]).filter((value) => value > 0 && Number.isFinite(value));
  const low = Math.floor(Math.log10(Math.min(0.1, ...values)));
  const high = Math.ceil(Math.log10(Math.max(10, ...values)));
  const x = (value: number): number => LABEL_WIDTH + ((Math.log10(Math.max(value, 10 ** low)) - low) / (high - low)) * PLOT_WIDTH;
  const height = MARGIN + shown.length * LINE + 4;
  const parts: string[] = [];
  for (let power = low; power <= high; power += 1) {
    const at = x(10 ** power).toFixed(1);
    parts.push(`<line class="${power === 0 ? "one" : "grid"}" x1="${at}" x2="${at}" y1="${MARGIN - 6}" y2="${height}"/>`);
    parts.push(`<text class="faint" x="${at}" y="14" text-anchor="middle">${power < 0 ? `1/${10 ** -power}` : 10 ** power}</text>`);
  }
  for (const [i, { row, found, limit }] of shown.entries()) {
    const top = MARGIN + i * LINE;
    const [from, to] = [x(1), x(found.ofMedians)].toSorted((a, b) => a - b) as [number, number];
    const middle = top + LINE / 2;
    parts.push(label(`${row.operation}: ${row.metric}`, middle));
    parts.push(`<rect class="fill-${verdict(row)}" x="${from.toFixed(1)}" y="${top + 5}" width="${Math.max(1, to - from).toFixed(1)}" height="${LINE - 10}" rx="2"/>`);
    parts.push(`<line class="whisker" x1="${x(found.min).toFixed(1)}" x2="${x(found.max).toFixed(1)}" y1="${middle}" y2="${middle}"/>`);
    parts.push(`<line class="bar-mark" x1="${x(limit).toFixed(1)}" x2="${x(limit).toFixed(1)}" y1="${top + 2}" y2="${top + LINE - 2}"/>`);
    parts.push(`<text x="${WIDTH}" y="${middle + 4}" text-anchor="end">${found.ofMedians.toPrecision(2)}</text>`);
  }
  return svg(height, "Ratios of our figures to the peer's", parts);
}

/** Every sample of every row as a dot, ours above the peer's. */
export function distributionPlot(rows: readonly Row[]): string {
  const shown = rows.filter(({ samples }) => samples.ours.length + samples.peer.length > 0);
  const parts: string[] = [];
  const height = shown.length * LINE + 4;
  for (const [i, row] of shown.entries()) {
    const top = i * LINE;
    const max = Math.max(...row.samples.ours, ...row.samples.peer) || 1;
    parts.push(label(`${row.operation}: ${row.metric}`, top + LINE / 2));
    parts.push(`<line class="grid" x1="${LABEL_WIDTH}" x2="${LABEL_WIDTH + PLOT_WIDTH}" y1="${top + LINE / 2}" y2="${top + LINE / 2}"/>`);
    parts.push(...dots(row, "ours", top + LINE / 4 + 1, max), ...dots(row, "peer", top + (3 * LINE) / 4 - 1, max));
    parts.push(`<text class="faint" x="${WIDTH}" y="${top + LINE / 2 + 4}" text-anchor="end">${escapeText(`${formatFigure(max)} ${row.unit}`)}</text>`);
  }
  return svg(height, "Samples of each figure", parts);
}

function dots({ samples }: Row, side: Side, y: number, max: number): string[] {
  if (samples[side].length === 0) return [];
  const x = (value: number): string => (LABEL_WIDTH + (value / max) * PLOT_WIDTH).toFixed(1);
  const middle = x(median(samples[side]));
  return [
    ...samples[side].map((value) => `<circle class="fill-${side}" cx="${x(value)}" cy="${y}" r="3.5"/>`),
    `<rect class="fill-${side}" x="${Number(middle) - 1}" y="${y - 5}" width="2" height="10"/>`,
  ];
}

function label(text: string, middle: number): string {
  return `<text x="0" y="${middle + 4}">${escapeText(text)}</text>`;
}

function svg(height: number, title: string, parts: readonly string[]): string {
  return `<svg viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img" aria-label="${title}">${parts.join("")}</svg>`;
}

function escapeText(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
}
