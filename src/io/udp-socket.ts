/**
 * The gossip socket. What arrives in one turn of the event loop is handed on as one batch, so that decryption and decoding can be moved
 * to a lane as a whole (DESIGN.md §2). Nothing here throws after `bind`: a broken packet path is counted, the protocol assumes loss.
 */
import { listOfObjects } from "../base/lists.ts";
import { createSocket, type RemoteInfo, type Socket } from "node:dgram";
import type { Endpoint } from "../base/endpoint.ts";
import { canonicalIp, type AllowList } from "./network.ts";
import { plainBytes } from "./plain-bytes.ts";

/**
 * With the system's default, a pause of 50 ms at 20,000 packets/s loses 19 %; with this, none. The kernel may clip it.
 */
export const RECEIVE_BUFFER_BYTES = 4 * 1024 * 1024;
/** Bytes waiting to be sent; more is dropped (UDP may lose packets, memory may not grow). */
export const SEND_QUEUE_BYTES_MAX = 4 * 1024 * 1024;
/** Packets that wait for the batch of this turn; libuv reads at most a few hundred per turn, so this is a belt besides the braces. */
export const BATCH_PACKETS_MAX = 4096;

export interface ReceivedPacket {
  readonly from: Endpoint;
  /** Own memory, never reused by the socket. */
  readonly bytes: Uint8Array;
}

export interface UdpHooks {
  /** All packets of one loop turn, in the order of arrival. */
  readonly packets: (batch: ReceivedPacket[]) => void;
  readonly count: (name: string, delta: number) => void;
}

export class UdpSocket {
  readonly #socket: Socket;
  readonly #hooks: UdpHooks;
  readonly #allow: AllowList;
  #batch: ReceivedPacket[] = listOfObjects();
  #closed = false;
  /** Shared by all sends: an error is the network's business and only counted. */
  readonly #sent = (error: Error | null): void => {
    if (error !== null) this.#hooks.count("memberlist.udp.send_error", 1);
  };

  private constructor(socket: Socket, allow: AllowList, hooks: UdpHooks) {
    this.#socket = socket;
    this.#hooks = hooks;
    this.#allow = allow;
    socket.on("message", (bytes, remote) => this.#receive(bytes, remote));
    socket.on("error", () => hooks.count("memberlist.udp.socket_error", 1));
  }

  /** Binds; rejects with the system's error (EADDRINUSE, EADDRNOTAVAIL, …). */
  static async bind(at: Endpoint, allow: AllowList, hooks: UdpHooks): Promise<UdpSocket> {
    const ipv6 = at.ip.includes(":");
    const socket = createSocket({
      type: ipv6 ? "udp6" : "udp4",
      recvBufferSize: RECEIVE_BUFFER_BYTES,
      // Targets are addresses, never names: no look-up, and the send happens within the call.
      lookup: (host, _options, done) => done(null, host, ipv6 ? 6 : 4),
    });
    await new Promise<void>((resolve, reject) => {
      const refused = (error: Error): void => {
        socket.close();
        reject(error);
      };
      socket.once("error", refused);
      socket.bind({ address: at.ip, port: at.port, exclusive: true }, () => {
        socket.off("error", refused);
        resolve();
      });
    });
    return new UdpSocket(socket, allow, hooks);
  }

  get port(): number {
    return this.#socket.address().port;
  }

  /** Receive buffer that the kernel granted, in bytes as asked for (Linux reports twice the granted size). */
  get receiveBufferBytes(): number {
    const reported = this.#socket.getRecvBufferSize();
    return process.platform === "linux" ? reported / 2 : reported;
  }

  /** Sends one datagram, or drops it when the queue is full or the socket closed. */
  send(bytes: Uint8Array, to: Endpoint): void {
    if (this.#closed || to.port === 0 || to.ip === "") return;
    if (this.#socket.getSendQueueSize() > SEND_QUEUE_BYTES_MAX) {
      this.#hooks.count("memberlist.udp.send_dropped", 1);
      return;
    }
    try {
      this.#socket.send(bytes, to.port, to.ip, this.#sent);
    } catch {
      this.#hooks.count("memberlist.udp.send_error", 1); // An address of the other family, for instance.
    }
  }

  /** Waits for nothing: datagrams already given to the system are sent. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await new Promise<void>((resolve) => this.#socket.close(() => resolve()));
  }

  #receive(bytes: Buffer, remote: RemoteInfo): void {
    const ip = canonicalIp(remote.address);
    if (!this.#allow.allows(ip)) {
      this.#hooks.count("memberlist.udp.refused_address", 1);
      return;
    }
    if (this.#batch.length >= BATCH_PACKETS_MAX) {
      this.#hooks.count("memberlist.udp.receive_dropped", 1);
      return;
    }
    if (this.#batch.length === 0) setImmediate(this.#flush);
    this.#batch.push({ from: { ip, port: remote.port }, bytes: plainBytes(bytes) });
  }

  readonly #flush = (): void => {
    const batch = this.#batch;
    this.#batch = [];
    if (!this.#closed) this.#hooks.packets(batch);
  };
}
