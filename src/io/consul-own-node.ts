/** What an agent says of its own node in the catalog: addresses and meta data. */
import { isIPv4 } from "node:net";
import type { CatalogNode, RegisterRequest } from "../wire/fsm-commands.ts";
import type { ConsulAgentOptions } from "./consul-agent-options.ts";

export function ownNode(options: ConsulAgentOptions): RegisterRequest {
  const family = isIPv4(options.advertiseIp) ? "ipv4" : "ipv6";
  const taggedAddresses = new Map<string, string>();
  for (const name of ["lan", `lan_${family}`, "wan", `wan_${family}`]) taggedAddresses.set(name, options.advertiseIp);
  return {
    datacenter: options.datacenter, id: options.nodeId, node: options.nodeName, address: options.advertiseIp, taggedAddresses,
    nodeMeta: new Map([["consul-network-segment", ""], ...options.nodeMeta]), service: null, check: null, checks: null, skipNodeUpdate: false, token: "",
    createIndex: 0, modifyIndex: 0,
  };
}

export function isOwnNode(node: CatalogNode, wanted: RegisterRequest): boolean {
  return node.id === wanted.id && node.address === wanted.address && sameMap(node.taggedAddresses, wanted.taggedAddresses) && sameMap(node.meta, wanted.nodeMeta);
}

function sameMap(a: ReadonlyMap<string, string> | null, b: ReadonlyMap<string, string> | null): boolean {
  const left = a ?? new Map<string, string>();
  const right = b ?? new Map<string, string>();
  return left.size === right.size && [...left].every(([key, value]) => right.get(key) === value);
}
