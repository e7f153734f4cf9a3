/** The report as one page that needs nothing else: plots as inline SVG, light or dark as the reader's system is. */
import { kernelTable, ratioText, spread, verdictText } from "./text-table.ts";
import { machineLine } from "./machine.ts";
import type { Report } from "./report.ts";
import { barText, verdict, type Row } from "./rows.ts";
import { distributionPlot, ratioPlot } from "./svg-plots.ts";

const STYLE = `
:root { color-scheme: light dark; --ground: #fff; --text: #1c2126; --faint: #667079; --line: #d9dee3; --ours: #0969da; --peer: #b35900; --holds: #1a7f37; --misses: #cf222e; }
@media (prefers-color-scheme: dark) {
  :root { --ground: #14181c; --text: #e3e8ec; --faint: #8f9aa3; --line: #343c44; --ours: #58a6ff; --peer: #e8983e; --holds: #4ac26b; --misses: #ff7b72; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem; max-width: 72rem; background: var(--ground); color: var(--text); font: 15px/1.45 system-ui, sans-serif; }
h1 { font-size: 1.4rem; margin: 0 0 .5rem; } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
p { margin: .25rem 0; } .faint, figcaption { color: var(--faint); font-size: .9em; }
.scroll { overflow-x: auto; } figure { margin: 0; }
table { border-collapse: collapse; width: 100%; font-size: .85rem; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .2rem .6rem .2rem 0; border-bottom: 1px solid var(--line); white-space: nowrap; }
th { color: var(--faint); font-weight: 600; } pre { font-size: .85rem; }
.holds { color: var(--holds); } .misses { color: var(--misses); } .ours { color: var(--ours); } .peer { color: var(--peer); }
svg { display: block; max-width: 100%; height: auto; } svg text { fill: var(--text); font: 12px system-ui, sans-serif; } svg .faint { fill: var(--faint); font-size: 12px; }
svg .grid { stroke: var(--line); } svg .one { stroke: var(--faint); } svg .bar-mark { stroke: var(--text); stroke-width: 2; }
svg .whisker { stroke: var(--text); stroke-opacity: .55; }
svg .fill-holds { fill: var(--holds); } svg .fill-misses { fill: var(--misses); } svg .fill-unknown { fill: var(--faint); }
svg .fill-ours { fill: var(--ours); fill-opacity: .75; } svg .fill-peer { fill: var(--peer); fill-opacity: .75; }
`;

export function htmlPage(report: Report): string {
  const { machine, seed, quick, pinning, targets, kernels, rows, failures } = report;
  const compared = rows.some(({ samples }) => samples.peer.length > 0);
  const parts = [
    `<h1>muster: figures</h1>`,
    `<p class="faint">${escapeHtml(machineLine(machine))}; seed ${seed}</p>`,
    ...targets.map(({ side, command, version }) => `<p><b class="${side}">${side}</b> ${escapeHtml(`${command.split("/").at(-1) ?? ""} (${version})`)}</p>`),
    pinning === "" ? "" : `<p class="faint">${escapeHtml(pinning)}</p>`,
    quick ? `<p class="misses">Measured with --quick: the order of magnitude holds, the spread does not.</p>` : "",
    rows.length > 0 && !compared ? `<p>The original was not there: only ours was measured.</p>` : "",
    ...failures.map(({ group, error }) => `<p class="misses">${escapeHtml(`${group} failed: ${error}`)}</p>`),
    compared ? section("Ours / peer against the bars", `<figure class="scroll">${ratioPlot(rows)}<figcaption>Ratio of the medians on a logarithmic axis; the thin line spans the ratios of paired runs, the upright mark is the bar to hold.</figcaption></figure>`) : "",
    rows.length > 0 ? section("All figures", `<div class="scroll">${table(rows)}</div><p class="faint">median [min..max]</p>`) : "",
    rows.length > 0 ? section("Distributions", `<figure class="scroll">${distributionPlot(rows)}<figcaption>Every sample, <b class="ours">ours</b> above <b class="peer">peer</b>; the upright line is the median. Each figure has its own axis from 0.</figcaption></figure>`) : "",
    kernels.length > 0 ? section("Kernels", `<pre class="scroll">${escapeHtml(kernelTable(kernels))}</pre>`) : "",
  ];
  return `<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>muster: figures</title><style>${STYLE}</style></head><body>\n${parts.filter((part) => part !== "").join("\n")}\n</body></html>\n`;
}

function section(title: string, content: string): string {
  return `<section><h2>${escapeHtml(title)}</h2>${content}</section>`;
}

function table(rows: readonly Row[]): string {
  const head = ["", "operation", "figure", "unit", "ours", "peer", "ours/peer", "bar", ""].map((text) => `<th>${text}</th>`).join("");
  const body = rows.map((row) => {
    const cells = [row.group, row.operation, row.metric, row.unit, spread(row, "ours"), spread(row, "peer"), ratioText(row), row.bar === undefined ? "" : barText(row.bar)];
    return `<tr>${cells.map((text) => `<td>${escapeHtml(text)}</td>`).join("")}<td class="${verdict(row)}">${verdictText(row)}</td></tr>`;
  });
  return `<table><thead><tr>${head}</tr></thead><tbody>${body.join("")}</tbody></table>`;
}

export function escapeHtml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}
