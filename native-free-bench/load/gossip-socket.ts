/** A UDP socket that speaks enough gossip to load an agent: it sends what was built before, answers pings and reports acks. */
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { EMPTY_BYTES } from "../../src/base/bytes.ts";
import { ipToBytes, type Endpoint } from "../../src/base/endpoint.ts";
import { NodeSealer } from "../../src/io/node-sealer.ts";
import { decodePacketMessage, encodeAck } from "../../src/wire/gossip-codec.ts";
import { openPacket } from "../../src/wire/packet.ts";
import type { Sealer } from "../../src/wire/sealer.ts";
import { announcements } from "./packets.ts";

const RECEIVE_BUFFER_BYTES = 4 * 1024 * 1024;
const SEND_BUFFER_BYTES = 2 * 1024 * 1024;
const GOSSIP_PORT = 7946;

export class GossipSocket {
  readonly #socket: Socket;
  readonly #sealer: Sealer;
  #onAck: (seq: number) => void = () => undefined;

  private constructor(socket: Socket, sealer: Sealer) {
    this.#socket = socket;
    this.#sealer = sealer;
    socket.on("message", (packet, { address, port }) => this.#receive(packet, { ip: address, port }));
    socket.on("error", () => undefined); // An agent that was killed refuses; what is missing then is noticed by the driver.
  }

  static async open(ip: string, sealer: Sealer = new NodeSealer([])): Promise<GossipSocket> {
    const socket = createSocket({ type: "udp4", recvBufferSize: RECEIVE_BUFFER_BYTES, sendBufferSize: SEND_BUFFER_BYTES });
    socket.bind(GOSSIP_PORT, ip);
    await once(socket, "listening");
    return new GossipSocket(socket, sealer);
  }

  onAck(listener: (seq: number) => void): void {
    this.#onAck = listener;
  }

  send(packet: Uint8Array, { ip, port }: Endpoint): void {
    this.#socket.send(packet, port, ip);
  }

  /** Announces `count` members at this socket's own address to an agent. */
  announce(count: number, agent: Endpoint): void {
    const { address, port } = this.#socket.address();
    for (const packet of announcements(count, ipToBytes(address) ?? EMPTY_BYTES, port)) this.send(packet, agent);
  }

  close(): void {
    this.#socket.close();
  }

  #receive(packet: Uint8Array, from: Endpoint): void {
    const { messages } = openPacket(packet, { sealer: this.#sealer, label: EMPTY_BYTES, verifyIncoming: true });
    for (const bytes of messages) {
      const message = decodePacketMessage(bytes);
      if (!message.ok) continue;
      if (message.value.kind === "ack") this.#onAck(message.value.seq);
      else if (message.value.kind === "ping") this.send(encodeAck({ seq: message.value.seq, payload: null }), from);
    }
  }
}
