/**
 * Discovery on the local network: answers for this node, and asks for others. Questions leave from a socket of their own, because members answer
 * to where a question came from, and a datagram to the shared port 5353 reaches just one of the processes bound to it.
 */
import { createSocket, type Socket } from "node:dgram";
import { hostname, networkInterfaces } from "node:os";
import type { MulticastDNS } from "multicast-dns";
import { formatEndpoint } from "../base/endpoint.ts";
import { answersTo, membersIn, serviceName, type MdnsService } from "./mdns-records.ts";
import type { LogSink, SerfAgentApi } from "./serf-agent-api.ts";

const GROUPS = { udp4: "224.0.0.251", udp6: "ff02::fb" } as const;
type Family = keyof typeof GROUPS;
/** Between two questions, in ms. */
const POLL_MS = 60_000;
/** Members that answer within this time of each other are joined together, in ms. */
const QUIET_MS = 100;
/** Addresses remembered as tried. Beyond it the network is not one of ours, or somebody makes answers up. */
const SEEN_MAX = 4096;

export interface MdnsOptions {
  readonly cluster: string;
  /** Interface to use; "" for all. */
  readonly iface: string;
  readonly ipv4: boolean;
  readonly ipv6: boolean;
  readonly replay: boolean;
  readonly agent: Pick<SerfAgentApi, "name" | "advertise" | "join">;
  readonly log: LogSink;
}

/** Starts answering and asking; resolves with what ends both. Rejects when no socket can be had. */
export async function startMdns(options: MdnsOptions): Promise<() => void> {
  const { default: makeMdns } = await import("multicast-dns");
  const { agent, cluster, log } = options;
  const service: MdnsService = { cluster, node: agent.name, host: hostname(), advertise: agent.advertise };
  const joiner = new FoundMembers(options);
  const sockets: MulticastDNS[] = [];
  const askers: MulticastDNS[] = [];
  try {
    for (const { family, iface } of routes(options)) {
      const shared = createSocket({ type: family, reuseAddr: true, ipv6Only: family === "udp6" });
      // Bound to no address of its own: datagrams to the group would not arrive there.
      const bind = family === "udp4" ? "0.0.0.0" : "::";
      const responder = makeMdns({ type: family, ip: GROUPS[family], socket: shared, bind, ...(iface === "" ? {} : { interface: iface }) });
      responder.on("warning", (error: Error) => log.write("debug", `agent.mdns: ${error.message}`));
      sockets.push(responder);
      await ready(responder);
      responder.on("error", (error: Error) => log.write("err", `agent.mdns: ${error.message}`));
      responder.on("query", (packet, from) => {
        const answers = (packet.questions ?? []).flatMap((question) => answersTo(question, service));
        if (answers.length > 0) responder.respond({ id: 0, answers }, { address: from.address, port: from.port });
      });
      const socket = await boundSocket(family, iface);
      const asker = makeMdns({ type: family, ip: GROUPS[family], socket, bind: false, multicast: false, ...(iface === "" ? {} : { interface: iface }) });
      sockets.push(asker);
      asker.on("error", (error: Error) => log.write("err", `agent.mdns: Failed to poll for new hosts: ${error.message}`));
      asker.on("response", (packet) => joiner.add(membersIn([...(packet.answers ?? []), ...(packet.additionals ?? [])], cluster)));
      askers.push(asker);
    }
  } catch (error) {
    for (const socket of sockets) socket.destroy();
    throw error;
  }
  const poll = (): void => {
    for (const asker of askers) asker.query({ questions: [{ name: serviceName(cluster), type: "PTR" }] }, (error: Error | null) => {
      if (error !== null) log.write("err", `agent.mdns: Failed to poll for new hosts: ${error.message}`);
    });
  };
  poll();
  const timer = setInterval(poll, POLL_MS);
  return () => {
    clearInterval(timer);
    joiner.stop();
    for (const socket of sockets) socket.destroy();
  };
}

/** A socket on a port of its own whose questions leave by the interface; "" lets the system choose. */
function boundSocket(family: Family, iface: string): Promise<Socket> {
  const socket = createSocket({ type: family, ipv6Only: family === "udp6" });
  return new Promise((resolve, reject) => {
    socket.once("error", reject);
    socket.bind(0, () => {
      socket.removeListener("error", reject);
      if (iface !== "") socket.setMulticastInterface(iface);
      resolve(socket);
    });
  });
}

/** Resolves once the responder listens on the group. */
function ready(mdns: MulticastDNS): Promise<void> {
  return new Promise((resolve, reject) => {
    mdns.once("error", reject);
    mdns.once("ready", () => {
      mdns.removeListener("error", reject);
      resolve();
    });
  });
}

/** The address families and interfaces to use. IPv6 multicast needs a named interface: each one that has a link-local address. */
function routes({ iface, ipv4, ipv6 }: MdnsOptions): { readonly family: Family; readonly iface: string }[] {
  const interfaces = Object.entries(networkInterfaces()).filter(([name]) => iface === "" || name === iface);
  const found: { readonly family: Family; readonly iface: string }[] = [];
  if (ipv4) {
    const address = interfaces.flatMap(([, list]) => list ?? []).find(({ family }) => family === "IPv4")?.address;
    found.push({ family: "udp4", iface: iface === "" ? "" : (address ?? "") });
  }
  if (ipv6) {
    for (const [name, list] of interfaces) {
      if ((list ?? []).some(({ address }) => address.startsWith("fe80:"))) found.push({ family: "udp6", iface: `::%${name}` });
    }
  }
  return found;
}

/** Gathers new addresses until it is quiet for a moment, then joins them. An address is tried once, as in the original. */
class FoundMembers {
  readonly #options: MdnsOptions;
  readonly #seen = new Set<string>();
  #batch: string[] = [];
  #timer: NodeJS.Timeout | null = null;

  constructor(options: MdnsOptions) {
    this.#options = options;
    this.#seen.add(formatEndpoint(options.agent.advertise));
  }

  add(addresses: readonly string[]): void {
    for (const address of addresses) {
      if (this.#seen.has(address) || this.#seen.size >= SEEN_MAX) continue;
      this.#seen.add(address);
      this.#batch.push(address);
      if (this.#timer !== null) clearTimeout(this.#timer);
      this.#timer = setTimeout(() => {
        void this.#join();
      }, QUIET_MS);
    }
  }

  stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
  }

  async #join(): Promise<void> {
    const { agent, log, replay } = this.#options;
    const batch = this.#batch;
    this.#batch = [];
    const { nodes, error } = await agent.join(batch, replay).catch((failure: unknown) => ({ nodes: 0, error: String(failure) }));
    if (nodes === 0 && error !== "") log.write("err", `agent.mdns: Failed to join: ${error}`);
    if (nodes > 0) log.write("info", `agent.mdns: Joined ${nodes} hosts`);
  }
}
