/**
 * `muster sim -study=lifeguard`: false failures while some members get no CPU, after the experiment of the Lifeguard paper (Dadgar, Phillips, Currey
 * 2018, section V): of 128 members `stalled` are blocked together for `durationMs`, run for `intervalMs`, are blocked again, for two minutes.
 *
 * A false failure is a report, by any node, that a member failed which was never stalled; "at healthy nodes" counts those reported by nodes that were
 * never stalled themselves: the paper's FP and FP−. The variants are the production node with
 *  SWIM       no Lifeguard: a fixed suspicion timeout of α·max(1, log10 n) probe intervals, no local health, no Buddy System. (Independent
 *             suspicions are still passed on, which tells the suspect sooner than plain SWIM would.)
 *  Lifeguard  the paper's α = 5, β = 6, K = 3, S = 8.
 *  lan        what `-profile=lan` runs: α = 4, K = 2, with our longer gossip, and pauses of one's own forgiven. The other two have none of that.
 */
import { QUIET_NETWORK } from "../../sim/network.ts";
import type { Scenario } from "../../sim/scenario.ts";
import type { SerfEvent } from "../../serf/types.ts";
import type { SwimProfile } from "../../swim/types.ts";
import { StudyError } from "./study-detection.ts";
import { blockable, type BlockedMachine } from "./blocked-machine.ts";
import { prepare } from "./play.ts";

export interface LifeguardChoice {
  readonly nodes: number;
  readonly grid: keyof typeof GRIDS;
  /** Runs of each cell, with seeds from `seed` on. */
  readonly trials: number;
  readonly seed: number;
}

interface Grid {
  readonly stalled: readonly number[];
  readonly durationsMs: readonly number[];
  readonly intervalsMs: readonly number[];
}

/** `paper` is the whole of it, 432 cells; `coarse` a ninth of that: every second or third step, without the stalls of two seconds and less, which end long before a suspicion does. */
export const GRIDS = {
  paper: { stalled: [1, 4, 8, 12, 16, 20, 24, 28, 32], durationsMs: [128, 512, 2_048, 8_192, 16_384, 32_768], intervalsMs: [1, 4, 16, 64, 256, 1_024, 4_096, 16_384] },
  coarse: { stalled: [1, 8, 16, 32], durationsMs: [8_192, 16_384, 32_768], intervalsMs: [1, 64, 1_024, 16_384] },
  tiny: { stalled: [8, 16], durationsMs: [16_384], intervalsMs: [64] },
} as const satisfies Readonly<Record<string, Grid>>;

interface Variant {
  readonly name: string;
  readonly original: boolean;
  readonly tuning: Partial<SwimProfile>;
}

/** α and β of the paper, and S. K follows from α. */
const PAPER = { suspicionMult: 5, suspicionMaxTimeoutMult: 6, awarenessMaxMultiplier: 8 } as const;

export const VARIANTS: readonly Variant[] = [
  { name: "SWIM", original: true, tuning: { ...PAPER, suspicionMaxTimeoutMult: 1, awarenessMaxMultiplier: 1, tellsSuspects: false } },
  { name: "Lifeguard", original: true, tuning: PAPER },
  { name: "lan", original: false, tuning: {} },
];

export interface Tally {
  readonly variant: string;
  /** False failures, at all nodes and at healthy ones. */
  readonly all: number;
  readonly atHealthy: number;
  readonly datagrams: number;
  readonly bytes: number;
}

export interface Cell {
  readonly stalled: number;
  readonly durationMs: number;
  readonly intervalMs: number;
  readonly seed: number;
  readonly tallies: readonly Tally[];
}

export interface LifeguardStudy {
  readonly study: "lifeguard";
  readonly nodes: number;
  readonly grid: string;
  readonly seedFirst: number;
  readonly seedLast: number;
  readonly cells: readonly Cell[];
  readonly totals: readonly Tally[];
  /** How many times fewer false failures than SWIM has, by variant; null when there were none. */
  readonly fewer: readonly { readonly variant: string; readonly all: number | null; readonly atHealthy: number | null }[];
}

const FORM_MS = 20_000;
const STALLS_MS = 120_000;
/** What the stalled members have to say is heard after the last stall. */
const AFTER_MS = 20_000;

function scenarioOf(nodes: number, { durationMs, intervalMs }: Pick<Cell, "durationMs" | "intervalMs">): Scenario {
  const all = { kind: "all" } as const;
  const cycleMs = durationMs + intervalMs;
  const endMs = FORM_MS + Math.ceil(STALLS_MS / cycleMs) * cycleMs + AFTER_MS;
  const expect = { faultsEndMs: endMs, convergedWithinMs: 600_000, quietWithinMs: 600_000, noFalseFailures: false, leftIsLeft: false, eventsWithinMs: Infinity, detectedWithinMs: null, eventLatency: null };
  return {
    name: "lifeguard",
    about: "some members stop together, run for a moment, stop again",
    nodes,
    profile: "lan",
    network: QUIET_NETWORK,
    clockDriftPpmMax: 200,
    steps: [
      { atMs: 0, overMs: 0, action: { kind: "start", nodes: all } },
      { atMs: 0, overMs: 5_000, action: { kind: "join", nodes: { kind: "others" }, to: { kind: "earlier" } } },
    ],
    expect,
    durationMs: endMs,
  };
}

/** One variant in one cell. Only the time of the stalls and a little after is played: whether all agree afterwards is another question. */
function tallyOf({ name, original, tuning }: Variant, nodes: number, cell: Omit<Cell, "tallies">): Tally {
  const scenario = scenarioOf(nodes, cell);
  const { stalled, durationMs, intervalMs } = cell;
  const machines: BlockedMachine[] = [];
  const { sim } = prepare(scenario, { seed: cell.seed, codec: "off", original, tuning, wrap: (factory) => blockable(factory, machines) });
  const healthy = nodes - stalled;
  const names = new Set(sim.hosts.slice(0, healthy).map((host) => host.name));
  let all = 0;
  let atHealthy = 0;
  sim.observe({
    delivered(node: number, event: SerfEvent) {
      if (event.kind !== "members" || event.type !== "member-failed") return;
      const wrong = event.members.filter((member) => names.has(member.name)).length;
      all += wrong;
      if (node < healthy) atHealthy += wrong;
    },
  });
  const lastMs = scenario.durationMs - AFTER_MS - durationMs - intervalMs;
  for (let atMs = FORM_MS; atMs <= lastMs; atMs += durationMs + intervalMs) {
    const endUs = (atMs + durationMs) * 1000;
    for (const host of sim.hosts.slice(healthy)) {
      sim.after(atMs * 1000, () => machines[host.index]?.block(host.localMs(endUs)));
      sim.after(endUs, () => machines[host.index]?.takeReceived().forEach((input) => sim.command(host, () => input)));
    }
  }
  sim.runUntil(scenario.durationMs * 1000);
  const violation = sim.violations[0];
  if (violation !== undefined) throw new StudyError(`${name}, ${JSON.stringify(cell)}: ${violation.checker}: ${violation.text}`);
  return { variant: name, all, atHealthy, datagrams: sim.stats.datagrams, bytes: sim.stats.bytes };
}

export function playCell(nodes: number, cell: Omit<Cell, "tallies">): Cell {
  return { ...cell, tallies: VARIANTS.map((variant) => tallyOf(variant, nodes, cell)) };
}

export function studyLifeguard({ nodes, grid, trials, seed }: LifeguardChoice, tell: (text: string) => void): LifeguardStudy {
  const { stalled, durationsMs, intervalsMs } = GRIDS[grid];
  const cells: Cell[] = [];
  const count = stalled.length * durationsMs.length * intervalsMs.length * trials;
  for (let trial = 0; trial < trials; trial += 1) {
    for (const stalledCount of stalled) {
      for (const durationMs of durationsMs) {
        for (const intervalMs of intervalsMs) {
          const cell = playCell(nodes, { stalled: stalledCount, durationMs, intervalMs, seed: seed + trial });
          cells.push(cell);
          const found = cell.tallies.map(({ variant, atHealthy }) => `${variant} ${atHealthy}`).join(", ");
          tell(`${cells.length} of ${count}: ${stalledCount} stalled for ${durationMs} ms, running for ${intervalMs} ms, seed ${cell.seed}: ${found}`);
        }
      }
    }
  }
  return summarise(nodes, grid, cells);
}

/** Sums over all cells. */
export function summarise(nodes: number, grid: string, cells: readonly Cell[]): LifeguardStudy {
  const totals = VARIANTS.map(({ name }) => sumOf(name, cells));
  const base = totals[0] as Tally;
  const seeds = cells.map(({ seed }) => seed);
  return {
    study: "lifeguard",
    nodes,
    grid,
    seedFirst: Math.min(...seeds),
    seedLast: Math.max(...seeds),
    cells,
    totals,
    fewer: totals.slice(1).map(({ variant, all, atHealthy }) => ({ variant, all: ratio(base.all, all), atHealthy: ratio(base.atHealthy, atHealthy) })),
  };
}

export function sumOf(variant: string, cells: readonly Cell[]): Tally {
  let sum: Tally = { variant, all: 0, atHealthy: 0, datagrams: 0, bytes: 0 };
  for (const { tallies } of cells) {
    for (const tally of tallies) {
      if (tally.variant !== variant) continue;
      sum = { variant, all: sum.all + tally.all, atHealthy: sum.atHealthy + tally.atHealthy, datagrams: sum.datagrams + tally.datagrams, bytes: sum.bytes + tally.bytes };
    }
  }
  return sum;
}

function ratio(base: number, count: number): number | null {
  return count === 0 ? null : base / count;
}
