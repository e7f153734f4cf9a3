/** The packet lane of a running agent is killed again and again under load (issue 4, B5): the members must not notice, the metrics must. */
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { encodeUtf8 } from "../../../src/base/utf8.ts";
import { SerfClient } from "../../../src/client/serf-client.ts";
import { NodeSealer } from "../../../src/io/node-sealer.ts";
import { encodeUser } from "../../../src/wire/gossip-codec.ts";
import { packPacket } from "../../../src/wire/packet.ts";
import { encodeUserEvent } from "../../../src/wire/serf-codec.ts";
import { eventually } from "../../support/eventually.ts";
import { nextLoopbackIp } from "../../support/loopback.ts";
import { SerfAgent } from "../../support/serf-agent.ts";

const KEY = Buffer.alloc(32, 9);
const METRICS_PORT = 9273;
/** Load: bursts that exceed what is done inline, nine of ten packets repeats. */
const BURST_PACKETS = 40;
const BURST_EVERY_MS = 20;
const EVENTS_PER_PACKET = 11;
const BURSTS_PER_FRESH = 10;
const DEADLINE_MS = 30_000;

export interface LaneKillReport {
  /** Times that the lane's thread was killed, running or still loading. */
  readonly kills: number;
  readonly packetsSent: number;
  /** Member events, other than the first joins, at any of the agents: there must be none. */
  readonly memberEvents: readonly string[];
  /** The target's lane metrics at the end. */
  readonly metrics: ReadonlyMap<string, number>;
}

/** Three agents, one with a lane that is killed every `intervalMs` (when it is up) until it has died `kills` times or `forMs` have passed. */
export async function killLanes(options: { readonly kills: number; readonly intervalMs: number; readonly forMs: number }): Promise<LaneKillReport> {
  const target = laneAgent("target");
  const agents = [target];
  const clients: SerfClient[] = [];
  try {
    await target.started();
    agents.push(...["n1", "n2"].map((name) => new SerfAgent({ program: "muster", name, args: [...COMMON, `-join=${target.gossipAddr}`] })));
    await Promise.all(agents.map((agent) => agent.started()));
    const memberEvents: string[] = [];
    for (const agent of agents) {
      const client = await SerfClient.connect({ address: agent.rpcAddr });
      clients.push(client);
      await eventually(`${agent.name} sees all`, DEADLINE_MS, async () => {
        const alive = (await client.members()).filter(({ status }) => status === "alive");
        return alive.length === 3 ? null : `${alive.length} alive`;
      });
    }
    for (const [i, client] of clients.entries()) void watchMembers(client, `client ${i}`, memberEvents);
    const load = startLoad(target.ip);
    try {
      const kills = await play(target, options);
      const before = (await laneMetrics(target)).get("packets_offloaded") ?? 0;
      await eventually("a lane after the last kill, back in work", DEADLINE_MS, async () => {
        const offloaded = (await laneMetrics(target)).get("packets_offloaded") ?? 0;
        return offloaded > before + BURST_PACKETS ? null : `${offloaded} packets offloaded, ${before} of them before`;
      });
      return { kills, packetsSent: load.sent(), memberEvents, metrics: await laneMetrics(target) };
    } finally {
      await load.stop();
    }
  } finally {
    for (const client of clients) client.close();
    await Promise.all(agents.map((agent) => agent.child.stop("SIGKILL")));
  }
}

const COMMON = ["-profile=local", "-log-level=warn", `-encrypt=${KEY.toString("base64")}`] as const;

function laneAgent(name: string): SerfAgent {
  const killer = fileURLToPath(new URL("./lane-killer.js", import.meta.url));
  const ip = nextLoopbackIp();
  return new SerfAgent({ program: "muster", name, ip, nodeArgs: ["--import", killer], args: [...COMMON, "-packet-workers=1", `-metrics-addr=${ip}:${METRICS_PORT}`] });
}

async function watchMembers(client: SerfClient, label: string, into: string[]): Promise<void> {
  try {
    for await (const event of await client.stream("member-leave,member-failed,member-update,member-reap")) {
      if (event.kind === "members") into.push(...event.members.map((member) => `${label}: ${event.type} ${member.name}`));
    }
  } catch {
    // The connection is closed at the end.
  }
}

async function play(target: SerfAgent, { kills, intervalMs, forMs }: { readonly kills: number; readonly intervalMs: number; readonly forMs: number }): Promise<number> {
  const endMs = performance.now() + forMs;
  while ((await deaths(target)) < kills && performance.now() < endMs) {
    target.child.kill("SIGUSR2");
    await delay(intervalMs);
  }
  return deaths(target);
}

const deaths = async (target: SerfAgent): Promise<number> => (await laneMetrics(target)).get("deaths") ?? 0;

function startLoad(ip: string): { sent(): number; stop(): Promise<void> } {
  const socket = createSocket("udp4");
  const sealer = new NodeSealer([KEY]);
  let serial = 0;
  let sent = 0;
  let packets: Uint8Array[] = [];
  const fresh = (): Uint8Array[] =>
    Array.from({ length: BURST_PACKETS }, () => {
      const messages = Array.from({ length: EVENTS_PER_PACKET }, () => {
        serial += 1;
        // Of one Lamport time a hundred: as from many nodes at once.
        return encodeUser(encodeUserEvent({ lamportTime: 1 + Math.floor(serial / 100), name: `event-${serial}`, payload: encodeUtf8("x".repeat(40)), coalesce: false }));
      });
      const [packet] = packPacket(messages, { compress: true, crc: true, label: new Uint8Array(0), sealer, encryptionVersion: 1, verifyOutgoing: true });
      return packet as Uint8Array;
    });
  let bursts = 0;
  const timer = setInterval(() => {
    if (bursts % BURSTS_PER_FRESH === 0) packets = fresh();
    bursts += 1;
    for (const packet of packets) socket.send(packet, 7946, ip);
    sent += packets.length;
  }, BURST_EVERY_MS);
  return {
    sent: () => sent,
    stop: async () => {
      clearInterval(timer);
      socket.close();
      await once(socket, "close");
    },
  };
}

async function laneMetrics(target: SerfAgent): Promise<ReadonlyMap<string, number>> {
  const text = await (await fetch(`http://${target.ip}:${METRICS_PORT}/metrics`)).text();
  return new Map([...text.matchAll(/^serf_muster_lane_(\w+)_total (\d+)$/gm)].map(([, name = "", value]) => [name, Number(value)]));
}
