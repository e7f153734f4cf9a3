/**
 * The network between the servers of the Raft simulation: calls over connections, each message with a delay of its own (so they overtake
 * each other), lost with the link's probability or by a cut, and connections that close when a process dies or somebody resets them.
 */
import { chance, type SeededRandom } from "../../base/random.ts";
import type { CallFailure, Channel, IncomingCall, OutgoingCall } from "../../raft/types.ts";
import type { RaftRequest, RaftResponse } from "../../wire/raft-messages.ts";

/** One request of `from` and its way back. */
export interface Call {
  readonly id: IncomingCall;
  readonly from: number;
  /** Which life of the process asked. */
  readonly life: number;
  readonly to: number;
  readonly call: OutgoingCall;
  readonly channel: Channel;
  readonly message: RaftRequest;
  /** Name of the snapshot whose bytes follow. */
  readonly snapshotId: string;
  readonly deadlineUs: number;
  connection: number;
  response: RaftResponse | null;
  error: string;
  failure: CallFailure | null;
}

interface Connection {
  readonly id: number;
  readonly from: number;
  readonly to: number;
  readonly channel: Channel;
}

/** What changes while faults are played. */
export interface Weather {
  /** Messages lost, of 1000. */
  lossPerMille: number;
  delayMinUs: number;
  delaySpreadUs: number;
  /** Of 1000 messages, so many take up to `spikeUs` longer. */
  spikePerMille: number;
  spikeUs: number;
}

export const CALM: Readonly<Weather> = { lossPerMille: 0, delayMinUs: 200, delaySpreadUs: 800, spikePerMille: 0, spikeUs: 0 };

export class RaftNetwork {
  readonly weather: Weather = { ...CALM };
  readonly #random: SeededRandom;
  /** `from to` pairs that nothing passes. */
  readonly #cuts = new Set<string>();
  /** Nodes that nothing passes to or from, and whose port seems closed. */
  readonly rejecting = new Set<number>();
  readonly #connections = new Map<string, Connection>();
  readonly #calls = new Map<IncomingCall, Call>();
  #lastCall = 0;
  #lastConnection = 0;

  constructor(random: SeededRandom) {
    this.#random = random;
  }

  /** Calls are numbered as they are made. */
  get lastCallId(): IncomingCall {
    return this.#lastCall;
  }

  nextCallId(): IncomingCall {
    this.#lastCall += 1;
    return this.#lastCall;
  }

  add(call: Call): void {
    this.#calls.set(call.id, call);
  }

  /** Forgets a call that got its answer or failed; null when it did already. */
  take(id: IncomingCall): Call | null {
    const call = this.#calls.get(id) ?? null;
    this.#calls.delete(id);
    return call;
  }

  call(id: IncomingCall): Call | null {
    return this.#calls.get(id) ?? null;
  }

  /** The connection that a request from `from` to `to` uses, opened if needed. */
  connect(from: number, to: number, channel: Channel): number {
    const key = `${from} ${to} ${channel}`;
    const open = this.#connections.get(key);
    if (open !== undefined) return open.id;
    this.#lastConnection += 1;
    this.#connections.set(key, { id: this.#lastConnection, from, to, channel });
    return this.#lastConnection;
  }

  /** Closes and gives the connections that `which` names. */
  close(which: (connection: Connection) => boolean): readonly Connection[] {
    const closed: Connection[] = [];
    for (const [key, connection] of this.#connections) {
      if (!which(connection)) continue;
      this.#connections.delete(key);
      closed.push(connection);
    }
    return closed;
  }

  /** Takes the calls on a connection: they fail with it, save those whose answer is on its way. */
  callsOn(connection: number): readonly Call[] {
    const calls = [...this.#calls.values()].filter((call) => call.connection === connection && call.response === null);
    for (const { id } of calls) this.#calls.delete(id);
    return calls;
  }

  cut(from: number, to: number): void {
    this.#cuts.add(`${from} ${to}`);
  }

  heal(): void {
    this.#cuts.clear();
    this.rejecting.clear();
    Object.assign(this.weather, CALM);
  }

  isCut(from: number, to: number): boolean {
    if (this.rejecting.size > 0 && (this.rejecting.has(from) || this.rejecting.has(to))) return true;
    return this.#cuts.size > 0 && this.#cuts.has(`${from} ${to}`);
  }

  /** Delay of a message in µs, or null when it is lost. */
  delayUs(from: number, to: number): number | null {
    const { lossPerMille, delayMinUs, delaySpreadUs, spikePerMille, spikeUs } = this.weather;
    if (this.isCut(from, to)) return null;
    if (lossPerMille > 0 && chance(this.#random, lossPerMille, 1000)) return null;
    const spike = spikePerMille > 0 && chance(this.#random, spikePerMille, 1000) ? this.#random.below(spikeUs) : 0;
    return delayMinUs + this.#random.below(delaySpreadUs) + spike;
  }
}
