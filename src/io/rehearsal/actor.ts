/** An agent that takes part in a rehearsal, with a client of its own. */
import { randomBytes } from "node:crypto";
import { connect, type Socket } from "node:net";
import type { Endpoint } from "../../base/endpoint.ts";
import { IPC_VERSION } from "../../wire/ipc-messages.ts";
import { encodeRequest, type IpcRequest } from "../../wire/ipc-requests.ts";
import type { LogHub } from "../log-hub.ts";
import { IntervalMetrics } from "../metrics-intervals.ts";
import { startRpcServer, type RpcServer } from "../rpc-server.ts";
import type { MetricSink, SerfAgentApi, SerfAgentOptions } from "../serf-agent-api.ts";

/** Acts in which a request or an answer may come; it takes one or two, and some more where a connection is made first. */
export const LISTEN_ACTS_MAX = 50;
export const PRACTICE_HOST = "127.0.0.1";
/** Where wall clocks of rehearsals begin: as many digits as the real one has. */
export const PRACTICE_WALL_MS = 1e12;
const AUTH_KEY_BYTES = 16;
/** Too much to be squared in 31 bits. */
const LARGE_MEASURE = 1e6;

/** As the agent is, but without files and threads. */
export function castOptions(options: SerfAgentOptions, name: string, bind: Endpoint): SerfAgentOptions {
  return { ...options, name, bind, advertise: bind, tagsFile: "", keyringFile: "", snapshotPath: "", packetWorkers: 0, lanesAtOnce: false, streamLane: false, rehearse: false };
}

/** As the agent command has them. */
export function practiceMetrics(now: () => number): MetricSink {
  const intervals = new IntervalMetrics("practice", now);
  intervals.count("practice", LARGE_MEASURE);
  return {
    count: (name, delta) => intervals.count(name, delta),
    sample: (name, value) => intervals.sample(name, value),
  };
}

/** An agent with its client, on a connection of the system's: Node's code for connections must meet the sockets that it will meet later, and no others. */
export class Actor {
  readonly agent: SerfAgentApi;
  readonly #server: RpcServer;
  readonly #client: Socket;
  #seq = 0;
  #heard = 0;
  #bytes = 0;

  private constructor(agent: SerfAgentApi, server: RpcServer, client: Socket) {
    this.agent = agent;
    this.#server = server;
    this.#client = client;
    client.on("data", (chunk: Uint8Array) => {
      this.#bytes += chunk.length;
    });
    client.on("error", () => undefined); // Then nothing is heard any more, and the play goes on without.
  }

  /** Rejects when the system gives no sockets; the agent is shut down then. */
  static async enter(agent: SerfAgentApi, logs: LogHub, metrics: MetricSink): Promise<Actor> {
    // Whoever else finds the port has no key.
    const authKey = randomBytes(AUTH_KEY_BYTES).toString("hex");
    const server = await startRpcServer({ agent, listen: { ip: PRACTICE_HOST, port: 0 }, authKey, logs, metrics }).catch(async (error: unknown) => {
      await agent.shutdown();
      throw error;
    });
    const { ip: host, port } = server.address;
    const actor = new Actor(agent, server, connect({ host, port, noDelay: true }));
    actor.ask({ command: "handshake", version: IPC_VERSION });
    actor.ask({ command: "auth", authKey });
    return actor;
  }

  ask(request: IpcRequest): void {
    this.#client.write(encodeRequest(this.#seq, request));
    this.#seq += 1;
  }

  /** Acts in which the system and the agent may do their part, until the client hears something new. */
  *listen(): Generator<void, void> {
    for (let act = 0; act < LISTEN_ACTS_MAX && this.#bytes === this.#heard; act += 1) yield;
    this.#heard = this.#bytes;
  }

  /** That the client heard. */
  get bytes(): number {
    return this.#bytes;
  }

  async leave(): Promise<void> {
    this.#client.destroy();
    await Promise.all([this.#server.close(), this.agent.shutdown()]);
  }
}
