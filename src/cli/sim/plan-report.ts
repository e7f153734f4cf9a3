/** The plan as a page. */
import { lineChart } from "./charts.ts";
import type { Plan, PlanChoice } from "./plan.ts";
import { htmlPage, table } from "./report-page.ts";

export function planReport(choice: PlanChoice, plan: Plan): string {
  const { nodes, fanout, gossipIntervalMs, lossPercent, profile, seed } = choice;
  const rate = (bytes: number): string => `${((8 * bytes) / 1000).toFixed(1)} kbit/s`;
  const xMax = plan.points.at(-1)?.seconds ?? 1;
  return htmlPage({
    title: `Plan: ${nodes} nodes`,
    about: `profile ${profile}, gossip to ${fanout} nodes every ${gossipIntervalMs} ms, ${lossPercent} % of the packets lost, seed ${seed}`,
    tiles: [
      { name: "99.9 % have it, formula", value: `${plan.formulaSeconds.toFixed(2)} s` },
      { name: "99.9 % have it, simulated", value: plan.simulatedSeconds === null ? "never" : `${plan.simulatedSeconds.toFixed(2)} s` },
      { name: "gossip per node, formula, at most", value: rate(plan.formulaBytesPerSecond) },
      { name: "per node at rest, simulated", value: rate(plan.idleBytesPerSecond) },
      { name: "per node with events, simulated", value: rate(plan.spreadBytesPerSecond) },
    ],
    cards: [
      lineChart({
        title: "How one event spreads",
        about: "Share of the nodes that have it, by time since it was sent",
        series: [
          { name: "formula", points: plan.points.map(({ seconds, formula }) => [seconds, formula] as const) },
          { name: "simulated", points: plan.points.map(({ seconds, simulated }) => [seconds, simulated] as const) },
        ],
        xMax,
        yMax: 1.05,
        format: (y) => `${(100 * y).toFixed(1)} %`,
        spans: [],
      }),
    ],
    tables: [
      `<section class="card" style="margin-top:16px"><h2>Points</h2>${table(
        plan.points.map(({ seconds, formula, simulated }) => [`${seconds.toFixed(2)} s`, `${(100 * formula).toFixed(2)} %`, `${(100 * simulated).toFixed(2)} %`]),
        ["after", "formula", "simulated"],
      )}</section>`,
    ],
  });
}
