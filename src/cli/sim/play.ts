/** Makes a run of production nodes from a scenario and the choices of a command line; the one place where the simulation meets its node. */
import { encodeUtf8 } from "../../base/utf8.ts";
import { Re2Matcher } from "../../io/matcher.ts";
import { replaySnapshot } from "../../serf/snapshot.ts";
import type { PoolConfig } from "../../serf/types.ts";
import { clusterFactory } from "../../sim/cluster-machine.ts";
import { FakeSealer } from "../../sim/fake-sealer.ts";
import { ScenarioRun } from "../../sim/scenario-run.ts";
import type { Scenario } from "../../sim/scenario.ts";
import type { CodecMode } from "../../sim/sim-codec.ts";
import { DIVIDED_NODES_MIN } from "../../sim/shards/dividable.ts";
import { placeOf, wholeOf } from "../../sim/shards/place.ts";
import { Shard, type ShardMemory } from "../../sim/shards/shard.ts";
import { SharedMessages } from "../../sim/shared-messages.ts";
import type { MachineFactory } from "../../sim/sim-machine.ts";
import { wireCodec } from "../../sim/wire-codec.ts";
import { PROFILES } from "../../swim/profiles.ts";
import type { SwimProfile } from "../../swim/types.ts";

export interface PlayOptions {
  readonly seed: number;
  readonly codec: CodecMode;
  /** The original's constants, without our floors and repairs; what a scenario expects of ours is then not asked. */
  readonly original: boolean;
  /** Gossip is decoded once for all nodes, and repeats are left out; never changes what happens. Default: unless everything goes through the codec. */
  readonly filterRepeats?: boolean;
  /** Changes to the scenario's profile. */
  readonly tuning?: Partial<SwimProfile>;
  /** Changes to the configuration of every node. */
  readonly overrides?: Partial<PoolConfig>;
  /** Puts something around every node: a study that looks on, a test that makes a mistake. */
  readonly wrap?: (factory: MachineFactory) => MachineFactory;
  readonly trace?: ((line: string) => void) | null;
  readonly progress?: ((virtualMs: number) => void) | null;
  /** The run is of this shard of several; then gossip is decoded once. Default: all nodes. */
  readonly shard?: { readonly memory: ShardMemory; readonly index: number } | null;
}

/** AES-GCM version 1, which the fake sealer imitates. */
const SEAL_BYTES = 29;
/** Serf prunes its queues to this every 30 s; what comes in between may stand above it. */
const SERF_QUEUE_MAX = 2 * 4_096;
const EVENT_BUFFER_SIZE = 512;

/** No retransmit floor, an early push/pull that is no earlier than the periodic one, and pauses of one's own that go unnoticed. */
export function originalProfile(profile: SwimProfile): SwimProfile {
  return { ...profile, retransmitMargin: -100, earlySyncMs: profile.pushPullIntervalMs, forgivesPauses: false };
}

/** Safety is still checked, and convergence within ten minutes. */
function withoutBars(script: Scenario): Scenario {
  const expect = { ...script.expect, convergedWithinMs: 600_000, noFalseFailures: false, eventsWithinMs: Infinity, detectedWithinMs: null, eventLatency: null };
  return { ...script, expect };
}

export function prepare(scenario: Scenario, { seed, codec, original, filterRepeats = codec !== "full", tuning = {}, overrides = {}, wrap = (factory) => factory, trace = null, progress = null, shard = null }: PlayOptions): ScenarioRun {
  const script = original ? withoutBars(scenario) : scenario;
  const base = { ...PROFILES[script.profile], ...tuning };
  const profile = original ? originalProfile(base) : base;
  const sealer = new FakeSealer(true);
  const place = shard === null ? wholeOf(scenario.nodes) : placeOf(shard.index, shard.memory.count, scenario.nodes);
  const messages = filterRepeats || shard !== null ? new SharedMessages(scenario.nodes, place.end - place.first) : null;
  return new ScenarioRun(script, {
    seed,
    factory: wrap(clusterFactory({ profile, matcher: new Re2Matcher(), packetOverheadBytes: SEAL_BYTES, overrides }, messages, place)),
    codec: wireCodec(sealer, true),
    codecMode: codec,
    messages,
    acceptTimeoutMs: profile.tcpTimeoutMs,
    readSnapshot: (text) => replaySnapshot(encodeUtf8(text), false),
    eventBufferSize: overrides.eventBufferSize ?? EVENT_BUFFER_SIZE,
    serfQueueMax: SERF_QUEUE_MAX,
    trace,
    progress,
    shard: shard === null || messages === null ? null : new Shard(scenario, shard.memory, shard.index, messages),
  });
}

export interface ReplayChoice {
  /** Name of a built-in scenario or path of a file, as on the command line. */
  readonly scenario: string;
  readonly seed: number;
  readonly nodes: number | null;
  readonly codec: CodecMode;
  readonly original: boolean;
  readonly profile?: string | undefined;
  readonly durationMs?: number | undefined;
  /** Default: 1. */
  readonly threads?: number | undefined;
}

/** One command that plays the same run again. */
export function replayCommand({ scenario, seed, nodes, codec, original, profile, durationMs, threads = 1 }: ReplayChoice): string {
  const words = ["muster sim", `-scenario=${quote(scenario)}`, `-seed=${seed}`];
  if (nodes !== null) words.push(`-nodes=${nodes}`);
  if (profile !== undefined) words.push(`-profile=${profile}`);
  if (durationMs !== undefined) words.push(`-duration=${durationMs}ms`);
  words.push(`-codec=${codec}`);
  if (original) words.push("-original");
  if (threads > 1 || (nodes ?? 0) >= DIVIDED_NODES_MIN) words.push(`-threads=${threads}`);
  return words.join(" ");
}

/** For a shell, when it needs that. */
function quote(word: string): string {
  return /^[\w./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
