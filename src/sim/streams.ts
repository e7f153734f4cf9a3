/**
 * Simulated TCP: dial, accept, ordered bytes, close. Losses delay a stream instead of harming it; a cut holds it up until an end runs
 * into its timeout; a killed process resets it. Segments of one direction travel one after the other, which keeps their order.
 */
import type { Endpoint } from "../base/endpoint.ts";
import type { SharedState } from "../swim/shared-state.ts";
import type { SwimInput } from "../swim/types.ts";
import type { Host } from "./host.ts";
import { indexOfEndpoint, type Network } from "./network.ts";

export type Segment =
  | { readonly kind: "syn" | "synAck" | "fin"; readonly bytes: null }
  | { readonly kind: "reset"; readonly bytes: null; readonly error: string }
  | { readonly kind: "data"; readonly bytes: Uint8Array; readonly state: SharedState | null };

const SYN: Segment = { kind: "syn", bytes: null };
const SYN_ACK: Segment = { kind: "synAck", bytes: null };
const FIN: Segment = { kind: "fin", bytes: null };

/** A connection between nodes of two shards, named by its dialer. */
export interface CrossingStream {
  readonly dialer: number;
  /** Number of the stream at the dialer. */
  readonly id: number;
}

/** One end of a connection. */
export interface StreamEnd {
  readonly host: Host;
  run: number;
  /** Number of the stream at this host; 0 as long as the other side has not been accepted. */
  id: number;
  isOpen: boolean;
  /** The core has been told about this stream (an accepted one becomes known with its first message). */
  known: boolean;
  readonly queue: Segment[];
  sending: boolean;
  attempt: number;
  peer: StreamEnd | null;
  /** The other end is in another shard, and `peer` only stands for it; null when both are here. */
  readonly crossing: CrossingStream | null;
  readonly timeoutMs: number;
  /** Counts the timeouts set for this end; only the newest one counts. */
  limit: number;
}

/** What the simulation does for the streams. */
export interface StreamWorld {
  readonly nowUs: number;
  /** Calls `run` after `delayUs`. */
  after(delayUs: number, run: () => void): void;
  /** Hands an input of `end`'s stream to its process, now or when its stall ends. */
  deliver(end: StreamEnd, input: SwimInput): void;
  /** The process on this host, if any, runs in another shard. */
  isElsewhere(host: Host): boolean;
  /** Hands a segment to the shard of `to`, where it arrives at `atUs`. */
  sendAcross(stream: CrossingStream, to: Host, segment: Segment, atUs: number): void;
}

/** TCP retransmission: first 1 s for a connection request, 200 ms for data, doubling. */
const SYN_RETRY_US = 1_000_000;
const DATA_RETRY_US = 200_000;
const RETRY_DOUBLINGS_MAX = 7;
/** What a sender may have under way before the first acknowledgement: ten segments (RFC 6928). Each doubling costs a round trip. */
const WINDOW_FIRST_BYTES = 14_600;
const HEADER_BYTES = 40;
/** Streams that a node serves at once; more are closed at once (memberlist's limit of concurrent push/pulls). */
export const ACCEPTED_STREAMS_MAX = 128;

export class StreamNet {
  readonly #world: StreamWorld;
  readonly #network: Network;
  readonly #hosts: readonly Host[];
  readonly #acceptTimeoutMs: number;
  /** Streams that nodes of other shards have dialled. */
  readonly #acceptedAcross = new Map<number, StreamEnd>();

  constructor(world: StreamWorld, network: Network, hosts: readonly Host[], acceptTimeoutMs: number) {
    this.#world = world;
    this.#network = network;
    this.#hosts = hosts;
    this.#acceptTimeoutMs = acceptTimeoutMs;
  }

  dial(host: Host, id: number, to: Endpoint, timeoutMs: number): void {
    const target = this.#hosts[indexOfEndpoint(to, this.#hosts.length)];
    const crossing = target !== undefined && this.#world.isElsewhere(target) ? { dialer: host.index, id } : null;
    const local = makeEnd(host, id, timeoutMs, crossing);
    local.known = true;
    host.streams.set(id, local);
    this.#limit(local);
    if (target === undefined) return; // Nobody has this address: silence until the timeout.
    // The other end exists from now on as a place for segments to go; it gets its number when the request is accepted.
    connect(local, makeEnd(target, 0, this.#acceptTimeoutMs, crossing));
    this.#send(local, SYN);
  }

  /** A segment of a stream has come from another shard. */
  receive(stream: CrossingStream, to: Host, segment: Segment): void {
    const end = this.#endOf(stream, to, segment);
    if (end !== undefined) this.#arrive(end, segment);
  }

  /** Undefined when it is over. */
  #endOf(stream: CrossingStream, to: Host, segment: Segment): StreamEnd | undefined {
    const { dialer, id } = stream;
    if (to.index === dialer) return to.streams.get(id);
    if (segment.kind !== "syn") return this.#acceptedAcross.get(keyOf(stream));
    const end = makeEnd(to, 0, this.#acceptTimeoutMs, stream);
    connect(end, makeEnd(this.#hosts[dialer] as Host, id, this.#acceptTimeoutMs, stream));
    return end;
  }

  send(host: Host, id: number, bytes: Uint8Array, state: SharedState | null): void {
    const end = host.streams.get(id);
    if (end !== undefined && end.isOpen) this.#send(end, { kind: "data", bytes, state });
  }

  /** The core is done with the stream: what it sent still arrives, then the end. */
  close(host: Host, id: number): void {
    const end = host.streams.get(id);
    if (end === undefined) return;
    this.#forget(end);
    this.#send(end, FIN);
  }

  /** The process is gone. With power the kernel resets its connections, without it the others hear nothing. */
  abandon(host: Host): void {
    for (const end of host.streams.values()) {
      this.#forget(end);
      end.queue.length = 0;
      if (host.powered) this.#send(end, { kind: "reset", bytes: null, error: "connection reset by peer" });
    }
  }

  #send(end: StreamEnd, segment: Segment): void {
    end.queue.push(segment);
    if (!end.sending) this.#transmit(end);
  }

  #transmit(end: StreamEnd): void {
    const segment = end.queue[0];
    const peer = end.peer;
    end.sending = segment !== undefined && peer !== null;
    if (segment === undefined || peer === null) return;
    const size = segment.kind === "data" ? (segment.state?.size ?? segment.bytes.length) : 0;
    const delayUs = this.#network.transit(end.host.index, peer.host.index, size + HEADER_BYTES, this.#world.nowUs, true);
    if (delayUs < 0) {
      if (!end.isOpen && !peer.isOpen && end.crossing === null) return; // Both sides have given up.
      const base = segment.kind === "syn" ? SYN_RETRY_US : DATA_RETRY_US;
      const retryUs = base * 2 ** Math.min(end.attempt, RETRY_DOUBLINGS_MAX);
      end.attempt += 1;
      this.#world.after(retryUs, () => this.#transmit(end));
      return;
    }
    end.attempt = 0;
    const { crossing } = end;
    const doublings = size > WINDOW_FIRST_BYTES ? Math.ceil(Math.log2(size / WINDOW_FIRST_BYTES)) : 0;
    const arrivesUs = delayUs * (1 + 2 * doublings);
    if (crossing !== null) this.#world.sendAcross(crossing, peer.host, segment, this.#world.nowUs + arrivesUs);
    this.#world.after(arrivesUs, () => {
      if (end.queue[0] === segment) end.queue.shift();
      if (crossing === null) this.#arrive(peer, segment);
      this.#transmit(end);
    });
  }

  #arrive(end: StreamEnd, segment: Segment): void {
    switch (segment.kind) {
      case "syn":
        return this.#accept(end);
      case "synAck":
        if (!end.isOpen) return;
        this.#limit(end);
        return this.#world.deliver(end, { kind: "streamOpened", stream: end.id });
      case "data":
        // Data that comes after our close is of no interest any more.
        if (!end.isOpen) return;
        end.known = true;
        return this.#world.deliver(end, { kind: "streamMessage", stream: end.id, from: (end.peer as StreamEnd).host.endpoint, bytes: segment.bytes, state: segment.state });
      case "fin":
        return this.#fail(end, "EOF");
      case "reset":
        return this.#fail(end, segment.error);
    }
  }

  #accept(end: StreamEnd): void {
    const { host } = end;
    if (!host.powered) {
      if (end.peer !== null) end.peer.peer = null; // Silence until the dialer's timeout.
      return;
    }
    if (!host.running) return this.#send(end, { kind: "reset", bytes: null, error: "connection refused" });
    if (host.acceptedCount >= ACCEPTED_STREAMS_MAX) return this.#send(end, FIN);
    end.id = host.nextAcceptedStream;
    end.run = host.run;
    end.isOpen = true;
    host.nextAcceptedStream -= 1;
    host.acceptedCount += 1;
    host.streams.set(end.id, end);
    if (end.crossing !== null) this.#acceptedAcross.set(keyOf(end.crossing), end);
    this.#limit(end);
    this.#send(end, SYN_ACK);
  }

  /** Gives an end its time: for a dialer until the connection stands, then for the exchange. */
  #limit(end: StreamEnd): void {
    end.limit += 1;
    const { limit } = end;
    this.#world.after(Math.ceil(end.timeoutMs * 1000), () => {
      if (end.limit !== limit || !end.isOpen) return;
      this.#fail(end, "i/o timeout");
      if (end.peer !== null) this.#send(end, { kind: "reset", bytes: null, error: "connection reset by peer" });
    });
  }

  #fail(end: StreamEnd, error: string): void {
    if (!end.isOpen) return;
    const { known } = end;
    this.#forget(end);
    if (known) this.#world.deliver(end, { kind: "streamFailed", stream: end.id, error });
  }

  #forget(end: StreamEnd): void {
    if (!end.isOpen) return;
    end.isOpen = false;
    if (end.id < 0) end.host.acceptedCount -= 1;
    if (end.id < 0 && end.crossing !== null) this.#acceptedAcross.delete(keyOf(end.crossing));
    end.host.streams.delete(end.id);
  }
}

function makeEnd(host: Host, id: number, timeoutMs: number, crossing: CrossingStream | null): StreamEnd {
  return { host, run: host.run, id, isOpen: id !== 0, known: false, queue: [], sending: false, attempt: 0, peer: null, crossing, timeoutMs, limit: 0 };
}

function connect(end: StreamEnd, peer: StreamEnd): void {
  end.peer = peer;
  peer.peer = end;
}

/** Streams of one dialer are far fewer than this. */
const DIALED_MAX = 2 ** 32;

function keyOf({ dialer, id }: CrossingStream): number {
  return dialer * DIALED_MAX + id;
}
