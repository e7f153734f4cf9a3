/** Text of a duration as Go prints it ("1.5s", "2m0.25s", "700µs"). */
const NS_PER_S = 1_000_000_000;

/** `ns`: whole nanoseconds. */
export function formatDuration(ns: number): string {
  const sign = ns < 0 ? "-" : "";
  const size = Math.abs(ns);
  if (size === 0) return "0s";
  if (size < 1000) return `${sign}${size}ns`;
  if (size < 1_000_000) return `${sign}${decimal(size, 1000)}µs`;
  if (size < NS_PER_S) return `${sign}${decimal(size, 1_000_000)}ms`;
  const seconds = Math.trunc(size / NS_PER_S);
  const rest = size - seconds * NS_PER_S;
  const minutes = Math.trunc(seconds / 60);
  const hours = Math.trunc(minutes / 60);
  const head = (hours > 0 ? `${hours}h` : "") + (minutes > 0 ? `${minutes % 60}m` : "");
  return `${sign}${head}${decimal((seconds % 60) * NS_PER_S + rest, NS_PER_S)}s`;
}

/** `value / unit` in full, without trailing zeros. */
function decimal(value: number, unit: number): string {
  const whole = Math.trunc(value / unit);
  const fraction = String(unit + (value - whole * unit)).slice(1).replace(/0+$/, "");
  return fraction === "" ? String(whole) : `${whole}.${fraction}`;
}
