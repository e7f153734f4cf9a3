/** Numbers and truth values as texts, with the error texts of Go's strconv. */
import { goQuote } from "../base/go-quote.ts";
import { fail, ok, type Result } from "../base/result.ts";

const INT64_MAX = 2n ** 63n - 1n;

/** `strconv.Atoi`. */
export function parseInteger(text: string): Result<number> {
  if (!/^[-+]?\d+$/.test(text)) return fail(`strconv.Atoi: parsing ${goQuote(text)}: invalid syntax`);
  const value = BigInt(text.replace("+", ""));
  return value > INT64_MAX || value < -INT64_MAX - 1n ? fail(`strconv.Atoi: parsing ${goQuote(text)}: value out of range`) : ok(Number(value));
}

const TRUE_TEXTS = ["1", "t", "T", "true", "TRUE", "True"];
const FALSE_TEXTS = ["0", "f", "F", "false", "FALSE", "False"];

/** `strconv.ParseBool`. */
export function parseBool(text: string): Result<boolean> {
  if (TRUE_TEXTS.includes(text)) return ok(true);
  return FALSE_TEXTS.includes(text) ? ok(false) : fail(`strconv.ParseBool: parsing ${goQuote(text)}: invalid syntax`);
}
