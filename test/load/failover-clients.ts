/** The clients of a cluster that loses its leader: writers whose every acknowledgement is remembered and looked for, and those who watch a leader that was cut off. */
import { pause, type Answer, type Cluster, type Member } from "./failover-cluster.ts";

const WRITERS = 64;
const KEYS_PER_WRITER = 50;
/** A writer gives one write this long before it tries another server. */
const WRITE_MS_MAX = 30_000;
const PAUSE_AFTER_FAILURE_MS = 10;
/** While there is no leader, a new client asks each server this often. */
const PROBE_MS = 50;
const PROBES_MAX = 1000;
/** Missing keys that are named. */
const SHOWN = 3;

export class Clients {
  readonly #cluster: Cluster;
  /** Key to the number last acknowledged for it. */
  readonly #acknowledged = new Map<string, number>();
  /** Numbers of a key whose write failed: it may be done, then or later, whatever was acknowledged after it. */
  readonly #open = new Map<string, number[]>();
  #stopping = false;
  #writers: Promise<void>[] = [];
  #probes = 0;
  writes = 0;
  /** Keys seen with a value whose write had failed before one that was acknowledged. */
  late = 0;
  /** A write that was begun at `beganMs` was acknowledged. */
  #onAck: (beganMs: number) => void = () => undefined;

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
  }

  get keys(): number {
    return this.#acknowledged.size;
  }

  start(): void {
    this.#writers = Array.from({ length: WRITERS }, (_, id) => this.#writer(id));
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    await Promise.all(this.#writers);
  }

  async #write(member: Member, key: string, n: number): Promise<boolean> {
    const beganMs = performance.now();
    const answer = await this.#cluster.ask(member, "PUT", `/v1/kv/${key}`, String(n), WRITE_MS_MAX);
    if (answer.status !== 200 || answer.body !== "true") {
      this.#open.set(key, [...(this.#open.get(key) ?? []), n]);
      return false;
    }
    this.#acknowledged.set(key, n);
    this.writes += 1;
    this.#onAck(beganMs);
    return true;
  }

  /** Writes its own keys one after the other, at a server that answers. */
  async #writer(id: number): Promise<void> {
    const { members } = this.#cluster;
    let server = id % members.length;
    for (let n = 1; !this.#stopping; n += 1) {
      if (await this.#write(members[server] as Member, `w/${id}/${n % KEYS_PER_WRITER}`, n)) continue;
      server = (server + 1) % members.length;
      await pause(PAUSE_AFTER_FAILURE_MS);
    }
  }

  /** How long after `sinceMs` the first write is acknowledged that was begun after it. Beside the writers, who may wait for an old write, new clients come to `at`. */
  async firstWriteMs(sinceMs: number, at: readonly Member[], msMax: number): Promise<number> {
    let firstMs = 0;
    this.#onAck = (beganMs) => {
      if (firstMs === 0 && beganMs > sinceMs) firstMs = performance.now();
    };
    for (let probes = 0; firstMs === 0 && probes < PROBES_MAX; probes += at.length) {
      if (performance.now() - sinceMs > msMax) throw new Error(`no write within ${msMax / 1000} s; logs in ${this.#cluster.work}`);
      for (const member of at) {
        this.#probes += 1;
        void this.#write(member, `p/${this.#probes}`, 1);
      }
      await pause(PROBE_MS);
    }
    this.#onAck = () => undefined;
    return firstMs - sinceMs;
  }

  /** Acknowledged writes that `member`, asked for a consistent read, does not have. */
  async lost(member: Member): Promise<number> {
    // What is acknowledged while we ask is looked for next time.
    const before = [...this.#acknowledged];
    const found = new Map<string, number>();
    for (const prefix of ["w/", "p/"]) for (const [key, value] of await this.#read(member, prefix)) found.set(key, value);
    // A later write may have been done without being acknowledged; an earlier one may not be there instead, unless it failed and was carried out late.
    const missing = before.filter(([key, n]) => !((found.get(key) ?? 0) >= n));
    const lost = missing.filter(([key]) => !(this.#open.get(key) ?? []).includes(found.get(key) ?? 0));
    this.late += missing.length - lost.length;
    for (const [key, n] of missing.slice(0, SHOWN)) process.stderr.write(`${member.name}: ${key} is ${found.get(key)}, acknowledged ${n}, failed ${this.#open.get(key)?.join(" ") ?? "none"}\n`);
    return lost.length;
  }

  async #read(member: Member, prefix: string): Promise<readonly (readonly [string, number])[]> {
    let answer: Answer = { status: 0, body: "" };
    await this.#cluster.until(`${member.name} answers a consistent read`, async () => {
      answer = await this.#cluster.ask(member, "GET", `/v1/kv/${prefix}?recurse&consistent`, "", WRITE_MS_MAX);
      return answer.status === 200 || answer.status === 404;
    });
    if (answer.status === 404) return [];
    const pairs = JSON.parse(answer.body) as readonly { readonly Key: string; readonly Value: string }[];
    return pairs.map(({ Key, Value }) => [Key, Number(Buffer.from(Value, "base64").toString())] as const);
  }
}

export interface Deposed {
  /** Writes begun after the cut that it acknowledged before it was healed: there may be none. */
  readonly acknowledged: number;
  /** ms from the cut to its first error to a writer; null: none came. */
  readonly firstErrorMs: number | null;
  /** ms from the cut to the end of its last answer to a `default` read. */
  readonly lastReadMs: number;
  /** How old, in ms, the oldest value was that such an answer gave instead of a newer one acknowledged before the read began. */
  readonly staleMsMax: number;
}

/** Looks at a leader that was cut off, as its own clients see it, until `stop`. */
export class DeposedWatch {
  readonly #cluster: Cluster;
  readonly #cutMs = performance.now();
  #stopped = false;
  #acknowledged = 0;
  #firstErrorMs: number | null = null;
  #lastReadMs = 0;
  #staleMsMax = 0;
  /** When each value of the key was acknowledged by the others. */
  readonly #knownMs: number[] = [];
  readonly #running: Promise<void>[];

  constructor(cluster: Cluster, old: Member, other: Member) {
    this.#cluster = cluster;
    this.#running = [this.#writeAt(old), this.#readAt(old), this.#advance(other)];
  }

  async #writeAt(old: Member): Promise<void> {
    for (let n = 0; !this.#stopped; n += 1) {
      const { status } = await this.#cluster.ask(old, "PUT", `/v1/kv/deposed/${n}`, "x", WRITE_MS_MAX);
      if (this.#stopped) return;
      if (status === 200) this.#acknowledged += 1;
      else this.#firstErrorMs ??= performance.now() - this.#cutMs;
      await pause(PAUSE_AFTER_FAILURE_MS);
    }
  }

  async #readAt(old: Member): Promise<void> {
    while (!this.#stopped) {
      const known = this.#knownMs.length;
      const { status, body } = await this.#cluster.ask(old, "GET", "/v1/kv/advance?raw", "", WRITE_MS_MAX);
      const nowMs = performance.now();
      if (this.#stopped) return;
      if (status === 200 || status === 404) {
        this.#lastReadMs = nowMs - this.#cutMs;
        const seen = status === 404 ? 0 : Number(body);
        // Values count up from 1: the one behind what was seen stands at this place.
        if (seen < known) this.#staleMsMax = Math.max(this.#staleMsMax, nowMs - (this.#knownMs[seen] as number));
      }
      await pause(PAUSE_AFTER_FAILURE_MS);
    }
  }

  async #advance(other: Member): Promise<void> {
    while (!this.#stopped) {
      const { status } = await this.#cluster.ask(other, "PUT", "/v1/kv/advance", String(this.#knownMs.length + 1), WRITE_MS_MAX);
      if (status === 200) this.#knownMs.push(performance.now());
      await pause(PAUSE_AFTER_FAILURE_MS);
    }
  }

  /** To be called before the cut is healed. */
  stop(): Deposed {
    this.#stopped = true;
    return { acknowledged: this.#acknowledged, firstErrorMs: this.#firstErrorMs, lastReadMs: this.#lastReadMs, staleMsMax: this.#staleMsMax };
  }

  async ended(): Promise<void> {
    await Promise.all(this.#running);
  }
}
