/**
 * One shard of a simulation, which has some of its nodes and plays on a thread of its own (conservative parallel simulation: Chandy and Misra,
 * "Distributed simulation", 1979). What a node does reaches another node after the shortest delay of the network at the earliest; so far a shard may be
 * ahead of the slowest one. Nothing that happens depends on how fast shards are: only on the seed and the number of shards.
 */
import type { MemberRecords } from "../../swim/member-records.ts";
import { EventBoard } from "../ledger.ts";
import type { Scenario } from "../scenario.ts";
import type { SharedMessages } from "../shared-messages.ts";
import type { Simulation } from "../simulation.ts";
import { TraceHash } from "../trace-hash.ts";
import { clocksBytes, ShardClocks } from "./clocks.ts";
import { Crossing } from "./crossing.ts";
import { placeOf, type ShardPlace } from "./place.ts";
import { WORD_RING_BYTES, WordRing } from "./word-ring.ts";

/** A shard tells the others how far it is so many times while it covers the shortest delay of the network: they can follow sooner. */
const TOLD_PER_DELAY = 10;

/** What all shards of a run see. */
export interface ShardMemory {
  readonly count: number;
  readonly clocks: SharedArrayBuffer;
  /** From one shard to another: `from * count + to`. */
  readonly rings: readonly SharedArrayBuffer[];
  readonly board: SharedArrayBuffer;
}

export function shardMemory(scenario: Scenario, count: number): ShardMemory {
  const rings = Array.from({ length: count * count }, (_, i) => new SharedArrayBuffer(i % (count + 1) === 0 ? 0 : WORD_RING_BYTES));
  const board = new SharedArrayBuffer(EventBoard.bytes(scenario));
  new EventBoard(board, scenario.nodes).clear();
  return { count, clocks: new SharedArrayBuffer(clocksBytes(count)), rings, board };
}

/** How a turn ended: with `untilUs` reached or not to be reached any more, after some events, or without any because others have to go on first. */
export type Turn = "done" | "played" | "waiting";

export class Shard {
  readonly place: ShardPlace;
  readonly crossing: Crossing;
  readonly clocks: ShardClocks;
  readonly board: SharedArrayBuffer;
  readonly #records: MemberRecords;
  readonly #delayUs: number;

  constructor({ nodes, network }: Scenario, { count, clocks, rings, board }: ShardMemory, index: number, messages: SharedMessages) {
    this.place = placeOf(index, count, nodes);
    this.clocks = new ShardClocks(clocks, index, count);
    this.crossing = new Crossing(this.place, messages, (from, to) => new WordRing(rings[from * count + to] as SharedArrayBuffer));
    this.board = board;
    this.#records = messages.records;
    this.#delayUs = network.delayUsMin;
  }

  /** Of the slots and variants of all members. */
  readonly fingerprint = (): string => {
    const hash = new TraceHash();
    hash.number(this.#records.made);
    for (let slot = 0; slot < this.place.nodes; slot += 1) {
      const { name, addr, port, meta, versions } = this.#records.record(slot, 0);
      hash.text(name);
      hash.word(port);
      for (const bytes of [addr, meta, versions]) hash.bytes(bytes);
    }
    return hash.hex;
  };

  /** Plays on as far as the others allow, but not for long, and not beyond `untilUs`. */
  turn(sim: Simulation, untilUs: number): Turn {
    const { clocks, crossing } = this;
    // In this order: what others have sent before their clocks showed this is there to be received.
    clocks.look();
    const horizonUs = clocks.othersUs + this.#delayUs;
    crossing.receive();
    const limitUs = Math.min(horizonUs, untilUs + 1);
    let nextUs = sim.nextAtUs;
    const isPlaying = nextUs < limitUs && sim.violations.length === 0;
    if (isPlaying) {
      sim.runBefore(Math.min(limitUs, nextUs + Math.ceil(this.#delayUs / TOLD_PER_DELAY)));
      nextUs = sim.nextAtUs;
    }
    const isHalting = sim.violations.length > 0;
    if (!crossing.flush()) return "waiting";
    const ownUs = isHalting ? Math.min(sim.nowUs, limitUs) : Math.min(nextUs, limitUs);
    clocks.publish(Math.max(ownUs, clocks.ownUs));
    if (ownUs === untilUs + 1 && !isHalting) {
      sim.pass(untilUs);
      return "done";
    }
    if (isHalting || (!isPlaying && clocks.isSlowestHalted)) {
      clocks.halt();
      return "done";
    }
    return isPlaying ? "played" : "waiting";
  }

  /** All are done with a turn until `untilUs`: then all know whether it is over. What comes meanwhile is taken in, so that nobody waits for room. */
  areAllDone(untilUs: number): boolean {
    this.crossing.receive();
    return this.clocks.haveReached(untilUs + 1);
  }
}
