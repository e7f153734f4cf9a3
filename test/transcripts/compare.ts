/** Compares an answer with the recorded one: status, headers, body; what the recording lists as volatile is masked in both. */
import { isDeepStrictEqual } from "node:util";
import type { HttpStep } from "./types.ts";

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

/** Null when they are equal; else what differs, in a line or two. */
export function difference(step: HttpStep, answer: Answer): string | null {
  if (answer.status !== step.status) return `status ${answer.status} instead of ${step.status}: ${preview(answer.body.toString())}`;
  const masks = step.volatile ?? [];
  return headerDifference(step, answer, masks) ?? bodyDifference(step, answer, masks);
}

/** Headers in which Node's server may differ from Go's without any client noticing. */
const IGNORED_HEADERS: ReadonlySet<string> = new Set(["date", "keep-alive", "last-modified", "x-recorder-note"]);

function headerDifference(step: HttpStep, answer: Answer, masks: readonly string[]): string | null {
  const masked = new Set(masks.filter((mask) => mask.startsWith("headers.")).map((mask) => mask.slice("headers.".length).toLowerCase()));
  const recorded = new Map(Object.entries(step.headers ?? {}).map(([name, value]) => [name.toLowerCase(), value] as const));
  for (const name of new Set([...recorded.keys(), ...Object.keys(answer.headers)])) {
    if (IGNORED_HEADERS.has(name)) continue;
    const [want, got] = [recorded.get(name), answer.headers[name]];
    // Each request asks for its connection to be closed: only a close that was recorded says something.
    if (name === "connection" && want === undefined) continue;
    if (want === got || (masked.has(name) && want !== undefined && got !== undefined)) continue;
    // Whether a length is told or the body comes in chunks depends on the length of what is masked.
    if ((name === "content-length" || name === "transfer-encoding") && (masked.has("content-length") || recorded.has("transfer-encoding"))) continue;
    return `header ${name}: ${got ?? "absent"} instead of ${want ?? "absent"}`;
  }
  return null;
}

function bodyDifference(step: HttpStep, answer: Answer, masks: readonly string[]): string | null {
  const paths = masks.filter((mask) => mask.startsWith("body")).map((mask) => mask.slice("body".length));
  if (paths.includes("") || step.bodyTruncated !== undefined) return null;
  if (step.bodyBase64 !== undefined) return answer.headers["content-encoding"] === "gzip" || answer.body.equals(Buffer.from(step.bodyBase64, "base64")) ? null : "other bytes in the body";
  const want = step.body ?? "";
  const got = answer.body.toString();
  if (want === got) return null;
  if (paths.length === 0) return `body ${preview(got)} instead of ${preview(want)}`;
  let parsed: readonly [unknown, unknown];
  try {
    parsed = [JSON.parse(want), JSON.parse(got)];
  } catch {
    return `body ${preview(got)} instead of ${preview(want)}`;
  }
  for (const path of paths) for (const value of parsed) maskPath(value, path.slice(1));
  const [wanted, given] = parsed;
  return isDeepStrictEqual(wanted, given) ? null : `body ${preview(JSON.stringify(given))} instead of ${preview(JSON.stringify(wanted))}`;
}

const MASK = "«volatile»";
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** `$.a[0].b`, `[*]` for every index, `[key~uuid]` for object keys that are UUIDs, "(order)" for lists whose order means nothing. */
function maskPath(root: unknown, mask: string): void {
  const ordered = / \(order.*\)$/.exec(mask);
  const path = ordered === null ? mask : mask.slice(0, -ordered[0].length);
  const keys = [...path.matchAll(/\.([^.[\]]+)|\[([^\]]+)\]/g)].map(([, name, index]) => name ?? `[${index as string}]`);
  if (ordered !== null) sortAt(root, keys);
  else maskAt(root, keys);
}

function maskAt(value: unknown, keys: readonly string[]): void {
  const [key, ...rest] = keys;
  if (key === undefined || typeof value !== "object" || value === null) return;
  const fields = value as Record<string, unknown>;
  for (const name of namesOf(fields, key)) {
    if (key === "[key~uuid]") {
      fields[MASK] = fields[name];
      delete fields[name];
    } else if (rest.length === 0) {
      if (fields[name] !== undefined) fields[name] = MASK;
    } else maskAt(fields[name], rest);
  }
}

function sortAt(value: unknown, keys: readonly string[]): void {
  const [key, ...rest] = keys;
  if (key === undefined) {
    if (Array.isArray(value)) value.sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
    return;
  }
  if (typeof value !== "object" || value === null) return;
  const fields = value as Record<string, unknown>;
  for (const name of namesOf(fields, key)) sortAt(fields[name], rest);
}

function namesOf(fields: Record<string, unknown>, key: string): readonly string[] {
  if (key === "[*]") return Object.keys(fields);
  if (key === "[key~uuid]") return Object.keys(fields).filter((name) => UUID.test(name));
  return [key.startsWith("[") ? key.slice(1, -1) : key];
}

function preview(text: string): string {
  return JSON.stringify(text.length > 300 ? `${text.slice(0, 300)}…` : text);
}
