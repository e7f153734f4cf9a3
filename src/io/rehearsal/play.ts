/**
 * What an agent practises, in acts of a few ms at most: agents like itself join, gossip, probe, fire events and answer clients. They have a network, a clock, a log and
 * measurements of their own, and share nothing with the agent that practises but its code. They are made of the classes that do the real work, so that V8 learns the right shapes.
 * For the same reason their clients come through real connections on loopback: of sockets in memory Node's code, and that of the RPC server, would learn shapes that it never sees again.
 */
import { randomBytes } from "node:crypto";
import { connect, type Socket } from "node:net";
import { formatEndpoint, type Endpoint } from "../../base/endpoint.ts";
import { encodeUtf8 } from "../../base/utf8.ts";
import { encodeAlive, encodeUser } from "../../wire/gossip-codec.ts";
import { IPC_VERSION } from "../../wire/ipc-messages.ts";
import { encodeRequest, type IpcRequest } from "../../wire/ipc-requests.ts";
import { encodeJoin, encodeUserEvent } from "../../wire/serf-codec.ts";
import { encodeTags } from "../../wire/serf-tags.ts";
import type { PacketFormat } from "../lanes/packet-lane.ts";
import { packJob } from "../lanes/packet-work.ts";
import { LogHub } from "../log-hub.ts";
import { IntervalMetrics } from "../metrics-intervals.ts";
import { NodeSealer } from "../node-sealer.ts";
import { startRpcServer, type RpcServer } from "../rpc-server.ts";
import type { MetricSink, SerfAgentApi, SerfAgentOptions } from "../serf-agent-api.ts";
import { PracticeNetwork } from "./practice-network.ts";

const AGENTS = 2;
/** Members that are only spoken of: enough for a push/pull with several, and for probes that nobody answers. */
const MEMBERS = 4;
/** Time of the play that passes in a round. In the second one what nobody answered is asked of others. */
const ROUND_MS = 700;
const ROUNDS = 2;
/** A client that waits for something asks again and again. */
const STATS_PER_ROUND = 6;
const EVENTS_PER_PACKET = 20;
/** Lamport times of the first events of packets that come together, with as many digits as such times come to have. */
const BUSY_TIMES = [30, 120, 300, 1000, 70_000];
/** The second one brings what is known. */
const FLOODS = 2;
/** Reached by these events: what is over a bound is the first thing that happens in a flood which has not happened before. */
const BOUNDS = { eventBufferSize: 16, queueDepthMax: 16 };
/** For log and measurements time passes faster: within the play seconds, and intervals of ten, end. It begins with as many digits as the real one has. */
const HASTE = 10;
const HASTE_FROM_MS = 1e12;
/** Too much to be squared in 31 bits. */
const LARGE_MEASURE = 1e6;
const EVENT_BYTES = 24;
/** Acts in which a request or an answer may come; it takes one or two, and some more where a connection is made first. */
const LISTEN_ACTS_MAX = 50;
const AUTH_KEY_BYTES = 16;
const PORT = 7946;
const HOST = "127.0.0.1";
/** Whoever sends what nobody in the play sends. */
const STRANGER: Endpoint = { ip: HOST, port: 1 };

/** What came of it, for a test. */
export interface PlayResult {
  /** That the agent knows that joined. */
  readonly members: number;
  /** Lamport time of the events that the first agent has seen. */
  readonly eventTime: number;
  /** That clients were sent. */
  readonly bytes: number;
}

/** `options` are those of the agent that practises; `start` starts another one. */
export async function* play(options: SerfAgentOptions, start: (options: SerfAgentOptions) => Promise<SerfAgentApi>): AsyncGenerator<void, PlayResult> {
  const network = new PracticeNetwork();
  const actors: Actor[] = [];
  let nowMs = 0;
  const hasty = (): number => HASTE_FROM_MS + HASTE * nowMs;
  const metrics = practiceMetrics(hasty);
  const enter = async (port: number): Promise<Actor> => {
    const bind = { ip: HOST, port };
    const log = new LogHub(hasty);
    const agent = await start({ ...castOptions(options, `practice-${port - PORT}`, bind), log, metrics, stage: { now: () => nowMs, network: network.at(bind), bounds: BOUNDS } });
    return Actor.enter(agent, log, metrics);
  };
  try {
    for (let i = 0; i < AGENTS; i += 1) {
      const actor = await enter(PORT + i);
      actors.push(actor);
      yield;
      yield* actor.listen();
      actor.ask({ command: "stream", type: "user" });
      actor.ask({ command: "stats" });
      yield* actor.listen();
    }
    const [first, second] = actors as [Actor, Actor];
    const seal = packetSealer(options);
    network.send(STRANGER, first.agent.bind, seal(announcements(options)));
    network.send(STRANGER, first.agent.bind, seal(events(1)));
    while (network.deliver()) yield;
    second.ask({ command: "join", existing: [formatEndpoint(first.agent.bind)], replay: false });
    for (let act = 0; act < LISTEN_ACTS_MAX && !network.isBusy; act += 1) yield;
    while (network.deliver()) yield;
    yield* second.listen();
    for (let round = 0; round < ROUNDS; round += 1) {
      nowMs += ROUND_MS;
      for (const actor of actors) {
        // The first input after time has passed also wakes whoever gets it.
        actor.ask({ command: "event", name: `practice-${round}`, payload: new Uint8Array(EVENT_BYTES), coalesce: false });
        actor.ask({ command: "members" });
        for (let i = 0; i < STATS_PER_ROUND; i += 1) actor.ask({ command: "stats" });
        yield* actor.listen();
      }
      while (network.deliver()) yield;
    }
    const members = second.agent.members().length;
    // V8 takes fields for constants until they are written for the second time, and then compiles what read them anew: those that change at the end must not do so in a flood.
    await second.leave();
    yield;
    const flood = BUSY_TIMES.flatMap((time) => seal(events(time)));
    for (let time = 0; time < FLOODS; time += 1) {
      network.send(STRANGER, first.agent.bind, flood);
      while (network.deliver()) yield;
    }
    const eventTime = Number(first.agent.stats().get("serf")?.get("event_time"));
    return { members, eventTime, bytes: first.bytes + second.bytes };
  } finally {
    for (const actor of actors) await actor.leave();
  }
}

/** As the agent is, but without files and threads. */
function castOptions(options: SerfAgentOptions, name: string, bind: Endpoint): SerfAgentOptions {
  return { ...options, name, bind, advertise: bind, tagsFile: "", keyringFile: "", snapshotPath: "", packetWorkers: 0, lanesAtOnce: false, streamLane: false, rehearse: false };
}

/** As the agent command has them. */
function practiceMetrics(now: () => number): MetricSink {
  const intervals = new IntervalMetrics("practice", now);
  intervals.count("practice", LARGE_MEASURE);
  return {
    count: (name, delta) => intervals.count(name, delta),
    sample: (name, value) => intervals.sample(name, value),
  };
}

/** An agent of the play with its client, on a connection of the system's: Node's code for connections must meet the sockets that it will meet later, and no others. */
class Actor {
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

  /** Rejects when the system gives no sockets. */
  static async enter(agent: SerfAgentApi, logs: LogHub, metrics: MetricSink): Promise<Actor> {
    // Whoever else finds the port has no key.
    const authKey = randomBytes(AUTH_KEY_BYTES).toString("hex");
    const server = await startRpcServer({ agent, listen: { ip: HOST, port: 0 }, authKey, logs, metrics });
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

function packetSealer({ keys, compression, label = "", verifyIncoming = true, verifyOutgoing = true }: SerfAgentOptions): (messages: readonly Uint8Array[]) => Uint8Array[] {
  const sealer = new NodeSealer(keys);
  const format: PacketFormat = { compress: compression, label: encodeUtf8(label), verifyIncoming, verifyOutgoing };
  return (messages) => packJob({ targets: 1, messages, crc: true }, format, sealer)[0] ?? [];
}

function announcements({ tags, protocol }: SerfAgentOptions): Uint8Array[] {
  const meta = encodeTags(tags, protocol);
  return Array.from({ length: MEMBERS }, (_, i) => {
    const node = `member-${i}`;
    const versions = Uint8Array.of(1, 5, 2, 2, 5, protocol);
    const alive = encodeAlive({ incarnation: 1, node, addr: Uint8Array.of(127, 0, 0, 2 + i), port: PORT, meta, versions });
    const intent = encodeUser(encodeJoin({ lamportTime: 2 + i, node }));
    return i % 2 === 0 ? [alive, intent] : [intent, alive]; // Where many join, an intent often comes before its member.
  }).flat();
}

function events(lamportTime: number): Uint8Array[] {
  return Array.from({ length: EVENTS_PER_PACKET }, (_, i) => encodeUser(encodeUserEvent({ lamportTime: lamportTime + (i % 2), name: `event-${i}`, payload: new Uint8Array(EVENT_BYTES), coalesce: false })));
}
