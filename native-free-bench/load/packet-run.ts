/** An agent that packets are sent to, and the ways to send them: paced by acks. */
import { Agent, type Target } from "./agent.ts";
import type { Bench } from "./bench.ts";
import { GossipSocket } from "./gossip-socket.ts";
import type { PacketFactory } from "./packets.ts";
import type { SerfClient } from "../../src/client/serf-client.ts";

const ACK_DEADLINE_MS = 500;
const NODE = "bench";

export class PacketRun {
  readonly agent: Agent;
  readonly client: SerfClient;
  readonly socket: GossipSocket;
  readonly #factory: PacketFactory;
  #seq = 0;
  #acks = 0;
  #onAck: (seq: number) => void = () => undefined;

  private constructor(agent: Agent, client: SerfClient, socket: GossipSocket, factory: PacketFactory) {
    this.agent = agent;
    this.client = client;
    this.socket = socket;
    this.#factory = factory;
    socket.onAck((seq) => {
      this.#acks += 1;
      this.#onAck(seq);
    });
  }

  static async start(bench: Bench, target: Target, factory: PacketFactory): Promise<PacketRun> {
    const { encryptKey } = factory;
    const agent = new Agent({ target, name: NODE, ip: bench.nextIp(), prefix: bench.pinning.server, ...(encryptKey === undefined ? {} : { encryptKey }) });
    try {
      const client = await agent.connect();
      return new PacketRun(agent, client, await GossipSocket.open(bench.nextIp(), factory.sealer), factory);
    } catch (error) {
      await agent.kill();
      throw error;
    }
  }

  get acks(): number {
    return this.#acks;
  }

  send(packet: Uint8Array): void {
    this.socket.send(packet, this.agent.gossip);
  }

  /** Sends a ping. Returns its number. */
  ping(): number {
    this.#seq += 1;
    this.send(this.#factory.ping(this.#seq, NODE));
    return this.#seq;
  }

  /** Sends a ping and waits for its ack: packets of one socket arrive in order. False when there was none in time. */
  drained(): Promise<boolean> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(false), ACK_DEADLINE_MS);
      const seq = this.ping();
      this.#onAck = (got) => {
        if (got !== seq) return;
        clearTimeout(timer);
        resolve(true);
      };
    });
  }

  async stop(): Promise<void> {
    this.client.close();
    this.socket.close();
    await this.agent.kill();
  }
}
