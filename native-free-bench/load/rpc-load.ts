/**
 * RPC load that costs the client little: 81 kB of members would take longer to decode than to make. The first answer of a connection is measured;
 * from then on bytes are counted, since every request of a run has the same number and an answer of the same length. Each answer's first bytes are compared.
 */
import { connect, type Socket } from "node:net";
import { once } from "node:events";
import type { Endpoint } from "../../src/base/endpoint.ts";
import { ANSWER_BYTES_MAX } from "../../src/client/rpc-connection.ts";
import { IPC_VERSION } from "../../src/wire/ipc-messages.ts";
import { WARM_TIMES_MAX } from "./bench.ts";
import { encodeRequest, type IpcRequest } from "../../src/wire/ipc-requests.ts";
import { ObjectBuffer } from "../../src/wire/object-buffer.ts";

const SEQ = 1;
/** The start of an answer that is compared: the header of a response without an error, {Error: "", Seq: 1}. */
const HEAD_BYTES = 13;
const ANSWER_DEADLINE_MS = 10_000;

export interface RpcLoadSpec {
  readonly server: Endpoint;
  readonly connections: number;
  /** Objects of an answer: 1 for a header alone, 2 with a body. */
  readonly objects: 1 | 2;
  /** The request with this number, counted over all connections. */
  request(index: number): IpcRequest;
}

export interface RpcWindow {
  readonly calls: number;
  readonly elapsedMs: number;
  readonly latenciesMs: readonly number[];
}

/** A set of connections, each with one request under way while `run` lasts. */
export class RpcLoad {
  readonly #spec: RpcLoadSpec;
  readonly #sockets: Socket[] = [];
  #answerBytes = 0;
  #head: Buffer = Buffer.alloc(0);
  #requests = 0;

  private constructor(spec: RpcLoadSpec) {
    this.#spec = spec;
  }

  static async open(spec: RpcLoadSpec): Promise<RpcLoad> {
    const load = new RpcLoad(spec);
    for (let i = 0; i < spec.connections; i += 1) {
      const socket = connect({ host: spec.server.ip, port: spec.server.port, noDelay: true });
      load.#sockets.push(socket);
      await once(socket, "connect");
      await exchange(socket, encodeRequest(0, { command: "handshake", version: IPC_VERSION }), 1);
    }
    return load;
  }

  get answerBytes(): number {
    return this.#answerBytes;
  }

  /** Keeps all connections busy for so long, and longer while fewer than `callsMin` were answered. Fails when an answer differs from the first or does not come. */
  async run(durationMs: number, callsMin = 0): Promise<RpcWindow> {
    const answer = await exchange(this.#sockets[0] as Socket, this.#nextRequest(), this.#spec.objects);
    this.#answerBytes = answer.length;
    this.#head = answer.subarray(0, HEAD_BYTES);
    const latenciesMs: number[] = [];
    const startMs = performance.now();
    const lastMs = startMs + durationMs * WARM_TIMES_MAX;
    const over = (nowMs: number): boolean => nowMs >= lastMs || (nowMs >= startMs + durationMs && latenciesMs.length >= callsMin);
    await Promise.all(this.#sockets.map((socket) => this.#drive(socket, over, latenciesMs)));
    return { calls: latenciesMs.length, elapsedMs: performance.now() - startMs, latenciesMs };
  }

  close(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  #nextRequest(): Uint8Array {
    const request = this.#spec.request(this.#requests);
    this.#requests += 1;
    return encodeRequest(SEQ, request);
  }

  #drive(socket: Socket, over: (nowMs: number) => boolean, latenciesMs: number[]): Promise<void> {
    return new Promise((resolve, reject) => {
      let got = 0;
      let sentMs = 0;
      const send = (): void => {
        sentMs = performance.now();
        socket.write(this.#nextRequest());
      };
      const settle = (error: Error | null): void => {
        clearInterval(timer);
        socket.removeAllListeners("data").removeAllListeners("close").removeAllListeners("error");
        if (error === null) resolve();
        else reject(error);
      };
      const timer = setInterval(() => {
        if (performance.now() - sentMs > ANSWER_DEADLINE_MS) settle(new Error("no answer in time"));
      }, ANSWER_DEADLINE_MS);
      socket.on("data", (chunk) => {
        if (got === 0 && !chunk.subarray(0, HEAD_BYTES).equals(this.#head.subarray(0, chunk.length))) return settle(new Error("an answer differs from the first"));
        got += chunk.length;
        if (got < this.#answerBytes) return;
        if (got > this.#answerBytes) return settle(new Error("an answer is longer than the first"));
        got = 0;
        const nowMs = performance.now();
        latenciesMs.push(nowMs - sentMs);
        if (over(nowMs)) settle(null);
        else send();
      });
      socket.on("close", () => settle(new Error("the agent closed the connection")));
      socket.on("error", settle);
      send();
    });
  }
}


/** Sends a request and resolves with the bytes of its answer, of so many objects. */
function exchange(socket: Socket, request: Uint8Array, objects: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const buffer = new ObjectBuffer();
    const chunks: Buffer[] = [];
    let taken = 0;
    const settle = (error: Error | null): void => {
      clearTimeout(timer);
      socket.removeAllListeners("data").removeAllListeners("close").removeAllListeners("error");
      if (error === null) resolve(Buffer.concat(chunks));
      else reject(error);
    };
    const timer = setTimeout(() => settle(new Error("no answer in time")), ANSWER_DEADLINE_MS);
    socket.on("data", (chunk) => {
      chunks.push(chunk);
      buffer.append(chunk);
      while (taken < objects && typeof buffer.next(ANSWER_BYTES_MAX) !== "string") taken += 1;
      if (taken === objects) settle(buffer.size === 0 ? null : new Error("an answer is longer than expected"));
    });
    socket.on("close", () => settle(new Error("the agent closed the connection")));
    socket.on("error", settle);
    socket.write(request);
  });
}
