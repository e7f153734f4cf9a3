/** RPC `members` with growing member lists, and `event`: what a call costs the agent. */
import { setTimeout as delay } from "node:timers/promises";
import { Agent, type Target } from "./agent.ts";
import { interleave, type Bench, type Driver } from "./bench.ts";
import { GossipSocket } from "./gossip-socket.ts";
import { cpuUs, rssMib } from "./process-cost.ts";
import { RpcLoad, type RpcLoadSpec } from "./rpc-load.ts";
import { makeRow, type Bar, type Row, type Side } from "../rows.ts";
import { quantile } from "../statistics.ts";
import type { IpcRequest } from "../../src/wire/ipc-requests.ts";

const US_PER_MS = 1000;
const ANNOUNCE_DEADLINE_MS = 20_000;
const ANNOUNCE_PAUSE_MS = 250;
const EVENT_NAMES = 97;

/** DESIGN: `members` with 1, 50, 500 members. */
const MEMBERS_BARS: ReadonlyMap<number, Bar> = new Map([
  [1, { of: "ratio", atMost: 1 }],
  [50, { of: "ratio", atMost: 1 / 5 }],
  [500, { of: "ratio", atMost: 1 / 20 }],
]);
const EVENT_BAR: Bar = { of: "ratio", atMost: 1 / 2 };

interface Server {
  readonly agent: Agent;
  readonly load: RpcLoad;
}

class CallRows {
  readonly cpu: Row;
  readonly rate: Row;
  readonly p50: Row;
  readonly p99: Row;
  readonly busy: Row;

  constructor(operation: string, bar: Bar | undefined) {
    const common = { group: "rpc", operation };
    this.cpu = makeRow({ ...common, metric: "CPU per call", unit: "µs", ...(bar === undefined ? {} : { bar }) });
    this.rate = makeRow({ ...common, metric: "rate", unit: "calls/s" });
    this.p50 = makeRow({ ...common, metric: "latency p50", unit: "ms" });
    this.p99 = makeRow({ ...common, metric: "latency p99", unit: "ms" });
    this.busy = makeRow({ ...common, metric: "server busy", unit: "cores" });
  }

  get all(): readonly Row[] {
    return [this.cpu, this.rate, this.p50, this.p99, this.busy];
  }

  async measure(side: Side, { agent, load }: Server, { warmMs, warmOperations, windowMs }: Bench["scale"], run: number): Promise<void> {
    await load.run(warmMs, run === 0 ? warmOperations : 0);
    const before = cpuUs(agent.pid);
    const { calls, elapsedMs, latenciesMs } = await load.run(windowMs);
    const spentUs = cpuUs(agent.pid) - before;
    this.cpu.samples[side].push(spentUs / calls);
    this.rate.samples[side].push((calls / elapsedMs) * 1000);
    this.p50.samples[side].push(quantile(latenciesMs, 0.5));
    this.p99.samples[side].push(quantile(latenciesMs, 0.99));
    this.busy.samples[side].push(spentUs / US_PER_MS / elapsedMs);
  }
}

/** Both agents stay up and are measured in turns: the one that waits costs next to nothing. */
async function measureCalls(bench: Bench, operation: string, bar: Bar | undefined, members: number, call: Pick<RpcLoadSpec, "objects" | "request">, after: (server: Server, side: Side) => void): Promise<readonly Row[]> {
  const rows = new CallRows(operation, bar);
  const servers = new Map<Side, Server>();
  const cleanUps: (() => Promise<void> | void)[] = [];
  try {
    for (const target of bench.targets) {
      const agent = startAgent(bench, target);
      cleanUps.push(() => agent.kill());
      if (members > 1) {
        const fakes = await GossipSocket.open(bench.nextIp());
        cleanUps.push(() => fakes.close());
        await populate(agent, fakes, members);
      } else (await agent.connect()).close();
      const load = await RpcLoad.open({ server: agent.rpc, connections: bench.scale.connections, ...call });
      cleanUps.push(() => load.close());
      servers.set(target.side, { agent, load });
    }
    if (members > 1) await delay(bench.scale.drainMs);
    await interleave(bench, bench.scale.runs, async ({ side }, run) => {
      bench.progress(`rpc: ${operation}, ${side}, run ${run + 1}`);
      await rows.measure(side, servers.get(side) as Server, bench.scale, run);
    });
    for (const [side, server] of servers) after(server, side);
  } finally {
    for (const cleanUp of cleanUps.toReversed()) await cleanUp();
  }
  return rows.all;
}

function startAgent(bench: Bench, target: Target): Agent {
  return new Agent({ target, name: "bench", ip: bench.nextIp(), prefix: bench.pinning.server });
}

/** Announces all other members, again when packets were lost, until the agent lists them. */
async function populate(agent: Agent, fakes: GossipSocket, members: number): Promise<void> {
  const client = await agent.connect();
  try {
    const end = performance.now() + ANNOUNCE_DEADLINE_MS;
    for (;;) {
      fakes.announce(members - 1, agent.gossip);
      await delay(ANNOUNCE_PAUSE_MS);
      const alive = (await client.members()).filter(({ status }) => status === "alive").length;
      if (alive === members) return;
      if (performance.now() > end) throw new Error(`the agent lists ${alive} of ${members} members`);
    }
  } finally {
    client.close();
  }
}

function eventRequest(index: number): IpcRequest {
  return { command: "event", name: `bench-${index % EVENT_NAMES}`, payload: Buffer.from(`payload-${index}`), coalesce: false };
}

export const rpcDriver: Driver = {
  name: "rpc",
  about: "RPC calls members and event of a lone agent, several connections with one call under way each",
  async run(bench, report) {
    for (const members of bench.scale.memberCounts) {
      const call: Pick<RpcLoadSpec, "objects" | "request"> = { objects: 2, request: () => ({ command: "members" }) };
      report(await measureCalls(bench, `members, ${members}`, MEMBERS_BARS.get(members), members, call, () => undefined));
    }
    const memory = makeRow({ group: "rpc", operation: "event", metric: "RSS after the runs", unit: "MiB" });
    const rss = ({ agent }: Server, side: Side): void => {
      memory.samples[side].push(rssMib(agent.pid));
    };
    report([...(await measureCalls(bench, "event", EVENT_BAR, 1, { objects: 1, request: eventRequest }, rss)), memory]);
  },
};
