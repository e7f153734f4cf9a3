/**
 * Event coalescing (reference: serf-protocol §8.13): bursts of events are held back and only their outcome is shown.
 * The first event starts the period, each event restarts the quiet time; whichever ends first flushes.
 */
import type { Coalescing, Member, MemberEventType, SerfEvent } from "./types.ts";

type MembersEvent = Extract<SerfEvent, { readonly kind: "members" }>;
type UserEvent = Extract<SerfEvent, { readonly kind: "user" }>;

/** Most events held back; a fuller coalescer flushes at once, so memory stays bounded and nothing is lost. */
export const COALESCE_PENDING_MAX = 4096;
/** Most members whose last shown event is remembered; the longest unchanged go first. */
const LAST_SHOWN_MAX = 65_536;

/** The two timers of a coalescer. */
class Quantum {
  readonly #coalescing: Coalescing;
  #periodEndsAtMs = Infinity;
  #quietAtMs = Infinity;

  constructor(coalescing: Coalescing) {
    this.#coalescing = coalescing;
  }

  get endsAtMs(): number {
    return Math.min(this.#periodEndsAtMs, this.#quietAtMs);
  }

  touch(nowMs: number): void {
    if (this.#periodEndsAtMs === Infinity) this.#periodEndsAtMs = nowMs + this.#coalescing.periodMs;
    this.#quietAtMs = nowMs + this.#coalescing.quiescentMs;
  }

  reset(): void {
    this.#periodEndsAtMs = Infinity;
    this.#quietAtMs = Infinity;
  }
}

/** Shows, per member, only the last event of a burst, and only if it differs from the one shown before. */
export class MemberCoalescer {
  readonly #quantum: Quantum;
  readonly #latest = new Map<string, { readonly type: MemberEventType; readonly member: Member }>();
  readonly #lastShown = new Map<string, MemberEventType>();

  constructor(coalescing: Coalescing) {
    this.#quantum = new Quantum(coalescing);
  }

  get wakeAtMs(): number {
    return this.#quantum.endsAtMs;
  }

  get isFull(): boolean {
    return this.#latest.size >= COALESCE_PENDING_MAX;
  }

  add(event: MembersEvent, nowMs: number): void {
    this.#quantum.touch(nowMs);
    for (const member of event.members) this.#latest.set(member.name, { type: event.type, member });
  }

  flush(): MembersEvent[] {
    this.#quantum.reset();
    const byType = new Map<MemberEventType, Member[]>();
    for (const [name, { type, member }] of this.#latest) {
      // An update repeats: each one tells of other tags.
      if (this.#lastShown.get(name) === type && type !== "member-update") continue;
      this.#remember(name, type);
      const members = byType.get(type);
      if (members === undefined) byType.set(type, [member]);
      else members.push(member);
    }
    this.#latest.clear();
    return [...byType].map(([type, members]) => ({ kind: "members", type, members }));
  }

  #remember(name: string, type: MemberEventType): void {
    this.#lastShown.delete(name);
    this.#lastShown.set(name, type);
    if (this.#lastShown.size <= LAST_SHOWN_MAX) return;
    for (const oldest of this.#lastShown.keys()) {
      this.#lastShown.delete(oldest);
      return;
    }
  }
}

/** Shows, per event name, only the events with the newest Lamport time of a burst. */
export class UserEventCoalescer {
  readonly #quantum: Quantum;
  readonly #latest = new Map<string, UserEvent[]>();
  #pending = 0;

  constructor(coalescing: Coalescing) {
    this.#quantum = new Quantum(coalescing);
  }

  get wakeAtMs(): number {
    return this.#quantum.endsAtMs;
  }

  get isFull(): boolean {
    return this.#pending >= COALESCE_PENDING_MAX;
  }

  add(event: UserEvent, nowMs: number): void {
    this.#quantum.touch(nowMs);
    const latest = this.#latest.get(event.name);
    const newest = latest?.[0]?.lamportTime ?? -1;
    if (event.lamportTime < newest) return;
    if (latest !== undefined && event.lamportTime === newest) latest.push(event);
    else {
      this.#pending -= latest?.length ?? 0;
      this.#latest.set(event.name, [event]);
    }
    this.#pending += 1;
  }

  flush(): UserEvent[] {
    this.#quantum.reset();
    const events = [...this.#latest.values()].flat();
    this.#latest.clear();
    this.#pending = 0;
    return events;
  }
}

/** User events, then member events, as the agent chains them; everything that is not coalesced passes at once. */
export class CoalescerChain {
  readonly #members: MemberCoalescer | null;
  readonly #users: UserEventCoalescer | null;

  constructor(members: Coalescing | null, users: Coalescing | null) {
    this.#members = members === null ? null : new MemberCoalescer(members);
    this.#users = users === null ? null : new UserEventCoalescer(users);
  }

  get wakeAtMs(): number {
    return Math.min(this.#members?.wakeAtMs ?? Infinity, this.#users?.wakeAtMs ?? Infinity);
  }

  /** Nothing is to be done about the event but to show it. */
  passes(event: SerfEvent): boolean {
    return event.kind === "members" ? this.#members === null : event.kind !== "user" || !event.coalesce || this.#users === null;
  }

  /** Takes one event in; `show` gets what may be seen now. */
  add(event: SerfEvent, nowMs: number, show: (event: SerfEvent) => void): void {
    if (this.passes(event)) show(event);
    else if (event.kind === "members" && this.#members !== null) {
      this.#members.add(event, nowMs);
      if (this.#members.isFull) this.#members.flush().forEach(show);
    } else if (event.kind === "user" && this.#users !== null) {
      this.#users.add(event, nowMs);
      if (this.#users.isFull) this.#users.flush().forEach(show);
    }
  }

  wake(nowMs: number, show: (event: SerfEvent) => void): void {
    if (this.#users !== null && this.#users.wakeAtMs <= nowMs) this.#users.flush().forEach(show);
    if (this.#members !== null && this.#members.wakeAtMs <= nowMs) this.#members.flush().forEach(show);
  }

  /** Everything held back; before a stop. */
  flush(show: (event: SerfEvent) => void): void {
    this.#users?.flush().forEach(show);
    this.#members?.flush().forEach(show);
  }
}
