/** Join addresses: `[name/]host[:port]` to the endpoints behind them, with memberlist's rules and error texts (serf-protocol §5). */
import { getServers } from "node:dns";
import { lookup } from "node:dns/promises";
import { formatEndpoint, ipFromBytes, ipToBytes } from "../base/endpoint.ts";
import { fail, ok, type Result } from "../base/result.ts";
import { parseJoinAddress } from "../swim/address.ts";
import type { JoinTarget } from "../swim/types.ts";
import { errorCode, errnoText } from "./go-errors.ts";

/** Addresses taken of one name: a name that resolves to thousands must not turn into thousands of dials. */
export const ADDRESSES_PER_NAME_MAX = 64;

/** Resolves a host name to every address it has. Replaced in tests. */
export type LookupAll = (host: string) => Promise<readonly string[]>;

const systemLookup: LookupAll = async (host) => (await lookup(host, { all: true, order: "verbatim" })).map(({ address }) => address);

export interface ResolvedAddresses {
  readonly targets: readonly JoinTarget[];
  /** One `Failed to resolve X: …` for each address that cannot be used. */
  readonly errors: readonly string[];
}

/** Resolves all addresses, in their order; one that fails does not keep the others back. */
export async function resolveJoinAddresses(addresses: readonly string[], defaultPort: number, lookupAll = systemLookup): Promise<ResolvedAddresses> {
  const resolved = await Promise.all(addresses.map((address) => resolveOne(address, defaultPort, lookupAll)));
  const targets: JoinTarget[] = [];
  const errors: string[] = [];
  resolved.forEach((result, index) => {
    if (result.ok) targets.push(...result.value);
    else errors.push(`Failed to resolve ${addresses[index] as string}: ${result.error}`);
  });
  return { targets, errors };
}

async function resolveOne(address: string, defaultPort: number, lookupAll: LookupAll): Promise<Result<JoinTarget[]>> {
  const parsed = parseJoinAddress(address, defaultPort);
  if (!parsed.ok) return parsed;
  const { name, host, port } = parsed.value;
  const bytes = ipToBytes(host);
  if (bytes !== null) return ok([{ name, to: { ip: ipFromBytes(bytes), port } }]);
  try {
    const ips = await lookupAll(checkName(host));
    if (ips.length === 0) return fail(lookupErrorText(host, "no such host"));
    return ok([...new Set(ips)].slice(0, ADDRESSES_PER_NAME_MAX).map((ip) => ({ name, to: { ip, port } })));
  } catch (error) {
    return fail(lookupErrorText(host, reasonOf(error)));
  }
}

class NotAName extends Error {}

/** Text that can be no domain name is not asked for: the original refuses it without a query too. */
function checkName(host: string): string {
  if (!isDomainName(host)) throw new NotAName();
  return host;
}

function isDomainName(host: string): boolean {
  // All digits and dots would be an address: no name.
  return host.length <= 254 && /[A-Za-z_-]/.test(host) && /^([A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.)*[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.?$/.test(host);
}

function reasonOf(error: unknown): string {
  const code = errorCode(error);
  if (error instanceof NotAName || code === "ENOTFOUND" || code === "ENODATA") return "no such host";
  return code === "EAI_AGAIN" ? "Temporary failure in name resolution" : errnoText(error);
}

/** Go names the server it asked; the first configured one is where the system's resolver begins too. */
function lookupErrorText(host: string, reason: string): string {
  const server = isDomainName(host) ? getServers()[0] : undefined;
  if (server === undefined) return `lookup ${host}: ${reason}`;
  return `lookup ${host} on ${ipToBytes(server) === null ? server : formatEndpoint({ ip: server, port: 53 })}: ${reason}`;
}
