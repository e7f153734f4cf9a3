/** coalesce: what comes out of the coalescer chain after the quiet time, and of successive flushes of the member coalescer. */
import assert from "node:assert/strict";
import { decodeUtf8, encodeUtf8 } from "../../src/base/utf8.ts";
import { CoalescerChain, MemberCoalescer } from "../../src/serf/coalescer.ts";
import type { Member, MemberEventType, SerfEvent } from "../../src/serf/types.ts";
import { attempt, fieldsOf } from "./compare.ts";
import type { Report } from "./registry.ts";

type RecordedEvent =
  | { readonly type: "user"; readonly name: string; readonly ltime: number; readonly payload: string; readonly coalesce: boolean }
  | { readonly type: MemberEventType; readonly members: readonly string[] };

interface Recording {
  readonly runs: readonly { readonly name: string; readonly input: readonly RecordedEvent[]; readonly outputUnordered: readonly RecordedEvent[] }[];
  readonly repeatFlushes: readonly (readonly RecordedEvent[])[];
}

const COALESCING = { periodMs: 3000, quiescentMs: 1000 };

/** What the recorded coalescer was fed before each of its flushes; told by the recording's notes. */
const REPEAT_INPUT = /fed (.*)\.$/;

export function checkCoalesce(data: unknown, report: Report): void {
  const { runs, repeatFlushes } = fieldsOf<Recording>(data, ["runs", "repeatFlushes"], report);
  for (const { name, input, outputUnordered } of runs ?? []) {
    attempt(name, report, () => {
      const chain = new CoalescerChain(COALESCING, COALESCING);
      const shown: SerfEvent[] = [];
      for (const [i, event] of input.entries()) chain.add(toEvent(event), i, (one) => shown.push(one));
      assert.ok(chain.wakeAtMs === Infinity || chain.wakeAtMs === lastHeld(input) + COALESCING.quiescentMs);
      chain.wake(chain.wakeAtMs, (one) => shown.push(one));
      chain.wake(chain.wakeAtMs, (one) => shown.push(one));
      assert.deepEqual(canonical(shown.map(fromEvent)), canonical(outputUnordered));
    });
  }
  const notes = (data as { readonly notes?: string }).notes ?? "";
  const inputs = parseFlushInputs(REPEAT_INPUT.exec(notes)?.[1] ?? "");
  const coalescer = new MemberCoalescer(COALESCING);
  for (const [i, expected] of (repeatFlushes ?? []).entries()) {
    attempt(`repeatFlushes ${i}`, report, () => {
      const input = inputs[i];
      assert.ok(input !== undefined, `the notes do not tell the input of flush ${i}: ${notes}`);
      for (const event of input) coalescer.add(toEvent(event) as Extract<SerfEvent, { readonly kind: "members" }>, i);
      assert.deepEqual(canonical(coalescer.flush().map((event) => fromEvent(event))), canonical(expected));
    });
  }
}

/** Index of the last event; each comes a millisecond after the one before. Events that pass at once start no timer. */
function lastHeld(input: readonly RecordedEvent[]): number {
  // Users and members have a coalescer each, and the earlier of their ends is asked for.
  const users = input.findLastIndex((event) => event.type === "user" && event.coalesce);
  const members = input.findLastIndex((event) => event.type !== "user");
  if (users < 0 || members < 0) return Math.max(users, members);
  return Math.min(users, members);
}

/** "[join a], [leave a, join a, update b]" */
function parseFlushInputs(text: string): RecordedEvent[][] {
  return [...text.matchAll(/\[([^\]]*)\]/g)].map(([, list = ""]) =>
    list.split(", ").map((entry) => {
      const [type, member] = entry.split(" ") as [string, string];
      return { type: `member-${type}` as MemberEventType, members: [member] };
    }),
  );
}

function toEvent(event: RecordedEvent): SerfEvent {
  if (event.type === "user") {
    const { name, ltime, payload, coalesce } = event;
    return { kind: "user", lamportTime: ltime, name, payload: encodeUtf8(payload), coalesce };
  }
  assert.match(event.type, /^member-(join|leave|failed|update|reap)$/, "unknown event");
  return { kind: "members", type: event.type, members: event.members.map((name) => ({ name }) as Member) };
}

function fromEvent(event: SerfEvent): RecordedEvent {
  if (event.kind === "members") return { type: event.type, members: event.members.map(({ name }) => name) };
  assert.equal(event.kind, "user");
  const { name, lamportTime, payload, coalesce } = event as Extract<SerfEvent, { readonly kind: "user" }>;
  return { type: "user", name, ltime: lamportTime, payload: decodeUtf8(payload ?? new Uint8Array(0)), coalesce };
}

/** Order-free form: member events by type with sorted names, user events sorted by time and payload. */
function canonical(events: readonly RecordedEvent[]): string[] {
  return events
    .map((event) => {
      if (event.type !== "user") return `${event.type} ${[...event.members].sort().join(",")}`;
      return `user ${event.name} ${event.ltime} ${event.payload} ${event.coalesce}`;
    })
    .sort();
}
