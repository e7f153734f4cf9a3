/** Answers to queries of others: acks, responses, and their copies through relays (reference: serf-protocol §8.9). */
import { ipFromBytes, type Endpoint } from "../base/endpoint.ts";
import type { Random } from "../base/random.ts";
import { encodeUser } from "../wire/gossip-codec.ts";
import { encodeQueryResponse, encodeRelay } from "../wire/serf-codec.ts";
import { QueryFlag, type QueryMessage } from "../wire/serf-messages.ts";
import type { Membership } from "./membership.ts";
import type { Reporter } from "./reporter.ts";
import type { PoolEffect } from "./types.ts";

/** Queries that may still be answered; beyond it the oldest can no longer be. */
export const ANSWERABLE_QUERIES_MAX = 4096;
/** Members understand relays from this memberlist protocol on. */
const RELAY_PROTOCOL_MIN = 5;

/** What is needed to answer a query later. */
export interface AnswerableQuery {
  readonly query: Pick<QueryMessage, "lamportTime" | "id" | "addr" | "port" | "sourceNode" | "relayFactor">;
  readonly deadlineMs: number;
  answered: boolean;
}

export interface QueryResponderConfig {
  readonly name: string;
  readonly responseSizeMax: number;
}

export class QueryResponder {
  readonly #config: QueryResponderConfig;
  readonly #membership: Membership;
  readonly #random: Random;
  readonly #report: Reporter;
  readonly #answerable = new Map<number, AnswerableQuery>();
  #lastToken = 0;

  constructor(config: QueryResponderConfig, membership: Membership, random: Random, report: Reporter) {
    this.#config = config;
    this.#membership = membership;
    this.#random = random;
    this.#report = report;
  }

  /** Number under which the query can be answered by whoever sees it. */
  remember(query: AnswerableQuery): number {
    this.#lastToken += 1;
    this.#answerable.set(this.#lastToken, query);
    if (this.#answerable.size > ANSWERABLE_QUERIES_MAX) {
      for (const oldest of this.#answerable.keys()) {
        this.#answerable.delete(oldest);
        break;
      }
    }
    return this.#lastToken;
  }

  find(token: number): AnswerableQuery | undefined {
    return this.#answerable.get(token);
  }

  ack({ query }: AnswerableQuery, out: PoolEffect[]): void {
    const { lamportTime, id } = query;
    const message = encodeQueryResponse({ lamportTime, id, from: this.#config.name, flags: QueryFlag.ack, payload: null });
    this.#send(query, message, out);
  }

  /** Sends the answer; "" or why it was not sent, in the original's words. */
  respond(answerable: AnswerableQuery, payload: Uint8Array | null, nowMs: number, out: PoolEffect[]): string {
    const message = this.#encode(answerable, payload);
    if (message.length > this.#config.responseSizeMax) return `response exceeds limit of ${this.#config.responseSizeMax} bytes`;
    if (answerable.answered) return "response already sent";
    if (nowMs > answerable.deadlineMs) return "response is past the deadline";
    answerable.answered = true;
    this.#send(answerable.query, message, out);
    return "";
  }

  /** Whether a response with this payload is small enough to be sent. */
  fits(answerable: AnswerableQuery, payload: Uint8Array): boolean {
    return this.#encode(answerable, payload).length <= this.#config.responseSizeMax;
  }

  #encode({ query }: AnswerableQuery, payload: Uint8Array | null): Uint8Array {
    const { lamportTime, id } = query;
    return encodeQueryResponse({ lamportTime, id, from: this.#config.name, flags: 0, payload });
  }

  #send(query: AnswerableQuery["query"], message: Uint8Array, out: PoolEffect[]): void {
    const ip = ipFromBytes(query.addr);
    if (ip === "" || query.port === 0) {
      this.#report.count("serf.query.bad_source", out);
      return;
    }
    sendUser({ ip, port: query.port }, message, out);
    if (query.relayFactor > 0) this.#relay(query, message, out);
  }

  /** The same response again, by way of random members: it may get through where the direct way is lossy. */
  #relay(query: AnswerableQuery["query"], response: Uint8Array, out: PoolEffect[]): void {
    const { relayFactor, addr, port, sourceNode } = query;
    if (this.#membership.table.size < relayFactor + 1) return;
    const message = encodeRelay({ destAddr: addr, destPort: port, destName: sourceNode, message: response });
    if (message.length > this.#config.responseSizeMax) {
      this.#report.log("err", `serf: failed to relay response: relayed response exceeds limit of ${this.#config.responseSizeMax} bytes`, out);
      return;
    }
    const relays = this.#membership.pickRandom(
      relayFactor,
      (info, status) => status === "alive" && (info.versions[1] ?? 0) >= RELAY_PROTOCOL_MIN && info.name !== this.#config.name,
      this.#random,
    );
    for (const { endpoint } of relays) if (endpoint.ip !== "") sendUser(endpoint, message, out);
  }
}

/** A Serf message as a datagram of its own, straight to one node. */
export function sendUser({ ip, port }: Endpoint, message: Uint8Array, out: PoolEffect[]): void {
  // No CRC: the originals send these to a bare address, of which they know no version.
  out.push({ kind: "packet", to: [{ ip, port }], messages: [encodeUser(message)], crc: false });
}
