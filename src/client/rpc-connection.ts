/**
 * One connection to an agent's RPC port: sends requests, matches answers by their number, passes records to their streams.
 * It knows no command; `SerfClient` does.
 */
import type { Socket } from "node:net";
import { IpcError } from "../wire/ipc-messages.ts";
import { encodeRequest, type IpcRequest } from "../wire/ipc-requests.ts";
import { decodeResponseHeader } from "../wire/ipc-responses.ts";
import type { Reader } from "../wire/msgpack.ts";
import { ObjectBuffer } from "../wire/object-buffer.ts";
import { ClientClosedError, RpcError, RpcTimeoutError } from "./errors.ts";

/** Longest answer taken: the member list of hundreds of thousands of nodes. */
export const ANSWER_BYTES_MAX = 67_108_864;

/** The answer to a request: the agent's error text ("" on success), and the body where one came. */
export interface Answer<T> {
  readonly error: string;
  readonly body: T | null;
}

interface Waiting {
  /** Called with each header for this request; says whether an object that follows belongs to it. */
  header(error: string): boolean;
  body(reader: Reader, raw: Uint8Array): void;
  /** The connection is gone. */
  closed(error: Error): void;
}

/** Errors after which the agent sends no body, whatever the command. */
const BODILESS_ERRORS: readonly string[] = [IpcError.authRequired, IpcError.handshakeRequired, IpcError.unsupportedCommand];

export class RpcConnection {
  readonly #socket: Socket;
  readonly #timeoutMs: number;
  readonly #buffer = new ObjectBuffer();
  readonly #waiting = new Map<number, Waiting>();
  readonly #onClosed: () => void;
  /** Whose body comes next; null between answers. */
  #current: Waiting | null = null;
  #seq = 0;
  #closed: Error | null = null;

  /** Takes over a connected socket. `timeoutMs` is for each answer that a request does not set otherwise; 0: wait for ever. */
  constructor(socket: Socket, timeoutMs: number, onClosed: () => void) {
    this.#socket = socket;
    this.#timeoutMs = timeoutMs;
    this.#onClosed = onClosed;
    socket.on("data", (chunk) => this.#receive(chunk));
    socket.on("error", (error) => this.#fail(new ClientClosedError({ cause: error })));
    socket.on("close", () => this.#fail(new ClientClosedError()));
  }

  get closed(): boolean {
    return this.#closed !== null;
  }

  close(): void {
    this.#fail(new ClientClosedError());
  }

  /**
   * Sends a request and resolves with its answer. `decode` reads the body, if the command has one; `bodyOnError` says that it comes
   * with an error too. Rejects with `ClientClosedError` or `RpcTimeoutError`; the answer to a timed-out request is dropped when it comes.
   */
  request<T>(
    request: IpcRequest,
    decode: ((reader: Reader) => T) | null,
    { bodyOnError = false, timeoutMs = this.#timeoutMs }: { readonly bodyOnError?: boolean; readonly timeoutMs?: number } = {},
  ): Promise<Answer<T>> {
    return new Promise((resolve, reject) => {
      if (this.#closed !== null) return reject(this.#closed);
      const seq = this.#nextSeq();
      let error = "";
      const timer =
        timeoutMs === 0
          ? undefined
          : setTimeout(() => {
              this.#waiting.delete(seq);
              reject(new RpcTimeoutError(`i/o timeout: no answer to ${request.command} within ${timeoutMs} ms`));
            }, timeoutMs);
      const settle = (body: T | null): boolean => {
        clearTimeout(timer);
        this.#waiting.delete(seq);
        resolve({ error, body });
        return false;
      };
      this.#waiting.set(seq, {
        header: (text) => {
          error = text;
          const bodyFollows = decode !== null && (text === "" || (bodyOnError && !BODILESS_ERRORS.includes(text)));
          return bodyFollows || settle(null);
        },
        body: (reader) => {
          const body = decode === null ? null : decode(reader);
          if (reader.failed) this.#fail(new ClientClosedError({ cause: new Error(`malformed answer to ${request.command}`) }));
          else settle(body);
        },
        closed: (reason) => {
          clearTimeout(timer);
          reject(reason);
        },
      });
      this.#socket.write(encodeRequest(seq, request));
    });
  }

  /**
   * Starts a stream; resolves with its number once the agent has accepted it. Then `onRecord` gets each record until `forget`, and
   * `onClosed` tells that the connection is gone. Rejects with `RpcError` when the agent refuses.
   */
  open(request: IpcRequest, onRecord: (reader: Reader, raw: Uint8Array, seq: number) => void, onClosed: (error: Error) => void): Promise<number> {
    return new Promise((resolve, reject) => {
      if (this.#closed !== null) return reject(this.#closed);
      const seq = this.#nextSeq();
      let accepted = false;
      const giveUp = (error: Error): void => {
        this.#waiting.delete(seq);
        reject(error);
      };
      const { command } = request;
      const timeoutMs = this.#timeoutMs;
      const timer = timeoutMs === 0 ? undefined : setTimeout(() => giveUp(new RpcTimeoutError(`i/o timeout: no answer to ${command} within ${timeoutMs} ms`)), timeoutMs);
      this.#waiting.set(seq, {
        header: (error) => {
          if (accepted) return true;
          clearTimeout(timer);
          if (error !== "") giveUp(new RpcError(error));
          else {
            accepted = true;
            resolve(seq);
          }
          return false;
        },
        body: (reader, raw) => {
          onRecord(reader, raw, seq);
          if (reader.failed) this.#fail(new ClientClosedError({ cause: new Error(`malformed record of ${command}`) }));
        },
        closed: (error) => {
          clearTimeout(timer);
          if (accepted) onClosed(error);
          else reject(error);
        },
      });
      this.#socket.write(encodeRequest(seq, request));
    });
  }

  /** Records of this stream are dropped from now on. */
  forget(seq: number): void {
    this.#waiting.delete(seq);
  }

  #nextSeq(): number {
    this.#seq += 1;
    return this.#seq;
  }

  #receive(chunk: Uint8Array): void {
    this.#buffer.append(chunk);
    while (this.#closed === null) {
      const reader = this.#buffer.next(ANSWER_BYTES_MAX);
      if (reader === "short") return;
      if (typeof reader === "string") return this.#fail(new ClientClosedError({ cause: new Error(`the agent sent ${reader} data`) }));
      const raw = this.#buffer.object;
      // Headers are told from bodies by their shape, so that the body of an answer nobody waits for any more does no harm.
      if (isHeader(raw)) this.#takeHeader(reader);
      else {
        const current = this.#current;
        this.#current = null;
        current?.body(reader, raw);
      }
    }
  }

  #takeHeader(reader: Reader): void {
    const { seq, error } = decodeResponseHeader(reader);
    const waiting = typeof seq === "number" ? this.#waiting.get(seq) : undefined;
    this.#current = waiting?.header(error) === true ? waiting : null;
  }

  #fail(error: Error): void {
    if (this.#closed !== null) return;
    this.#closed = error;
    this.#socket.destroy();
    for (const waiting of this.#waiting.values()) waiting.closed(error);
    this.#waiting.clear();
    this.#onClosed();
  }
}

/** A map of two whose first key is "Error" or "Seq": no body begins like this. */
function isHeader(raw: Uint8Array): boolean {
  return raw[0] === 0x82 && (startsWith(raw, ERROR_KEY) || startsWith(raw, SEQ_KEY));
}

const ERROR_KEY = [0xa5, 0x45, 0x72, 0x72, 0x6f, 0x72];
const SEQ_KEY = [0xa3, 0x53, 0x65, 0x71];

function startsWith(raw: Uint8Array, key: readonly number[]): boolean {
  return key.every((byte, i) => raw[i + 1] === byte);
}
