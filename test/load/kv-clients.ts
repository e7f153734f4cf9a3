/** Clients of the key-value store on raw sockets, cheap enough for one process to be many: writers at a steady rate, and watchers of keys that change. */
import { connect, type Socket } from "node:net";

/** Writes are handed out this often. */
const TICK_MS = 4;
/** A busy server is asked again after this. */
const RETRY_MS = 100;

/** One connection with at most one request under way. */
class Client {
  readonly #socket: Socket;
  #text = "";
  #answered: ((status: number, index: number) => void) | null = null;
  onClosed: () => void = () => undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.on("data", (piece: Buffer) => this.#take(piece.toString("latin1")));
    socket.on("error", () => undefined);
    socket.on("close", () => this.onClosed());
  }

  static open(ip: string, port: number): Promise<Client> {
    return new Promise((resolve, reject) => {
      const socket = connect(port, ip);
      socket.once("error", reject);
      socket.once("connect", () => resolve(new Client(socket)));
    });
  }

  ask(method: string, path: string, body: string, answered: (status: number, index: number) => void): void {
    this.#answered = answered;
    this.#text = "";
    this.#socket.write(`${method} ${path} HTTP/1.1\r\nHost: load\r\n${body === "" ? "" : `Content-Length: ${body.length}\r\n`}\r\n${body}`, "latin1");
  }

  #take(piece: string): void {
    this.#text += piece;
    const end = this.#text.indexOf("\r\n\r\n");
    if (end < 0) return;
    const length = /\r\nContent-Length: (\d+)/.exec(this.#text);
    // Without a length it comes in chunks.
    if (length === null ? !this.#text.endsWith("\r\n0\r\n\r\n") : this.#text.length < end + 4 + Number(length[1])) return;
    const answered = this.#answered;
    this.#answered = null;
    answered?.(Number(this.#text.slice(9, 12)), Number(/\r\nX-Consul-Index: (\d+)/.exec(this.#text)?.[1] ?? 0));
  }

  close(): void {
    this.onClosed = () => undefined;
    this.#socket.destroy();
  }
}

export interface Target {
  readonly ip: string;
  readonly port: number;
}

function open({ ip, port }: Target, count: number): Promise<Client[]> {
  return Promise.all(Array.from({ length: count }, () => Client.open(ip, port)));
}

/** Writes `keys` keys of 100 bytes, 64 in a transaction. */
export async function fill(target: Target, keys: number): Promise<void> {
  const value = Buffer.alloc(100, 0x61).toString("base64");
  const clients = await open(target, 8);
  let next = 0;
  await Promise.all(clients.map((client) => new Promise<void>((resolve, reject) => {
    const write = (body: string): void => {
      client.ask("PUT", "/v1/txn", body, (status) => {
        if (status === 200) more();
        else if (status === 429) setTimeout(() => write(body), RETRY_MS);
        else reject(new Error(`a transaction was answered ${status}`));
      });
    };
    const more = (): void => {
      if (next >= keys) {
        resolve();
        return;
      }
      const ops = Array.from({ length: Math.min(64, keys - next) }, (_, i) => ({ KV: { Verb: "set", Key: `fill/${next + i}`, Value: value } }));
      next += ops.length;
      write(JSON.stringify(ops));
    };
    more();
  })));
  for (const client of clients) client.close();
}

export interface WriteFigures {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  /** Answers other than 200, by status. */
  readonly refused: Readonly<Record<string, number>>;
}

/** Writes at `perSecond` over `connections`, to 10,000 keys. */
export class Writers {
  readonly #idle: Client[];
  readonly #clients: Client[];
  readonly #timer: NodeJS.Timeout;
  readonly #sinceMs = performance.now();
  readonly #tookMs: number[] = [];
  readonly #refused: Record<string, number> = {};
  readonly #body = "v".repeat(100);
  #sent = 0;

  private constructor(clients: Client[], perSecond: number) {
    this.#clients = clients;
    this.#idle = [...clients];
    this.#timer = setInterval(() => {
      const due = ((performance.now() - this.#sinceMs) / 1000) * perSecond;
      // What could not be sent in time is not made up for: the rate is a ceiling.
      if (this.#sent < due - this.#clients.length) this.#sent = due - this.#clients.length;
      for (let client = this.#idle.pop(); client !== undefined && this.#sent < due; client = this.#idle.pop()) this.#write(client);
    }, TICK_MS);
  }

  static async start(target: Target, connections: number, perSecond: number): Promise<Writers> {
    return new Writers(await open(target, connections), perSecond);
  }

  #write(client: Client): void {
    this.#sent += 1;
    const beganMs = performance.now();
    client.ask("PUT", `/v1/kv/load/${Math.floor(Math.random() * 10_000)}`, this.#body, (status) => {
      this.#tookMs.push(performance.now() - beganMs);
      if (status !== 200) this.#refused[status] = (this.#refused[status] ?? 0) + 1;
      this.#idle.push(client);
    });
  }

  stop(): WriteFigures {
    clearInterval(this.#timer);
    const seconds = (performance.now() - this.#sinceMs) / 1000;
    for (const client of this.#clients) client.close();
    return { perSecond: Math.round(this.#tookMs.length / seconds), ...quantiles(this.#tookMs), refused: this.#refused };
  }
}

export interface WatchFigures {
  /** Changes that a watcher was told of. */
  readonly woken: number;
  /** From the acknowledgement of the change; negative ones, told before it was acknowledged, count as 0. */
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  /** Connections that the server closed, and answers other than 200. */
  readonly failed: number;
}

/** `count` blocking queries, each on a key of its own that changes once a second. */
export class Watchers {
  readonly #clients: Client[];
  readonly #changers: Client[];
  readonly #timer: NodeJS.Timeout;
  readonly #changedMs: number[];
  readonly #tookMs: number[] = [];
  #failed = 0;
  #next = 0;

  private constructor(clients: Client[], changers: Client[]) {
    this.#clients = clients;
    this.#changers = changers;
    this.#changedMs = clients.map(() => Infinity);
    clients.forEach((client, i) => {
      client.onClosed = () => (this.#failed += 1);
      this.#watch(client, i, 0);
    });
    const sinceMs = performance.now();
    this.#timer = setInterval(() => {
      const due = ((performance.now() - sinceMs) / 1000) * clients.length;
      for (let changer = this.#changers.pop(); changer !== undefined && this.#next < due; changer = this.#changers.pop()) this.#change(changer);
    }, TICK_MS);
  }

  static async start(target: Target, count: number): Promise<Watchers> {
    return new Watchers(await open(target, count), await open(target, 64));
  }

  #watch(client: Client, i: number, index: number): void {
    client.ask("GET", `/v1/kv/watched/${i}?wait=60s&index=${index}`, "", (status, newIndex) => {
      if (status !== 200 && status !== 404) this.#failed += 1;
      else if (index > 0 && newIndex > index) this.#tookMs.push(Math.max(0, performance.now() - (this.#changedMs[i] as number)));
      this.#watch(client, i, newIndex);
    });
  }

  #change(changer: Client): void {
    const i = this.#next % this.#clients.length;
    this.#next += 1;
    // Until it is acknowledged: whoever is told before is told at once.
    this.#changedMs[i] = Infinity;
    changer.ask("PUT", `/v1/kv/watched/${i}`, String(this.#next), () => {
      this.#changedMs[i] = performance.now();
      this.#changers.push(changer);
    });
  }

  stop(): WatchFigures {
    clearInterval(this.#timer);
    for (const client of [...this.#clients, ...this.#changers]) client.close();
    return { woken: this.#tookMs.length, ...quantiles(this.#tookMs), failed: this.#failed };
  }
}

function quantiles(values: number[]): { readonly p50Ms: number; readonly p99Ms: number; readonly maxMs: number } {
  values.sort((a, b) => a - b);
  const at = (p: number): number => Math.round((values[Math.min(values.length - 1, Math.floor(values.length * p))] ?? NaN) * 10) / 10;
  return { p50Ms: at(0.5), p99Ms: at(0.99), maxMs: at(1) };
}
