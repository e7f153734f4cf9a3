/** Durations in configuration files, flags and the HTTP API: Go's `time.ParseDuration` with its error texts, and `Duration.String`. */
import { fail, ok, type Result } from "../base/result.ts";
import { encodeUtf8 } from "../base/utf8.ts";

const UNIT_NS: ReadonlyMap<string, bigint> = new Map([
  ["ns", 1n],
  ["us", 1_000n],
  ["µs", 1_000n],
  ["μs", 1_000n],
  ["ms", 1_000_000n],
  ["s", 1_000_000_000n],
  ["m", 60_000_000_000n],
  ["h", 3_600_000_000_000n],
]);
/** Go keeps nanoseconds in a signed 64-bit integer. */
const NS_MAX = 2n ** 63n - 1n;

/** Duration in ms (a fraction for parts below 1 ms). "0", "10s", "1m30s", "-1.5h". */
export function parseDuration(text: string): Result<number> {
  const invalid = fail(`time: invalid duration ${quote(text)}`);
  const sign = /^[-+]/.test(text) ? text.slice(0, 1) : "";
  let rest = text.slice(sign.length);
  if (rest === "0") return ok(0);
  if (rest === "") return invalid;
  let total = 0n;
  while (rest !== "") {
    const [, whole, fraction] = /^(\d*)(?:\.(\d*))?/.exec(rest) as unknown as [string, string, string | undefined];
    if (whole === "" && (fraction === undefined || fraction === "")) return invalid;
    rest = rest.slice(whole.length + (fraction === undefined ? 0 : fraction.length + 1));
    const unit = (/^[^.\d]*/.exec(rest) as RegExpExecArray)[0];
    if (unit === "") return fail(`time: missing unit in duration ${quote(text)}`);
    const scale = UNIT_NS.get(unit);
    if (scale === undefined) return fail(`time: unknown unit ${quote(unit)} in duration ${quote(text)}`);
    rest = rest.slice(unit.length);
    // More digits than these say nothing about nanoseconds, even of hours.
    const digits = (fraction ?? "").slice(0, 18);
    total += BigInt(`0${whole}`) * scale + (digits === "" ? 0n : (BigInt(digits) * scale) / 10n ** BigInt(digits.length));
    if (total > NS_MAX) return invalid;
  }
  return ok(Number(sign === "-" ? -total : total) / 1e6);
}

/** As Go prints a duration: "1s", "1m30s", "1.5s", "500ms", "24h0m0s". */
export function formatDuration(ms: number): string {
  const ns = BigInt(Math.round(Math.abs(ms) * 1e6));
  const sign = ms < 0 ? "-" : "";
  if (ns === 0n) return "0s";
  if (ns < 1_000n) return `${sign}${ns}ns`;
  if (ns < 1_000_000n) return `${sign}${decimal(ns, 1_000n)}µs`;
  if (ns < 1_000_000_000n) return `${sign}${decimal(ns, 1_000_000n)}ms`;
  const minutes = ns / 60_000_000_000n;
  const seconds = `${decimal(ns % 60_000_000_000n, 1_000_000_000n)}s`;
  if (minutes === 0n) return sign + seconds;
  return minutes < 60n ? `${sign}${minutes}m${seconds}` : `${sign}${minutes / 60n}h${minutes % 60n}m${seconds}`;
}

function decimal(value: bigint, unit: bigint): string {
  const fraction = String(value % unit).padStart(String(unit).length - 1, "0").replace(/0+$/, "");
  return fraction === "" ? String(value / unit) : `${value / unit}.${fraction}`;
}

/** Go's time package quotes for itself: everything that is not plain ASCII byte by byte. */
function quote(text: string): string {
  let quoted = '"';
  for (const byte of encodeUtf8(text)) {
    if (byte === 0x22 || byte === 0x5c) quoted += `\\${String.fromCharCode(byte)}`;
    else if (byte < 0x20 || byte >= 0x80) quoted += `\\x${byte.toString(16).padStart(2, "0")}`;
    else quoted += String.fromCharCode(byte);
  }
  return `${quoted}"`;
}
