/** Frames of an RPC recording as requests and answers, and answers in a form that is equal from run to run. */
import type { Frame } from "./rpc-frames.ts";
import type { Fields } from "./values.ts";

/** What the agent sent at one go: a header and, maybe, a body. `at`: index of its last frame. */
export interface Message {
  readonly at: number;
  readonly header: Fields;
  readonly body: unknown;
}

/** A request of the client, found by its header. */
export interface Request {
  readonly at: number;
  readonly command: string;
  readonly seq: unknown;
  readonly body: Fields;
}

export function isObject(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function isHeader(value: unknown): value is Fields {
  return isObject(value) && Object.keys(value).length === 2 && "Error" in value && "Seq" in value;
}

/** Groups what the agent sent, in order. */
export function messagesOf(objects: readonly { readonly at: number; readonly value: unknown }[]): Message[] {
  const messages: Message[] = [];
  for (const { at, value } of objects) {
    const last = messages.at(-1);
    if (isHeader(value)) messages.push({ at, header: value, body: undefined });
    else if (last !== undefined && last.body === undefined) messages[messages.length - 1] = { ...last, at, body: value };
    else throw new Error(`a body without a header: ${JSON.stringify(value)}`);
  }
  return messages;
}

export function recordedMessages(frames: readonly Frame[]): Message[] {
  return messagesOf(frames.map(({ dir, value, closed }, at) => ({ dir, closed, at, value })).filter(({ dir, closed }) => dir === "s2c" && closed !== true));
}

export function recordedRequests(frames: readonly Frame[]): Request[] {
  const requests: Request[] = [];
  frames.forEach(({ dir, value }, at) => {
    if (dir !== "c2s" || !isObject(value)) return;
    const last = requests.at(-1);
    if ("Command" in value) requests.push({ at, command: String(value["Command"]), seq: value["Seq"], body: {} });
    else if (last !== undefined) requests[requests.length - 1] = { ...last, body: value };
  });
  return requests;
}

/** A record of a stream, monitor or query, in contrast to the answer of a request. */
export function isRecord({ body }: Message): boolean {
  return isObject(body) && ("Event" in body || "Log" in body || ("From" in body && "Type" in body));
}

/** Records whose presence depends on time: they belong to what happened before, or to the life of the cluster. */
export function isByTheWay({ body }: Message): boolean {
  if (!isObject(body)) return false;
  return "Log" in body || (typeof body["Event"] === "string" && (body["Event"].startsWith("member-") || body["Coalesce"] === true));
}

/** Text that is equal for messages that say the same. */
export function comparable({ header, body }: Message): string {
  return JSON.stringify([masked(header), body === undefined ? null : masked(body)]);
}

const VARYING_STATS: ReadonlySet<string> = new Set(["event_time", "query_time", "member_time", "event_queue", "query_queue", "intent_queue", "health_score", "coordinate_resets"]);

function masked(value: unknown, key = ""): unknown {
  if (key === "LTime") return "<lamport time>";
  if (key === "Log") return String(value).replace(/^\S+ \S+ /, "");
  if (VARYING_STATS.has(key)) return /^\d+$/.test(String(value)) ? "<number>" : value;
  if (Array.isArray(value)) {
    const items = value.map((item) => masked(item));
    return key === "Members" ? items.sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1)) : items;
  }
  if (!isObject(value)) return value;
  if ("$f64" in value) return Number(value["$f64"]) === 0 ? 0 : "<double>";
  const entries = Object.entries(value)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, item]): readonly [string, unknown] => {
      // Another machine, another program.
      if (key === "runtime") return [name, "<text>"];
      // A coordinate may be exactly zero in one of its parts.
      if (["Adjustment", "Height"].includes(name) && "Vec" in value && value["Vec"] !== null) return [name, "<double>"];
      if ("ProtocolMax" in value && (name === "Addr" || name === "Port")) return [name, "<address>"];
      return [name, name === "Vec" && Array.isArray(item) ? item.map(() => "<double>") : masked(item, name)];
    });
  return Object.fromEntries(entries);
}
