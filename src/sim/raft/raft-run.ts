/** One run of the Raft simulation: a cluster, its clients and its faults, for some virtual time; safety always, recovery in each calm stretch. */
import { AssertionError } from "../../base/assert.ts";
import { Raft } from "../../raft/raft.ts";
import type { RaftConfiguration } from "../../wire/raft-messages.ts";
import { RaftClients } from "./raft-clients.ts";
import { RaftFaults } from "./raft-faults.ts";
import { RaftViolation, demand } from "./raft-safety.ts";
import type { CreateRaft } from "./raft-server.ts";
import { RaftSimulation, type DriverMistake } from "./raft-simulation.ts";

export interface RaftRunOptions {
  readonly seed: number;
  /** Virtual time. */
  readonly minutes: number;
  /** Voters at first; two more servers stand by to be added. Default 5. */
  readonly servers?: number;
  readonly create?: CreateRaft;
  readonly mistake?: DriverMistake;
  readonly trace?: (line: string) => void;
}

export interface RaftRunReport {
  readonly seed: number;
  readonly multiplier: number;
  /** What a checker or an assertion said; null: nothing. */
  readonly violation: string | null;
  readonly virtualSeconds: number;
  readonly steps: number;
  readonly traceHash: string;
  readonly committed: number;
  readonly acknowledged: number;
  readonly operations: number;
  readonly elections: number;
  readonly snapshots: number;
  readonly installations: number;
  readonly staleReads: number;
  readonly staleMsMax: number;
  readonly counters: Readonly<Record<string, number>>;
}

const SECOND_US = 1_000_000;
const SPARE_SERVERS = 2;
const FAULTS_SECONDS = 240;
const MULTIPLIERS: readonly number[] = [1, 2, 5];
/** Of a calm stretch, in election timeouts: enough for a new leader and for the slowest to catch up. */
const CALM_TIMEOUTS = 12;
/** At its end, writes have been acknowledged within so many ms. */
const ACK_MS_MAX = 15_000;

export function runRaft(options: RaftRunOptions): RaftRunReport {
  const voters = options.servers ?? 5;
  const multiplier = MULTIPLIERS[options.seed % MULTIPLIERS.length] as number;
  const sim = new RaftSimulation({
    seed: options.seed,
    nodes: voters + SPARE_SERVERS,
    multiplier,
    create: options.create ?? ((config, start, random) => new Raft(config, start, random)),
    mistake: options.mistake ?? null,
    trace: options.trace ?? null,
  });
  const clients = new RaftClients(sim, sim.random.fork());
  let violation: string | null = null;
  try {
    play(sim, clients, voters, options.minutes * 60 * SECOND_US);
  } catch (error) {
    if (!(error instanceof RaftViolation || error instanceof AssertionError)) throw error;
    violation = error.stack !== undefined && error instanceof AssertionError ? `assertion: ${error.stack.split("\n").slice(0, 4).join(" | ")}` : error.message;
  }
  const { history } = clients;
  return {
    seed: options.seed,
    multiplier,
    violation,
    virtualSeconds: Math.round(sim.nowUs / SECOND_US),
    steps: sim.steps,
    traceHash: sim.trace.hex,
    committed: sim.safety.committedIndex,
    acknowledged: clients.acknowledged,
    operations: history.operations,
    elections: sim.counters.get("elections") ?? 0,
    snapshots: sim.counters.get("snapshots") ?? 0,
    installations: sim.counters.get("installations") ?? 0,
    staleReads: history.staleReads,
    staleMsMax: history.staleUsMax / 1000,
    counters: Object.fromEntries(sim.counters),
  };
}

function play(sim: RaftSimulation, clients: RaftClients, voters: number, untilUs: number): void {
  const configuration: RaftConfiguration = {
    servers: sim.servers.slice(0, voters).map(({ id, address }) => ({ id, address, suffrage: "voter" })),
  };
  for (const server of sim.servers) {
    sim.start(server.node);
    if (server.node < voters) sim.command(server.node, (request) => ({ kind: "bootstrap", request, configuration }), () => {});
  }
  const faults = new RaftFaults(sim, sim.random.fork());
  sim.onElected = (server) => {
    clients.elected(server);
    faults.elected(server);
  };
  const calmUs = Math.max(CALM_TIMEOUTS * sim.timing.electionTimeoutMs * 1000, 2 * ACK_MS_MAX * 1000);
  let atUs = 20 * SECOND_US;
  sim.runUntil(atUs);
  while (atUs < untilUs) {
    atUs += FAULTS_SECONDS * SECOND_US;
    faults.play(atUs);
    sim.runUntil(atUs);
    faults.calm();
    atUs += calmUs;
    sim.runUntil(atUs);
    checkRecovered(sim, clients, atUs);
    sim.forget();
  }
}

function checkRecovered(sim: RaftSimulation, clients: RaftClients, atUs: number): void {
  const silentMs = (atUs - clients.lastAckUs) / 1000;
  demand(silentMs <= ACK_MS_MAX, () => `recovery: no write acknowledged for ${Math.round(silentMs)} ms of calm: ${describe(sim)}`);
  const committed = sim.safety.committedIndex;
  for (const id of sim.safety.voters) {
    const server = sim.server(Number(id.slice(1)));
    // What is being written right now may be on its way.
    demand(server.kv.index >= committed - LAG_MAX, () => `recovery: ${id} has applied ${server.kv.index} of ${committed}: ${describe(sim)}`);
  }
}

const LAG_MAX = 300;

function describe(sim: RaftSimulation): string {
  return sim.servers
    .map(({ id, raft, kv }) => {
      const status = raft?.status(0);
      return status === undefined ? `${id} dead` : `${id} ${status.role} term=${status.term} last=${status.lastIndex} commit=${status.commitIndex} applied=${kv.index}`;
    })
    .join("; ");
}
