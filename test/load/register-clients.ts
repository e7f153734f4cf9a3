/**
 * Clients whose view of a cluster is checked while it loses servers: registers that are read, written and compared and set, whose history must be linearizable, and a lock
 * that two may never hold at once.
 */
import { RaftHistory } from "../../src/sim/raft/raft-history.ts";
import { SeededRandom } from "../../src/base/random.ts";
import { pause, type Answer, type Cluster, type Member } from "./failover-cluster.ts";

const KEYS = 6;
const CLIENTS = 32;
const LOCKERS = 3;
/** An operation without an answer by then may be done at any time. */
const OPERATION_MS_MAX = 2000;
const BETWEEN_MS = 20;
const AFTER_FAILURE_MS = 50;
/** Longer than any fault lasts, so that a session ends for no other reason than its node's health. */
const SESSION = JSON.stringify({ TTL: "120s", LockDelay: "15s" });
const HELD_MS = 200;
const ACQUIRES_MAX = 30;
/** Of 100 operations; what is left are `default` reads. */
const WRITES = 35;
const SWAPS = 15;
const CONSISTENT_READS = 30;
const US_PER_MS = 1000;

interface Found {
  readonly value: number;
  readonly version: number;
}

interface Hold {
  readonly session: string;
  readonly fromMs: number;
  readonly toMs: number;
}

/** What the clients need of a cluster. */
export type Asked = Pick<Cluster, "members" | "ask">;

export interface ClientCounts {
  reads: number;
  writes: number;
  /** Compare-and-set that was done. */
  swaps: number;
  /** Compare-and-set that was refused: the register had changed. */
  refused: number;
  locks: number;
  /** Of whatever kind: answered with an error, or not in time. */
  failed: number;
}

export class RegisterClients {
  readonly counts: ClientCounts = { reads: 0, writes: 0, swaps: 0, refused: 0, locks: 0, failed: 0 };
  /** What must not be, in words. */
  readonly violations: string[] = [];
  readonly #cluster: Asked;
  readonly #random: SeededRandom;
  readonly #staleMsMax: number;
  readonly #history = new RaftHistory(KEYS);
  /** Versions of each register that are known to have been written. */
  readonly #versions: readonly Set<number>[] = Array.from({ length: KEYS }, () => new Set());
  /** Values of swaps that were refused. */
  readonly #refused = new Set<number>();
  readonly #swapped: { readonly key: number; readonly expected: number; readonly version: number }[] = [];
  readonly #holds: Hold[] = [];
  #values = 0;
  #stopping = false;
  #running: Promise<void>[] = [];

  /** `staleMsMax`: how old what a `default` read of a deposed leader shows may be. */
  constructor(cluster: Asked, seed: number, staleMsMax: number) {
    this.#cluster = cluster;
    this.#random = new SeededRandom(seed);
    this.#staleMsMax = staleMsMax;
  }

  get staleReads(): number {
    return this.#history.staleReads;
  }

  get staleMsMax(): number {
    return Math.round(this.#history.staleUsMax / US_PER_MS);
  }

  start(): void {
    const clients = Array.from({ length: CLIENTS }, () => this.#until(() => this.#operate()));
    const lockers = Array.from({ length: LOCKERS }, () => this.#until(() => this.#lock()));
    this.#running = [...clients, ...lockers];
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    await Promise.all(this.#running);
    this.#checkSwaps();
    this.#checkHolds();
  }

  async #until(step: () => Promise<boolean>): Promise<void> {
    while (!this.#stopping) {
      const done = await step();
      if (!done) this.counts.failed += 1;
      await pause(done ? this.#random.below(BETWEEN_MS) : AFTER_FAILURE_MS);
    }
  }

  #ask(method: string, path: string, body = ""): Promise<Answer> {
    const { members } = this.#cluster;
    return this.#cluster.ask(members[this.#random.below(members.length)] as Member, method, path, body, OPERATION_MS_MAX);
  }

  async #operate(): Promise<boolean> {
    const key = this.#random.below(KEYS);
    const dice = this.#random.below(100);
    if (dice < WRITES) return this.#write(key, null);
    if (dice < WRITES + SWAPS) {
      const found = await this.#read(key, true);
      return found !== null && this.#write(key, found.version);
    }
    return (await this.#read(key, dice < WRITES + SWAPS + CONSISTENT_READS)) !== null;
  }

  /** `expected`: only while the register has this version. By a transaction, whose answer names the version. */
  async #write(key: number, expected: number | null): Promise<boolean> {
    const value = (this.#values += 1);
    const how = expected === null ? { Verb: "set" } : { Verb: "cas", Index: expected };
    const begun = this.#history.begin(key, nowUs());
    const { status, body } = await this.#ask("PUT", "/v1/txn", JSON.stringify([{ KV: { ...how, Key: `register/${key}`, Value: encode(value) } }]));
    if (status === 409) {
      this.#refused.add(value);
      this.counts.refused += 1;
      return true;
    }
    if (status !== 200) return false;
    const { Results } = JSON.parse(body) as { readonly Results: readonly { readonly KV: { readonly ModifyIndex: number } }[] };
    const version = Results[0]?.KV.ModifyIndex ?? 0;
    this.counts[expected === null ? "writes" : "swaps"] += 1;
    if (expected !== null) this.#swapped.push({ key, expected, version });
    this.#versions[key]?.add(version);
    this.#checked(() => this.#history.wrote(begun, version, value, nowUs()));
    return true;
  }

  async #read(key: number, consistent: boolean): Promise<Found | null> {
    const begun = this.#history.begin(key, nowUs());
    const { status, body } = await this.#ask("GET", `/v1/kv/register/${key}${consistent ? "?consistent" : ""}`);
    if (status !== 200 && status !== 404) return null;
    const found = status === 404 ? { value: 0, version: 0 } : foundIn(body);
    this.counts.reads += 1;
    if (found.version > 0) this.#versions[key]?.add(found.version);
    if (this.#refused.has(found.value)) this.violations.push(`register ${key} shows ${found.value}, which was refused`);
    this.#checked(() => this.#history.read(begun, found, nowUs(), consistent ? 0 : this.#staleMsMax * US_PER_MS, consistent ? "consistent" : "default"));
    return found;
  }

  #checked(check: () => void): void {
    try {
      check();
    } catch (error) {
      this.violations.push((error as Error).message);
    }
  }

  async #lock(): Promise<boolean> {
    const created = await this.#ask("PUT", "/v1/session/create", SESSION);
    if (created.status !== 200) return false;
    const { ID: session } = JSON.parse(created.body) as { readonly ID: string };
    const held = await this.#hold(session);
    await this.#ask("PUT", `/v1/session/destroy/${session}`);
    return held;
  }

  async #hold(session: string): Promise<boolean> {
    for (let attempt = 0; attempt < ACQUIRES_MAX && !this.#stopping; attempt += 1) {
      const { body } = await this.#ask("PUT", `/v1/kv/lock?acquire=${session}`, session);
      if (body === "true") {
        const fromMs = performance.now();
        await pause(this.#random.below(HELD_MS));
        this.#holds.push({ session, fromMs, toMs: performance.now() });
        this.counts.locks += 1;
        // Without an answer the session still goes, and the lock with it.
        await this.#ask("PUT", `/v1/kv/lock?release=${session}`);
        return true;
      }
      await pause(AFTER_FAILURE_MS);
    }
    return false;
  }

  #checkSwaps(): void {
    const followers = this.#versions.map(followersIn);
    for (const { key, expected, version } of this.#swapped) {
      const next = followers[key]?.get(expected) ?? version;
      if (next < version) this.violations.push(`register ${key} was swapped from version ${expected} to ${version}, but version ${next} was written between them`);
    }
  }

  #checkHolds(): void {
    const holds = [...this.#holds].sort((a, b) => a.fromMs - b.fromMs);
    for (const [i, hold] of holds.entries()) {
      const before = holds[i - 1];
      if (before !== undefined && hold.fromMs < before.toMs) this.violations.push(`session ${hold.session} got the lock ${Math.round(before.toMs - hold.fromMs)} ms before ${before.session} gave it back`);
    }
  }
}

/** Each version's next one; that of 0, a register never written, is the first. */
function followersIn(versions: ReadonlySet<number>): ReadonlyMap<number, number> {
  const sorted = [...versions].sort((a, b) => a - b);
  return new Map(sorted.map((version, i) => [sorted[i - 1] ?? 0, version]));
}

function nowUs(): number {
  return performance.now() * US_PER_MS;
}

function encode(value: number): string {
  return Buffer.from(String(value)).toString("base64");
}

function foundIn(body: string): Found {
  const [pair] = JSON.parse(body) as readonly { readonly Value: string; readonly ModifyIndex: number }[];
  return { value: Number(Buffer.from(pair?.Value ?? "", "base64").toString()), version: pair?.ModifyIndex ?? 0 };
}
