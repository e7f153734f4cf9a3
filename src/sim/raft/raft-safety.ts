/**
 * What must hold in a Raft cluster, whatever happens (Raft, figure 3), looked at with each effect of each server: election safety, leader
 * append-only and log matching, leader completeness, state machine safety; and that what is applied anywhere is on the disks of a
 * majority. The checkers keep their own copy of every log, so they trust nothing the core says of itself.
 */
import { decodeConfiguration } from "../../wire/raft-configuration.ts";
import { ENTRY_TYPE, type LogEntry, type RaftConfiguration } from "../../wire/raft-messages.ts";
import { quorumSize } from "../../raft/quorum.ts";
import { contentOf, encodeState, entryHash, type KvState, type SimKv } from "./kv.ts";
import type { RaftServer } from "./raft-server.ts";
import type { AppendEffect, RaftDisk } from "./raft-disk.ts";

export class RaftViolation extends Error {}

export function demand(condition: boolean, what: () => string): asserts condition {
  if (!condition) throw new RaftViolation(what());
}

interface Known {
  readonly hash: number;
  /** Term of the entry before it. */
  readonly prevTerm: number;
}

/** Entries of older indexes are forgotten in steps of this many: a run of hours must not grow. */
const KEPT = 8000;
const CONFIGURATIONS_KEPT = 16;
/** At every index that this divides the whole states of the servers are compared. */
const COMPARED_EVERY = 64;
/** Keys of (term, index) pairs. */
const INDEX_MAX = 2 ** 32;

interface Shadow {
  /** Terms of the log from `first` on, as appended (not only synced). */
  first: number;
  terms: number[];
  /** Term at `first - 1`. */
  baseTerm: number;
}

export class RaftSafety {
  readonly #disks: readonly RaftDisk[];
  readonly #shadows: Shadow[];
  /** Leader of each term. */
  readonly #leaders = new Map<number, number>();
  /** Of each (term, index): what it holds and follows, anywhere. */
  readonly #entries = new Map<number, Known>();
  /** Applied somewhere: term and hash by index. */
  readonly #committed = new Map<number, { readonly term: number; readonly hash: number }>();
  /** Digest of the state after each applied index. */
  readonly #digests = new Map<number, number>();
  /** The whole state, hashed, at indexes at which somebody took a snapshot or states are compared. */
  readonly #contents = new Map<number, string>();
  /** In the order of their indexes. */
  readonly #configurations: { readonly index: number; readonly voters: readonly string[] }[] = [];
  #committedIndex = 0;
  #committedTerm = 0;
  #forgotten = 0;

  constructor(disks: readonly RaftDisk[]) {
    this.#disks = disks;
    this.#shadows = disks.map(() => ({ first: 1, terms: [], baseTerm: 0 }));
  }

  /** The largest index applied anywhere. */
  get committedIndex(): number {
    return this.#committedIndex;
  }

  get committedTerm(): number {
    return this.#committedTerm;
  }

  get voters(): readonly string[] {
    return this.#configurations.at(-1)?.voters ?? [];
  }

  /** Somebody leads a newer term than this. */
  isDeposed(term: number): boolean {
    return this.#newestTerm > term;
  }

  #newestTerm = 0;

  /** The process starts from what its disk holds. */
  restarted(node: number): void {
    const start = (this.#disks[node] as RaftDisk).start(0);
    const terms: number[] = [];
    for (let i = start.firstIndex; i <= start.lastIndex && start.lastIndex > 0; i += 1) terms.push(((this.#disks[node] as RaftDisk).entry(i) as LogEntry).term);
    const first = start.lastIndex === 0 ? (start.snapshot?.index ?? 0) + 1 : start.firstIndex;
    const snapshot = start.snapshot;
    this.#shadows[node] = { first, terms, baseTerm: snapshot !== null && snapshot.index === first - 1 ? snapshot.term : 0 };
  }

  appended(node: number, append: AppendEffect): void {
    const shadow = this.#shadows[node] as Shadow;
    const { truncateFrom, entries } = append;
    if (truncateFrom > 0) this.#truncate(shadow, truncateFrom);
    for (const entry of entries) {
      if (shadow.terms.length === 0 && entry.index !== shadow.first) {
        shadow.first = entry.index;
        shadow.baseTerm = 0;
      }
      demand(entry.index === shadow.first + shadow.terms.length, () => `log matching: node ${node} appends ${entry.index} behind ${shadow.first + shadow.terms.length - 1}`);
      const prevTerm = shadow.terms.at(-1) ?? shadow.baseTerm;
      this.#match(node, entry, prevTerm);
      if (entry.type === ENTRY_TYPE.configuration) this.#append(entry.index, entry.data);
      shadow.terms.push(entry.term);
    }
    if (shadow.terms.length > 2 * KEPT) this.#cut(shadow, KEPT);
  }

  #truncate(shadow: Shadow, from: number): void {
    if (from <= shadow.first) {
      shadow.terms = [];
      shadow.first = from;
      shadow.baseTerm = 0;
    } else shadow.terms.length = Math.min(shadow.terms.length, from - shadow.first);
  }

  #cut(shadow: Shadow, count: number): void {
    shadow.baseTerm = shadow.terms[count - 1] as number;
    shadow.terms = shadow.terms.slice(count);
    shadow.first += count;
  }

  /** Two logs that hold an entry of the same index and term hold the same entry behind the same one, hence the same log up to it. */
  #match(node: number, entry: LogEntry, prevTerm: number): void {
    const key = entry.term * INDEX_MAX + entry.index;
    const hash = entryHash(entry);
    const known = this.#entries.get(key);
    if (known === undefined) {
      this.#entries.set(key, { hash, prevTerm });
      return;
    }
    demand(known.hash === hash, () => `log matching: entry ${entry.index} of term ${entry.term} differs at node ${node}`);
    demand(known.prevTerm === prevTerm || prevTerm === 0 || known.prevTerm === 0, () => `log matching: before entry ${entry.index} of term ${entry.term} node ${node} has term ${prevTerm}, not ${known.prevTerm}`);
  }

  /** Whose connection closed and who has answered nothing since has no share in a leader's lease. */
  lease(server: RaftServer, nowUs: number): void {
    const localMs = server.clock.localMs(nowUs);
    if (server.raft === null || !server.raft.canReadLocally(localMs)) return;
    const voters = votersOf(server.raft.status(localMs).configuration);
    const holding = voters.filter((id) => !server.closedAfter.has(nodeOf(id)));
    demand(holding.length >= quorumSize(voters.length), () => `lease: ${server.id} reads locally though the connections of a majority have closed (holding: ${holding.join(" ")})`);
  }

  elected(node: number, term: number, lastIndex: number): void {
    const other = this.#leaders.get(term);
    demand(other === undefined || other === node, () => `election safety: nodes ${other} and ${node} lead term ${term}`);
    this.#leaders.set(term, node);
    this.#newestTerm = Math.max(this.#newestTerm, term);
    // A stale leader may be elected late only in a term older than what is committed; it cannot commit anything.
    if (term <= this.#committedTerm) return;
    demand(lastIndex >= this.#committedIndex, () => `leader completeness: node ${node} leads term ${term} with entries up to ${lastIndex}, ${this.#committedIndex} is committed`);
    const shadow = this.#shadows[node] as Shadow;
    const held = shadow.terms[this.#committedIndex - shadow.first];
    demand(held === undefined || held === this.#committedTerm, () => `leader completeness: node ${node} leads term ${term} and has term ${held} at ${this.#committedIndex}, where ${this.#committedTerm} is committed`);
  }

  /** Before `kv` applies it. */
  applies(node: number, kv: SimKv, entry: LogEntry): void {
    demand(entry.index === kv.index + 1, () => `state machine safety: node ${node} applies ${entry.index} after ${kv.index}`);
    const hash = entryHash(entry);
    const known = this.#committed.get(entry.index);
    if (known !== undefined) {
      demand(known.hash === hash && known.term === entry.term, () => `state machine safety: node ${node} applies another entry ${entry.index} (term ${entry.term}, was ${known.term})`);
      return;
    }
    if (entry.index <= this.#committedIndex) return; // Long after everybody else: forgotten here.
    demand(entry.index === this.#committedIndex + 1, () => `state machine safety: entry ${entry.index} is applied before ${this.#committedIndex + 1}`);
    this.#commit(entry, hash);
  }

  #commit(entry: LogEntry, hash: number): void {
    if (entry.type === ENTRY_TYPE.configuration) this.#configure(entry.index, entry.data);
    const { voters } = this;
    const holders = this.#disks.flatMap((disk, node) => (disk.holds(entry.index, entry.term) ? [`n${node}`] : []));
    // The leader counts by the newest configuration in its log, which may lie behind this entry and is one change away at most.
    const isQuorum = (ids: readonly string[]): boolean => ids.filter((id) => holders.includes(id)).length >= quorumSize(ids.length);
    const newer = [...this.#appended].some(([index, ids]) => index > entry.index && isQuorum(ids));
    demand(isQuorum(voters) || newer, () => `durability: entry ${entry.index} of term ${entry.term} is applied, but on disk at [${holders.join(" ")}] only, with voters [${voters.join(" ")}]`);
    this.#committed.set(entry.index, { term: entry.term, hash });
    this.#committedIndex = entry.index;
    this.#committedTerm = entry.term;
    if (entry.index - this.#forgotten > 2 * KEPT) this.#forget(entry.index - KEPT);
  }

  /** Voters of the newest configuration entries, by index. */
  readonly #appended = new Map<number, readonly string[]>();

  #append(index: number, data: Uint8Array): void {
    const decoded = decodeConfiguration(data);
    demand(decoded.ok, () => `the configuration entry ${index} is malformed`);
    this.#appended.set(index, votersOf(decoded.value));
    if (this.#appended.size > CONFIGURATIONS_KEPT) this.#appended.delete(Math.min(...this.#appended.keys()));
  }

  #configure(index: number, data: Uint8Array): void {
    const decoded = decodeConfiguration(data);
    demand(decoded.ok, () => `the configuration entry ${index} is malformed`);
    this.#configurations.push({ index, voters: votersOf(decoded.value) });
  }

  applied(node: number, kv: SimKv): void {
    const known = this.#digests.get(kv.index);
    if (known === undefined) this.#digests.set(kv.index, kv.digest);
    else demand(known === kv.digest, () => `state machine safety: node ${node} has applied something else up to ${kv.index}`);
    if (kv.index % COMPARED_EVERY === 0) this.#compare(node, encodeState(kv.hold()), "state machine safety");
  }

  #compare(node: number, state: KvState, rule: string): void {
    if (state.index <= this.#forgotten) return;
    const content = contentOf(state);
    const known = this.#contents.get(state.index);
    if (known === undefined) this.#contents.set(state.index, content);
    else demand(known === content, () => `${rule}: node ${node} has another state at ${state.index}`);
  }

  /** A snapshot was written, or is about to be used. */
  snapshot(node: number, state: KvState, index: number): void {
    const known = this.#digests.get(index);
    demand(state.index === index, () => `snapshots: node ${node} has a snapshot of ${index} that holds the state of ${state.index}`);
    demand(known === undefined || known === state.digest, () => `snapshots: node ${node} has a snapshot of ${index} with another state`);
    this.#compare(node, state, "snapshots");
  }

  /** A state was made from a snapshot: a snapshot of it is the same again. */
  restored(node: number, from: KvState, kv: SimKv): void {
    demand(contentOf(from) === contentOf(encodeState(kv.hold())), () => `snapshots: node ${node} restored another state than the snapshot of ${from.index} holds`);
  }

  /** An acknowledged write must be among the committed entries. */
  acknowledged(index: number): void {
    demand(index <= this.#committedIndex, () => `durability: entry ${index} is acknowledged but only ${this.#committedIndex} is committed`);
  }

  #forget(upTo: number): void {
    for (let index = this.#forgotten + 1; index <= upTo; index += 1) {
      this.#committed.delete(index);
      this.#digests.delete(index);
      this.#contents.delete(index);
    }
    this.#forgotten = upTo;
    for (const key of this.#entries.keys()) if (key % INDEX_MAX <= upTo) this.#entries.delete(key);
  }
}

export function nodeOf(id: string): number {
  return Number(id.slice(1));
}

function votersOf({ servers }: RaftConfiguration): readonly string[] {
  return servers.filter((server) => server.suffrage === "voter").map((server) => server.id);
}
