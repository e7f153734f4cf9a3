/** Addresses and interfaces of the agent's configuration, with Go's error texts. */
import { existsSync } from "node:fs";
import { fail, ok, type Result } from "../../base/result.ts";
import { formatEndpoint, ipToBytes, type Endpoint } from "../../base/endpoint.ts";
import { localAddresses } from "../../io/network.ts";
import { resolveJoinAddresses } from "../../io/resolver.ts";
import { splitHostPort } from "../../swim/address.ts";

/** An address as configured: `ip` is "" when only a port was given (all interfaces). */
export interface ListenAddress extends Endpoint {
  /** As Go prints it: ":7946" for all interfaces. */
  readonly text: string;
}

/** `host[:port]` with the host resolved; without `defaultPort` the port is required. IPv4 is preferred where a name has both. */
export async function parseAddress(text: string, defaultPort: number | null): Promise<Result<ListenAddress>> {
  let split = splitHostPort(text);
  if (!split.ok && defaultPort !== null && split.error.endsWith("missing port in address")) split = splitHostPort(`${text}:${defaultPort}`);
  if (!split.ok) return split;
  const port = parsePort(split.value.port);
  if (!port.ok) return port;
  const { host } = split.value;
  if (host === "") return ok({ ip: "", port: port.value, text: `:${port.value}` });
  const resolved = await resolveJoinAddresses([host.includes(":") ? `[${host}]` : host], port.value);
  const target = resolved.targets.find(({ to }) => !to.ip.includes(":")) ?? resolved.targets[0];
  if (target === undefined) return fail((resolved.errors[0] ?? "").replace(/^Failed to resolve .*?: /, ""));
  return ok({ ip: target.to.ip, port: port.value, text: formatEndpoint({ ip: target.to.ip, port: port.value }) });
}

function parsePort(text: string): Result<number> {
  if (text === "") return ok(0);
  if (!/^[+-]?[0-9]+$/.test(text)) return fail(`address tcp/${text}: unknown port`);
  const port = Number(text);
  return port >= 0 && port <= 0xffff ? ok(port) : fail(`address ${text}: invalid port`);
}

/** Whether this machine has the interface, with or without addresses. */
export function interfaceExists(name: string): boolean {
  if (localAddresses().some((address) => address.name === name)) return true;
  return !name.includes("/") && name !== "" && existsSync(`/sys/class/net/${name}`);
}

/**
 * The address to bind to when an interface is configured: `bind` itself when the interface has it, else (bound to all) the interface's first address,
 * IPv4 before IPv6 and no link-local one. `chosen` tells the two apart.
 */
export function bindToInterface(name: string, bind: ListenAddress): Result<{ readonly bind: ListenAddress; readonly chosen: boolean }> {
  const ips = localAddresses().filter((address) => address.name === name).map(({ ip }) => ip);
  if (ips.length === 0) return fail(`Interface '${name}' has no addresses`);
  if (bind.ip !== "" && bind.ip !== "0.0.0.0" && bind.ip !== "::") {
    return ips.includes(bind.ip) ? ok({ bind, chosen: false }) : fail(`Interface '${name}' has no '${bind.ip}' address`);
  }
  const usable = ips.filter((ip) => !/^(fe80:|169\.254\.)/i.test(ip));
  const ip = usable.find((candidate) => ipToBytes(candidate)?.length === 4) ?? usable[0];
  if (ip === undefined) return fail(`Failed to find usable address for interface '${name}'`);
  return ok({ bind: { ip, port: bind.port, text: formatEndpoint({ ip, port: bind.port }) }, chosen: true });
}
