/** Full states of push/pulls as words, from one shard of a simulation to another: slots and variants are the same in both, messages have numbers of the sender's. */
import { assert } from "../../base/assert.ts";
import { EMPTY_BYTES } from "../../base/bytes.ts";
import type { HeldSlot } from "../../serf/event-ring.ts";
import { SerfSharedState } from "../../serf/shared-state.ts";
import { StatusTimes, type StatusTimesParts } from "../../serf/status-times.ts";
import { MemberRows, type WideMember } from "../../swim/member-table.ts";
import type { KnownMessage } from "../../swim/messages.ts";
import { SharedState } from "../../swim/shared-state.ts";
import type { UpperState } from "../../swim/types.ts";
import type { StateArrays } from "../../swim/state-arrays.ts";
import type { SharedMessage, SharedMessages } from "../shared-messages.ts";
import type { WordReader, WordWriter } from "./words.ts";

/** In place of a message's number: name and payload follow. */
const NO_NUMBER = -1;

/** Calls `meet` with the number of each message that a state speaks of. */
export function messagesOf({ upper }: SharedState, meet: (number: number) => void): void {
  if (!(upper instanceof SerfSharedState)) return;
  for (const slot of upper.parts.events) for (const known of slot?.known ?? []) if (known !== null && known.number >= 0) meet(known.number);
}

/** `isKnown`: the reader has been told of the message with this number. */
export function writeState(out: WordWriter, { parts }: SharedState, isKnown: (number: number) => boolean): void {
  const { join, size, rows } = parts;
  out.put(join ? 1 : 0);
  out.put(size);
  out.put(rows.words.length);
  out.put(rows.size);
  out.put(rows.suspects);
  out.putColumn(rows.order);
  out.putColumn(rows.words);
  const wide = [...(rows.wide ?? [])];
  out.put(wide.length);
  for (const [slot, { variant, incarnation }] of wide) {
    out.put(slot);
    out.put(variant);
    out.putNumber(incarnation);
  }
  out.put(parts.upper === null ? 0 : 1);
  if (parts.upper instanceof SerfSharedState) writeUpper(out, parts.upper, isKnown);
}

function writeUpper(out: WordWriter, { parts, size }: SerfSharedState, isKnown: (number: number) => boolean): void {
  out.put(size);
  const { lamportTime, eventTime, queryTime, times, leftRows, events } = parts;
  out.putNumber(lamportTime);
  out.putNumber(eventTime);
  out.putNumber(queryTime);
  writeTimes(out, times.parts);
  out.put(leftRows.length);
  for (const row of leftRows) out.put(row);
  out.put(events.length);
  out.put(events.reduce((sum, slot) => sum + (slot === null ? 0 : 1), 0));
  for (let index = 0; index < events.length; index += 1) {
    const slot = events[index] as HeldSlot | null;
    if (slot === null) continue;
    out.put(index);
    writeSlot(out, slot, isKnown);
  }
}

function writeTimes(out: WordWriter, { count, statuses, times, late }: StatusTimesParts): void {
  out.put(count);
  out.putColumn(statuses);
  out.putColumn(times);
  const pairs = [...(late ?? [])];
  out.put(pairs.length);
  for (const [row, time] of pairs) {
    out.put(row);
    out.putNumber(time);
  }
}

function writeSlot(out: WordWriter, { lamportTime, events, known = [] }: HeldSlot, isKnown: (number: number) => boolean): void {
  out.putNumber(lamportTime);
  out.put(events.length);
  for (let i = 0; i < events.length; i += 1) {
    const number = known[i]?.number ?? NO_NUMBER;
    if (number >= 0 && isKnown(number)) {
      out.put(number);
      continue;
    }
    const { name, payload } = events[i] as HeldSlot["events"][number];
    out.put(NO_NUMBER);
    out.putText(name);
    out.put(payload === null ? 0 : 1);
    out.putBytes(payload ?? EMPTY_BYTES);
  }
}

/** `find`: what the writer's number stands for here. */
export function readState(from: WordReader, messages: SharedMessages, find: (number: number) => SharedMessage): SharedState {
  const { records } = messages;
  const join = from.word() === 1;
  const size = from.word();
  const arrays = records.stateArrays.take(Math.max(from.word(), records.tableLengthMax));
  const parts = { size: from.word(), suspects: from.word(), order: from.columnIn(arrays.order), words: from.columnIn(arrays.words) };
  const wideCount = from.word();
  const wide = wideCount === 0 ? null : new Map<number, WideMember>();
  for (let i = 0; i < wideCount; i += 1) wide?.set(from.word(), { variant: from.word(), incarnation: from.number() });
  const rows = new MemberRows({ ...parts, wide });
  const upper = from.word() === 0 ? null : readUpper(from, messages, arrays, find);
  return new SharedState(records, { join, size, rows, arrays, upper });
}

function readUpper(from: WordReader, { records }: SharedMessages, arrays: StateArrays, find: (number: number) => SharedMessage): UpperState {
  const size = from.word();
  const lamportTime = from.number();
  const eventTime = from.number();
  const queryTime = from.number();
  const times = readTimes(from, arrays);
  const leftRows = Array.from({ length: from.word() }, () => from.word());
  const events = new Array<HeldSlot | null>(from.word()).fill(null);
  for (let left = from.word(); left > 0; left -= 1) events[from.word()] = readSlot(from, find);
  return new SerfSharedState({ lamportTime, eventTime, queryTime, times, leftRows, events }, size, records);
}

function readTimes(from: WordReader, arrays: StateArrays): StatusTimes {
  const parts = { count: from.word(), statuses: from.columnIn(arrays.statuses) as Uint8Array, times: from.columnIn(arrays.times) };
  const lateCount = from.word();
  const late = lateCount === 0 ? null : new Map<number, number>();
  for (let i = 0; i < lateCount; i += 1) late?.set(from.word(), from.number());
  return new StatusTimes({ ...parts, late });
}

function readSlot(from: WordReader, find: (number: number) => SharedMessage): HeldSlot {
  const lamportTime = from.number();
  const events: HeldSlot["events"][number][] = [];
  const known: (KnownMessage | null)[] = [];
  for (let left = from.word(); left > 0; left -= 1) {
    const number = from.word();
    const message = number === NO_NUMBER ? null : find(number);
    known.push(message);
    if (message === null) events.push(readEvent(from));
    else {
      assert(message.upper?.kind === "userEvent", "an event is told by a message that is none");
      events.push(message.upper);
    }
  }
  return { lamportTime, events, known };
}

function readEvent(from: WordReader): HeldSlot["events"][number] {
  const name = from.text();
  const hasPayload = from.word() === 1;
  const payload = from.bytes();
  return { name, payload: hasPayload ? payload : null };
}
