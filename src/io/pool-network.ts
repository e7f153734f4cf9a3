/** What carries the packets and streams of a pool: the system's sockets, or what takes their place where nobody outside the process is to hear of it. */
import type { Endpoint } from "../base/endpoint.ts";
import type { AllowList } from "./network.ts";
import { Streams, type StreamCodec, type StreamHooks } from "./streams.ts";
import { UdpSocket, type UdpHooks } from "./udp-socket.ts";

export type PoolStreams = Pick<Streams, "listen" | "dial" | "send" | "close" | "shutdown">;
export type PacketSocket = Pick<UdpSocket, "send" | "close" | "receiveBufferBytes">;

export interface PoolNetwork {
  streams(codec: StreamCodec, hooks: StreamHooks): PoolStreams;
  /** Rejects with the system's error when `at` cannot be had. */
  packets(at: Endpoint, hooks: UdpHooks): Promise<PacketSocket>;
}

/** `tcpTimeoutMs`: deadline of a whole exchange with a peer that dialled us. */
export function systemNetwork({ tcpTimeoutMs, allow }: { readonly tcpTimeoutMs: number; readonly allow: AllowList }): PoolNetwork {
  return {
    streams: (codec, hooks) => new Streams(codec, { timeoutMs: tcpTimeoutMs, allow }, hooks),
    packets: (at, hooks) => UdpSocket.bind(at, allow, hooks),
  };
}
