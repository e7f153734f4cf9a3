/** Which addresses this machine has, and which of them to advertise when bound to all. */
import { readFileSync } from "node:fs";
import { BlockList, isIP } from "node:net";
import { networkInterfaces } from "node:os";
import { fail, ok, type Result } from "../base/result.ts";

/** Ranges that RFC 6890 sets apart from the global address space (the ones an interface can hold). */
const PRIVATE_RANGES: readonly (readonly [string, number])[] = [
  ["10.0.0.0", 8],
  ["100.64.0.0", 10],
  ["169.254.0.0", 16],
  ["172.16.0.0", 12],
  ["192.0.0.0", 24],
  ["192.0.2.0", 24],
  ["192.168.0.0", 16],
  ["198.18.0.0", 15],
  ["198.51.100.0", 24],
  ["203.0.113.0", 24],
  ["fc00::", 7],
  ["fe80::", 10],
];

/** An address of an interface of this machine. */
export interface InterfaceAddress {
  readonly name: string;
  readonly ip: string;
  readonly internal: boolean;
}

export function localAddresses(): InterfaceAddress[] {
  return Object.entries(networkInterfaces()).flatMap(([name, list]) => (list ?? []).map(({ address, internal }) => ({ name, ip: address, internal })));
}

/**
 * Connections that the kernel holds until we accept them; it takes no more than `net.core.somaxconn`, which is what the originals ask for. Node's own 511 is soon
 * full when a thousand clients come at once, and who is turned away tries again after 1, 3 and 7 s.
 */
export const ACCEPT_BACKLOG = 4096;

export function isWildcard(ip: string): boolean {
  return ip === "0.0.0.0" || ip === "::" || ip === "";
}

export function isLoopback(ip: string): boolean {
  return ip === "::1" || ip.startsWith("127.");
}

/**
 * The address a node bound to all interfaces advertises: the first private one that is no loopback, IPv4 before IPv6, preferably of an
 * interface with a default route. Otherwise the original's error.
 */
export function privateAddress(addresses = localAddresses(), defaultRoutes = defaultRouteInterfaces()): Result<string> {
  const ranges = new BlockList();
  for (const [net, bits] of PRIVATE_RANGES) ranges.addSubnet(net, bits, net.includes(":") ? "ipv6" : "ipv4");
  const candidates = addresses.filter(({ ip, internal }) => !internal && ranges.check(ip, familyOf(ip)));
  const rank = ({ name, ip }: InterfaceAddress): number => (defaultRoutes.has(name) ? 0 : 2) + (ip.includes(":") ? 1 : 0);
  const best = candidates.sort((a, b) => rank(a) - rank(b))[0]; // Stable: the system's order decides among equals.
  return best === undefined ? fail("Failed to get final advertise address: No private IP address found, and explicit IP not provided") : ok(best.ip);
}

/** Interfaces with a default route; empty where the system does not tell (then every interface is as good). */
function defaultRouteInterfaces(): ReadonlySet<string> {
  try {
    const rows = readFileSync("/proc/net/route", "utf8").trimEnd().split("\n").slice(1);
    return new Set(rows.map((row) => row.split("\t")).filter((fields) => fields[1] === "00000000" && fields[7] === "00000000").map((fields) => fields[0] as string));
  } catch {
    return new Set();
  }
}

/** The addresses that may talk to us: `null` lets everybody in, an empty list nobody (S-030). */
export class AllowList {
  readonly #ranges: BlockList | null;

  private constructor(ranges: BlockList | null) {
    this.#ranges = ranges;
  }

  /** From CIDR texts ("10.0.0.0/8"); an address without a length means itself. Fails on the first that is none. */
  static parse(cidrs: readonly string[] | null): Result<AllowList> {
    if (cidrs === null) return ok(new AllowList(null));
    const ranges = new BlockList();
    for (const cidr of cidrs) {
      const [net = "", length] = cidr.split("/", 2);
      const version = isIP(net);
      const widest = version === 4 ? 32 : 128;
      const bits = length === undefined ? widest : /^[0-9]{1,3}$/.test(length) ? Number(length) : NaN;
      if (version === 0 || !(bits <= widest)) return fail(`invalid CIDR address: ${cidr}`);
      ranges.addSubnet(net, bits, version === 4 ? "ipv4" : "ipv6");
    }
    return ok(new AllowList(ranges));
  }

  allows(ip: string): boolean {
    return this.#ranges === null || this.#ranges.check(ip, familyOf(ip));
  }
}

function familyOf(ip: string): "ipv4" | "ipv6" {
  return ip.includes(":") ? "ipv6" : "ipv4";
}

/** A socket's idea of a peer address as the cores know it: no zone, IPv4-mapped IPv6 as IPv4. */
export function canonicalIp(ip: string): string {
  if (!ip.includes(":")) return ip;
  const zone = ip.indexOf("%");
  const plain = zone < 0 ? ip : ip.slice(0, zone);
  return /^::ffff:[0-9.]+$/i.test(plain) ? plain.slice(7) : plain;
}
