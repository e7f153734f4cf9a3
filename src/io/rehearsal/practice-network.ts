/**
 * A network in memory for agents that practise (`rehearsal.ts`). Nothing arrives by itself: what was sent waits until `deliver` hands it over, so that the one who
 * practises says when how much is done. Streams are cut nowhere and never break.
 */
import { formatEndpoint, type Endpoint } from "../../base/endpoint.ts";
import type { StreamId } from "../../swim/types.ts";
import type { PacketSocket, PoolNetwork, PoolStreams } from "../pool-network.ts";
import type { StreamCodec, StreamDecoder, StreamHooks } from "../streams.ts";
import type { ReceivedPacket, UdpHooks } from "../udp-socket.ts";

/** Deliveries that wait; more are lost, as with a real network. */
const WAITING_MAX = 1024;

export class PracticeNetwork {
  readonly #packets = new Map<string, UdpHooks>();
  readonly #streams = new Map<string, PracticeStreams>();
  readonly #waiting: (() => void)[] = [];

  /** For the agent at `at`. */
  at(at: Endpoint): PoolNetwork {
    return {
      streams: (codec, hooks) => {
        const streams = new PracticeStreams(this, at, codec, hooks);
        this.#streams.set(formatEndpoint(at), streams);
        return streams;
      },
      packets: (_at, hooks): Promise<PacketSocket> => {
        this.#packets.set(formatEndpoint(at), hooks);
        return Promise.resolve({ receiveBufferBytes: Infinity, send: (bytes, to) => this.send(at, to, [bytes]), close: () => Promise.resolve() });
      },
    };
  }

  /** The packets arrive together, as within one turn of the event loop. */
  send(from: Endpoint, to: Endpoint, packets: readonly Uint8Array[]): void {
    const batch: ReceivedPacket[] = packets.map((bytes) => ({ from, bytes }));
    this.later(() => this.#packets.get(formatEndpoint(to))?.packets(batch));
  }

  /** Runs `delivery` in its turn. */
  later(delivery: () => void): void {
    if (this.#waiting.length < WAITING_MAX) this.#waiting.push(delivery);
  }

  /** Null when nobody listens there. */
  streamsAt(to: Endpoint): PracticeStreams | null {
    return this.#streams.get(formatEndpoint(to)) ?? null;
  }

  /** Something waits. */
  get isBusy(): boolean {
    return this.#waiting.length > 0;
  }

  /** Hands over what was sent first; false when nothing waits. */
  deliver(): boolean {
    const delivery = this.#waiting.shift();
    delivery?.();
    return delivery !== undefined;
  }
}

/** One side of a stream. */
interface End {
  readonly streams: PracticeStreams;
  readonly id: StreamId;
  readonly decoder: StreamDecoder;
  /** Whether this side dialled. */
  readonly initiated: boolean;
  peer: End | null;
}

class PracticeStreams implements PoolStreams {
  readonly #network: PracticeNetwork;
  readonly #at: Endpoint;
  readonly #codec: StreamCodec;
  readonly #hooks: StreamHooks;
  readonly #ends = new Map<StreamId, End>();
  #nextAccepted = -1;

  constructor(network: PracticeNetwork, at: Endpoint, codec: StreamCodec, hooks: StreamHooks) {
    this.#network = network;
    this.#at = at;
    this.#codec = codec;
    this.#hooks = hooks;
  }

  listen(): Promise<number> {
    return Promise.resolve(this.#at.port);
  }

  dial(id: StreamId, to: Endpoint): void {
    const other = this.#network.streamsAt(to);
    if (other === null) return this.#network.later(() => this.#hooks.failed(id, `dial tcp ${formatEndpoint(to)}: connect: connection refused`));
    const end = this.#add(id, true);
    end.peer = other.#accept(end);
    this.#network.later(() => this.#hooks.opened(id));
  }

  send(id: StreamId, message: Uint8Array): void {
    const end = this.#ends.get(id);
    const peer = end?.peer ?? null;
    if (end === undefined || peer === null) return;
    const encoded = this.#codec.encode(message, end.initiated);
    if (encoded instanceof Uint8Array) this.#network.later(() => peer.streams.#receive(peer, encoded));
  }

  close(id: StreamId): void {
    this.#ends.delete(id);
  }

  shutdown(): Promise<void> {
    this.#ends.clear();
    return Promise.resolve();
  }

  #accept(peer: End): End {
    const end = this.#add(this.#nextAccepted, false);
    this.#nextAccepted -= 1;
    end.peer = peer;
    return end;
  }

  #add(id: StreamId, initiated: boolean): End {
    const end: End = { streams: this, id, decoder: this.#codec.decoder(initiated), initiated, peer: null };
    this.#ends.set(id, end);
    return end;
  }

  #receive(end: End, chunk: Uint8Array): void {
    if (!this.#ends.has(end.id)) return;
    for (const message of end.decoder.push(chunk)) this.#hooks.message(end.id, this.#at, message);
  }
}
