/** `muster sim`: plays one scenario in the simulator and tells what came out. Exit 0: all is well; 1: a checker complained; 2: wrong words. */
import { readFileSync, writeFileSync } from "node:fs";
import { SCENARIOS } from "../../sim/scenarios.ts";
import { NODES_MAX, NODES_MIN, readScenario } from "../../sim/scenario-file.ts";
import type { Scenario } from "../../sim/scenario.ts";
import type { CodecMode } from "../../sim/sim-codec.ts";
import { DIVIDED_NODES_MIN, DIVIDED_THREADS, THREADS_MAX, threadsByDefault, whyUndivided } from "../../sim/shards/dividable.ts";
import { fail, ok, type Result } from "../../base/result.ts";
import { usageText } from "../command.ts";
import type { CliContext } from "../context.ts";
import { parseFlags, type FlagValues } from "../flags.ts";
import { measuredRun } from "./measured-run.ts";
import { defaultsOf, makePlan, planText, type PlanChoice } from "./plan.ts";
import { planReport } from "./plan-report.ts";
import { replayCommand } from "./play.ts";
import { htmlReport } from "./report.ts";
import { playDivided, type ShardStarter } from "./shard-threads.ts";
import { summaryOf, summaryTable } from "./summary.ts";
import { chooseStudy, runStudy, STUDIES } from "./study.ts";
import { StudyError } from "./study-detection.ts";
import { GRIDS } from "./study-lifeguard.ts";
import { openTrace, type TraceFile } from "./trace-file.ts";

const FLAGS = {
  scenario: { kind: "string", value: "<name|file.json>", help: `What happens: ${[...SCENARIOS.keys()].join(", ")}, or a scenario file. Default steady.` },
  nodes: { kind: "int", value: "<count>", help: `Number of nodes, ${NODES_MIN} to ${NODES_MAX}. Default: the scenario's.` },
  seed: { kind: "int", value: "<number>", help: "All that is random comes from it: the same seed is the same run. Default 1." },
  profile: { kind: "string", value: "<lan|wan|local>", help: "Timing of the nodes. Default: the scenario's." },
  duration: { kind: "duration", value: "<time>", help: "Virtual time that the run lasts at least, such as 90s or 24h; it ends when the cluster has healed." },
  codec: {
    kind: "string",
    value: "<full|sampled|off>",
    help: "How many of the packets are really encoded: all, one in 31, or none. Does not change what happens. Default full up to 200 nodes, sampled above.",
  },
  original: { kind: "bool", value: "", help: "Use the original's constants, without our floors and repairs; expectations on latency are not asked." },
  json: { kind: "bool", value: "", help: "One JSON object on stdout instead of the table." },
  report: { kind: "string", value: "<file.html>", help: "Write a page with charts: one file, no network needed." },
  trace: { kind: "string", value: "<file>", help: "Write a line for each input of each node." },
  plan: { kind: "bool", value: "", help: "How fast one event reaches everybody and what it costs, from the formula and from the simulator. Uses -nodes, -profile, -seed, -interval, -fanout and -loss." },
  study: { kind: "string", value: `<${STUDIES.join("|")}>`, help: "Measure a figure of the papers: rounds to the first probe and periods to the first suspicion of a crashed member, or false failures with and without Lifeguard. Uses -nodes, -seed, -profile and the next two." },
  trials: { kind: "int", value: "<count>", help: "With -study: crashes to look at (default 1500), or runs of each cell of the grid (default 1)." },
  grid: { kind: "string", value: `<${Object.keys(GRIDS).join("|")}>`, help: "With -study=lifeguard: how much of the paper's grid of stalls. Default coarse." },
  threads: { kind: "int", value: "<count>", help: `Threads that play the run, each some of its nodes, 1 to ${THREADS_MAX}; only where the cluster stands from the beginning and nothing happens but crashes and events. Part of what names a run, as the seed is. Worth it with thousands of nodes that gossip much, and a core for each thread that nobody else uses. Default ${DIVIDED_THREADS} where that is possible with ${DIVIDED_NODES_MIN} nodes or more, else 1.` },
  interval: { kind: "duration", value: "<time>", help: "With -plan: time between two rounds of gossip. Default: the profile's." },
  fanout: { kind: "int", value: "<count>", help: "With -plan: nodes told in a round, 1 to 20. Default: the profile's." },
  loss: { kind: "int", value: "<percent>", help: "With -plan: packets lost, 0 to 80 %. Default 0." },
} as const;

const USAGE = usageText({
  synopsis: "muster sim [options]",
  about: [
    "Plays a cluster of production nodes on a virtual clock and a seeded network,",
    "checks the protocol's rules after each step, and prints what came out.",
    "Progress goes to stderr. Exits with 1 when a rule was broken.",
  ],
  flags: FLAGS,
  examples: ["muster sim -scenario=partition-heal -nodes=40 -seed=7", "muster sim -scenario=crash-1pct -nodes=300 -json -report=crash.html", "muster sim -plan -nodes=200 -loss=10", "muster sim -study=detection"],
});

type Flags = FlagValues<typeof FLAGS>;

/** Full up to here, unless `-codec` says otherwise: encoding everything is what costs most. */
const CODEC_FULL_NODES = 200;
const SEED_MAX = 0xffff_ffff;
const WRONG_WORDS = 2;
const HELP_FLAGS: readonly string[] = ["-h", "-help", "--help"];

interface Choice {
  readonly scenario: Scenario;
  /** As on the command line. */
  readonly named: string;
  readonly seed: number;
  readonly codec: CodecMode;
  readonly threads: number;
}

/** `startShards`: starts threads for the shards of a run besides the first; null: all are played on this one. */
export function runSim(context: CliContext, words: readonly string[], startShards: ShardStarter | null = null): number {
  if (words.some((word) => HELP_FLAGS.includes(word))) {
    context.err(USAGE);
    return 0;
  }
  const parsed = parseFlags(FLAGS, words);
  if (!parsed.ok) return complain(context, parsed.error);
  if (parsed.args.length > 0) return complain(context, `there are no arguments besides flags: "${parsed.args[0] as string}"`);
  if (parsed.flags.study !== undefined) return study(context, parsed.flags, parsed.flags.study);
  for (const name of ["trials", "grid"] as const) if (parsed.flags[name] !== undefined) return complain(context, `-${name} goes with -study only`);
  if (parsed.flags.plan === true) return plan(context, parsed.flags);
  for (const name of ["interval", "fanout", "loss"] as const) if (parsed.flags[name] !== undefined) return complain(context, `-${name} goes with -plan only`);
  const choice = choose(parsed.flags);
  return choice.ok ? play(context, choice.value, parsed.flags, startShards) : complain(context, choice.error);
}

function complain(context: CliContext, error: string): number {
  context.err(`${error}\nhint: \`muster sim -h\` shows the flags`);
  return WRONG_WORDS;
}

/** Flags of a run that would have no effect on a plan. */
const RUN_ONLY = ["scenario", "duration", "codec", "original", "trace", "threads"] as const;
const PLAN_NODES = 100;
const FANOUT_MAX = 20;
const LOSS_PERCENT_MAX = 80;
const INTERVAL_MS_MIN = 10;
const INTERVAL_MS_MAX = 10_000;

function choosePlan(flags: Flags): Result<PlanChoice> {
  const common = checkCommon(flags);
  if (!common.ok) return common;
  for (const name of RUN_ONLY) if (flags[name] !== undefined) return fail(`-${name} does not go with -plan`);
  const { nodes = PLAN_NODES, seed = 1, loss: lossPercent = 0 } = flags;
  const profile = common.value ?? "lan";
  const { gossipIntervalMs, gossipNodes } = defaultsOf(profile);
  const { interval = gossipIntervalMs, fanout = gossipNodes } = flags;
  if (interval < INTERVAL_MS_MIN || interval > INTERVAL_MS_MAX) return fail(`-interval: it must be from ${INTERVAL_MS_MIN}ms to ${INTERVAL_MS_MAX / 1000}s`);
  if (fanout < 1 || fanout > FANOUT_MAX) return fail(`-fanout: ${fanout} is not from 1 to ${FANOUT_MAX}`);
  if (lossPercent < 0 || lossPercent > LOSS_PERCENT_MAX) return fail(`-loss: ${lossPercent} is not from 0 to ${LOSS_PERCENT_MAX}`);
  return ok({ nodes, profile, gossipIntervalMs: interval, fanout, lossPercent, seed });
}

function plan(context: CliContext, flags: Flags): number {
  const choice = choosePlan(flags);
  if (!choice.ok) return complain(context, choice.error);
  const tried = tryReport(flags.report);
  if (tried !== null) return complain(context, tried);
  const made = makePlan(choice.value, (text) => context.err(`plan: ${text}`));
  context.out(flags.json === true ? JSON.stringify({ ...choice.value, ...made }) : planText(choice.value, made));
  if (flags.report !== undefined) writeFileSync(flags.report, planReport(choice.value, made));
  return 0;
}

/** Flags that would have no effect on a study. */
const NOT_IN_STUDY = [...RUN_ONLY, "plan", "interval", "fanout", "loss"] as const;

function study(context: CliContext, flags: Flags, named: string): number {
  for (const name of NOT_IN_STUDY) if (flags[name] !== undefined) return complain(context, `-${name} does not go with -study`);
  const common = checkCommon(flags);
  if (!common.ok) return complain(context, common.error);
  const { nodes, trials, grid, seed = 1, report } = flags;
  const sizes = { ...(nodes === undefined ? {} : { nodes }), ...(trials === undefined ? {} : { trials }), ...(grid === undefined ? {} : { grid }) };
  const choice = chooseStudy({ study: named, profile: common.value, seed, ...sizes });
  if (!choice.ok) return complain(context, choice.error);
  const tried = tryReport(report);
  if (tried !== null) return complain(context, tried);
  try {
    runStudy(context, choice.value, { json: flags.json === true, report: report ?? null });
    return 0;
  } catch (error) {
    if (!(error instanceof StudyError)) throw error;
    context.err(error.message);
    return 1;
  }
}

/** What is wrong with the path; tried before the run, since an hour of simulation must not end in a path that does not exist. */
function tryReport(path: string | undefined): string | null {
  if (path === undefined) return null;
  try {
    writeFileSync(path, "");
    return null;
  } catch (error) {
    return `-report: ${error instanceof Error ? error.message : String(error)}`;
  }
}

/** The profile, when it was given. */
function checkCommon({ nodes = NODES_MIN, seed = 1, profile }: Flags): Result<Scenario["profile"] | null> {
  if (nodes < NODES_MIN || nodes > NODES_MAX) return fail(`-nodes: ${nodes} is not from ${NODES_MIN} to ${NODES_MAX}`);
  if (seed < 0 || seed > SEED_MAX) return fail(`-seed: ${seed} is not from 0 to ${SEED_MAX}`);
  if (profile === undefined || profile === "lan" || profile === "wan" || profile === "local") return ok(profile ?? null);
  return fail(`-profile: "${profile}" is none of lan, wan, local`);
}

function choose(flags: Flags): Result<Choice> {
  const { nodes = null, seed = 1, duration } = flags;
  const common = checkCommon(flags);
  if (!common.ok) return common;
  if (duration !== undefined && duration <= 0) return fail("-duration: it must be above zero, such as 90s");
  const { codec } = flags;
  if (codec !== undefined && codec !== "full" && codec !== "sampled" && codec !== "off") return fail(`-codec: "${codec}" is none of full, sampled, off`);
  const named = flags.scenario ?? "steady";
  const found = findScenario(named, nodes, seed);
  if (!found.ok) return found;
  const base = found.value;
  const profile = common.value ?? base.profile;
  // A bound in seconds belongs to the timing that the scenario was written for.
  const expect = profile === base.profile ? base.expect : { ...base.expect, detectedWithinMs: null, eventLatency: null };
  const scenario = { ...base, profile, expect, durationMs: duration ?? base.durationMs };
  const mode = codec ?? (scenario.nodes <= CODEC_FULL_NODES ? "full" : "sampled");
  const threads = chooseThreads(flags, scenario, mode);
  return threads.ok ? ok({ scenario, named, seed, codec: mode, threads: threads.value }) : threads;
}

/** As wanted, unless the scenario cannot be divided or something is asked that takes all nodes on one thread. */
function chooseThreads({ threads: wanted, trace }: Flags, scenario: Scenario, codec: CodecMode): Result<number> {
  let reason = whyUndivided(scenario);
  if (codec === "full") reason ??= "-codec=full encodes all";
  if (trace !== undefined) reason ??= "-trace writes one file";
  const threads = wanted ?? (reason === null ? threadsByDefault(scenario) : 1);
  if (threads < 1 || threads > Math.min(THREADS_MAX, scenario.nodes)) return fail(`-threads: ${threads} is not from 1 to ${Math.min(THREADS_MAX, scenario.nodes)}`);
  return threads === 1 || reason === null ? ok(threads) : fail(`-threads: this run is played by one thread, because ${reason}`);
}

/** A built-in scenario by its name, or what a file says. */
export function findScenario(named: string, nodes: number | null, seed: number): Result<Scenario> {
  const builtIn = SCENARIOS.get(named);
  if (builtIn !== undefined) return ok(builtIn.build(nodes ?? builtIn.nodesDefault, seed));
  if (!named.includes("/") && !named.endsWith(".json")) {
    return fail(`-scenario: there is no "${named}"; choose one of ${[...SCENARIOS.keys()].join(", ")}, or give the path of a .json file`);
  }
  let text: string;
  try {
    text = readFileSync(named, "utf8");
  } catch (error) {
    return fail(`-scenario: ${error instanceof Error ? error.message : String(error)}`);
  }
  const read = readScenario(named, text);
  return read.ok && nodes !== null ? ok({ ...read.value, nodes }) : read;
}

function play(context: CliContext, choice: Choice, flags: Flags, startShards: ShardStarter | null): number {
  let trace: TraceFile | null = null;
  const tried = tryReport(flags.report);
  if (tried !== null) return complain(context, tried);
  try {
    if (flags.trace !== undefined) trace = openTrace(flags.trace);
  } catch (error) {
    return complain(context, `-trace: ${error instanceof Error ? error.message : String(error)}`);
  }
  const { scenario, named, seed, codec, threads } = choice;
  const original = flags.original ?? false;
  const label = `${scenario.name}, ${scenario.nodes} nodes, seed ${seed}, codec ${codec}`;
  context.err(`${label}: ${scenario.about}`);
  const tell = (text: string): void => context.err(`${label}: ${text}`);
  const measured =
    threads === 1 ? measuredRun(scenario, { seed, codec, original, trace: trace?.line ?? null }, tell) : playDivided({ scenario, seed, codec, original }, threads, startShards, tell);
  trace?.close();
  const summary = summaryOf(scenario, measured);
  context.out(flags.json === true ? JSON.stringify(summary) : summaryTable(summary, measured));
  const replay = replayCommand({ scenario: named, seed, nodes: scenario.nodes, codec, original, profile: flags.profile, durationMs: flags.duration, threads });
  if (flags.report !== undefined) writeFileSync(flags.report, htmlReport(scenario, summary, measured, replay));
  if (summary.violations.length === 0) return 0;
  for (const { atSeconds, checker, text } of summary.violations) context.err(`at ${atSeconds.toFixed(6)} s, ${checker}: ${text}`);
  context.err(`replay: ${replay}`);
  return 1;
}
