/** Sends one recorded request as it was sent, byte for byte where that matters, and follows no redirect. */
import { request } from "node:http";
import type { Answer } from "./compare.ts";
import type { HttpStep } from "./types.ts";

export type Captures = Map<string, string>;

/** Resolves with status 0 when the connection ends without an answer. */
export function sendStep(step: HttpStep, host: string, captures: Captures): Promise<Answer> {
  const path = fill(step.pathTemplate ?? step.path, captures);
  const body = bodyOf(step, captures);
  const [name, port] = host.split(":") as [string, string];
  const headers: Record<string, string> = { ...step.requestHeaders };
  const chunked = headers["Transfer-Encoding"] === "chunked";
  if (!chunked && (body.length > 0 || step.method === "PUT" || step.method === "POST")) headers["Content-Length"] = String(body.length);
  return new Promise((resolve) => {
    const asked = request({ host: name, port: Number(port), method: step.method, path, headers, agent: false }, (response) => {
      const pieces: Buffer[] = [];
      response.on("data", (piece: Buffer) => pieces.push(piece));
      const answer = (): void => {
        const fields = Object.fromEntries(Object.entries(response.headers).map(([key, value]) => [key, String(value)] as const));
        resolve({ status: response.statusCode ?? 0, headers: fields, body: Buffer.concat(pieces) });
      };
      response.on("end", answer);
      response.on("error", answer);
    });
    asked.on("error", () => resolve({ status: 0, headers: {}, body: Buffer.alloc(0) }));
    asked.end(chunked ? dechunked(body) : body);
  });
}

/** The recording holds the chunks as they went over the wire; the client makes them again. */
function dechunked(body: Buffer): Buffer {
  const pieces: Buffer[] = [];
  let at = 0;
  for (;;) {
    const lineEnd = body.indexOf("\r\n", at);
    const length = Number.parseInt(body.subarray(at, lineEnd).toString(), 16);
    if (lineEnd < 0 || !(length > 0)) return Buffer.concat(pieces);
    pieces.push(body.subarray(lineEnd + 2, lineEnd + 2 + length));
    at = lineEnd + 2 + length + 2;
  }
}

function bodyOf(step: HttpStep, captures: Captures): Buffer {
  const repeat = step.requestBodyRepeat;
  if (repeat !== undefined && repeat !== null) return Buffer.alloc(repeat.count, repeat.char);
  if (step.requestBodyBase64 !== undefined) return Buffer.from(step.requestBodyBase64, "base64");
  return Buffer.from(fill(step.requestBodyTemplate ?? step.requestBody ?? "", captures));
}

function fill(text: string, captures: Captures): string {
  return text.replace(/\{\{(\w+)\}\}/g, (_whole, name: string) => captures.get(name) ?? "");
}

/** `header:Name`, or a path into the JSON body. */
export function capture(step: HttpStep, answer: Answer, captures: Captures): void {
  for (const [name, where] of Object.entries(step.capture ?? {})) {
    const value = where.startsWith("header:") ? answer.headers[where.slice("header:".length).toLowerCase()] : jsonAt(answer.body, where);
    captures.set(name, typeof value === "string" ? value : JSON.stringify(value ?? ""));
  }
}

function jsonAt(body: Buffer, path: string): unknown {
  let value: unknown;
  try {
    value = JSON.parse(body.toString());
  } catch {
    return undefined;
  }
  for (const [, name, index] of path.matchAll(/\.([^.[\]]+)|\[(\d+)\]/g)) value = (value as Record<string, unknown> | undefined)?.[(name ?? index) as string];
  return value;
}
