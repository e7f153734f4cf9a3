/** The frame of a report: one HTML file that asks nothing of a network, readable in light and dark. */
import { VERSION } from "../../base/version.ts";
import { escapeHtml } from "./charts.ts";

export interface Page {
  readonly title: string;
  readonly about: string;
  /** Large figures at the top. */
  readonly tiles: readonly { readonly name: string; readonly value: string; readonly isBad?: boolean }[];
  readonly cards: readonly string[];
  readonly tables: readonly string[];
}

const STYLE = `
:root{color-scheme:light dark;--page:#f9f9f7;--card:#fcfcfb;--ink:#0b0b0b;--ink2:#52514e;--ink3:#898781;--grid:#e1e0d9;--base:#c3c2b7;--border:rgba(11,11,11,.1);--s1:#2a78d6;--s2:#eb6834;--fault:rgba(235,104,52,.13);--bad:#d03b3b}
@media (prefers-color-scheme:dark){:root{--page:#0d0d0d;--card:#1a1a19;--ink:#fff;--ink2:#c3c2b7;--ink3:#898781;--grid:#2c2c2a;--base:#383835;--border:rgba(255,255,255,.1);--s1:#3987e5;--s2:#d95926;--fault:rgba(217,89,38,.2);--bad:#e66767}}
*{box-sizing:border-box}
body{margin:0;padding:28px 20px 48px;background:var(--page);color:var(--ink);font:15px/1.45 system-ui,-apple-system,"Segoe UI",sans-serif}
main{max-width:1180px;margin:0 auto}
h1{font-size:26px;margin:0 0 4px}
h2{font-size:16px;margin:0}
p{margin:2px 0 8px;color:var(--ink2);font-size:13.5px}
.lead{font-size:15px;margin-bottom:18px}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:12px;margin-bottom:16px}
.tile,.card{background:var(--card);border:1px solid var(--border);border-radius:10px;padding:14px 16px}
.tile b{display:block;font-size:24px;font-weight:600;line-height:1.2}
.tile span{color:var(--ink2);font-size:13px}
.tile.bad b{color:var(--bad)}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(480px,100%),1fr));gap:16px}
.wide{grid-column:1/-1}
svg{display:block;width:100%;height:auto;font-family:inherit}
.tick{font-size:11.5px;fill:var(--ink3);font-variant-numeric:tabular-nums}
.row{font-size:13px;fill:var(--ink2)}
.grid{stroke:var(--grid);stroke-width:1}
.base{stroke:var(--base);stroke-width:1}
.line{fill:none;stroke-width:2;stroke-linejoin:round;stroke-linecap:round}
.line.s1{stroke:var(--s1)}.line.s2{stroke:var(--s2)}
.bar{fill:var(--s1)}
.mark{fill:var(--s2);rx:2}
.fault{fill:var(--fault)}
.cross{stroke:var(--ink3);stroke-width:1;visibility:hidden}
.legend{display:flex;gap:16px;font-size:13px;color:var(--ink2);margin-bottom:4px}
.key{display:inline-block;width:14px;height:3px;border-radius:2px;margin-right:6px;vertical-align:middle}
.key.s1{background:var(--s1)}.key.s2{background:var(--s2)}
.empty{padding:64px 0;text-align:center;color:var(--ink3)}
table{border-collapse:collapse;width:100%;font-size:13.5px}
th,td{text-align:left;padding:5px 12px 5px 0;border-bottom:1px solid var(--grid);vertical-align:top}
th{color:var(--ink2);font-weight:500;white-space:nowrap}
td{font-variant-numeric:tabular-nums;overflow-wrap:anywhere}
details{margin-top:16px}summary{cursor:pointer;color:var(--ink2)}
#tip{position:fixed;pointer-events:none;display:none;background:var(--card);color:var(--ink);border:1px solid var(--base);border-radius:6px;padding:6px 9px;font-size:12.5px;white-space:pre;font-variant-numeric:tabular-nums}
footer{margin-top:20px;color:var(--ink3);font-size:12.5px}
`;

/** Shows the values under the pointer. */
const SCRIPT = `
const tip=document.getElementById("tip");
for(const svg of document.querySelectorAll("svg[data-chart]")){
const {names,unit,shown}=JSON.parse(svg.dataset.chart),cross=svg.querySelector(".cross");
svg.addEventListener("pointermove",(e)=>{
const box=svg.getBoundingClientRect(),x=(e.clientX-box.left)*svg.viewBox.baseVal.width/box.width;
let best=null;for(const row of shown)if(best===null||Math.abs(row[0]-x)<Math.abs(best[0]-x))best=row;
if(best===null)return;
cross.setAttribute("x1",best[0]);cross.setAttribute("x2",best[0]);cross.style.visibility="visible";
tip.textContent=best[1]+" "+unit+"\\n"+names.map((n,i)=>n+": "+best[i+2]).join("\\n");
tip.style.display="block";
tip.style.left=Math.min(e.clientX+14,innerWidth-tip.offsetWidth-8)+"px";tip.style.top=(e.clientY+14)+"px";});
svg.addEventListener("pointerleave",()=>{cross.style.visibility="hidden";tip.style.display="none";});}
`;

export function table(rows: readonly (readonly string[])[], head: readonly string[] = []): string {
  const headRow = head.length === 0 ? "" : `<tr>${head.map((cell) => `<th>${escapeHtml(cell)}</th>`).join("")}</tr>`;
  const body = rows.map((cells) => `<tr>${cells.map((cell, i) => (i === 0 && head.length === 0 ? `<th>${escapeHtml(cell)}</th>` : `<td>${escapeHtml(cell)}</td>`)).join("")}</tr>`);
  return `<table>${headRow}${body.join("")}</table>`;
}

export function htmlPage({ title, about, tiles, cards, tables }: Page): string {
  const tileList = tiles.map(({ name, value, isBad = false }) => `<div class="tile${isBad ? " bad" : ""}"><b>${escapeHtml(value)}</b><span>${escapeHtml(name)}</span></div>`);
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1"><title>${escapeHtml(title)}</title><style>${STYLE}</style></head>
<body><main><h1>${escapeHtml(title)}</h1><p class="lead">${escapeHtml(about)}</p>
<div class="tiles">${tileList.join("")}</div>
<div class="cards">${cards.join("\n")}</div>
${tables.join("\n")}
<footer>muster ${escapeHtml(VERSION)} · times are virtual unless they say otherwise</footer></main><div id="tip"></div><script>${SCRIPT}</script></body></html>
`;
}
