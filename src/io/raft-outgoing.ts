/**
 * A connection of ours to a peer's server port, for one channel: requests go out in order, as many at a time as the core likes, answers come back in the
 * same order. Each request ends in exactly one `response` or `failed`. The connection closes with the first failure: behind it no answer could be told from another.
 */
import { connect, type Socket } from "node:net";
import type { CallFailure, OutgoingCall, SendEffect } from "../raft/types.ts";
import { encodeRaftRequest } from "../wire/raft-codec.ts";
import type { RaftResponse } from "../wire/raft-messages.ts";
import { RaftResponseStream } from "../wire/raft-stream.ts";
import { CONNECTION_KIND } from "./server-port.ts";
import type { SnapshotStore } from "./lanes/log-store.ts";

/** From dialling to connected. */
export const DIAL_MS_MAX = 10_000;
/** Bytes that a peer has not taken yet; further requests fail. The core bounds its pipeline long before. */
export const UNSENT_BYTES_MAX = 64 << 20;
/** A snapshot's state is read and sent in pieces of this. */
const BODY_PIECE_BYTES = 256 << 10;
/** A snapshot may take its request's timeout once per so many bytes of state, as the original scales it. */
const TIMEOUT_SCALE_BYTES = 256 << 10;

export interface OutgoingHooks {
  readonly response: (call: OutgoingCall, message: RaftResponse) => void;
  readonly failed: (call: OutgoingCall, failure: CallFailure, error: string) => void;
  /** It is of no more use. `broken`: the peer or the network closed it, after it had been open. */
  readonly closed: (connection: OutgoingConnection, broken: boolean) => void;
}

interface Call {
  readonly effect: SendEffect;
  readonly deadlineMs: number;
}

export interface OutgoingOptions {
  readonly host: string;
  readonly port: number;
  /** Our own address to dial from; "" lets the system choose. */
  readonly localAddress: string;
  readonly snapshots: SnapshotStore;
  readonly hooks: OutgoingHooks;
}

export class OutgoingConnection {
  readonly #options: OutgoingOptions;
  readonly #socket: Socket;
  readonly #stream = new RaftResponseStream();
  #calls: Call[] = []; // Not answered yet, oldest first.
  #unsent: Uint8Array[] = []; // Until connected.
  #connected = false;
  #ended = false;
  #timer: NodeJS.Timeout | null = null;
  #timerAtMs = Number.POSITIVE_INFINITY;
  #uncorkDue = false;
  #answerBegun = false; // A part of the oldest call's answer has come.

  constructor(options: OutgoingOptions) {
    this.#options = options;
    const { host, port, localAddress } = options;
    this.#socket = connect({ host, port, noDelay: true, keepAlive: true, ...(localAddress === "" ? {} : { localAddress }) });
    this.#unsent.push(Uint8Array.of(CONNECTION_KIND.raft));
    this.#socket.on("connect", () => this.#opened());
    this.#socket.on("data", (chunk: Buffer) => this.#take(chunk));
    this.#socket.on("error", (error: NodeJS.ErrnoException) => this.#broke(error));
    this.#socket.on("end", () => this.#broke(null));
    this.#socket.on("close", () => this.#broke(null));
  }

  /** No request waits for an answer. */
  get idle(): boolean {
    return this.#calls.length === 0;
  }

  send(effect: SendEffect, sizeBytes: number): void {
    const scale = effect.channel === "snapshot" ? Math.max(1, Math.ceil(sizeBytes / TIMEOUT_SCALE_BYTES)) : 1;
    const deadlineMs = performance.now() + Math.min(effect.timeoutMs * scale, 0x7fff_ffff);
    if (this.#ended || this.#socket.writableLength > UNSENT_BYTES_MAX) {
      const error = this.#ended ? "the connection is closed" : "the peer does not read";
      process.nextTick(() => this.#options.hooks.failed(effect.call, "unreachable", error)); // Never while the core still steps.
      return;
    }
    this.#calls.push({ effect, deadlineMs });
    this.#arm(this.#connected ? deadlineMs : Math.min(deadlineMs, performance.now() + DIAL_MS_MAX));
    this.#write(encodeRaftRequest(effect.message));
    if (this.#connected) this.#sendBody(effect);
  }

  #write(bytes: Uint8Array): void {
    if (!this.#connected) {
      this.#unsent.push(bytes);
      return;
    }
    if (!this.#uncorkDue) {
      this.#uncorkDue = true;
      this.#socket.cork();
      process.nextTick(() => {
        this.#uncorkDue = false;
        this.#socket.uncork();
      });
    }
    this.#socket.write(bytes);
  }

  #opened(): void {
    this.#connected = true;
    const unsent = this.#unsent;
    this.#unsent = [];
    for (const bytes of unsent) this.#write(bytes);
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timerAtMs = Number.POSITIVE_INFINITY;
    for (const { effect, deadlineMs } of this.#calls) {
      this.#arm(deadlineMs);
      this.#sendBody(effect);
    }
  }

  /** The state that follows an InstallSnapshot. */
  #sendBody({ channel, snapshotId, message }: SendEffect): void {
    if (channel !== "snapshot" || message.kind !== "installSnapshot") return;
    this.#streamBody(snapshotId, message.size).catch((error: unknown) => {
      // A short state cannot be taken back: only closing tells the peer.
      this.#end("unreachable", error instanceof Error ? error.message : String(error), false);
    });
  }

  async #streamBody(snapshotId: string, size: number): Promise<void> {
    for (let offset = 0; offset < size; ) {
      const bytes = await this.#options.snapshots.read(snapshotId, offset, Math.min(BODY_PIECE_BYTES, size - offset));
      if (this.#ended) return;
      if (bytes.length === 0) throw new Error(`snapshot ${snapshotId} is shorter than ${size} bytes`);
      offset += bytes.length;
      if (!this.#socket.write(bytes)) await this.#drained();
    }
  }

  #drained(): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        this.#socket.off("drain", done);
        this.#socket.off("close", done);
        resolve();
      };
      this.#socket.on("drain", done);
      this.#socket.on("close", done);
    });
  }

  #take(chunk: Uint8Array): void {
    if (this.#ended) return;
    this.#stream.append(chunk);
    for (;;) {
      const oldest = this.#calls[0];
      if (oldest === undefined) {
        if (this.#stream.size > 0) this.#end("malformed", "an answer without a question", true);
        return;
      }
      const answer = this.#stream.next(oldest.effect.message.kind);
      if (answer === "short") {
        this.#answerBegun ||= this.#stream.size > 0;
        return;
      }
      if (answer === "malformed") {
        this.#end("malformed", "the answer cannot be read", true);
        return;
      }
      this.#answerBegun = false;
      this.#calls.shift();
      const { call } = oldest.effect;
      if (answer.message === null) this.#options.hooks.failed(call, "error", answer.error);
      else this.#options.hooks.response(call, answer.message);
      if (this.#ended) return;
    }
  }

  /** The system says that it is over, or the peer. */
  #broke(error: NodeJS.ErrnoException | null): void {
    if (!this.#connected) this.#end(error?.code === "ECONNREFUSED" ? "refused" : "unreachable", error?.message ?? "closed while dialling", false);
    else if (error === null || error.code === "ECONNRESET" || error.code === "EPIPE") this.#end("closed", error?.message ?? "closed by the peer", true);
    else this.#end("unreachable", error.message, true);
  }

  /** Closes without telling anybody: it is not needed any more. Calls on it fail. */
  close(): void {
    this.#end("unreachable", "closed here", false);
  }

  #end(failure: CallFailure, error: string, broken: boolean): void {
    if (this.#ended) return;
    this.#ended = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#socket.destroy();
    const calls = this.#calls;
    this.#calls = [];
    calls.forEach(({ effect }, i) => {
      // "closed" promises that nothing of the answer had come.
      const exact = failure === "closed" && i === 0 && this.#answerBegun ? "unreachable" : failure;
      this.#options.hooks.failed(effect.call, exact, error);
    });
    this.#options.hooks.closed(this, broken);
  }

  /** One timer, for the earliest deadline it was told of; it may fire early and looks again. */
  #arm(atMs: number): void {
    if (atMs >= this.#timerAtMs) return;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timerAtMs = atMs;
    this.#timer = setTimeout(() => this.#checkDeadlines(), Math.max(0, atMs - performance.now()) + 1);
  }

  #checkDeadlines(): void {
    this.#timer = null;
    this.#timerAtMs = Number.POSITIVE_INFINITY;
    const nowMs = performance.now();
    if (!this.#connected && this.#calls.length > 0) {
      this.#end("timeout", "not connected in time", false);
      return;
    }
    let next = Number.POSITIVE_INFINITY;
    for (const { deadlineMs } of this.#calls) next = Math.min(next, deadlineMs);
    if (next <= nowMs) this.#end("timeout", "no answer in time", false);
    else if (next < Number.POSITIVE_INFINITY) this.#arm(next);
  }
}
