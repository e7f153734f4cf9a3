/** One run of a built-in scenario with production nodes: shared by the tests and `npm run sim`. */
import { encodeUtf8 } from "../../src/base/utf8.ts";
import { Re2Matcher } from "../../src/io/matcher.ts";
import { replaySnapshot } from "../../src/serf/snapshot.ts";
import { clusterFactory } from "../../src/sim/cluster-machine.ts";
import { FakeSealer } from "../../src/sim/fake-sealer.ts";
import { ScenarioRun, type RunReport } from "../../src/sim/scenario-run.ts";
import type { Scenario } from "../../src/sim/scenario.ts";
import { SCENARIOS } from "../../src/sim/scenarios.ts";
import type { CodecMode } from "../../src/sim/sim-codec.ts";
import { wireCodec } from "../../src/sim/wire-codec.ts";
import { PROFILES } from "../../src/swim/profiles.ts";
import type { SwimProfile } from "../../src/swim/types.ts";

export interface RunChoice {
  readonly scenario: string;
  readonly seed: number;
  /** Null: as many as the scenario likes. */
  readonly nodes: number | null;
  readonly codec: CodecMode;
  /** The original's constants, without our floors and repairs; what a scenario expects of ours is then not asked. */
  readonly original: boolean;
  readonly trace?: ((line: string) => void) | null;
  readonly progress?: ((virtualMs: number) => void) | null;
}

/** AES-GCM version 1, which the fake sealer imitates. */
const SEAL_BYTES = 29;
/** Serf prunes its queues to this every 30 s; what comes in between may stand above it. */
const SERF_QUEUE_MAX = 2 * 4_096;
const EVENT_BUFFER_SIZE = 512;

/** No retransmit floor, and an early push/pull that is no earlier than the periodic one. */
function originalProfile(profile: SwimProfile): SwimProfile {
  return { ...profile, retransmitMargin: -100, earlySyncMs: profile.pushPullIntervalMs };
}

/** Safety is still checked, and convergence within ten minutes. */
function withoutBars(script: Scenario): Scenario {
  const expect = { ...script.expect, convergedWithinMs: 600_000, noFalseFailures: false, eventsWithinMs: Infinity, eventLatency: null };
  return { ...script, expect };
}

export function prepareScenario({ scenario, seed, nodes, codec, original, trace = null, progress = null }: RunChoice): ScenarioRun {
  const builtIn = SCENARIOS.get(scenario);
  if (builtIn === undefined) throw new Error(`there is no scenario ${scenario}`);
  const ours = builtIn.build(nodes ?? builtIn.nodesDefault);
  const script = original ? withoutBars(ours) : ours;
  const profile = original ? originalProfile(PROFILES[script.profile]) : PROFILES[script.profile];
  const sealer = new FakeSealer(true);
  return new ScenarioRun(script, {
    seed,
    factory: clusterFactory({ profile, matcher: new Re2Matcher(), packetOverheadBytes: SEAL_BYTES, overrides: {} }),
    codec: wireCodec(sealer, true),
    codecMode: codec,
    acceptTimeoutMs: profile.tcpTimeoutMs,
    readSnapshot: (text) => replaySnapshot(encodeUtf8(text), false),
    eventBufferSize: EVENT_BUFFER_SIZE,
    serfQueueMax: SERF_QUEUE_MAX,
    trace,
    progress,
  });
}

export function runScenario(choice: RunChoice): RunReport {
  return prepareScenario(choice).run();
}

/** One command that plays the same run again. */
export function replayCommand({ scenario, seed, nodes, codec, original }: RunChoice): string {
  const size = nodes === null ? "" : ` --nodes ${nodes}`;
  return `npm run sim -- --scenario ${scenario} --seed ${seed}${size} --codec ${codec}${original ? " --original" : ""}`;
}
