/**
 * Runs the configured event handlers. Each handler has its own queue and runs one event after another in the order in which they came.
 * Differs from the original on purpose: there, all handlers share one queue, so that a slow script delays every other, and events wait
 * without bound; here a slow script delays itself alone, and its queue drops and counts what does not fit.
 */
import { assert } from "../base/assert.ts";
import type { Member, SerfEvent } from "../serf/types.ts";
import { isValidFilter } from "../api/event-filter.ts";
import { describeScript, eventText, matchesEvent, parseEventScripts, type EventScript } from "./event-handlers-filter.ts";
import { handlerEnvironment, handlerStdin } from "./event-handlers-input.ts";
import type { LogSink, MetricSink } from "./serf-agent-api.ts";
import { OUTPUT_BYTES_MAX } from "./spawner-messages.ts";
import type { ScriptRunner } from "./spawner.ts";

/** Events that wait for one handler. A burst of a thousand events must fit; payloads are shared between the queues. */
export const HANDLER_QUEUE_MAX = 2048;
/** Bytes of payloads and member lists that wait for one handler: many large events may not fill memory. */
export const HANDLER_QUEUE_BYTES_MAX = 16 * 1024 * 1024;
/** A script that runs longer is reported once, in ms. */
const SLOW_AFTER_MS = 1000;

export interface EventHandlerDeps {
  readonly runner: ScriptRunner;
  readonly log: LogSink;
  readonly metrics: MetricSink;
  /** Our own member record, with the tags of now. */
  self(): Member;
  /** Answers a query; rejects with the original's text. */
  respond(token: number, payload: Uint8Array): Promise<void>;
}

interface Job {
  readonly event: SerfEvent;
  readonly script: string;
  readonly bytes: number;
  /** Settled once every script in front of this one has had its chance to answer the same query. */
  readonly turn: Promise<unknown>;
  /** Called when this one has had its own. */
  readonly finished: () => void;
}

/** One `-event-handler`: its filters and what waits for it. */
class Handler {
  readonly spec: string;
  readonly scripts: readonly EventScript[];
  readonly queue: Job[] = [];
  queuedBytes = 0;
  running = false;
  dropped = 0;

  constructor(spec: string) {
    this.spec = spec;
    this.scripts = parseEventScripts(spec);
  }
}

/** The first handler that is not valid, as the error shows it; "" when all are. */
export function invalidHandler(specs: readonly string[]): string {
  const invalid = specs.flatMap(parseEventScripts).find(({ filter }) => !isValidFilter(filter));
  return invalid === undefined ? "" : describeScript(invalid);
}

export class EventHandlers {
  readonly #deps: EventHandlerDeps;
  #handlers: readonly Handler[] = [];
  #stopped = false;

  constructor(deps: EventHandlerDeps) {
    this.#deps = deps;
  }

  /** All filters with their commands, in order. */
  get scripts(): readonly EventScript[] {
    return this.#handlers.flatMap((handler) => handler.scripts);
  }

  /**
   * Replaces the handlers. One that stays keeps its queue; what waits for one that goes is still run, since it happened before. The specs are
   * valid (see `invalidHandler`).
   */
  setHandlers(specs: readonly string[]): void {
    assert(invalidHandler(specs) === "", "handlers are validated before they get here");
    const known = [...this.#handlers];
    this.#handlers = specs.map((spec) => {
      const at = known.findIndex((handler) => handler.spec === spec);
      return at < 0 ? new Handler(spec) : (known.splice(at, 1)[0] as Handler);
    });
  }

  /** From now on nothing is started or reported; scripts that run are left to themselves. */
  stop(): void {
    this.#stopped = true;
    for (const handler of this.#handlers) handler.queue.length = 0;
    this.#handlers = [];
  }

  /** Queues the event for every handler that wants it, once per matching filter. Returns at once. */
  handle(event: SerfEvent): void {
    if (this.#handlers.length === 0) return;
    const bytes = sizeOf(event);
    // Several handlers may answer one query: the first in the configuration's order wins, though they run side by side.
    let turn: Promise<unknown> = Promise.resolve();
    for (const handler of this.#handlers) {
      for (const { filter, script } of handler.scripts) {
        if (!matchesEvent(filter, event)) continue;
        let finished: () => void = () => undefined;
        const next = Promise.all([turn, new Promise<void>((resolve) => (finished = resolve))]);
        this.#enqueue(handler, { event, script, bytes, turn, finished });
        turn = next;
      }
    }
  }

  #enqueue(handler: Handler, job: Job): void {
    if (handler.queue.length >= HANDLER_QUEUE_MAX || handler.queuedBytes + job.bytes > HANDLER_QUEUE_BYTES_MAX) {
      this.#deps.metrics.count("agent.event_handler.dropped", 1);
      job.finished();
      handler.dropped += 1;
      // Once per overflow: a line per event would drown the log.
      if (handler.dropped === 1) this.#deps.log.write("warn", `agent: Event handler '${handler.spec}' is too slow, dropping events (${handler.queue.length} waiting)`);
      return;
    }
    handler.queue.push(job);
    handler.queuedBytes += job.bytes;
    if (!handler.running) void this.#drain(handler);
  }

  async #drain(handler: Handler): Promise<void> {
    handler.running = true;
    for (let job = handler.queue.shift(); job !== undefined; job = handler.queue.shift()) {
      handler.queuedBytes -= job.bytes;
      if (handler.dropped > 0 && handler.queue.length < HANDLER_QUEUE_MAX / 2) {
        this.#deps.log.write("warn", `agent: Event handler '${handler.spec}' dropped ${handler.dropped} events`);
        handler.dropped = 0;
      }
      await this.#invoke(job);
    }
    handler.running = false;
  }

  /** Runs one script to its end. Its answer to a query may wait for the scripts in front of it; the handler's next event does not. */
  async #invoke({ event, script, turn, finished }: Job): Promise<void> {
    const { runner, log, metrics } = this.#deps;
    const startMs = performance.now();
    const slow = setTimeout(() => log.write("warn", `agent: Script '${script}' slow, execution exceeding 1s`), SLOW_AFTER_MS);
    slow.unref();
    const { status, output, outputBytes } = await runner.run(script, handlerEnvironment(event, this.#deps.self()), handlerStdin(event));
    clearTimeout(slow);
    if (this.#stopped) return;
    metrics.sample(`agent.invoke.${script}`, performance.now() - startMs);
    if (outputBytes > OUTPUT_BYTES_MAX) {
      log.write("warn", `agent: Script '${script}' generated ${outputBytes} bytes of output, truncated to ${OUTPUT_BYTES_MAX}`);
    }
    const type = event.kind === "members" ? event.type : event.kind;
    log.write("debug", `agent: Event '${type}' script output: ${Buffer.from(output).toString()}`);
    if (status !== "") {
      metrics.count("agent.event_handler.failed", 1);
      log.write("err", `agent: Error invoking script '${script}': ${status}`);
    } else if (event.kind === "query" && output.length > 0) {
      void this.#answer(event, turn, output).finally(finished);
      return;
    }
    finished();
  }

  async #answer(event: Extract<SerfEvent, { readonly kind: "query" }>, turn: Promise<unknown>, output: Uint8Array): Promise<void> {
    await turn;
    try {
      await this.#deps.respond(event.token, output);
    } catch (error) {
      this.#deps.log.write("warn", `agent: Failed to respond to query '${eventText(event)}': ${error instanceof Error ? error.message : String(error)}`);
    }
  }
}

/** What an event occupies, roughly. */
function sizeOf(event: SerfEvent): number {
  if (event.kind !== "members") return 64 + (event.payload?.length ?? 0);
  // Member records are shared with the member table; a line of standard input comes into being only when the script runs.
  return 64 + 16 * event.members.length;
}
