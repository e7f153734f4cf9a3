/** Streams: pings over TCP and push/pulls that we begin, and whatever peers ask on streams of theirs (serf-protocol §4.9, §5). */
import { EMPTY_BYTES } from "../base/bytes.ts";
import { formatEndpoint, type Endpoint } from "../base/endpoint.ts";
import { ok } from "../base/result.ts";
import { decodeStreamMessage, encodeAck, encodePing } from "../wire/gossip-codec.ts";
import type { Ping, PushPull, StreamMessage } from "../wire/gossip-messages.ts";
import { count, isAllowedIp, log, type Core } from "./core.ts";
import type { Contact } from "./joiner.ts";
import type { MemberRecord } from "./member-records.ts";
import type { Membership } from "./membership.ts";
import { encodeLocalState } from "./merge.ts";
import { PendingMerges, type MergeDone } from "./pending-merges.ts";
import { SharedState } from "./shared-state.ts";
import { Streams } from "./streams.ts";
import type { StreamId, SwimEffect } from "./types.ts";

/** What a stream we opened is for. */
type Purpose =
  | { readonly kind: "ping"; readonly seq: number; readonly message: Uint8Array }
  | ({ readonly kind: "sync" } & SyncPurpose);

export interface SyncPurpose {
  /** Null for a periodic push/pull. */
  readonly contact: Contact | null;
  readonly to: Endpoint;
}

/** Who wants to know how an exchange ended. */
export interface ExchangeListener {
  pingAnswered(seq: number): void;
  /** A push/pull that we began is over. `error` is null when it was merged. */
  syncEnded(purpose: SyncPurpose, error: string | null, learned: number, nowMs: number, out: SwimEffect[]): void;
  /** A push/pull that a peer began is over. */
  syncServed(learned: number, nowMs: number): void;
}

export class Exchanges {
  readonly #core: Core;
  readonly #membership: Membership;
  readonly #listener: ExchangeListener;
  readonly #streams = new Streams<Purpose>();
  readonly #merges: PendingMerges;

  constructor(core: Core, membership: Membership, listener: ExchangeListener) {
    this.#core = core;
    this.#merges = new PendingMerges(core, membership);
    this.#membership = membership;
    this.#listener = listener;
  }

  get nextAtMs(): number {
    return Math.min(this.#streams.nextAtMs, this.#merges.nextAtMs);
  }

  /** Streams that we opened and that are not over. */
  get count(): number {
    return this.#streams.count;
  }

  ping(seq: number, { name, endpoint }: MemberRecord, timeoutMs: number, nowMs: number, out: SwimEffect[]): void {
    const { config, selfAddr } = this.#core;
    const message = encodePing({ seq, node: name, sourceAddr: selfAddr, sourcePort: config.advertise.port, sourceNode: config.name });
    const stream = this.#streams.open({ kind: "ping", seq, message }, nowMs + timeoutMs);
    out.push({ kind: "dial", stream, to: endpoint, timeoutMs });
  }

  sync(to: Endpoint, contact: Contact | null, nowMs: number, out: SwimEffect[]): void {
    const { tcpTimeoutMs } = this.#core.config.profile;
    // Dialling and the exchange have the timeout each.
    const stream = this.#streams.open({ kind: "sync", contact, to }, nowMs + 2 * tcpTimeoutMs);
    out.push({ kind: "dial", stream, to, timeoutMs: tcpTimeoutMs });
  }

  opened(stream: StreamId, out: SwimEffect[]): void {
    const purpose = this.#streams.get(stream);
    if (purpose === undefined) return;
    if (purpose.kind === "ping") out.push({ kind: "streamSend", stream, bytes: purpose.message });
    else this.#sendState(stream, purpose.contact !== null, out);
  }

  #sendState(stream: StreamId, join: boolean, out: SwimEffect[]): void {
    const core = this.#core;
    if (core.records.sharing === null) out.push({ kind: "streamSend", stream, bytes: encodeLocalState(core, join) });
    else out.push({ kind: "streamSend", stream, bytes: EMPTY_BYTES, state: new SharedState(core, join) });
  }

  /** `state`: a full state by reference, in place of `bytes`. */
  message(stream: StreamId, bytes: Uint8Array, state: SharedState | null, from: Endpoint, nowMs: number, out: SwimEffect[]): void {
    const purpose = this.#streams.end(stream);
    if (purpose === undefined && stream > 0) return; // An answer to what we have given up.
    if (purpose === undefined && !isAllowedIp(this.#core, from.ip)) {
      count("memberlist.drop.address", out);
      out.push({ kind: "streamClose", stream });
      return;
    }
    const decoded = state === null ? decodeStreamMessage(bytes) : ok(state);
    if (purpose === undefined) {
      if (decoded.ok) this.#serve(stream, decoded.value, from, nowMs, out);
      else count("memberlist.drop.undecodableStream", out);
      out.push({ kind: "streamClose", stream });
      return;
    }
    out.push({ kind: "streamClose", stream });
    if (purpose.kind === "ping") {
      if (decoded.ok && decoded.value.kind === "ack" && decoded.value.seq === purpose.seq) this.#listener.pingAnswered(purpose.seq);
      return;
    }
    const ended: MergeDone = (error, learned, atMs, at) => this.#listener.syncEnded(purpose, error, learned, atMs, at);
    if (decoded.ok) this.#mergeReply(decoded.value, nowMs, out, ended);
    else ended(decoded.error, 0, nowMs, out);
  }

  failed(stream: StreamId, error: string, nowMs: number, out: SwimEffect[]): void {
    const purpose = this.#streams.end(stream);
    if (purpose?.kind === "sync") this.#listener.syncEnded(purpose, error, 0, nowMs, out);
  }

  /** Goes on with what is being merged, and gives up what has taken too long. */
  wake(nowMs: number, out: SwimEffect[]): void {
    this.#merges.wake(nowMs, out);
    for (;;) {
      const stream = this.#streams.due(nowMs);
      if (stream === undefined) return;
      out.push({ kind: "streamClose", stream });
      this.failed(stream, "i/o timeout", nowMs, out);
    }
  }

  /** Merges the peer's answer to our push/pull. */
  #mergeReply(message: StreamMessage | SharedState, nowMs: number, out: SwimEffect[], done: MergeDone): void {
    if (message.kind === "err") done(`remote error: ${message.error}`, 0, nowMs, out);
    else if (message.kind === "pushPull" || message.kind === "sharedState") this.#merge(message, nowMs, out, done);
    else done("received invalid message instead of a push/pull", 0, nowMs, out);
  }

  #merge(message: PushPull | SharedState, nowMs: number, out: SwimEffect[], done: MergeDone): void {
    if (message.kind === "pushPull") {
      this.#merges.begin(message, nowMs, out, done);
      return;
    }
    const newsBefore = this.#membership.news;
    const merged = message.merge(this.#core, this.#membership, nowMs, out);
    done(merged.ok ? null : merged.error, this.#membership.news - newsBefore, nowMs, out);
  }

  #serve(stream: StreamId, message: StreamMessage | SharedState, from: Endpoint, nowMs: number, out: SwimEffect[]): void {
    switch (message.kind) {
      case "ping":
        this.#servePing(stream, message, from, out);
        return;
      case "user":
        this.#core.delegate.userMessage(message.payload, from, nowMs, out);
        return;
      case "pushPull":
      case "sharedState":
        this.#serveSync(stream, message, from, nowMs, out);
        return;
      default:
        count("memberlist.drop.streamType", out);
    }
  }

  #servePing(stream: StreamId, { node, seq }: Ping, from: Endpoint, out: SwimEffect[]): void {
    if (node !== "" && node !== this.#core.config.name) {
      log(this.#core, "warn", `Got ping for unexpected node ${node} from=${formatEndpoint(from)}`, out);
      return;
    }
    out.push({ kind: "streamSend", stream, bytes: encodeAck({ seq, payload: null }) });
  }

  #serveSync(stream: StreamId, message: PushPull | SharedState, from: Endpoint, nowMs: number, out: SwimEffect[]): void {
    // Our state leaves before theirs is merged, as in the original: they learn what we knew without them.
    this.#sendState(stream, message.join, out);
    this.#merge(message, nowMs, out, (error, learned, atMs, at) => {
      if (error !== null) log(this.#core, "err", `Failed push/pull merge: ${error} from=${formatEndpoint(from)}`, at);
      this.#listener.syncServed(learned, atMs);
    });
  }
}
