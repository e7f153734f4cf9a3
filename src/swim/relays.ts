/** Pings on behalf of others (indirect pings): passes the ack back, or a nack when the target does not answer in time. */
import { Deadlines } from "../base/deadlines.ts";
import type { Endpoint } from "../base/endpoint.ts";
import { ipFromBytes } from "../base/endpoint.ts";
import { encodeAck, encodeNack, encodePing } from "../wire/gossip-codec.ts";
import type { IndirectPing } from "../wire/gossip-messages.ts";
import { count, nextSeq, type Core } from "./core.ts";
import type { Outbox } from "./outbox.ts";
import type { SwimEffect } from "./types.ts";

/** Pings for others in flight; beyond it requests are dropped. A thousand helpers' worth within one probe timeout. */
export const RELAYS_MAX = 4096;

interface Relay {
  /** Sequence number of the asker. */
  readonly seq: number;
  readonly asker: Endpoint;
  readonly nack: boolean;
}

export class Relays {
  readonly #core: Core;
  readonly #outbox: Outbox;
  readonly #bySeq = new Map<number, Relay>();
  readonly #deadlines = new Deadlines<number>();

  constructor(core: Core, outbox: Outbox) {
    this.#core = core;
    this.#outbox = outbox;
  }

  get nextAtMs(): number {
    return this.#deadlines.nextAtMs;
  }

  get count(): number {
    return this.#bySeq.size;
  }

  start(request: IndirectPing, asker: Endpoint, nowMs: number, out: SwimEffect[]): void {
    const { config, selfAddr } = this.#core;
    const ip = ipFromBytes(request.target);
    if (ip === "" || this.#bySeq.size >= RELAYS_MAX) {
      count("memberlist.drop.indirectPing", out);
      return;
    }
    const seq = nextSeq(this.#core);
    this.#bySeq.set(seq, { seq: request.seq, asker, nack: request.nack });
    this.#deadlines.set(seq, nowMs + config.profile.probeTimeoutMs);
    const ping = encodePing({ seq, node: request.node, sourceAddr: selfAddr, sourcePort: config.advertise.port, sourceNode: config.name });
    const port = request.port === 0 ? config.bindPort : request.port;
    this.#outbox.send({ ip, port }, ping, out);
  }

  /** True when the ack answers a ping for somebody else. The asker gets it without payload. */
  ack(seq: number, out: SwimEffect[]): boolean {
    const relay = this.#bySeq.get(seq);
    if (relay === undefined) return false;
    this.#bySeq.delete(seq);
    this.#deadlines.delete(seq);
    this.#outbox.send(relay.asker, encodeAck({ seq: relay.seq, payload: null }), out);
    return true;
  }

  wake(nowMs: number, out: SwimEffect[]): void {
    for (;;) {
      const seq = this.#deadlines.popDue(nowMs);
      if (seq === undefined) return;
      const relay = this.#bySeq.get(seq);
      this.#bySeq.delete(seq);
      if (relay?.nack === true) this.#outbox.send(relay.asker, encodeNack({ seq: relay.seq }), out);
    }
  }
}
