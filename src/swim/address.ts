/** Addresses as users write them for a join: `[name/]host[:port]` (serf-protocol §5). Resolving a host name is the caller's. */
import { fail, ok, type Result } from "../base/result.ts";

export interface JoinAddress {
  /** Node name in front of the slash, or "". */
  readonly name: string;
  /** IP address (without brackets) or host name; "" for the local host. */
  readonly host: string;
  readonly port: number;
}

const PORT_MAX = 65_535;

/** Whether `text` carries a port. IPv6 needs brackets for one: several colons without brackets are an address. */
export function hasPort(text: string): boolean {
  if (text.lastIndexOf("[") === 0) return text.lastIndexOf(":") > text.lastIndexOf("]");
  return text.split(":").length === 2;
}

/** `text` with `:port` appended unless it carries one; an IPv6 address gets brackets. */
export function ensurePort(text: string, port: number): string {
  if (hasPort(text)) return text;
  const host = text.replace(/^[[\]]+|[[\]]+$/g, "");
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

/** Parts of one join address. Errors are worded as Go's. */
export function parseJoinAddress(text: string, defaultPort: number): Result<JoinAddress> {
  const slash = text.indexOf("/");
  if (slash === 0) return fail("empty node name provided");
  const name = slash < 0 ? "" : text.slice(0, slash);
  const split = splitHostPort(ensurePort(text.slice(slash + 1), defaultPort));
  if (!split.ok) return split;
  const { host, port } = split.value;
  if (!/^[0-9]+$/.test(port)) return fail(`strconv.ParseUint: parsing ${JSON.stringify(port)}: invalid syntax`);
  if (Number(port) > PORT_MAX) return fail(`strconv.ParseUint: parsing ${JSON.stringify(port)}: value out of range`);
  return ok({ name, host, port: Number(port) });
}

/** `host:port` or `[host]:port` in two parts, as Go's net.SplitHostPort judges them. */
export function splitHostPort(text: string): Result<{ readonly host: string; readonly port: string }> {
  const broken = (why: string): Result<never> => fail(`address ${text}: ${why}`);
  const colon = text.lastIndexOf(":");
  if (colon < 0) return broken("missing port in address");
  let host = text.slice(0, colon);
  let opened = 0; // A bracket is fine before here,
  let closed = 0; // and a closing one before here.
  if (text.startsWith("[")) {
    const end = text.indexOf("]");
    if (end < 0) return broken("missing ']' in address");
    if (end + 1 === text.length) return broken("missing port in address");
    if (end + 1 !== colon) return broken(text[end + 1] === ":" ? "too many colons in address" : "missing port in address");
    host = text.slice(1, end);
    opened = 1;
    closed = end + 1;
  } else if (host.includes(":")) return broken("too many colons in address");
  if (text.includes("[", opened)) return broken("unexpected '[' in address");
  if (text.includes("]", closed)) return broken("unexpected ']' in address");
  return ok({ host, port: text.slice(colon + 1) });
}
