/** Plays one recorded connection to an agent: sends what the client sent, when it did, and looks for what the agent answered. */
import assert from "node:assert/strict";
import { connect } from "node:net";
import { once } from "node:events";
import type { LogLevel } from "../../src/swim/types.ts";
import { ObjectBuffer } from "../../src/wire/object-buffer.ts";
import { comparable, isByTheWay, isObject, isRecord, messagesOf, recordedMessages, recordedRequests, type Message } from "./rpc-messages.ts";
import type { Session } from "./rpc-sessions.ts";
import { encodeTagged, plainOf } from "./rpc-values.ts";
import type { World } from "./rpc-world.ts";
import { hexBytes } from "./values.ts";

/** Queries end by their timeout, coalesced events come up to 3 s late. */
const ANSWER_DEADLINE_MS = 8000;
/** For what need not come in this run. */
const OPTIONAL_DEADLINE_MS = 3500;

export async function playSession(world: World, { frames }: Session): Promise<void> {
  const expected = recordedMessages(frames);
  writeRecordedLog(world, expected);
  const dispatched = new Set(recordedRequests(frames).filter(({ command }) => command === "event").map(({ body }) => body["Name"]));
  const connection = await Connection.open(world);
  try {
    const found: number[] = [];
    for (const [at, frame] of frames.entries()) {
      if (frame.dir === "c2s") connection.send(frame.incomplete === true ? hexBytes(frame.hex) : localBytes(world, frame.hex, frame.value));
      else if (frame.closed === true) await connection.waitForEnd();
      const message = expected.find((one) => one.at === at);
      if (message === undefined) continue;
      const optional = isByTheWay(message) && !(isObject(message.body) && dispatched.has(message.body["Name"]));
      const index = await connection.take(message, optional ? OPTIONAL_DEADLINE_MS : ANSWER_DEADLINE_MS);
      if (index === null && !optional) throw new Error(`not answered: ${comparable(message)}\nreceived and not expected: ${connection.leftovers().map(comparable).join("\n")}`);
      if (index !== null && !isRecord(message)) found.push(index);
    }
    assert.deepEqual(found, found.toSorted((a, b) => a - b), "answers come in the order of the requests");
    assert.deepEqual(connection.leftovers().filter((message) => !isByTheWay(message)).map(comparable), [], "sent, but not in the recording");
  } finally {
    connection.close();
  }
}

/** The recorded agent's log, so that a monitor has it to repeat. */
function writeRecordedLog(world: World, expected: readonly Message[]): void {
  for (const { body } of expected) {
    const line = isObject(body) ? body["Log"] : null;
    const match = typeof line === "string" ? /^\S+ \S+ \[([A-Z]+)\] ([^]*)$/.exec(line) : null;
    if (match !== null) world.logs.write((match[1] as string).toLowerCase() as LogLevel, match[2] as string);
  }
}

/** The recorded bytes, but with the addresses of our agents in a join. */
function localBytes(world: World, hex: unknown, value: unknown): Uint8Array {
  if (!isObject(value) || !Array.isArray(value["Existing"])) return hexBytes(hex);
  return encodeTagged({ ...value, Existing: value["Existing"].map((address) => world.localAddress(String(address))) });
}

class Connection {
  readonly #socket;
  readonly #buffer = new ObjectBuffer();
  readonly #objects: { readonly at: number; readonly value: unknown }[] = [];
  readonly #taken = new Set<number>();
  #ended = false;
  #wake: () => void = () => undefined;

  private constructor({ rpc }: World) {
    this.#socket = connect(rpc.port, rpc.ip);
    this.#socket.on("error", () => undefined);
    this.#socket.on("close", () => {
      this.#ended = true;
      this.#wake();
    });
    this.#socket.on("data", (chunk) => {
      this.#buffer.append(chunk);
      while (typeof this.#buffer.next(1 << 24) === "object") this.#objects.push({ at: this.#objects.length, value: plainOf(this.#buffer.object) });
      this.#wake();
    });
  }

  static async open(world: World): Promise<Connection> {
    const connection = new Connection(world);
    await once(connection.#socket, "connect");
    return connection;
  }

  send(bytes: Uint8Array): void {
    this.#socket.write(bytes);
  }

  close(): void {
    this.#socket.destroy();
  }

  /** Index of the first message that says the same and was not taken yet; null when none comes in time. */
  async take(wanted: Message, deadlineMs: number): Promise<number | null> {
    const text = comparable(wanted);
    let index: number | undefined;
    await this.#until(deadlineMs, () => {
      index = messagesOf(this.#objects).find((message) => !this.#taken.has(message.at) && comparable(message) === text)?.at;
      return index !== undefined || this.#ended;
    });
    if (index === undefined) return null;
    this.#taken.add(index);
    return index;
  }

  async waitForEnd(): Promise<void> {
    if (!(await this.#until(ANSWER_DEADLINE_MS, () => this.#ended))) throw new Error("the agent did not close the connection");
  }

  /** What came and was not looked for. */
  leftovers(): Message[] {
    return messagesOf(this.#objects).filter(({ at }) => !this.#taken.has(at));
  }

  async #until(deadlineMs: number, done: () => boolean): Promise<boolean> {
    const endMs = performance.now() + deadlineMs;
    while (!done()) {
      const leftMs = endMs - performance.now();
      if (leftMs <= 0) return false;
      let timer: NodeJS.Timeout | undefined;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        timer = setTimeout(resolve, leftMs);
      });
      clearTimeout(timer);
    }
    return true;
  }
}
