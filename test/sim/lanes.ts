/**
 * Runs for the bar "packet lanes change nothing": production nodes behind modelled lanes, under reordering, duplication, loss, shedding, dying
 * lanes, kills, restarts and pauses, once with the repeat filter and once without. `npm run sim -- --lanes` plays many seeds.
 */
import { toHex } from "../../src/base/bytes.ts";
import { encodeUtf8 } from "../../src/base/utf8.ts";
import { Re2Matcher } from "../../src/io/matcher.ts";
import { replaySnapshot } from "../../src/serf/snapshot.ts";
import { clusterFactory } from "../../src/sim/cluster-machine.ts";
import { laneFactory, newLaneTotals, type LaneMistake, type LaneTotals } from "../../src/sim/lane-model.ts";
import type { KeyOperation } from "../../src/serf/types.ts";
import type { Host } from "../../src/sim/host.ts";
import type { Scenario, Step } from "../../src/sim/scenario.ts";
import type { RunReport } from "../../src/sim/run-report.ts";
import { ScenarioRun } from "../../src/sim/scenario-run.ts";
import { SCENARIOS } from "../../src/sim/scenarios.ts";
import type { Simulation } from "../../src/sim/simulation.ts";
import { PROFILES } from "../../src/swim/profiles.ts";

export interface LaneChoice {
  readonly seed: number;
  readonly nodes: number;
  readonly filter: boolean;
  readonly mistake: LaneMistake | null;
}

export interface LaneRun {
  readonly report: RunReport;
  readonly totals: LaneTotals;
  /** Everything that the nodes know at the end, one readable line per fact. */
  readonly finalState: readonly string[];
}

/** `mixed-faults` on a network that reorders and duplicates a lot. */
function scenarioOf(nodes: number): Scenario {
  const mixed = SCENARIOS.get("mixed-faults")?.build(nodes, 1);
  if (mixed === undefined) throw new Error("there is no scenario mixed-faults");
  return { ...mixed, name: "lanes", network: { ...mixed.network, tailPpm: 100_000, duplicatePpm: 50_000 } };
}

function prepare(scenario: Scenario, { seed, filter, mistake }: LaneChoice, keys: readonly string[]): { readonly run: ScenarioRun; readonly totals: LaneTotals } {
  const totals = newLaneTotals();
  const profile = PROFILES[scenario.profile];
  const nodes = clusterFactory({ profile, matcher: new Re2Matcher(), packetOverheadBytes: 29, overrides: { encrypted: () => keys.length > 0 } });
  let sim: Simulation | null = null;
  const overloadedUntilUs = scenario.expect.faultsEndMs * 1000;
  const factory = laneFactory(
    nodes,
    {
      filter,
      mistake,
      keys,
      overloaded: () => sim !== null && keys.length === 0 && sim.nowUs < overloadedUntilUs,
      violate: (checker, text) => sim?.violate(checker, text),
    },
    totals,
  );
  const run = new ScenarioRun(scenario, {
    seed,
    factory,
    codec: null,
    codecMode: "off",
    messages: null,
    acceptTimeoutMs: profile.tcpTimeoutMs,
    readSnapshot: (text) => replaySnapshot(encodeUtf8(text), false),
    eventBufferSize: 512,
    serfQueueMax: 2 * 4_096,
    trace: null,
    progress: null,
  });
  sim = run.sim;
  return { run, totals };
}

export function runLanes(choice: LaneChoice): LaneRun {
  const { run, totals } = prepare(scenarioOf(choice.nodes), choice, []);
  const report = run.run();
  return { report, totals, finalState: describe(run) };
}

/** Members with status and tags, SWIM's table, clocks, and which events were delivered in which run of the process. */
function describe({ sim, ledger }: ScenarioRun): string[] {
  const lines: string[] = [];
  for (const host of sim.hosts) {
    const { machine, name } = host;
    if (machine === null) {
      lines.push(`${name} does not run`);
      continue;
    }
    const { gauges } = machine.view;
    lines.push(`${name} clocks ${gauges.memberClock} ${gauges.eventClock} ${gauges.queryClock}`);
    for (const member of machine.view.members()) lines.push(`${name} member ${member.name} ${member.status} ${member.ip}:${member.port} ${JSON.stringify([...member.tags])}`);
    for (let row = 0; row < gauges.table.size; row += 1) {
      lines.push(`${name} swim ${gauges.table.nameAt(row)} ${gauges.table.stateAt(row)} ${gauges.table.incarnationAt(row)}`);
    }
    for (const event of ledger.events) if (event.deliveredAtUs(host.index) >= 0) lines.push(`${name} event ${event.name}`);
  }
  lines.push(`queries ${ledger.queriesSent} acks ${ledger.queryAcks} responses ${ledger.queryResponses}`);
  return lines.sort();
}

/** What differs between a run with the filter and the same run without; empty when nothing does. */
export function laneDifferences(seed: number, nodes: number, mistake: LaneMistake | null): { readonly differences: readonly string[]; readonly filtered: LaneRun } {
  const plain = runLanes({ seed, nodes, filter: false, mistake: null });
  const filtered = runLanes({ seed, nodes, filter: true, mistake });
  const differences = [...plain.report.violations, ...filtered.report.violations].map(({ atUs, checker, text }) => `at ${atUs / 1e6} s, ${checker}: ${text}`);
  if (plain.report.traceHash !== filtered.report.traceHash) differences.push(`the runs part: ${plain.report.traceHash} ${filtered.report.traceHash}`);
  const without = new Set(plain.finalState);
  const withFilter = new Set(filtered.finalState);
  for (const line of without) if (!withFilter.has(line)) differences.push(`only without the filter: ${line}`);
  for (const line of withFilter) if (!without.has(line)) differences.push(`only with the filter: ${line}`);
  return { differences, filtered };
}

const NEW_KEY = "bmV3IGtleSBmb3IgdGhlIHNpbXVsYXRlZCBub2RlcyE=";
/** As the lanes know keys: hexadecimal. */
const OLD_RING = [toHex(encodeUtf8("old key of the simulated nodes!!"))];

/**
 * A cluster changes its gossip key while events fly: install, use and remove, each given when everybody has answered the one before. Every
 * packet must open all the while. What went wrong; empty when all went well.
 */
export function keyRotationProblems(seed: number, nodes: number, mistake: LaneMistake | null): string[] {
  const steady = SCENARIOS.get("steady")?.build(nodes, 1);
  if (steady === undefined) throw new Error("there is no scenario steady");
  const events: Step = { atMs: 5_000, overMs: 20_000, action: { kind: "events", nodes: { kind: "all" }, count: 200, bytes: 32 } };
  const { run } = prepare({ ...steady, steps: [...steady.steps, events] }, { seed, nodes, filter: true, mistake }, OLD_RING);
  const { sim } = run;
  const problems: string[] = [];
  const operations: [KeyOperation, string][] = [
    ["install", NEW_KEY],
    ["use", NEW_KEY],
    ["remove", Buffer.from(OLD_RING[0] ?? "", "hex").toString("base64")],
  ];
  let done = 0;
  const next = (): void => {
    const [operation, key] = operations[done] ?? [];
    if (operation === undefined || key === undefined) return;
    sim.command(
      sim.hosts[0] as Host,
      (request) => ({ kind: "keys", request, operation, key }),
      (effect) => {
        if (effect.kind !== "reply") return;
        problems.push(...effect.errors.map((error) => `${operation}: ${error}`));
        done += 1;
        sim.after(1_000, next);
      },
    );
  };
  sim.after(10_000_000, next);
  const { violations } = run.run();
  problems.push(...violations.map(({ checker, text }) => `${checker}: ${text}`));
  if (violations.length === 0 && done < operations.length) problems.push(`only ${done} of ${operations.length} key changes were answered`);
  return problems;
}

/** Plays the seeds and prints a line for each; the number of seeds with differences. */
export function playLanes(first: number, last: number, nodes: number, print: (line: string) => void): number {
  let failed = 0;
  const sums = newLaneTotals();
  for (let seed = first; seed <= last; seed += 1) {
    const { differences, filtered } = laneDifferences(seed, nodes, null);
    const rotation = keyRotationProblems(seed, nodes, null);
    const problems = [...differences, ...rotation];
    const { totals, report } = filtered;
    for (const name of Object.keys(sums) as (keyof LaneTotals)[]) sums[name] += totals[name];
    if (problems.length > 0) failed += 1;
    print(`lanes seed ${seed}: ${report.messages} messages, ${totals.repeats} repeats left out, ${totals.shed} shed, ${totals.lost} lost with lanes; ${problems.join("; ") || "equal"}`);
  }
  print(`${last - first + 1} seeds with ${nodes} nodes, ${failed} with differences: ${JSON.stringify(sums)}`);
  return failed;
}
