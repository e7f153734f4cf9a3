/** A tiny machine for tests of the kernel: it chatters with random peers, and records what it is given. */
import type { Random } from "../../src/base/random.ts";
import type { Member, PoolEffect, PoolInput } from "../../src/serf/types.ts";
import { endpointOf } from "../../src/sim/network.ts";
import type { MachineSpec, PoolView, Readings, SimMachine } from "../../src/sim/sim-machine.ts";
import { Simulation, type SimulationOptions } from "../../src/sim/simulation.ts";
import type { MemberTableView, SwimState } from "../../src/swim/types.ts";

export interface FakeMember {
  name: string;
  incarnation: number;
  state: SwimState;
}

/** A member table and the rest of a view, settable by a test. */
export class FakeView implements PoolView, Readings, MemberTableView {
  rows: FakeMember[] = [];
  revision = 0;
  aliveCount = 0;
  memberClock = 1;
  eventClock = 1;
  queryClock = 1;
  eventTimeMin = 0;
  swimQueued = 0;
  intentsQueued = 0;
  eventsQueued = 0;
  queriesQueued = 0;

  get gauges(): Readings {
    return this;
  }
  get table(): MemberTableView {
    return this;
  }
  get size(): number {
    return this.rows.length;
  }
  nameAt(row: number): string {
    return (this.rows[row] as FakeMember).name;
  }
  incarnationAt(row: number): number {
    return (this.rows[row] as FakeMember).incarnation;
  }
  stateOf(name: string): SwimState | null {
    return this.rows.find((row) => row.name === name)?.state ?? null;
  }
  stateAt(row: number): SwimState {
    return (this.rows[row] as FakeMember).state;
  }
  members(): readonly Member[] {
    return [];
  }
}

export class FakeMachine implements SimMachine {
  readonly view = new FakeView();
  readonly spec: MachineSpec;
  /** What came in: own time in ms, and the input. */
  readonly inputs: { readonly nowMs: number; readonly input: PoolInput | { readonly kind: "wake" } }[] = [];
  /** Called on each input; appends effects. */
  react: (input: PoolInput, effect: (effect: PoolEffect) => void) => void = () => {};
  closed = false;
  wakeAtMs: number;
  readonly #random: Random;
  readonly #intervalMs: number;
  readonly #nodes: number;

  constructor(spec: MachineSpec, nodes: number, intervalMs: number) {
    this.spec = spec;
    this.#random = spec.random;
    this.#nodes = nodes;
    this.#intervalMs = intervalMs;
    this.wakeAtMs = spec.nowMs + intervalMs;
  }

  step(input: PoolInput, nowMs: number, out: PoolEffect[]): boolean {
    this.inputs.push({ nowMs, input });
    this.react(input, (effect) => out.push(effect));
    return false;
  }

  wake(nowMs: number, out: PoolEffect[]): void {
    this.inputs.push({ nowMs, input: { kind: "wake" } });
    this.wakeAtMs = nowMs + this.#intervalMs;
    const bytes = new Uint8Array([8, this.#random.below(256), this.#random.below(256)]);
    out.push({ kind: "packet", to: [endpointOf(this.#random.below(this.#nodes))], messages: [bytes, bytes.subarray(1)], crc: false });
  }

  readonly self = { slot: 0, variant: 0, incarnation: 1 };

  adopt(): void {}

  isRepeat(): boolean {
    return false;
  }

  readonly leavesOutSettled = false;

  close(): void {
    this.closed = true;
  }
}

export interface FakeCluster {
  readonly sim: Simulation;
  /** Machines by host, the newest run of each. */
  readonly machines: FakeMachine[];
}

/** `nodes` chattering machines, all started; `intervalMs` of Infinity keeps them silent. */
export function fakeCluster(nodes: number, intervalMs: number, change: Partial<SimulationOptions> = {}): FakeCluster {
  const machines: FakeMachine[] = [];
  const sim = new Simulation({
    seed: 1,
    nodes,
    network: { delayUsMin: 1_000, delayUsMax: 1_000, tailPpm: 0, tailUs: 0, lossPpm: 0, duplicatePpm: 0, bandwidthBytesPerSecond: 0, zones: 1, zoneDelayUs: 0 },
    factory: (spec) => (machines[spec.index] = new FakeMachine(spec, nodes, intervalMs)),
    messages: null,
    codec: null,
    codecMode: "off",
    acceptTimeoutMs: 10_000,
    clockDriftPpmMax: 0,
    readSnapshot: () => ({ alive: [], clock: 0, eventClock: 0, queryClock: 0, fileBytes: 0, unknownLines: [] }),
    trace: null,
    ...change,
  });
  for (const host of sim.hosts) sim.start(host, true);
  return { sim, machines };
}
