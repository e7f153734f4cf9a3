/**
 * Loses leaders: three servers, 64 writers, and the leader is killed (kill -9) or cut off from the other two, again and again. Prints the time from there to the first
 * write that was begun after it and acknowledged, and looks after each loss and at the end, at every server, for every write that was acknowledged.
 * `node dist/test/load/failover.js [--event kill|cut] [--count N] [--multiplier M] [--beside PROGRAM --beside-count N] [--turns N] [--net 127.0.95]`
 */
import { parseArgs } from "node:util";
import { Clients, DeposedWatch, type Deposed } from "./failover-clients.ts";
import { Cluster, pause, type Member } from "./failover-cluster.ts";

/** Between a recovery and the next loss, so that writes of a calm cluster are among those that are checked. */
const CALM_MS = 500;
const FIRST_WRITE_MS_MAX = 90_000;
/** A server that was cut off stays so for this long after the others went on. */
const CUT_AFTER_MS = 1000;
const SIGNALS = ["SIGINT", "SIGTERM"] as const;

const { values } = parseArgs({
  options: {
    event: { type: "string", default: "kill" },
    count: { type: "string", default: "10" },
    multiplier: { type: "string", default: "5" },
    beside: { type: "string", default: "" },
    "beside-count": { type: "string", default: "5" },
    turns: { type: "string", default: "1" },
    net: { type: "string", default: "127.0.95" },
  },
});
if (values.event !== "kill" && values.event !== "cut") throw new Error("--event takes kill or cut");
const event: "kill" | "cut" = values.event;
const multiplier = Number(values.multiplier);

interface Losses {
  readonly program: string;
  readonly firstWriteMs: number[];
  readonly deposed: Deposed[];
  writes: number;
  lost: number;
  /** Keys seen with a write that had failed and was carried out after a newer one. */
  late: number;
}

async function lose(cluster: Cluster, clients: Clients, losses: Losses): Promise<void> {
  let found: Member | null = null;
  await cluster.until("a leader that all agree on", async () => (found = await cluster.leader()) !== null);
  const victim = found as unknown as Member;
  const others = cluster.members.filter((member) => member !== victim);
  const sinceMs = performance.now();
  if (event === "kill") {
    await cluster.kill(victim);
    losses.firstWriteMs.push(await clients.firstWriteMs(sinceMs, others, FIRST_WRITE_MS_MAX));
    for (const member of others) losses.lost += await clients.lost(member);
    cluster.start(victim);
  } else {
    cluster.cut(victim);
    const watch = new DeposedWatch(cluster, victim, others[0] as Member);
    losses.firstWriteMs.push(await clients.firstWriteMs(sinceMs, others, FIRST_WRITE_MS_MAX));
    await pause(CUT_AFTER_MS);
    for (const member of others) losses.lost += await clients.lost(member);
    losses.deposed.push(watch.stop());
    cluster.heal(victim);
    await watch.ended();
  }
  await cluster.until("three voters and a leader again", () => cluster.calm());
}

async function run(peer: string, count: number, losses: Losses): Promise<void> {
  const cluster = new Cluster({ peer, multiplier, namespaces: event === "cut", net: values.net });
  const clients = new Clients(cluster);
  let done = false;
  // Servers and namespaces would stay behind.
  const ended = (): void => void cluster.close(true).finally(() => process.exit(1));
  for (const signal of SIGNALS) process.once(signal, ended);
  try {
    for (const member of cluster.members) cluster.start(member);
    await cluster.until("three voters and a leader", () => cluster.calm());
    clients.start();
    for (let i = 1; i <= count; i += 1) {
      await pause(CALM_MS);
      await lose(cluster, clients, losses);
      const deposed = losses.deposed.at(-1);
      const { lost } = losses;
      process.stderr.write(`${losses.program} ${event} ${i}: first write after ${Math.round(losses.firstWriteMs.at(-1) as number)} ms, ${clients.writes} writes, ${lost} lost`
        + `${deposed === undefined ? "" : `, the old leader ${JSON.stringify(deposed)}`}\n`);
    }
    await pause(CALM_MS);
    await clients.stop();
    for (const member of cluster.members) losses.lost += await clients.lost(member);
    losses.writes += clients.writes;
    losses.late += clients.late;
    done = losses.lost === 0;
  } finally {
    for (const signal of SIGNALS) process.off(signal, ended);
    await cluster.close(!done || process.env["KEEP"] !== undefined);
  }
}

function summary({ program, firstWriteMs, deposed, writes, lost, late }: Losses): Record<string, unknown> {
  const sorted = [...firstWriteMs].sort((a, b) => a - b);
  const at = (p: number): number => Math.round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * p))] ?? NaN);
  const most = (of: (one: Deposed) => number): number => Math.round(Math.max(...deposed.map(of)));
  return {
    program, event, multiplier, count: sorted.length, writes, lost, late,
    firstWriteMs: { min: at(0), p50: at(0.5), p90: at(0.9), max: at(1), mean: Math.round(sorted.reduce((sum, ms) => sum + ms, 0) / sorted.length) },
    ...(deposed.length === 0 ? {} : {
      oldLeader: {
        acknowledged: deposed.reduce((sum, one) => sum + one.acknowledged, 0),
        firstErrorMsMax: most(({ firstErrorMs }) => firstErrorMs ?? NaN),
        lastReadMsMax: most(({ lastReadMs }) => lastReadMs),
        staleMsMax: most(({ staleMsMax }) => staleMsMax),
      },
    }),
  };
}

interface Part {
  /** "": ours. */
  readonly peer: string;
  readonly count: number;
  readonly losses: Losses;
}

function part(peer: string, count: number): Part {
  return { peer, count, losses: { program: peer === "" ? "muster" : peer, firstWriteMs: [], deposed: [], writes: 0, lost: 0, late: 0 } };
}

const turns = Number(values.turns);
const parts = [part("", Number(values.count)), part(values.beside, Number(values["beside-count"]))].filter(({ peer, count }, i) => count > 0 && (i === 0 || peer !== ""));
for (let turn = 0; turn < turns; turn += 1) for (const { peer, count, losses } of parts) await run(peer, Math.ceil(count / turns), losses);
for (const { losses } of parts) process.stdout.write(`${JSON.stringify(summary(losses))}\n`);
process.exit(parts.every(({ losses: { lost, deposed } }) => lost === 0 && deposed.every(({ acknowledged }) => acknowledged === 0)) ? 0 : 1);
