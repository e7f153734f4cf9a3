/**
 * A Raft connection that a peer opened: its requests become inputs of the core, the core's answers go back in the order of the requests. A request of a
 * snapshot stops the reading until the core has decided; its state then goes to the snapshot store, or nowhere.
 */
import type { Socket } from "node:net";
import type { ConnectionId, IncomingCall, SnapshotMeta } from "../raft/types.ts";
import { encodeRaftResponse } from "../wire/raft-codec.ts";
import type { InstallSnapshotRequest, RaftRequest, RaftResponse } from "../wire/raft-messages.ts";
import { RaftRequestStream } from "../wire/raft-stream.ts";
import type { SnapshotStore, SnapshotWriter } from "./lanes/log-store.ts";

/** Requests of one connection not answered yet; beyond it we stop reading. What the original's leader pipelines. */
export const UNANSWERED_MAX = 128;
/** Answers that the peer does not read; beyond it we stop reading its requests. */
export const ANSWER_BYTES_MAX = 1 << 20;
/** State bytes handed to the store at once. */
const BODY_PIECE_BYTES = 256 << 10;
/** A peer in the middle of a snapshot's state must send something within this time. */
export const BODY_SILENCE_MS_MAX = 10_000;

export interface IncomingHooks {
  readonly nextCall: (connection: IncomingConnection) => IncomingCall;
  readonly request: (connection: IncomingConnection, call: IncomingCall, message: RaftRequest) => void;
  /** The answer is written, or will never be. */
  readonly answered: (call: IncomingCall) => void;
  readonly closed: (connection: IncomingConnection) => void;
  readonly snapshotReceived: (call: IncomingCall, meta: SnapshotMeta | null, error: string) => void;
  readonly malformed: (connection: IncomingConnection) => void;
  /** The connection holds so many bytes of a message that is not complete. */
  readonly holds: (connection: IncomingConnection) => void;
}

/** A request given to the core; `bytes` is its answer once there is one, which waits for those before it. */
interface Pending {
  readonly call: IncomingCall;
  bytes: Uint8Array | null;
}

interface Receiving {
  readonly call: IncomingCall;
  cancelled: boolean;
}

export class IncomingConnection {
  readonly id: ConnectionId;
  readonly #socket: Socket;
  readonly #hooks: IncomingHooks;
  readonly #stream = new RaftRequestStream();
  #pending: Pending[] = [];
  /** The call whose state follows; the stream holds no other request before its end. */
  #bodyCall: IncomingCall | null = null;
  /** Null while the core has not decided; then whether the state is wanted. */
  #body: "receive" | "discard" | null = null;
  #receiving: Receiving | null = null;
  /** Resolves the wait for more bytes of the state. */
  #moreBody: (() => void) | null = null;
  #silence: NodeJS.Timeout | null = null;
  #closed = false;
  #uncorkDue = false;

  constructor(id: ConnectionId, socket: Socket, hooks: IncomingHooks) {
    this.id = id;
    this.#socket = socket;
    this.#hooks = hooks;
    socket.on("data", (chunk: Buffer) => this.#take(chunk));
    socket.on("end", () => this.close()); // Nobody needs an answer any more.
    socket.on("drain", () => this.#resume());
    socket.on("close", () => this.#end());
  }

  get heldBytes(): number {
    return this.#stream.size;
  }

  /** `first`: what came with the first byte. */
  start(first: Uint8Array): void {
    if (first.length > 0) this.#take(first);
    this.#resume();
  }

  close(): void {
    this.#socket.destroy();
  }

  #take(chunk: Uint8Array): void {
    if (this.#closed) return;
    this.#stream.append(chunk);
    if (this.#bodyCall === null) this.#readRequests();
    else this.#takeBody();
  }

  #readRequests(): void {
    while (!this.#closed && this.#bodyCall === null && !this.#full) {
      const request = this.#stream.next();
      if (request === "short") {
        this.#hooks.holds(this);
        break;
      }
      if (request === "malformed") {
        this.#hooks.malformed(this);
        this.close();
        return;
      }
      const call = this.#hooks.nextCall(this);
      this.#pending.push({ call, bytes: null });
      if (this.#stream.bodyLeft > 0) {
        this.#bodyCall = call;
        this.#body = null;
        this.#socket.pause();
      }
      this.#hooks.request(this, call, request); // It may answer before it returns.
    }
    if (this.#full) this.#socket.pause();
  }

  get #full(): boolean {
    return this.#pending.length >= UNANSWERED_MAX || this.#socket.writableLength > ANSWER_BYTES_MAX;
  }

  answer(call: IncomingCall, message: RaftResponse | null, error: string): void {
    const pending = this.#pending.find((candidate) => candidate.call === call);
    if (pending === undefined || this.#closed) return;
    pending.bytes = encodeRaftResponse(error, message);
    if (this.#bodyCall === call && this.#stream.bodyLeft > 0) {
      // Refused, or taken over by another snapshot: the rest must still be read before the connection can go on.
      this.#cancelReceiving();
      this.#body = "discard";
      this.#takeBody();
    }
    this.#writeAnswers();
    this.#resume();
  }

  #writeAnswers(): void {
    const { length } = this.#pending;
    let done = 0;
    for (; done < length; done += 1) {
      const { call, bytes } = this.#pending[done] as Pending;
      if (bytes === null || (call === this.#bodyCall && this.#stream.bodyLeft > 0)) break;
      this.#cork();
      this.#socket.write(bytes);
      this.#hooks.answered(call);
    }
    if (done > 0) this.#pending.splice(0, done);
  }

  /** Answers of one turn leave in one system call. */
  #cork(): void {
    if (this.#uncorkDue) return;
    this.#uncorkDue = true;
    this.#socket.cork();
    process.nextTick(() => {
      this.#uncorkDue = false;
      this.#socket.uncork();
    });
  }

  #resume(): void {
    if (this.#closed || this.#full) return;
    if (this.#bodyCall === null) {
      this.#readRequests(); // Some may lie behind one that had to wait.
      if (this.#closed || this.#bodyCall !== null || this.#full) return;
    } else if (this.#body === null || this.#receiving !== null) return;
    this.#socket.resume();
  }

  /** Reads the state of `call` into the store. */
  async receive(call: IncomingCall, message: InstallSnapshotRequest, store: SnapshotStore): Promise<void> {
    const { lastLogIndex: index, lastLogTerm: term, configuration, configurationIndex, size } = message;
    const receiving: Receiving = { call, cancelled: false };
    let writer: SnapshotWriter | null = null;
    try {
      if (this.#closed || (size > 0 && this.#bodyCall !== call)) throw new Error("the connection is closed");
      this.#receiving = receiving;
      this.#body = "receive";
      writer = await store.begin({ index, term, configuration, configurationIndex });
      await this.#pump(receiving, writer);
      const meta = await writer.finish();
      writer = null;
      this.#received(receiving, meta, "");
    } catch (error) {
      await writer?.abort().catch(() => undefined);
      this.#received(receiving, null, error instanceof Error ? error.message : String(error));
    }
  }

  async #pump(receiving: Receiving, writer: SnapshotWriter): Promise<void> {
    let piece: Uint8Array[] = [];
    let length = 0;
    const flush = async (): Promise<void> => {
      for (const bytes of piece) await writer.write(bytes);
      piece = [];
      length = 0;
    };
    while (this.#stream.bodyLeft > 0) {
      if (this.#closed || receiving.cancelled) throw new Error("the stream ended before the snapshot was complete");
      const bytes = this.#stream.takeBody(BODY_PIECE_BYTES);
      if (bytes.length > 0) {
        piece.push(bytes);
        length += bytes.length;
      } else {
        await this.#awaitBody();
        continue;
      }
      if (length >= BODY_PIECE_BYTES) await flush();
    }
    await flush();
    if (receiving.cancelled) throw new Error("another snapshot came instead");
  }

  #awaitBody(): Promise<void> {
    this.#listenForBody();
    return new Promise((resolve) => {
      this.#moreBody = resolve;
      this.#socket.resume();
    });
  }

  #listenForBody(): void {
    if (this.#silence !== null) clearTimeout(this.#silence);
    this.#silence = setTimeout(() => this.close(), BODY_SILENCE_MS_MAX);
  }

  #takeBody(): void {
    if (this.#silence !== null) clearTimeout(this.#silence);
    this.#silence = null;
    if (this.#body === "discard") {
      while (this.#stream.bodyLeft > 0 && this.#stream.takeBody(BODY_PIECE_BYTES).length > 0);
      if (this.#stream.bodyLeft > 0) this.#listenForBody();
      else this.#endBody();
      return;
    }
    this.#socket.pause();
    const wake = this.#moreBody;
    this.#moreBody = null;
    wake?.();
  }

  #endBody(): void {
    this.#bodyCall = null;
    this.#body = null;
    this.#writeAnswers();
    this.#resume();
  }

  #received(receiving: Receiving, meta: SnapshotMeta | null, error: string): void {
    if (this.#receiving === receiving) {
      this.#receiving = null;
      this.#body = "discard"; // If the store failed: read past the rest, so that the answer can be heard.
      if (this.#bodyCall === receiving.call) this.#takeBody();
      this.#resume();
    }
    this.#hooks.snapshotReceived(receiving.call, meta, error);
  }

  /** A newer snapshot takes its place. */
  cancelReceiving(call: IncomingCall): void {
    if (this.#receiving?.call === call) this.#cancelReceiving();
  }

  #cancelReceiving(): void {
    if (this.#receiving === null) return;
    this.#receiving.cancelled = true;
    this.#receiving = null;
    const wake = this.#moreBody;
    this.#moreBody = null;
    wake?.();
  }

  #end(): void {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#silence !== null) clearTimeout(this.#silence);
    for (const { call } of this.#pending) this.#hooks.answered(call);
    this.#pending = [];
    this.#cancelReceiving();
    this.#hooks.closed(this);
  }
}
