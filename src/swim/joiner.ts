/** The join command: contacts every target by push/pull, a few at once, and reports successes or all errors in target order. */
import { formatEndpoint } from "../base/endpoint.ts";
import { log, type Core } from "./core.ts";
import type { Exchanges } from "./exchanges.ts";
import { joinError } from "./join-errors.ts";
import type { JoinTarget, RequestId, SwimEffect } from "./types.ts";

/** Targets contacted at the same time. */
export const JOINS_AT_ONCE_MAX = 4;
const NAME_REQUIRED = "memberlist: node names are required by configuration but one was not provided";

interface Request {
  readonly request: RequestId;
  readonly targets: readonly JoinTarget[];
  readonly errors: (string | null)[];
  next: number;
  open: number;
  contacted: number;
}

/** One contact of a join under way: given to whoever dials, and back with the outcome. */
export interface Contact {
  readonly join: Request;
  readonly index: number;
}

export class Joiner {
  readonly #core: Core;
  readonly #exchanges: Exchanges;
  readonly #waiting: Request[] = []; // With targets still to contact.
  #open = 0;

  constructor(core: Core, exchanges: Exchanges) {
    this.#core = core;
    this.#exchanges = exchanges;
  }

  start(request: RequestId, targets: readonly JoinTarget[], nowMs: number, out: SwimEffect[]): void {
    const join: Request = { request, targets, errors: [], next: 0, open: 0, contacted: 0 };
    if (targets.length === 0) replyIfOver(join, out);
    else this.#waiting.push(join);
    this.#contact(nowMs, out);
  }

  succeeded({ join }: Contact, nowMs: number, out: SwimEffect[]): void {
    join.contacted += 1;
    this.#ended(join, nowMs, out);
  }

  failed({ join, index }: Contact, error: string, nowMs: number, out: SwimEffect[]): void {
    const target = join.targets[index];
    if (target !== undefined) {
      log(this.#core, "debug", `Failed to join ${target.to.ip}: ${error}`, out);
      join.errors[index] = joinError(target.to.ip, error);
    }
    this.#ended(join, nowMs, out);
  }

  #ended(join: Request, nowMs: number, out: SwimEffect[]): void {
    this.#open -= 1;
    join.open -= 1;
    replyIfOver(join, out);
    this.#contact(nowMs, out);
  }

  #contact(nowMs: number, out: SwimEffect[]): void {
    while (this.#open < JOINS_AT_ONCE_MAX) {
      const join = this.#waiting[0];
      if (join === undefined) return;
      const index = join.next;
      join.next += 1;
      if (join.next === join.targets.length) this.#waiting.shift();
      const target = join.targets[index];
      if (target === undefined) continue;
      if (target.name === "" && this.#core.config.requireNodeNames === true) {
        join.errors[index] = joinError(target.to.ip, NAME_REQUIRED);
        replyIfOver(join, out);
        continue;
      }
      join.open += 1;
      this.#open += 1;
      log(this.#core, "debug", `Initiating push/pull sync with: ${target.name} ${formatEndpoint(target.to)}`, out);
      this.#exchanges.sync(target.to, { join, index }, nowMs, out);
    }
  }
}

function replyIfOver({ request, targets, next, open, contacted, errors }: Request, out: SwimEffect[]): void {
  if (open > 0 || next < targets.length) return;
  // One contact is enough to be in: failures beside it are only logged, as in the originals.
  const shown = contacted > 0 ? [] : errors.filter((error) => error !== null);
  out.push({ kind: "reply", request, value: { kind: "joined", nodes: contacted }, errors: shown });
}
