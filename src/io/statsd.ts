/**
 * Measurements to statsd (UDP) and statsite (TCP): the same lines, `name:value|type`, gathered into packets. Nothing here waits, and what cannot be
 * sent is dropped and counted: measurements must not hold up the node.
 */
import { createSocket, type Socket as UdpSocket } from "node:dgram";
import { connect, type Socket } from "node:net";
import type { Endpoint } from "../base/endpoint.ts";
import type { MetricSink } from "./serf-agent-api.ts";

/** Packets stay below the smallest common MTU; statsd's own advice. */
const PACKET_BYTES_MAX = 1400;
/** How long measurements are gathered, in ms. */
const FLUSH_MS = 100;
/** Bytes that may wait for a statsite that does not read. */
const PENDING_BYTES_MAX = 256 * 1024;
/** Wait before the next connection to a statsite that went away, in ms; doubles up to the maximum. */
const RECONNECT_MS_MIN = 1000;
const RECONNECT_MS_MAX = 60_000;

/** One line of the protocol. Blanks and colons of a name would break it; the original writes "_" for them. */
export function statsdLine(prefix: string, name: string, value: number, type: "c" | "g" | "ms"): string {
  return `${prefix}.${name}`.replace(/[:\s|]/g, "_") + `:${value.toFixed(6)}|${type}\n`;
}

/** Gathers lines and hands them on in packets. */
abstract class LineSink implements MetricSink {
  readonly #prefix: string;
  #lines = "";
  #timer: NodeJS.Timeout | null = null;
  /** Lines that could not be sent. */
  dropped = 0;

  constructor(prefix: string) {
    this.#prefix = prefix;
  }

  count(name: string, delta: number): void {
    this.#add(statsdLine(this.#prefix, name, delta, "c"));
  }

  sample(name: string, value: number): void {
    this.#add(statsdLine(this.#prefix, name, value, "ms"));
  }

  gauge(name: string, value: number): void {
    this.#add(statsdLine(this.#prefix, name, value, "g"));
  }

  /** Sends what has gathered and closes. */
  stop(): void {
    this.#flush();
    this.close();
  }

  protected abstract send(packet: string): void;
  protected abstract close(): void;

  #add(line: string): void {
    // Names may hold letters of more than one byte; three bounds them.
    if (this.#lines !== "" && Buffer.byteLength(this.#lines) + Buffer.byteLength(line) > PACKET_BYTES_MAX) this.#flush();
    this.#lines += line;
    this.#timer ??= setTimeout(() => this.#flush(), FLUSH_MS).unref();
  }

  #flush(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    const packet = this.#lines;
    this.#lines = "";
    if (packet !== "") this.send(packet);
  }
}

export class Statsd extends LineSink {
  readonly #socket: UdpSocket;
  readonly #to: Endpoint;

  constructor(to: Endpoint, prefix: string) {
    super(prefix);
    this.#to = to;
    this.#socket = createSocket(to.ip.includes(":") ? "udp6" : "udp4");
    this.#socket.on("error", () => {
      this.dropped += 1;
    });
    this.#socket.unref();
  }

  protected send(packet: string): void {
    this.#socket.send(packet, this.#to.port, this.#to.ip, (error) => {
      if (error !== null) this.dropped += 1;
    });
  }

  protected close(): void {
    this.#socket.close();
  }
}

export class Statsite extends LineSink {
  readonly #to: Endpoint;
  #socket: Socket | null = null;
  #connected = false;
  #retry: NodeJS.Timeout | null = null;
  #delayMs = RECONNECT_MS_MIN;
  #stopped = false;

  constructor(to: Endpoint, prefix: string) {
    super(prefix);
    this.#to = to;
    this.#connect();
  }

  protected send(packet: string): void {
    const socket = this.#socket;
    // Before the connection stands, its socket keeps the packets.
    if (socket === null || socket.writableLength > PENDING_BYTES_MAX) this.dropped += 1;
    else socket.write(packet);
  }

  protected close(): void {
    this.#stopped = true;
    if (this.#retry !== null) clearTimeout(this.#retry);
    if (this.#connected) this.#socket?.end();
    else this.#socket?.destroy();
  }

  #connect(): void {
    const socket = connect({ port: this.#to.port, host: this.#to.ip });
    this.#socket = socket;
    socket.unref();
    socket.on("connect", () => {
      this.#connected = true;
      this.#delayMs = RECONNECT_MS_MIN;
    });
    socket.on("error", () => {}); // "close" follows.
    socket.on("close", () => {
      this.#socket = null;
      this.#connected = false;
      if (this.#stopped) return;
      this.#retry = setTimeout(() => this.#connect(), this.#delayMs).unref();
      this.#delayMs = Math.min(2 * this.#delayMs, RECONNECT_MS_MAX);
    });
    socket.resume(); // Statsite sends nothing; reading notices its end.
  }
}
