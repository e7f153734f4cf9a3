/** Studies as text and as a page. */
import { histogram, lineChart } from "./charts.ts";
import { htmlPage, table } from "./report-page.ts";
import type { DetectionStudy, Estimate } from "./study-detection.ts";
import { sumOf, VARIANTS, type LifeguardStudy } from "./study-lifeguard.ts";

type Row = readonly string[];

function aligned(rows: readonly Row[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => (row[column] ?? "").length)));
  return rows.map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  ").trimEnd()).join("\n");
}

function section(title: string, content: string): string {
  return `<section class="card" style="margin-top:16px"><h2>${title}</h2>${content}</section>`;
}

// Detection

const DETECTION_HEAD = ["", "simulated", "theory", "off by"] as const;

function detectionRows({ probeRounds, probePeriods, suspicionPeriods }: DetectionStudy): Row[] {
  const row = (name: string, { mean, standardError, expected }: Estimate): Row => [
    name,
    `${mean.toFixed(3)} ± ${standardError.toFixed(3)}`,
    expected.toFixed(3),
    `${((100 * (mean - expected)) / expected).toFixed(1)} %`,
  ];
  return [
    row("first probe of a crashed member, in whole rounds", probeRounds),
    row("first probe, in periods", probePeriods),
    row("first suspicion, in periods", suspicionPeriods),
  ];
}

function detectionTitle({ crashes, nodes, profile, seedFirst, seedLast }: DetectionStudy): string {
  return `${crashes} crashes, ${nodes} nodes, profile ${profile}, seeds ${seedFirst} to ${seedLast}`;
}

/** Share of the crashes that are first probed in each round, and what a geometric distribution with p = 1 − 1/e says. */
function roundRows({ byRound, crashes }: DetectionStudy): Row[] {
  return byRound.map((count, i) => [String(i + 1), String(count), `${((100 * count) / Math.max(1, crashes)).toFixed(1)} %`, `${(100 * Math.exp(-i) * (1 - Math.exp(-1))).toFixed(1)} %`]);
}

const ROUND_HEAD = ["round", "crashes", "simulated", "geometric, p = 1 − 1/e"] as const;

export function detectionText(study: DetectionStudy): string {
  return [detectionTitle(study), "", aligned([DETECTION_HEAD, ...detectionRows(study)]), "", aligned([ROUND_HEAD, ...roundRows(study)])].join("\n");
}

export function detectionPage(study: DetectionStudy): string {
  const { probeRounds, suspicionPeriods, crashes } = study;
  return htmlPage({
    title: "How soon a crashed member is probed and suspected",
    about: detectionTitle(study),
    tiles: [
      { name: "rounds to the first probe (theory: 1.58 for many nodes)", value: probeRounds.mean.toFixed(3) },
      { name: "periods to the first suspicion (theory: 2.0)", value: suspicionPeriods.mean.toFixed(3) },
      { name: "crashes", value: String(crashes) },
    ],
    cards: [histogram("From crash to first suspicion", "Virtual time until the first member gives up its probe", study.suspicionMs, "No crash was suspected.")],
    tables: [section("Against the papers", table(detectionRows(study), DETECTION_HEAD)), section("First probe by round", table(roundRows(study), ROUND_HEAD))],
  });
}

// Lifeguard

const LIFEGUARD_HEAD = ["variant", "false failures at healthy nodes", "at all nodes", "fewer than SWIM at healthy", "at all", "datagrams", "bytes"] as const;

function times(ratio: number | null): string {
  return ratio === null ? "none left" : `${ratio.toFixed(1)} ×`;
}

function lifeguardRows({ totals, fewer }: LifeguardStudy): Row[] {
  const base = totals[0];
  const share = (count: number, of: number): string => (of === 0 ? "-" : `${((100 * count) / of).toFixed(1)} %`);
  return totals.map(({ variant, all, atHealthy, datagrams, bytes }) => {
    const ratio = fewer.find((one) => one.variant === variant);
    const ratios = ratio === undefined ? ["", ""] : [times(ratio.atHealthy), times(ratio.all)];
    return [variant, String(atHealthy), String(all), ...ratios, share(datagrams, base?.datagrams ?? 0), share(bytes, base?.bytes ?? 0)];
  });
}

function lifeguardTitle({ nodes, grid, cells, seedFirst, seedLast }: LifeguardStudy): string {
  return `${nodes} nodes, grid ${grid}: ${cells.length} cells of three runs, seeds ${seedFirst} to ${seedLast}`;
}

/** False failures at healthy nodes, by one coordinate of the grid. */
function byRows({ cells }: LifeguardStudy, read: "stalled" | "durationMs" | "intervalMs"): Row[] {
  const values = [...new Set(cells.map((cell) => cell[read]))].sort((a, b) => a - b);
  return values.map((value) => {
    const some = cells.filter((cell) => cell[read] === value);
    return [String(value), ...VARIANTS.map(({ name }) => String(sumOf(name, some).atHealthy))];
  });
}

const BY = [
  ["stalled", "members stalled"],
  ["durationMs", "stalled for (ms)"],
  ["intervalMs", "running between (ms)"],
] as const;
const VARIANT_NAMES = VARIANTS.map(({ name }) => name);

export function lifeguardText(study: LifeguardStudy): string {
  const tables = BY.map(([key, name]) => aligned([[name, ...VARIANT_NAMES], ...byRows(study, key)]));
  return [lifeguardTitle(study), "", aligned([LIFEGUARD_HEAD, ...lifeguardRows(study)]), "", "false failures at healthy nodes, by", "", tables.join("\n\n")].join("\n");
}

export function lifeguardPage(study: LifeguardStudy): string {
  const { cells, totals, fewer } = study;
  const stalled = [...new Set(cells.map((cell) => cell.stalled))].sort((a, b) => a - b);
  const line = (variant: string): (readonly [number, number])[] => stalled.map((value) => [value, sumOf(variant, cells.filter((cell) => cell.stalled === value)).atHealthy]);
  return htmlPage({
    title: "False failures while members are stalled",
    about: lifeguardTitle(study),
    tiles: [
      ...totals.map(({ variant, atHealthy }) => ({ name: `${variant}: false failures at healthy nodes`, value: String(atHealthy) })),
      ...fewer.map(({ variant, atHealthy }) => ({ name: `${variant}: fewer than SWIM`, value: times(atHealthy) })),
    ],
    cards: [
      lineChart({
        title: "By the number of stalled members",
        about: "False failures at healthy nodes, summed over durations and intervals",
        series: VARIANTS.slice(0, 2).map(({ name }) => ({ name, points: line(name) })),
        xMax: Math.max(1, ...stalled),
        xUnit: "",
        format: (y) => y.toLocaleString("en", { maximumFractionDigits: 1 }),
        spans: [],
      }),
    ],
    tables: [
      section("Sums over the grid", table(lifeguardRows(study), LIFEGUARD_HEAD)),
      ...BY.map(([key, name]) => section(`At healthy nodes, by ${name}`, table(byRows(study, key), [name, ...VARIANT_NAMES]))),
      `<details class="card"><summary>All cells: at healthy nodes (at all nodes)</summary>${table(
        cells.map(({ stalled: count, durationMs, intervalMs, seed, tallies }) => [String(count), String(durationMs), String(intervalMs), String(seed), ...tallies.map(({ atHealthy, all }) => `${atHealthy} (${all})`)]),
        ["stalled", "for (ms)", "between (ms)", "seed", ...VARIANT_NAMES],
      )}</details>`,
    ],
  });
}
