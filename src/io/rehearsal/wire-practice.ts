/**
 * Practice with the system's sockets: this process opens a few streams to itself and sends itself datagrams. Node parses and compiles most of its own stream and socket code when it first
 * runs, 3 to 4 ms of it between the command to join and the connection, when whoever joins at the same moment wants the processor too.
 * All is on loopback, on ports that the system chooses, open to loopback addresses only, and gone after some ms.
 */
import { assert } from "../../base/assert.ts";
import type { Endpoint } from "../../base/endpoint.ts";
import { AllowList } from "../network.ts";
import { Streams, type StreamCodec } from "../streams.ts";
import { UdpSocket } from "../udp-socket.ts";
import { PRACTICE_HOST } from "./actor.ts";

const EXCHANGES = 3;
const DATAGRAMS_PER_EXCHANGE = 3;
const MESSAGE_BYTES = 512;
/** From a byte of the message to the next: odd, so that all bytes come. */
const MESSAGE_STEP = 31;
const TIMEOUT_MS = 1000;
/** Acts in which the system may do its part; it takes five or so for an exchange. Where it takes more, something keeps loopback sockets from each other. */
const ACTS_MAX = 100;

/** What came of it, for a test. */
export interface WireResult {
  readonly exchanges: number;
  readonly datagrams: number;
}

/** Each `next` is an act. Rejects when the system gives no sockets; none stays open then. */
export async function* practiseOnWire(codec: StreamCodec): AsyncGenerator<void, WireResult> {
  const wire = new Wire(codec);
  try {
    await wire.open();
    for (let act = 0; act < ACTS_MAX && !wire.isOver; act += 1) {
      wire.next();
      yield;
    }
    return wire.result;
  } finally {
    await wire.close();
  }
}

class Wire {
  readonly #streams: Streams;
  readonly #allow: AllowList;
  #at: Endpoint = { ip: PRACTICE_HOST, port: 0 };
  #udp: UdpSocket | null = null;
  #dialled = 0;
  #answered = 0;
  #datagrams = 0;

  constructor(codec: StreamCodec) {
    const allow = AllowList.parse([PRACTICE_HOST]);
    assert(allow.ok);
    this.#allow = allow.value;
    // Compressed it takes codes of two lengths, as what agents tell each other does.
    const message = Uint8Array.from({ length: MESSAGE_BYTES }, (_, i) => i * MESSAGE_STEP);
    this.#streams = new Streams(codec, { timeoutMs: TIMEOUT_MS, allow: allow.value }, {
      opened: (stream) => this.#streams.send(stream, message),
      message: (stream) => {
        if (stream > 0) this.#answered += 1;
        else this.#streams.send(stream, message);
        this.#streams.close(stream);
      },
      failed: () => undefined,
      log: () => undefined,
      count: () => undefined,
    });
  }

  async open(): Promise<void> {
    this.#at = { ip: PRACTICE_HOST, port: await this.#streams.listen(this.#at) };
    this.#udp = await UdpSocket.bind({ ip: PRACTICE_HOST, port: 0 }, this.#allow, {
      packets: (batch) => {
        this.#datagrams += batch.length;
      },
      count: () => undefined,
    });
  }

  /** Begins the next exchange once the last one is over. */
  next(): void {
    const udp = this.#udp;
    if (udp === null || this.#dialled === EXCHANGES || this.#streams.open > 0) return;
    this.#dialled += 1;
    this.#streams.dial(this.#dialled, this.#at, TIMEOUT_MS);
    for (let i = 0; i < DATAGRAMS_PER_EXCHANGE; i += 1) udp.send(new Uint8Array(MESSAGE_BYTES), { ip: PRACTICE_HOST, port: udp.port });
  }

  get isOver(): boolean {
    return this.#dialled === EXCHANGES && this.#streams.open === 0;
  }

  get result(): WireResult {
    return { exchanges: this.#answered, datagrams: this.#datagrams };
  }

  async close(): Promise<void> {
    await Promise.all([this.#streams.shutdown(), this.#udp?.close()]);
  }
}
