/**
 * Packet lanes in the simulation: what `io/lanes` does to the messages of packets, modelled in virtual time in front of a production node.
 * Messages are gathered per turn and either handled at once (inline) or leave as a batch for a lane: opened with the ring and the settled
 * hashes that lane has, back after a random while, delivered in the order of arrival. Batches are shed of gossip while the node is
 * overloaded, and now and then a lane dies with what it holds. The repeat filter is the production one.
 *
 * Everything random is drawn alike with the filter on and off, so both runs of a seed must be the same run: the filter may leave out only
 * what changes nothing. `LaneMistake`s are the ways to get that wrong; tests show that each is noticed.
 */
import { toHex } from "../base/bytes.ts";
import type { Endpoint } from "../base/endpoint.ts";
import { SeededRandom, type Random } from "../base/random.ts";
import type { PoolEffect, PoolInput } from "../serf/types.ts";
import type { AdoptedMember, AdoptedMembers } from "../swim/adopted-members.ts";
import { mayRepeat, RepeatFilter } from "../wire/repeat-filter.ts";
import type { MachineFactory, MachineSpec, PoolView, SimMachine } from "./sim-machine.ts";

/**
 * `firstSight`: a message counts as settled as soon as a lane has seen it. `answersFiltered`: pings, acks and other answers are treated
 * like gossip. `ringLate`: a key query is answered before the lanes have the new ring. `overtaking`: an inline packet does not wait
 * for the batches that are out.
 */
export type LaneMistake = "firstSight" | "answersFiltered" | "ringLate" | "overtaking";

export interface LaneSettings {
  /** Settled repeats are left out. */
  readonly filter: boolean;
  readonly mistake: LaneMistake | null;
  /** The node cannot keep up now: some batches are shed of their gossip, and lanes die. */
  readonly overloaded: () => boolean;
  /** Told what must never happen. */
  readonly violate: (checker: string, text: string) => void;
  /** Gossip keys in base64, primary first; empty: packets travel in the clear. */
  readonly keys: readonly string[];
}

/** Shared by the lanes of all nodes of a run. */
export interface LaneTotals {
  repeats: number;
  repeatsOnMain: number;
  shed: number;
  lost: number;
  batches: number;
  inline: number;
}

const MILLION = 1_000_000;
const SEED_MAX = 2 ** 31 - 1;
const LANES = 2;
const BATCHES_OUT_MAX = 2 * LANES;
const BATCH_MESSAGES_MAX = 64;
/** A turn whose work stays on main. */
const INLINE_PPM = 500_000;
/** A batch is out for up to this long, ms: far more than in reality, so that much happens meanwhile. */
const BATCH_MS_MAX = 20;
/** A lane takes over a new ring within this time, ms. */
const RING_MS_MAX = 2_000;
const SHED_PPM = 200_000;
const DEATH_PPM = 5_000;
/** The key of the hashes: secret in production, any here. */
const HASH_KEY = { low: 0x6c616e65, high: 0x6d6f6465 };
const POOL_NUMBER = 0;

interface Arrival {
  readonly serial: number;
  readonly from: Endpoint;
  readonly bytes: Uint8Array;
}

interface OpenedMessage extends Arrival {
  readonly low: number;
  readonly high: number;
  /** The filter knows it: left out, or delivered to see that it changes nothing. */
  readonly repeats: boolean;
  readonly gone: boolean;
}

interface LaneBatch {
  readonly dueMs: number;
  readonly opened: readonly OpenedMessage[];
}

interface RingChange {
  readonly dueMs: number;
  readonly token: number;
  readonly ring: readonly string[];
  readonly error: string;
  /** The core has had its answer already. */
  readonly answered: boolean;
}

/** Nodes of `inner`, each behind lanes of its own. */
export function laneFactory(inner: MachineFactory, settings: LaneSettings, totals: LaneTotals): MachineFactory {
  // Which key sealed a message on its way; messages travel by reference, and a sealed one is a fresh copy.
  const sealedWith = new WeakMap<Uint8Array, string>();
  return (spec, out) => {
    const random = new SeededRandom(spec.random.below(SEED_MAX));
    const machine = new LaneMachine(inner(spec, out), spec, random, settings, totals, sealedWith);
    machine.takeOver(out, 0, spec.nowMs);
    return machine;
  };
}

export function newLaneTotals(): LaneTotals {
  return { repeats: 0, repeatsOnMain: 0, shed: 0, lost: 0, batches: 0, inline: 0 };
}

/** One worker: its filter, and the hashes it will be told with its next batch. */
interface Lane {
  filter: RepeatFilter;
  settled: number[];
  ring: readonly string[];
}

class LaneMachine implements SimMachine {
  readonly #node: SimMachine;
  readonly #name: string;
  readonly #random: Random;
  readonly #settings: LaneSettings;
  readonly #totals: LaneTotals;
  readonly #sealedWith: WeakMap<Uint8Array, string>;
  readonly #lanes: Lane[] = [];
  readonly #inlineFilter: RepeatFilter;
  #ring: readonly string[];
  #waiting: Arrival[] = [];
  readonly #out: LaneBatch[] = [];
  /** Opened messages on their way to the core. */
  readonly #back: OpenedMessage[] = [];
  /** Ring changes on their way to the lanes. */
  readonly #changes: RingChange[] = [];
  #nextSerial = 0;
  #delivered = -1;
  #nextLane = 0;
  #flushAtMs = Infinity;

  constructor(node: SimMachine, spec: MachineSpec, random: Random, settings: LaneSettings, totals: LaneTotals, sealedWith: WeakMap<Uint8Array, string>) {
    this.#node = node;
    this.#name = spec.name;
    this.#random = random;
    this.#settings = settings;
    this.#totals = totals;
    this.#sealedWith = sealedWith;
    this.#ring = settings.keys;
    this.#inlineFilter = new RepeatFilter(HASH_KEY, spec.nowMs);
    for (let i = 0; i < LANES; i += 1) this.#lanes.push({ filter: new RepeatFilter(HASH_KEY, spec.nowMs), settled: [], ring: settings.keys });
  }

  get view(): PoolView {
    return this.#node.view;
  }

  get wakeAtMs(): number {
    if (this.#back.length > 0) return 0; // At once.
    let atMs = Math.min(this.#node.wakeAtMs, this.#flushAtMs);
    const first = this.#out[0];
    if (first !== undefined) atMs = Math.min(atMs, first.dueMs);
    for (const { dueMs } of this.#changes) atMs = Math.min(atMs, dueMs);
    return atMs;
  }

  step(input: PoolInput, nowMs: number, out: PoolEffect[]): boolean {
    if (input.kind === "message") {
      this.#waiting.push({ serial: this.#nextSerial, from: input.from, bytes: input.bytes });
      this.#nextSerial += 1;
      // In the same moment, but after all that arrives in it: the end of the turn.
      this.#flushAtMs = Math.min(this.#flushAtMs, nowMs);
      return false;
    }
    const start = out.length;
    const settled = this.#node.step(input, nowMs, out);
    this.takeOver(out, start, nowMs);
    return settled;
  }

  /** Timers first, then packets: whether a repeat is left out must not change when the node looks at its clock. */
  wake(nowMs: number, out: PoolEffect[]): void {
    const start = out.length;
    if (this.#node.wakeAtMs <= nowMs) this.#node.wake(nowMs, out);
    this.#applyRings(nowMs, out);
    this.#collect(nowMs);
    if (this.#flushAtMs <= nowMs) this.#flush(nowMs);
    this.#deliverNext(nowMs, out);
    this.takeOver(out, start, nowMs);
  }

  get self(): AdoptedMember {
    return this.#node.self;
  }

  adopt(members: AdoptedMembers): void {
    this.#node.adopt(members);
  }

  // The filter of the lanes is what is looked at here.
  readonly leavesOutSettled = false;

  isRepeat(): boolean {
    return false;
  }

  close(): void {
    this.#node.close();
  }

  /** Seals packets, and carries out changes of the ring, among the effects from `start` on. */
  takeOver(out: PoolEffect[], start: number, nowMs: number): void {
    if (this.#settings.keys.length === 0) return;
    let kept = start;
    for (let i = start; i < out.length; i += 1) {
      const effect = out[i] as PoolEffect;
      if (effect.kind === "keyring") this.#changeRing(effect, nowMs);
      else out[kept++] = effect.kind === "packet" ? { ...effect, messages: effect.messages.map((bytes) => this.#seal(bytes)) } : effect;
    }
    out.length = kept;
  }

  #seal(bytes: Uint8Array): Uint8Array {
    const sealed = bytes.slice();
    this.#sealedWith.set(sealed, this.#ring[0] as string);
    return sealed;
  }

  /** The messages of this turn: inline when little is going on, else as batches while lanes have room. */
  #flush(nowMs: number): void {
    this.#flushAtMs = Infinity;
    const inline = this.#random.below(MILLION) < INLINE_PPM && this.#waiting.length <= BATCH_MESSAGES_MAX;
    if (inline && ((this.#out.length === 0 && this.#back.length === 0) || this.#settings.mistake === "overtaking")) {
      const turn = this.#waiting;
      this.#waiting = [];
      this.#totals.inline += turn.length;
      this.#inlineFilter.age(nowMs);
      this.#back.push(...this.#open(turn, this.#inlineFilter, this.#ring, false));
      return;
    }
    while (this.#waiting.length > 0 && this.#out.length < BATCHES_OUT_MAX) this.#leave(nowMs);
  }

  #leave(nowMs: number): void {
    const random = this.#random;
    const batch = this.#waiting.splice(0, BATCH_MESSAGES_MAX);
    const lane = this.#lanes[this.#nextLane] as Lane;
    this.#nextLane = (this.#nextLane + 1) % LANES;
    this.#totals.batches += 1;
    const dueMs = nowMs + random.below(BATCH_MS_MAX * 1000) / 1000;
    const chance = random.below(MILLION);
    const overloaded = this.#settings.overloaded();
    if (overloaded && chance < DEATH_PPM) {
      // The next lane in its place knows nothing yet.
      lane.filter = new RepeatFilter(HASH_KEY, nowMs);
      lane.settled = [];
      lane.ring = this.#ring;
      this.#totals.lost += batch.length;
      return;
    }
    lane.filter.age(nowMs);
    for (let i = 0; i < lane.settled.length; i += 2) lane.filter.settle(lane.settled[i] as number, lane.settled[i + 1] as number, nowMs);
    lane.settled = [];
    this.#out.push({ dueMs, opened: this.#open(batch, lane.filter, lane.ring, overloaded && chance < SHED_PPM) });
  }

  /** One entry for each arrival: what is left out keeps its turn, so that the wakes of a run do not tell whether the filter is on. */
  #open(batch: readonly Arrival[], filter: RepeatFilter, ring: readonly string[], shedGossip: boolean): OpenedMessage[] {
    const { filter: isOn, mistake, keys } = this.#settings;
    return batch.map((arrival) => {
      const opens = keys.length === 0 || ring.includes(this.#sealedWith.get(arrival.bytes) ?? "");
      if (!opens) this.#settings.violate("ring", `${this.#name} cannot open a packet sealed with a key that everybody had confirmed`);
      const candidate = mayRepeat(arrival.bytes) || mistake === "answersFiltered";
      const repeats = candidate && filter.isRepeat(arrival.bytes, POOL_NUMBER);
      const { low, high } = filter;
      if (isOn && candidate && (mistake === "firstSight" || mistake === "answersFiltered")) this.#settle(low, high, 0);
      if (repeats && isOn) this.#totals.repeats += 1;
      const shed = candidate && shedGossip && !repeats;
      if (shed) this.#totals.shed += 1;
      const gone = !opens || shed || (repeats && isOn);
      return { ...arrival, low: candidate ? low : 0, high: candidate ? high : 0, repeats, gone };
    });
  }

  /** Takes what is back, oldest first, up to the first batch that is still out; then the lanes have room again. */
  #collect(nowMs: number): void {
    let freed = false;
    for (let first = this.#out[0]; first !== undefined && first.dueMs <= nowMs; first = this.#out[0]) {
      this.#out.shift();
      freed = true;
      this.#inlineFilter.age(nowMs);
      this.#back.push(...first.opened);
    }
    if (freed && this.#waiting.length > 0) this.#flushAtMs = Math.min(this.#flushAtMs, nowMs);
  }

  /** One message per wake: the checkers look at the node after each. */
  #deliverNext(nowMs: number, out: PoolEffect[]): void {
    const next = this.#back.shift();
    if (next === undefined) return;
    const { serial, from, bytes, low, high, repeats: atLane, gone } = next;
    if (serial <= this.#delivered) this.#settings.violate("order", `${this.#name} got a message after a later one of the same socket`);
    this.#delivered = serial;
    if (gone) return;
    // The look of main itself: settled since a lane opened it.
    const repeats = atLane || ((low !== 0 || high !== 0) && this.#inlineFilter.isSettled(low, high));
    if (repeats && this.#settings.filter) {
      this.#totals.repeatsOnMain += 1;
      return;
    }
    const start = out.length;
    const settled = this.#node.step({ kind: "message", from, bytes }, nowMs, out);
    if (settled && (low !== 0 || high !== 0)) this.#settle(low, high, nowMs);
    if (!repeats) return;
    const caused = out.slice(start).find(({ kind }) => kind !== "log" && kind !== "count");
    if (caused !== undefined) this.#settings.violate("settled", `${this.#name}: a repeat of a settled message of type ${bytes[0]} caused ${caused.kind}`);
  }

  #settle(low: number, high: number, nowMs: number): void {
    this.#inlineFilter.settle(low, high, nowMs);
    for (const lane of this.#lanes) lane.settled.push(low, high);
  }

  #changeRing({ token, operation, key }: Extract<PoolEffect, { readonly kind: "keyring" }>, nowMs: number): void {
    const { ring, error } = nextRing(this.#changes.at(-1)?.ring ?? this.#ring, operation, toHex(key));
    // Main first: it must not seal with a key that a lane has not been told of, but may open with it.
    this.#ring = ring;
    const dueMs = nowMs + this.#random.below(RING_MS_MAX);
    const isLate = this.#settings.mistake === "ringLate";
    if (isLate) this.#changes.push({ dueMs: nowMs, token, ring: this.#lanes[0]?.ring ?? ring, error, answered: false });
    this.#changes.push({ dueMs, token, ring, error, answered: isLate });
  }

  #applyRings(nowMs: number, out: PoolEffect[]): void {
    for (let i = 0; i < this.#changes.length; ) {
      const change = this.#changes[i] as RingChange;
      if (change.dueMs > nowMs) {
        i += 1;
        continue;
      }
      this.#changes.splice(i, 1);
      for (const lane of this.#lanes) lane.ring = change.ring;
      if (!change.answered) this.#node.step({ kind: "keyringDone", token: change.token, error: change.error, keys: [...change.ring] }, nowMs, out);
    }
  }
}

function nextRing(ring: readonly string[], operation: string, key: string): { readonly ring: readonly string[]; readonly error: string } {
  switch (operation) {
    case "install":
      return { ring: ring.includes(key) ? ring : [...ring, key], error: "" };
    case "use":
      return ring.includes(key) ? { ring: [key, ...ring.filter((other) => other !== key)], error: "" } : { ring, error: "Requested key is not in the keyring" };
    case "remove":
      return ring[0] === key ? { ring, error: "Removing the primary key is not allowed" } : { ring: ring.filter((other) => other !== key), error: "" };
    default:
      return { ring, error: "" };
  }
}
