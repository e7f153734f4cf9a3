/** RPC recordings: msgpack objects one after another, in both directions, and a server that plays the agent's part of one. */
import { once } from "node:events";
import { createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { toHex } from "../../src/base/bytes.ts";
import { Reader } from "../../src/wire/msgpack.ts";
import { ObjectBuffer } from "../../src/wire/object-buffer.ts";
import { hexBytes } from "./values.ts";

export interface Frame {
  readonly dir: "c2s" | "s2c";
  readonly hex?: string;
  readonly value?: unknown;
  readonly closed?: boolean;
  readonly incomplete?: boolean;
}

const OBJECT_BYTES_MAX = 1 << 24;

/** The object's bytes with the pairs of every map sorted: equal for objects that differ only in the order of map keys. */
export function canonical(bytes: Uint8Array): string {
  const reader = new Reader(bytes);
  const text = canonicalValue(reader, bytes);
  if (reader.failed || reader.left > 0) throw new Error(`not one msgpack object: ${toHex(bytes)}`);
  return text;
}

function canonicalValue(reader: Reader, bytes: Uint8Array): string {
  const at = reader.at;
  const first = bytes[at] ?? 0xc1;
  if ((first & 0xf0) === 0x80 || first === 0xde || first === 0xdf) {
    const pairs: string[] = [];
    const count = reader.mapHead();
    for (let i = 0; i < count && !reader.failed; i += 1) pairs.push(`${canonicalValue(reader, bytes)}:${canonicalValue(reader, bytes)}`);
    return `{${pairs.sort().join(",")}}`;
  }
  if ((first & 0xf0) === 0x90 || first === 0xdc || first === 0xdd) {
    const items: string[] = [];
    const count = reader.arrayHead();
    for (let i = 0; i < count && !reader.failed; i += 1) items.push(canonicalValue(reader, bytes));
    return `[${items.join(",")}]`;
  }
  reader.skip();
  return toHex(bytes.subarray(at, reader.at));
}

/** Plays the recorded agent to one client: waits for each recorded request, which must be equal, then sends what followed it. */
export class ReplayServer {
  readonly #frames: readonly Frame[];
  readonly #server: Server;
  readonly #buffer = new ObjectBuffer();
  #at = 0;
  #failure: string | null = null;
  /** Called whenever the client has to act next, with the number of frames played. */
  onWaiting: (played: number) => void = () => undefined;

  private constructor(frames: readonly Frame[]) {
    this.#frames = frames;
    this.#server = createServer((socket) => this.#serve(socket));
  }

  static async start(frames: readonly Frame[]): Promise<ReplayServer> {
    const replay = new ReplayServer(frames);
    replay.#server.listen(0, "127.0.0.1");
    await once(replay.#server, "listening");
    return replay;
  }

  get address(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  close(): void {
    this.#server.close();
  }

  /** What differed, or what the client did not do; null when the whole recording was played. */
  get failure(): string | null {
    if (this.#failure !== null) return this.#failure;
    const missing = this.#frames.slice(this.#at).filter(({ dir }) => dir === "c2s");
    return missing.length === 0 ? null : `the client did not send ${JSON.stringify(missing[0]?.value)}`;
  }

  #serve(socket: Socket): void {
    socket.on("error", () => undefined);
    socket.on("data", (chunk) => {
      this.#buffer.append(chunk);
      for (;;) {
        const reader = this.#buffer.next(OBJECT_BYTES_MAX);
        if (reader === "short") break;
        if (typeof reader === "string") return this.#fail(socket, `the client sent ${reader} bytes`);
        const frame = this.#frames[this.#at];
        const sent = this.#buffer.object;
        if (frame?.dir !== "c2s") return this.#fail(socket, `the client sent ${toHex(sent)}, the recording has ${JSON.stringify(frame ?? "ended")}`);
        if (canonical(sent) !== canonical(hexBytes(frame.hex))) return this.#fail(socket, `the client sent ${toHex(sent)} for ${JSON.stringify(frame.value)}`);
        this.#at += 1;
        this.#play(socket);
      }
    });
    this.#play(socket);
  }

  #play(socket: Socket): void {
    for (let frame = this.#frames[this.#at]; frame?.dir === "s2c"; frame = this.#frames[this.#at]) {
      this.#at += 1;
      if (frame.closed === true) return void socket.destroy();
      socket.write(hexBytes(frame.hex));
    }
    this.onWaiting(this.#at);
    // A recorder in the middle does not see how a connection ended; an agent that has nothing more to say to a request closed it.
    const last = this.#frames.at(-1);
    if (this.#at === this.#frames.length && last?.dir === "c2s") socket.destroy();
  }

  #fail(socket: Socket, failure: string): void {
    this.#failure ??= failure;
    socket.destroy();
  }
}
