/** Go's binary form of a time: 01, seconds since the year 1, nanoseconds, minutes of the zone; big endian (reference: consul-agent §6.3). */

const BYTES = 15;
const VERSION = 1;
/** Seconds from year 1 to 1970. */
const UNIX_OFFSET_SECONDS = 62_135_596_800n;
const NS_PER_SECOND = 1_000_000_000n;

/** The zone is written as an offset of no minutes. */
export function encodeGoTime(epochNs: bigint): Uint8Array {
  const bytes = new Uint8Array(BYTES);
  const view = new DataView(bytes.buffer);
  const ns = ((epochNs % NS_PER_SECOND) + NS_PER_SECOND) % NS_PER_SECOND;
  bytes[0] = VERSION;
  view.setBigInt64(1, (epochNs - ns) / NS_PER_SECOND + UNIX_OFFSET_SECONDS);
  view.setInt32(9, Number(ns));
  return bytes;
}

/** ns since 1970; 0 for what is no such time. */
export function decodeGoTime(bytes: Uint8Array | null): bigint {
  if (bytes === null || bytes.length !== BYTES || bytes[0] !== VERSION) return 0n;
  const view = new DataView(bytes.buffer, bytes.byteOffset, BYTES);
  return (view.getBigInt64(1) - UNIX_OFFSET_SECONDS) * NS_PER_SECOND + BigInt(view.getInt32(9));
}

const SECONDS_PER_DAY = 86_400;

/** RFC 3339 in UTC, rounded to whole seconds: "2026-11-21T01:41:48Z". */
export function formatGoSeconds(epochNs: bigint): string {
  const seconds = Math.round(Number(epochNs) / Number(NS_PER_SECOND));
  const day = Math.floor(seconds / SECONDS_PER_DAY);
  const rest = seconds - day * SECONDS_PER_DAY;
  const two = (value: number): string => String(value).padStart(2, "0");
  return `${date(day)}T${two(Math.floor(rest / 3600))}:${two(Math.floor(rest / 60) % 60)}:${two(rest % 60)}Z`;
}

const DAYS_PER_ERA = 146_097;
/** From the first of March of year 0 to 1970. */
const EPOCH_DAY = 719_468;

/** Years that begin in March end with the leap day, so that lengths of months follow a formula (the proleptic Gregorian calendar repeats after 400 years). */
function date(dayOfEpoch: number): string {
  const day = dayOfEpoch + EPOCH_DAY;
  const era = Math.floor(day / DAYS_PER_ERA);
  const ofEra = day - era * DAYS_PER_ERA;
  const year = Math.floor((ofEra - Math.floor(ofEra / 1460) + Math.floor(ofEra / 36_524) - Math.floor(ofEra / 146_096)) / 365);
  const ofYear = ofEra - (365 * year + Math.floor(year / 4) - Math.floor(year / 100));
  const fromMarch = Math.floor((5 * ofYear + 2) / 153);
  const month = fromMarch < 10 ? fromMarch + 3 : fromMarch - 9;
  const ofMonth = ofYear - Math.floor((153 * fromMarch + 2) / 5) + 1;
  return `${String(year + era * 400 + (month <= 2 ? 1 : 0)).padStart(4, "0")}-${String(month).padStart(2, "0")}-${String(ofMonth).padStart(2, "0")}`;
}
