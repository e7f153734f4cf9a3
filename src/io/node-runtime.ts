/**
 * Drives a `NodeMachine` in real time: inputs go in one after another, effects come out and are handed to their pool, one timer wakes the
 * machine. Re-entrant calls are queued, so a core always runs to completion. Work that arrives faster than it can be done is sliced:
 * the loop is given back after `SLICE_MS`, probes and commands overtake gossip, and what exceeds the queue is dropped and counted.
 */
import { listOfObjects } from "../base/lists.ts";
import type { Endpoint } from "../base/endpoint.ts";
import type { NodeMachine, PoolName } from "../node/types.ts";
import type { PoolEffect, PoolInput, PoolReplyValue } from "../serf/types.ts";
import type { RequestId } from "../swim/types.ts";
import { MessageType } from "../wire/gossip-messages.ts";
import { holdWall, releaseWall } from "./clock.ts";

/** Longest stretch on the main thread before other work gets its turn; DESIGN.md §2. */
export const SLICE_MS = 2;
/**
 * The same while the socket is full: it gives at most 32 packets a turn, and pings may be among those that it still holds. With turns of 2 ms that
 * would be 15,000 packets a second at best, and the rest would be lost to its buffer; gossip that waits here meanwhile is bounded, counted and shed.
 */
export const CROWDED_SLICE_MS = 0.5;
/** The clock is read once per so many messages (a message takes a few µs). */
const MESSAGES_PER_CLOCK_READ = 16;
/**
 * Gossip messages waiting to be applied. Beyond it new ones are dropped: gossip repeats itself. As many as an agent takes in within half a second once its code is
 * compiled, since in its first second it takes in less than half: a quarter of them lost events at twice the rate at which the original does.
 */
export const GOSSIP_QUEUE_MAX = 65_536;
/** Pings, acks and commands waiting. Only a flood of pings can fill it. */
export const URGENT_QUEUE_MAX = 16_384;
/** Bytes of the messages waiting in either queue: a packet may inflate to 1 MiB, so that counting messages alone would not bound memory. */
export const QUEUED_BYTES_MAX = 32 * 1024 * 1024;
/** Inputs for which a queue that has run empty keeps its room. */
const ROOM_KEPT_MAX = 16;
/** Longest delay of a timer. */
const TIMER_MS_MAX = 2 ** 31 - 1;

/** What one pool does with the effects meant for it. Called in their order, after the step that made them. */
export interface PoolPort {
  apply(effect: Exclude<PoolEffect, { readonly kind: "reply" }>): void;
  /** The message of this hash is settled: further copies would change nothing. */
  settle(low: number, high: number): void;
  /** The message of this hash has been settled since it was opened; it is counted and left out. */
  leavesOut(low: number, high: number): boolean;
  /** The effects of a turn have all been applied: gathered packets may go. */
  flush(): void;
}

export interface Reply {
  readonly value: PoolReplyValue;
  readonly errors: readonly string[];
}

/** A command without a reply. */
export interface Pending {
  readonly request: RequestId;
  done(reply: Reply): void;
  failed(error: Error): void;
}

/** A received message: an input of the machine as it is, so that nothing more is made of it on its way. */
export interface PlainMessage {
  readonly kind: "message";
  readonly from: Endpoint;
  /** One plain message, type byte first; the core may keep it. */
  readonly bytes: Uint8Array;
  /** Halves of its hash, given back to the pool's port once the message is settled; 0, 0 when its repeats are never left out. */
  readonly low: number;
  readonly high: number;
}

type OtherInput = Exclude<PoolInput, { readonly kind: "message" }>;

export interface RuntimeHooks {
  readonly now: () => number;
  /** The same, or a little less for who asks again and again within one piece of work. */
  readonly present?: () => number;
  /** Gossip was dropped because the queue is full. */
  readonly dropped: (messages: number) => void;
}

export class NodeRuntime {
  readonly #machine: NodeMachine;
  readonly #hooks: RuntimeHooks;
  readonly #present: () => number;
  readonly #ports = new Map<PoolName, PoolPort>();
  /** The only one of them, as nearly all nodes have it: a loop over a map takes longer than what an idle port does. */
  #onlyPort: PoolPort | null = null;
  readonly #requests = new Map<RequestId, Pending>();
  readonly #urgent = new WorkQueue();
  readonly #gossip = new WorkQueue();
  readonly #woken = (pool: PoolName): void => this.#dispatch(pool);
  readonly #out: PoolEffect[] = listOfObjects();
  #nextRequest = 0;
  #running = false;
  #stopped = false;
  #stopError: Error | null = null;
  #continuing = false; // A further slice is scheduled.
  #sliceMs = SLICE_MS;
  #timer: NodeJS.Timeout | null = null;
  #timerAtMs = Infinity;

  constructor(machine: NodeMachine, hooks: RuntimeHooks) {
    this.#machine = machine;
    this.#hooks = hooks;
    this.#present = hooks.present ?? hooks.now;
  }

  attach(pool: PoolName, port: PoolPort): void {
    this.#ports.set(pool, port);
    this.#onlyPort = this.#ports.size === 1 ? port : null;
  }

  /** Whether the last turn found more packets in the socket than it could take. */
  set crowded(crowded: boolean) {
    this.#sliceMs = crowded ? CROWDED_SLICE_MS : SLICE_MS;
  }

  /** Runs `start` (which may append the effects of booting `pool`) and everything that follows from it. */
  boot(pool: PoolName, start: (nowMs: number, out: PoolEffect[]) => void): void {
    this.#turn(() => {
      start(this.#hooks.now(), this.#out);
      this.#dispatch(pool);
    });
  }

  /** Applies one input now, or right after the one being applied. */
  submit(pool: PoolName, input: OtherInput): void {
    if (this.#stopped) return;
    // Nearly always nothing waits in front of it.
    if (!this.#running && this.#urgent.size === 0) return this.#turn(null, pool, input);
    this.#urgent.push(pool, input);
    this.#turn(null);
  }

  /** Applies a command and resolves with its reply; rejects with the error given to `stop` when the runtime is stopped first. */
  request(pool: PoolName, make: (request: RequestId) => OtherInput): Promise<Reply> {
    const request = this.takeRequest();
    return new Promise((done, failed) => this.order(pool, make(request), { request, done, failed }));
  }

  /** A number for a command that is given to `order` next. */
  takeRequest(): RequestId {
    this.#nextRequest += 1;
    return this.#nextRequest;
  }

  /** As `request`, without a promise: one function of `pending` is called, in most cases before this returns. Neither may throw. */
  order(pool: PoolName, input: OtherInput, pending: Pending): void {
    if (this.#stopError !== null) return pending.failed(this.#stopError);
    this.#requests.set(pending.request, pending);
    this.submit(pool, input);
  }

  /** Fires a user event now: "" or why not. Null when there is work that comes first, and nothing was done: give `order` the command then. */
  fire(pool: PoolName, name: string, payload: Uint8Array | null, coalesce: boolean): string | null {
    if (!this.isFree) return null;
    let error: string | null = null;
    this.#running = true;
    const holds = holdWall();
    try {
      const nowMs = this.#present();
      if (nowMs >= this.#machine.wakeAtMs) this.#wake(nowMs);
      if (!this.#stopped) {
        error = this.#machine.fire(pool, name, payload, coalesce, nowMs, this.#out);
        this.#dispatch(pool);
      }
    } finally {
      this.#running = false;
      if (holds) releaseWall();
    }
    this.#afterTurn();
    return error;
  }

  /** A command would be applied at once. */
  get isFree(): boolean {
    return !this.#stopped && !this.#running && this.#urgent.size === 0;
  }

  /** Queues the messages of a batch. Probes go ahead of gossip: a node busy with events must not look dead. */
  deliver(pool: PoolName, messages: readonly PlainMessage[]): void {
    if (this.#stopped) return;
    let dropped = 0;
    const port = this.#ports.get(pool);
    // All are asked again when their turn comes. While others wait, repeats must not take up the room.
    const crowded = this.#gossip.size > 0;
    for (const message of messages) {
      if (crowded && isRepeat(port, message)) continue;
      const { bytes } = message;
      const urgent = isProbe(bytes[0]);
      const queue = urgent ? this.#urgent : this.#gossip;
      const full = queue.size >= (urgent ? URGENT_QUEUE_MAX : GOSSIP_QUEUE_MAX) || queue.bytes + bytes.length > QUEUED_BYTES_MAX;
      if (full) dropped += 1;
      else queue.push(pool, message);
    }
    if (dropped > 0) this.#hooks.dropped(dropped);
    this.#turn(null);
  }

  /** No input is applied and no effect carried out any more; commands without a reply fail with `error`. */
  stop(error: Error): void {
    this.#stopped = true;
    this.#stopError = error;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#urgent.clear();
    this.#gossip.clear();
    for (const pending of this.#requests.values()) pending.failed(error);
    this.#requests.clear();
  }

  /** `first`, or `input` for `pool`, come before what is queued. */
  #turn(first: (() => void) | null, pool: PoolName = "", input: OtherInput | null = null): void {
    if (this.#running) return; // The running turn takes what has been queued.
    this.#running = true;
    const holds = holdWall();
    try {
      first?.();
      this.#slice(pool, input);
    } finally {
      this.#running = false;
      if (holds) releaseWall();
    }
    this.#afterTurn();
  }

  #afterTurn(): void {
    if (this.#onlyPort !== null) this.#onlyPort.flush();
    else for (const port of this.#ports.values()) port.flush();
    if (this.#stopped) return;
    if (this.#urgent.size + this.#gossip.size > 0) this.#continueLater();
    this.#arm();
  }

  #slice(pool: PoolName, input: OtherInput | null): void {
    let nowMs = this.#hooks.now();
    const untilMs = nowMs + this.#sliceMs;
    if (input !== null) {
      if (nowMs >= this.#machine.wakeAtMs) this.#wake(nowMs);
      if (!this.#stopped) this.#apply(pool, input, nowMs);
      if (this.#urgent.size + this.#gossip.size === 0) return;
    }
    for (let count = 0; !this.#stopped; count += 1) {
      if (count % MESSAGES_PER_CLOCK_READ === 0) {
        if (count > 0) nowMs = this.#hooks.now();
        if (nowMs >= untilMs) return;
        if (nowMs >= this.#machine.wakeAtMs) this.#wake(nowMs);
      }
      const queue = this.#urgent.size > 0 ? this.#urgent : this.#gossip;
      const next = queue.shift();
      if (next === undefined) return;
      this.#apply(queue.pool, next, nowMs);
    }
  }

  #apply(pool: PoolName, input: OtherInput | PlainMessage, nowMs: number): void {
    if (input.kind !== "message") {
      this.#machine.step(pool, input, nowMs, this.#out);
      this.#dispatch(pool);
      return;
    }
    const port = this.#ports.get(pool);
    if (isRepeat(port, input)) return;
    const settled = this.#machine.step(pool, input, nowMs, this.#out);
    this.#dispatch(pool);
    if (settled && isHashed(input)) port?.settle(input.low, input.high);
  }

  #wake(nowMs: number): void {
    this.#machine.wake(nowMs, this.#out, this.#woken);
  }

  /** Hands the effects of one pool over. */
  #dispatch(pool: PoolName): void {
    const out = this.#out;
    if (out.length === 0) return;
    const port = this.#ports.get(pool);
    // The list does not grow meanwhile: whatever an effect causes is queued.
    for (const effect of out) {
      if (effect.kind === "reply") this.#take(effect.request)?.done(effect);
      else port?.apply(effect);
    }
    while (out.length > 0) out.pop(); // Setting the length would leave optimised code.
  }

  #take(request: RequestId): Pending | undefined {
    const pending = this.#requests.get(request);
    this.#requests.delete(request);
    return pending;
  }

  #continueLater(): void {
    if (this.#continuing) return;
    this.#continuing = true;
    setImmediate(() => {
      this.#continuing = false;
      if (!this.#stopped) this.#turn(null);
    });
  }

  /** One timer. It is moved only to an earlier time: a wake that comes too early finds nothing due and costs less than moving it at each step. */
  #arm(): void {
    const atMs = this.#machine.wakeAtMs;
    if (atMs >= this.#timerAtMs) return;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timerAtMs = atMs;
    // Timers count whole milliseconds, and one that fires a fraction early would have to be set again.
    const delayMs = Math.min(Math.max(Math.ceil(atMs - this.#hooks.now()), 0), TIMER_MS_MAX);
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.#timerAtMs = Infinity;
      this.#turn(null);
    }, delayMs);
  }
}

function isProbe(type: number | undefined): boolean {
  return type === MessageType.ping || type === MessageType.indirectPing || type === MessageType.ack || type === MessageType.nack;
}

function isHashed({ low, high }: PlainMessage): boolean {
  return low !== 0 || high !== 0;
}

/**
 * A lane hears of settled messages with its next batch only, so copies that come close together all pass it: in a flood nearly all of them.
 * Here their first copy has been decided, and a look into a table is far cheaper than decoding.
 */
function isRepeat(port: PoolPort | undefined, message: PlainMessage): boolean {
  return isHashed(message) && port?.leavesOut(message.low, message.high) === true;
}

/** A queue whose `shift` is cheap at any length, and that knows the bytes of its messages. */
class WorkQueue {
  #inputs: (OtherInput | PlainMessage)[] = listOfObjects();
  #pools: PoolName[] = listOfObjects();
  #head = 0;
  #bytes = 0;
  /** Of the input that `shift` gave last. */
  pool: PoolName = "";

  get size(): number {
    return this.#inputs.length - this.#head;
  }

  get bytes(): number {
    return this.#bytes;
  }

  push(pool: PoolName, input: OtherInput | PlainMessage): void {
    this.#inputs.push(input);
    this.#pools.push(pool);
    if (input.kind === "message") this.#bytes += input.bytes.length;
  }

  shift(): OtherInput | PlainMessage | undefined {
    const input = this.#inputs[this.#head];
    if (input === undefined) return undefined;
    this.pool = this.#pools[this.#head] as PoolName;
    this.#head += 1;
    if (input.kind === "message") this.#bytes -= input.bytes.length;
    if (this.#head === this.#inputs.length) this.#startOver();
    else if (this.#head >= 1024 && 2 * this.#head >= this.#inputs.length) {
      // Frees what has been taken; what is left is copied at most once for each that was.
      this.#inputs = this.#inputs.slice(this.#head);
      this.#pools = this.#pools.slice(this.#head);
      this.#head = 0;
    }
    return input;
  }

  /** All are taken. A short list keeps its room: a command is nearly always alone, and making room for it anew took a tenth of what an event leaves to collect. */
  #startOver(): void {
    if (this.#head > ROOM_KEPT_MAX) return this.clear();
    while (this.#inputs.length > 0) this.#inputs.pop();
    while (this.#pools.length > 0) this.#pools.pop();
    this.#head = 0;
  }

  clear(): void {
    this.#inputs.length = 0;
    this.#pools.length = 0;
    this.#head = 0;
    this.#bytes = 0;
  }
}
