/** The answers that many handlers give. */
import type { HttpAnswer, HttpPlan } from "./types.ts";
import { writeJson, type Json } from "./json.ts";

const TEXT_TYPE = ["Content-Type", "text/plain; charset=utf-8"] as const;
const JSON_TYPE = ["Content-Type", "application/json"] as const;
export const VARY = ["Vary", "Accept-Encoding"] as const;

export type Header = readonly [name: string, value: string];

/** A plain text, or nothing at all. */
export function textAnswer(status: number, body: string, headers: readonly Header[] = []): HttpAnswer {
  return { status, headers: body === "" ? [...headers, VARY] : [...headers, VARY, TEXT_TYPE], body };
}

export function jsonAnswer(value: Json, pretty: boolean, headers: readonly Header[] = [], status = 200): HttpAnswer {
  return { status, headers: [JSON_TYPE, VARY, ...headers], body: writeJson(value, pretty) };
}

/** The same for JSON text that stands ready. */
export function rawJsonAnswer(body: string | Uint8Array, headers: readonly Header[]): HttpAnswer {
  return { status: 200, headers: [JSON_TYPE, VARY, ...headers], body };
}

export function answered(answer: HttpAnswer): HttpPlan {
  return { kind: "answer", answer };
}

export function refuse(status: number, body: string, headers: readonly Header[] = []): HttpPlan {
  return answered(textAnswer(status, body, headers));
}

/** 400 as Consul's `BadRequestError` prints it. */
export function badRequest(reason: string): HttpPlan {
  return refuse(400, `Bad request: ${reason}`);
}
