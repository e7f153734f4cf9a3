/** `-format=text|json` of members, info and query. */
import { fail, type CliContext } from "../context.ts";
import { goQuote } from "../../base/go-quote.ts";
import { goJson } from "../go-text.ts";

export const FORMAT_FLAG = { kind: "string", value: "text", help: "Output format: text (default) or json." } as const;

/** Prints a result in the wanted format; text is trimmed. Returns the exit code. */
export function printFormatted(context: CliContext, format: string, text: () => string, json: () => unknown): number {
  if (format === "text") context.out(trimSpace(text()));
  else if (format === "json") context.out(goJson(json()));
  else return fail(context, `Encoding error: Invalid output format ${goQuote(format)}`, "the formats are -format=text and -format=json");
  return 0;
}

/** Go's `strings.TrimSpace`. */
function trimSpace(text: string): string {
  return text.replace(/^[\s\u0085]+|[\s\u0085]+$/gu, "");
}
