/** Charts as inline SVG. Colours are CSS variables of the page, so that one file serves light and dark. */

export interface Series {
  readonly name: string;
  /** In order of x. */
  readonly points: readonly (readonly [x: number, y: number])[];
}

export interface Span {
  readonly from: number;
  readonly to: number;
}

export interface LineChart {
  readonly title: string;
  readonly about: string;
  readonly series: readonly Series[];
  readonly xMax: number;
  /** Of the numbers on the x axis; absent: they are seconds, shown as time. */
  readonly xUnit?: string;
  /** Fixed top of the y axis; absent: what the data needs. */
  readonly yMax?: number;
  readonly format: (y: number) => string;
  /** Shaded behind the lines: when something was done to the cluster. */
  readonly spans: readonly Span[];
}

const WIDTH = 560;
const HEIGHT = 230;
const LEFT = 62;
const RIGHT = 14;
const TOP = 12;
const BOTTOM = 34;
const PLOT_WIDTH = WIDTH - LEFT - RIGHT;
const PLOT_HEIGHT = HEIGHT - TOP - BOTTOM;

export function escapeHtml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}

/** Steps of 1, 2 or 5 times a power of ten, about `count` of them up to `max`. */
export function niceTicks(max: number, count: number): readonly number[] {
  if (!(max > 0)) return [0];
  const rough = max / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * (rough / power <= 1 ? 1 : rough / power <= 2 ? 2 : rough / power <= 5 ? 5 : 10);
  return Array.from({ length: Math.floor(max / step + 1e-9) + 1 }, (_, i) => i * step);
}

const TIME_UNITS = [
  { seconds: 3_600, name: "h" },
  { seconds: 60, name: "min" },
] as const;

/** Labels of virtual time on an axis that ends at `max` seconds, in the unit that suits. */
function timeTicks(max: number): readonly { readonly at: number; readonly label: string }[] {
  const { seconds, name } = TIME_UNITS.find((unit) => max >= 5 * unit.seconds) ?? { seconds: 1, name: "s" };
  return niceTicks(max / seconds, 6).map((tick) => ({ at: tick * seconds, label: `${Number(tick.toPrecision(6))} ${name}` }));
}

function px(value: number): string {
  return value.toFixed(1);
}

function xOf(x: number, xMax: number): number {
  return LEFT + (xMax === 0 ? 0 : (x / xMax) * PLOT_WIDTH);
}

function xAxis(xMax: number, bottom: number, unit?: string): string {
  const ticks = unit === undefined ? timeTicks(xMax) : niceTicks(xMax, 8).map((tick) => ({ at: tick, label: `${tick} ${unit}`.trimEnd() }));
  return ticks
    .map(({ at, label }) => `<text class="tick" x="${px(xOf(at, xMax))}" y="${bottom + 18}" text-anchor="middle">${label}</text>`)
    .join("");
}

function yAxis(ticks: readonly number[], yMax: number, format: (y: number) => string): string {
  return ticks
    .map((tick) => {
      const y = TOP + PLOT_HEIGHT * (1 - tick / yMax);
      return `<line class="${tick === 0 ? "base" : "grid"}" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${px(y)}" y2="${px(y)}"/><text class="tick" x="${LEFT - 8}" y="${px(y + 4)}" text-anchor="end">${escapeHtml(format(tick))}</text>`;
    })
    .join("");
}

function shade(spans: readonly Span[], xMax: number, top: number, height: number): string {
  return spans
    .map(({ from, to }) => `<rect class="fault" x="${px(xOf(from, xMax))}" y="${top}" width="${px(Math.max(1, xOf(to, xMax) - xOf(from, xMax)))}" height="${height}"/>`)
    .join("");
}

function card(title: string, about: string, legend: string, svg: string): string {
  return `<section class="card"><h2>${escapeHtml(title)}</h2><p>${escapeHtml(about)}</p>${legend}${svg}</section>`;
}

function legendOf(series: readonly Series[]): string {
  if (series.length < 2) return "";
  return `<div class="legend">${series.map(({ name }, i) => `<span><i class="key s${i + 1}"></i>${escapeHtml(name)}</span>`).join("")}</div>`;
}

export function lineChart({ title, about, series, xMax, xUnit, yMax, format, spans }: LineChart): string {
  const highest = Math.max(0, ...series.flatMap(({ points }) => points.map(([, y]) => y)));
  const top = yMax ?? (highest === 0 ? 1 : highest * 1.08);
  const lines = series.map(({ points }, i) => {
    const path = points.map(([x, y], at) => `${at === 0 ? "M" : "L"}${px(xOf(x, xMax))} ${px(TOP + PLOT_HEIGHT * (1 - Math.min(y, top) / top))}`).join("");
    return `<path class="line s${i + 1}" d="${path}"/>`;
  });
  // What the pointer shows: x, and the text of each series there.
  const shown = (series[0]?.points ?? []).map(([x], at) => [Number(px(xOf(x, xMax))), Number(x.toFixed(1)), ...series.map((one) => format(one.points[at]?.[1] ?? 0))]);
  const data = escapeHtml(JSON.stringify({ names: series.map(({ name }) => name), unit: xUnit ?? "s", shown }));
  const svg = `<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${escapeHtml(`${title}: ${about}`)}" data-chart="${data}">
${shade(spans, xMax, TOP, PLOT_HEIGHT)}${yAxis(niceTicks(top, 4), top, format)}${xAxis(xMax, TOP + PLOT_HEIGHT, xUnit)}${lines.join("")}<line class="cross" y1="${TOP}" y2="${TOP + PLOT_HEIGHT}"/></svg>`;
  return card(title, about, legendOf(series), svg);
}

/** Counts of values in classes of equal width; `values` in ms, shown in s. */
export function histogram(title: string, about: string, values: readonly number[], empty: string): string {
  if (values.length === 0) return card(title, about, "", `<div class="empty">${escapeHtml(empty)}</div>`);
  const max = Math.max(...niceTicks(Math.max(1, values.reduce((a, b) => Math.max(a, b), 0)) / 1000, 6));
  const ticks = niceTicks(max === 0 ? 1 : max, 6);
  const step = (ticks[1] ?? 1) / 4;
  const classes = Math.ceil((values.reduce((a, b) => Math.max(a, b), 0) / 1000 + 1e-9) / step);
  const counts = new Array<number>(classes).fill(0);
  for (const value of values) counts[Math.min(classes - 1, Math.floor(value / 1000 / step))] = (counts[Math.min(classes - 1, Math.floor(value / 1000 / step))] as number) + 1;
  const highest = Math.max(...counts);
  const top = highest * 1.08;
  const xMax = classes * step;
  const width = PLOT_WIDTH / classes;
  const bars = counts.map((count, i) => {
    if (count === 0) return "";
    const height = (PLOT_HEIGHT * count) / top;
    const title = `${(i * step).toFixed(2)} to ${((i + 1) * step).toFixed(2)} s: ${count}`;
    return `<rect class="bar" x="${px(LEFT + i * width + 1)}" y="${px(TOP + PLOT_HEIGHT - height)}" width="${px(Math.max(1, width - 2))}" height="${px(height)}"><title>${title}</title></rect>`;
  });
  const yTicks = niceTicks(top, 4).filter((tick) => Number.isInteger(tick));
  const svg = `<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${escapeHtml(`${title}: ${about}`)}">${yAxis(yTicks, top, (y) => y.toLocaleString("en"))}${bars.join("")}${xAxis(xMax, TOP + PLOT_HEIGHT)}</svg>`;
  return card(title, about, "", svg);
}

const ROW_HEIGHT = 26;
const TIMELINE_LEFT = 150;
const TIMELINE_WIDTH = 1_150;

/** One row for each kind of thing that was done; `rows` have at least one span each. */
export function timeline(title: string, about: string, rows: readonly { readonly name: string; readonly spans: readonly Span[] }[], xMax: number): string {
  const height = TOP + rows.length * ROW_HEIGHT + BOTTOM;
  const width = TIMELINE_WIDTH - TIMELINE_LEFT - RIGHT;
  const at = (x: number): number => TIMELINE_LEFT + (xMax === 0 ? 0 : (Math.min(x, xMax) / xMax) * width);
  const parts = rows.map(({ name, spans }, i) => {
    const y = TOP + i * ROW_HEIGHT;
    const marks = spans.map(
      ({ from, to }) => `<rect class="mark" x="${px(at(from))}" y="${y + 5}" width="${px(Math.max(3, at(to) - at(from)))}" height="${ROW_HEIGHT - 10}"><title>${name}: ${from.toFixed(1)} to ${to.toFixed(1)} s</title></rect>`,
    );
    const label = spans.length > 1 ? `${name} × ${spans.length}` : name;
    return `<line class="grid" x1="${TIMELINE_LEFT}" x2="${TIMELINE_WIDTH - RIGHT}" y1="${y + ROW_HEIGHT}" y2="${y + ROW_HEIGHT}"/><text class="row" x="${TIMELINE_LEFT - 10}" y="${y + 17}" text-anchor="end">${escapeHtml(label)}</text>${marks.join("")}`;
  });
  const ticks = timeTicks(xMax).map(({ at: x, label }) => `<text class="tick" x="${px(at(x))}" y="${TOP + rows.length * ROW_HEIGHT + 18}" text-anchor="middle">${label}</text>`);
  const svg = `<svg viewBox="0 0 ${TIMELINE_WIDTH} ${height}" role="img" aria-label="${escapeHtml(`${title}: ${about}`)}">${parts.join("")}${ticks.join("")}</svg>`;
  return `<section class="card wide"><h2>${escapeHtml(title)}</h2><p>${escapeHtml(about)}</p>${rows.length === 0 ? '<div class="empty">Nothing was done to this cluster.</div>' : svg}</section>`;
}
