/** Keeps what the catalog says of this agent's node as the agent itself knows it: addresses and meta data (the part of anti-entropy that needs no services). */
import type { CatalogNode, RegisterRequest } from "../wire/fsm-commands.ts";
import type { NodeWithServices, Outcome, Queried, QueryOptions } from "../api/rpc/types.ts";
import type { ConsulAgentOptions } from "./consul-agent-options.ts";
import type { ConsulServer } from "./consul-server.ts";
import { isIPv4 } from "node:net";

/** One look each minute, and up to another minute of jitter, as the original. */
const INTERVAL_MS = 60_000;
const RETRY_MS = 200;

const READ: QueryOptions = { minQueryIndex: 0, maxQueryTimeMs: 0, allowStale: false, requireConsistent: false, maxStaleMs: 0, filter: "" };

export class NodeSync {
  readonly #options: ConsulAgentOptions;
  readonly #server: ConsulServer;
  readonly #wanted: RegisterRequest;
  #timer: NodeJS.Timeout | null = null;
  #stopped = false;

  constructor(options: ConsulAgentOptions, server: ConsulServer) {
    this.#options = options;
    this.#server = server;
    this.#wanted = ownNode(options);
  }

  start(): void {
    this.#options.log.write("info", "agent: started state syncer");
    this.#server.onLeader = () => this.#look();
    this.#look();
  }

  stop(): void {
    this.#stopped = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
  }

  #again(delayMs: number): void {
    if (this.#stopped) return;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#look(), delayMs).unref();
  }

  #look(): void {
    this.#again(INTERVAL_MS + Math.random() * INTERVAL_MS);
    const { driver } = this.#server;
    if (driver.leader === null) return;
    driver.call("Catalog.NodeServices", { datacenter: this.#options.datacenter, node: this.#options.nodeName, options: READ }, (outcome) => {
      const found = outcome as Outcome<Queried<NodeWithServices | null>>;
      if (!found.ok) this.#again(RETRY_MS);
      else if (found.value.value === null || !same(found.value.value.node, this.#wanted)) this.#register();
    });
  }

  #register(): void {
    if (this.#stopped) return;
    this.#server.driver.call("Catalog.Register", this.#wanted, (outcome) => {
      if (outcome.ok) this.#options.log.write("info", "agent: Synced node info");
      else {
        this.#options.log.write("warn", `agent: Syncing node info failed: error=${JSON.stringify(outcome.error)}`);
        this.#again(RETRY_MS);
      }
    });
  }
}

function ownNode(options: ConsulAgentOptions): RegisterRequest {
  const family = isIPv4(options.advertiseIp) ? "ipv4" : "ipv6";
  const taggedAddresses = new Map<string, string>();
  for (const name of ["lan", `lan_${family}`, "wan", `wan_${family}`]) taggedAddresses.set(name, options.advertiseIp);
  return {
    datacenter: options.datacenter, id: options.nodeId, node: options.nodeName, address: options.advertiseIp, taggedAddresses,
    nodeMeta: new Map([["consul-network-segment", ""], ...options.nodeMeta]), service: null, check: null, checks: null, skipNodeUpdate: false, token: "",
    createIndex: 0, modifyIndex: 0,
  };
}

function same(node: CatalogNode, wanted: RegisterRequest): boolean {
  return node.id === wanted.id && node.address === wanted.address && sameMap(node.taggedAddresses, wanted.taggedAddresses) && sameMap(node.meta, wanted.nodeMeta);
}

function sameMap(a: ReadonlyMap<string, string> | null, b: ReadonlyMap<string, string> | null): boolean {
  const left = a ?? new Map<string, string>();
  const right = b ?? new Map<string, string>();
  return left.size === right.size && [...left].every(([key, value]) => right.get(key) === value);
}
