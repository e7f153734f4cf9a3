/** Streams: pings over TCP and push/pulls that we begin, and whatever peers ask on streams of theirs (serf-protocol §4.9, §5). */
import { EMPTY_BYTES } from "../base/bytes.ts";
import { formatEndpoint, type Endpoint } from "../base/endpoint.ts";
import { ok } from "../base/result.ts";
import { decodeStreamMessage, encodeAck, encodePing, encodePushPull, peekType } from "../wire/gossip-codec.ts";
import { MessageType, type Ping, type PushPull, type StreamMessage } from "../wire/gossip-messages.ts";
import { PushPullEncoder } from "../wire/push-pull.ts";
import { count, isAllowedFrom, log, type Core } from "./core.ts";
import type { Contact } from "./joiner.ts";
import type { MemberRecord } from "./member-records.ts";
import type { Membership } from "./membership.ts";
import { localState } from "./merge.ts";
import { CODED_PER_MERGED, PendingMerges, type MergeDone } from "./pending-merges.ts";
import { sharedStateOf, type SharedState } from "./shared-state.ts";
import { Streams } from "./streams.ts";
import type { StreamId, SwimEffect } from "./types.ts";

/** Push/pulls up to this length are decoded at once: some hundred members, in less than a ms. */
const DECODED_AT_ONCE_BYTES_MAX = 32 * 1024;

/** Our state, being encoded for a peer. */
interface Encoding {
  readonly stream: StreamId;
  readonly encoder: PushPullEncoder;
  /** Nothing else is to come on the stream. */
  readonly close: boolean;
}

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
  readonly #encodings: Encoding[] = [];
  #encodingSinceMs = Infinity;

  constructor(core: Core, membership: Membership, listener: ExchangeListener) {
    this.#core = core;
    this.#merges = new PendingMerges(core, membership);
    this.#membership = membership;
    this.#listener = listener;
  }

  get nextAtMs(): number {
    const encodingAtMs = this.#encodings.length === 0 ? Infinity : this.#encodingSinceMs;
    return Math.min(this.#streams.nextAtMs, this.#merges.nextAtMs, encodingAtMs);
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

  opened(stream: StreamId, nowMs: number, out: SwimEffect[]): void {
    const purpose = this.#streams.get(stream);
    if (purpose === undefined) return;
    if (purpose.kind === "ping") out.push({ kind: "streamSend", stream, bytes: purpose.message });
    else this.#sendState(stream, purpose.contact !== null, false, nowMs, out);
  }

  /** What is sent is our state as it is now. False when it is so large that it leaves later; `close`: and the stream is closed then. */
  #sendState(stream: StreamId, join: boolean, close: boolean, nowMs: number, out: SwimEffect[]): boolean {
    const core = this.#core;
    const { mergeSliceNodes = Infinity } = core.config;
    if (core.records.sharing !== null) out.push({ kind: "streamSend", stream, bytes: EMPTY_BYTES, state: sharedStateOf(core, join) });
    else if (core.table.size <= CODED_PER_MERGED * mergeSliceNodes) out.push({ kind: "streamSend", stream, bytes: encodePushPull(localState(core, join)) });
    else {
      this.#encodings.push({ stream, encoder: new PushPullEncoder(localState(core, join)), close });
      this.#encodingSinceMs = nowMs;
      return false;
    }
    return true;
  }

  /** One more slice of the state that has waited longest. */
  #encode(out: SwimEffect[]): void {
    const [encoding] = this.#encodings;
    const bytes = encoding?.encoder.next(CODED_PER_MERGED * (this.#core.config.mergeSliceNodes ?? Infinity)) ?? null;
    if (encoding === undefined || bytes === null) return;
    this.#encodings.shift();
    const { stream, close } = encoding;
    if (stream > 0 && this.#streams.get(stream) === undefined) return; // We have given it up meanwhile.
    out.push({ kind: "streamSend", stream, bytes });
    if (close) out.push({ kind: "streamClose", stream });
  }

  /** `state`: a full state by reference, in place of `bytes`. */
  message(stream: StreamId, bytes: Uint8Array, state: SharedState | null, from: Endpoint, nowMs: number, out: SwimEffect[]): void {
    const purpose = this.#streams.end(stream);
    if (purpose === undefined && stream > 0) return; // An answer to what we have given up.
    if (purpose === undefined && !isAllowedFrom(this.#core, from)) {
      count("memberlist.drop.address", out);
      out.push({ kind: "streamClose", stream });
      return;
    }
    if (state === null && purpose?.kind !== "ping" && this.#isLarge(bytes)) {
      this.#takeLarge(stream, purpose, bytes, from, nowMs, out);
      return;
    }
    const decoded = state === null ? decodeStreamMessage(bytes) : ok(state);
    if (purpose === undefined) {
      if (decoded.ok) this.#serve(stream, decoded.value, from, nowMs, out);
      else this.#refuse(stream, out);
      return;
    }
    out.push({ kind: "streamClose", stream });
    if (purpose.kind === "ping") {
      if (decoded.ok && decoded.value.kind === "ack" && decoded.value.seq === purpose.seq) this.#listener.pingAnswered(purpose.seq);
      return;
    }
    const ended = this.#syncEnded(purpose);
    if (decoded.ok) this.#mergeReply(decoded.value, nowMs, out, ended);
    else ended(decoded.error, 0, nowMs, out);
  }

  #syncEnded(purpose: SyncPurpose): MergeDone {
    return (error, learned, nowMs, out) => this.#listener.syncEnded(purpose, error, learned, nowMs, out);
  }

  /** A push/pull that takes several turns to decode, on a machine that has other things to see to. */
  #isLarge(bytes: Uint8Array): boolean {
    return this.#core.config.mergeSliceNodes !== undefined && bytes.length > DECODED_AT_ONCE_BYTES_MAX && peekType(bytes) === MessageType.pushPull;
  }

  #takeLarge(stream: StreamId, purpose: SyncPurpose | undefined, bytes: Uint8Array, from: Endpoint, nowMs: number, out: SwimEffect[]): void {
    if (purpose === undefined) {
      const decoded = (remote: PushPull, atMs: number, at: SwimEffect[]): MergeDone => {
        if (this.#sendState(stream, remote.join, true, atMs, at)) at.push({ kind: "streamClose", stream });
        return this.#syncServed(from);
      };
      this.#merges.beginMessage(bytes, { decoded, undecodable: (_error, _atMs, at) => this.#refuse(stream, at) }, nowMs, out);
      return;
    }
    out.push({ kind: "streamClose", stream });
    const ended = this.#syncEnded(purpose);
    this.#merges.beginMessage(bytes, { decoded: () => ended, undecodable: (error, atMs, at) => ended(error, 0, atMs, at) }, nowMs, out);
  }

  #refuse(stream: StreamId, out: SwimEffect[]): void {
    count("memberlist.drop.undecodableStream", out);
    out.push({ kind: "streamClose", stream });
  }

  failed(stream: StreamId, error: string, nowMs: number, out: SwimEffect[]): void {
    const purpose = this.#streams.end(stream);
    if (purpose?.kind === "sync") this.#listener.syncEnded(purpose, error, 0, nowMs, out);
  }

  /** Goes on with what is being merged, and gives up what has taken too long. */
  wake(nowMs: number, out: SwimEffect[]): void {
    this.#encode(out);
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
      case "pushPull":
      case "sharedState":
        this.#serveSync(stream, message, from, nowMs, out);
        return;
      case "ping":
        this.#servePing(stream, message, from, out);
        break;
      case "user":
        this.#core.delegate.userMessage(message.payload, 0, from, nowMs, out);
        break;
      default:
        count("memberlist.drop.streamType", out);
    }
    out.push({ kind: "streamClose", stream });
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
    const isSent = this.#sendState(stream, message.join, true, nowMs, out);
    this.#merge(message, nowMs, out, this.#syncServed(from));
    if (isSent) out.push({ kind: "streamClose", stream });
  }

  #syncServed(from: Endpoint): MergeDone {
    return (error, learned, nowMs, out) => {
      if (error !== null) log(this.#core, "err", `Failed push/pull merge: ${error} from=${formatEndpoint(from)}`, out);
      this.#listener.syncServed(learned, nowMs);
    };
  }
}
