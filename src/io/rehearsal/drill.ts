/**
 * The last part of a rehearsal: packets of events that are known, and a few that are not, with some pings after each batch, until V8 has optimized their way. An agent whose first flood finds it
 * so spends 7 to 19 % less on the first 1.5 s of it (medians of five pairs for each of eight kinds of packets), and its compiler does not take the processor then.
 * They go through sockets of the system to an agent of its own, on loopback: half of a packet's way is Node's code, which must be optimized for the same shapes.
 */
import { assert } from "../../base/assert.ts";
import type { Endpoint } from "../../base/endpoint.ts";
import { monotonicMs } from "../clock.ts";
import { LogHub } from "../log-hub.ts";
import { AllowList } from "../network.ts";
import type { SerfAgentApi, SerfAgentOptions } from "../serf-agent-api.ts";
import { UdpSocket } from "../udp-socket.ts";
import { Actor, castOptions, LISTEN_ACTS_MAX, PRACTICE_HOST, PRACTICE_WALL_MS, practiceMetrics } from "./actor.ts";
import type { Lesson } from "./lesson.ts";
import { busyEvents, events, packetSealer, ping } from "./practice-packets.ts";

/** Enough for all but a few functions of the way: V8 compiles for some 350 ms of processor time then. */
export const ROUNDS = 72;
/** Of them so many with events of an agent that has just begun: Lamport times take less room then. */
const EARLY_ROUNDS = 4;
/** Until here everything has happened once: what is new to optimized code throws it away. */
const FIRST_ROUNDS = EARLY_ROUNDS + 2;
const KNOWN_PER_ROUND = 6;
/** The way of an answer is as long as that of a packet. */
export const PINGS_PER_ROUND = 3;
/** Rounds from one with a packet that is not known to the next. */
const FRESH_EVERY = 2;
/** Known packets are taken from so many. */
const KNOWN_MAX = 6;
const PREPARED_PER_ACT = 8;
/** With one, two and four bytes. */
const FIRST_SEQS = [1, 300, 70_000];
const NAME = "practice-drill";

/** What came of it, for a test. */
export interface DrillResult {
  /** Pings that were answered. */
  readonly answered: number;
  /** Bytes that the client of the events was sent. */
  readonly bytes: number;
}

export async function* drill(options: SerfAgentOptions, start: (options: SerfAgentOptions) => Promise<SerfAgentApi>): AsyncGenerator<Lesson, DrillResult> {
  const wall = (): number => PRACTICE_WALL_MS + Math.trunc(monotonicMs());
  const log = new LogHub(wall);
  const metrics = practiceMetrics(wall);
  const stranger = await Stranger.enter();
  let actor: Actor | null = null;
  try {
    const rounds: Round[] = [];
    yield* prepare(rounds, options, stranger.at);
    const agent = await start({ ...castOptions(options, NAME, HERE), log, metrics, allowedCidrs: null });
    actor = await Actor.enter(agent, log, metrics);
    yield* taught("shapes", actor.listen());
    actor.ask({ command: "stream", type: "user" });
    yield* taught("shapes", actor.listen());
    for (const [i, round] of rounds.entries()) {
      stranger.send(round, agent.bind);
      const lesson = i < FIRST_ROUNDS ? "shapes" : "speed";
      yield lesson;
      yield* taught(lesson, stranger.listen());
    }
    return { answered: stranger.heard, bytes: actor.bytes };
  } finally {
    await Promise.all([actor?.leave(), stranger.leave()]);
  }
}

const HERE: Endpoint = { ip: PRACTICE_HOST, port: 0 };

interface Round {
  readonly fresh: readonly Uint8Array[];
  readonly pings: readonly Uint8Array[];
}

/** In a generator of its own: what loops here must not seem busy when it is over. */
function* prepare(rounds: Round[], options: SerfAgentOptions, from: Endpoint): Generator<Lesson, void> {
  const seal = packetSealer(options);
  for (let round = 0; round < ROUNDS; round += 1) {
    const news = round < EARLY_ROUNDS ? events(1 + 2 * round) : busyEvents(round);
    const seqs = Array.from({ length: PINGS_PER_ROUND }, (_, i) => (FIRST_SEQS[round % FIRST_SEQS.length] as number) + round * PINGS_PER_ROUND + i);
    rounds.push({
      fresh: round % FRESH_EVERY === 0 ? seal(news) : [],
      pings: seqs.flatMap((seq) => seal([ping(seq, NAME, from)])),
    });
    if (rounds.length % PREPARED_PER_ACT === 0) yield "shapes";
  }
}

function* taught(lesson: Lesson, acts: Generator<void, void>): Generator<Lesson, void> {
  for (const _ of acts) yield lesson;
}

/** Sends packets from a socket of its own, and hears the answers to its pings. */
class Stranger {
  readonly #socket: UdpSocket;
  readonly #answers: { count: number };
  /** Packets that were sent before. */
  readonly #known: Uint8Array[] = [];
  /** Answers that had come when the last pings were sent. */
  #answered = 0;

  private constructor(socket: UdpSocket, answers: { count: number }) {
    this.#socket = socket;
    this.#answers = answers;
  }

  static async enter(): Promise<Stranger> {
    const allow = AllowList.parse(null);
    assert(allow.ok);
    const answers = { count: 0 };
    const hooks = { packets: (batch: unknown[]) => void (answers.count += batch.length), count: () => undefined };
    return new Stranger(await UdpSocket.bind(HERE, allow.value, hooks), answers);
  }

  send({ fresh, pings }: Round, to: Endpoint): void {
    const known = this.#known;
    for (const packet of fresh) this.#socket.send(packet, to);
    for (let i = 0; i < KNOWN_PER_ROUND && known.length > 0; i += 1) this.#socket.send(known[i % known.length] as Uint8Array, to);
    for (const packet of pings) this.#socket.send(packet, to);
    known.push(...fresh);
    known.splice(0, known.length - KNOWN_MAX);
    this.#answered = this.#answers.count;
  }

  /** Acts until an answer to the last ping has come, or will not come. */
  *listen(): Generator<void, void> {
    for (let act = 0; act < LISTEN_ACTS_MAX && this.#answers.count === this.#answered; act += 1) yield;
  }

  get at(): Endpoint {
    return { ...HERE, port: this.#socket.port };
  }

  get heard(): number {
    return this.#answers.count;
  }

  leave(): Promise<void> {
    return this.#socket.close();
  }
}
