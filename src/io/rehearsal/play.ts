/**
 * What an agent practises, in acts of a few ms at most: agents like itself join, gossip, probe, fire events and answer clients. They have a network, a clock, a log and
 * measurements of their own, and share nothing with the agent that practises but its code. They are made of the classes that do the real work, so that V8 learns the right shapes.
 * For the same reason their clients come through real connections on loopback: of sockets in memory Node's code, and that of the RPC server, would learn shapes that it never sees again.
 */
import { formatEndpoint, type Endpoint } from "../../base/endpoint.ts";
import { LogHub } from "../log-hub.ts";
import type { SerfAgentApi, SerfAgentOptions } from "../serf-agent-api.ts";
import { Actor, castOptions, LISTEN_ACTS_MAX, PRACTICE_HOST, PRACTICE_WALL_MS, practiceMetrics } from "./actor.ts";
import { PracticeNetwork } from "./practice-network.ts";
import { announcements, EVENT_BYTES, events, packetSealer } from "./practice-packets.ts";

const AGENTS = 2;
/** Time of the play that passes in a round. In the second one what nobody answered is asked of others. */
const ROUND_MS = 700;
const ROUNDS = 2;
/** A client that waits for something asks again and again. */
const STATS_PER_ROUND = 6;
/** Lamport times of the first events of packets that come together, with as many digits as such times come to have. */
const BUSY_TIMES = [30, 120, 300, 1000, 70_000];
/** The second one brings what is known. */
const FLOODS = 2;
/** Reached by these events: what is over a bound is the first thing that happens in a flood which has not happened before. */
const BOUNDS = { eventBufferSize: 16, queueDepthMax: 16 };
/** For log and measurements time passes faster: within the play seconds, and intervals of ten, end. */
const HASTE = 10;
const PORT = 7946;
/** Whoever sends what nobody in the play sends. */
const STRANGER: Endpoint = { ip: PRACTICE_HOST, port: 1 };

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
  const hasty = (): number => PRACTICE_WALL_MS + HASTE * nowMs;
  const metrics = practiceMetrics(hasty);
  const enter = async (port: number): Promise<Actor> => {
    const bind = { ip: PRACTICE_HOST, port };
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
