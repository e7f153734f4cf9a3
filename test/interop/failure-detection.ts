/**
 * `node dist/test/interop/failure-detection.js [kills]`: how long a kill -9 stays unnoticed in `lan` clusters of six, of originals, of ours, and mixed.
 * The clusters run side by side and are hit in turn, so that the machine's load is the same for all. A program, not a test: it prints figures.
 */
import { setTimeout as delay } from "node:timers/promises";
import { SerfClient } from "../../src/client/serf-client.ts";
import { eventually } from "../support/eventually.ts";
import { SerfAgent, type Program } from "../support/serf-agent.ts";

const DEFAULT_KILLS = 10;
const POLL_MS = 20;
const CONVERGE_DEADLINE_MS = 90_000;
const DETECT_DEADLINE_MS = 120_000;
/** Probing is periodic; a kill must not always hit the same phase of it. */
const PAUSE_MS = [1_000, 1_370, 1_740, 2_110, 2_480] as const;

const COMPOSITIONS: readonly (readonly [title: string, programs: readonly Program[]])[] = [
  ["6 originals", ["serf", "serf", "serf", "serf", "serf", "serf"]],
  ["3 originals and 3 ours, an original killed", ["serf", "serf", "muster", "muster", "muster", "serf"]],
  ["3 originals and 3 ours, one of ours killed", ["serf", "serf", "serf", "muster", "muster", "muster"]],
  ["6 ours", ["muster", "muster", "muster", "muster", "muster", "muster"]],
];

/** One cluster; the last of its nodes is killed and restarted again and again. */
class Target {
  readonly title: string;
  readonly #programs: readonly Program[];
  readonly #agents: SerfAgent[] = [];
  readonly #clients: SerfClient[] = [];
  /** In ms, per kill: until the first survivor shows the victim as failed, and until the last does. */
  readonly first: number[] = [];
  readonly last: number[] = [];

  constructor(title: string, programs: readonly Program[]) {
    this.title = title;
    this.#programs = programs;
  }

  async start(): Promise<void> {
    for (const [i, program] of this.#programs.entries()) {
      const seed = this.#agents[0];
      const agent = new SerfAgent({ program, name: `n${i}`, args: seed === undefined ? [] : [`-join=${seed.gossipAddr}`] });
      this.#agents.push(agent);
      await agent.started();
      if (i < this.#programs.length - 1) this.#clients.push(await SerfClient.connect({ address: agent.rpcAddr }));
    }
    await this.#converged();
  }

  async kill(): Promise<void> {
    const victim = this.#agents.pop();
    if (victim === undefined) throw new Error("no victim");
    const pause = PAUSE_MS[this.last.length % PAUSE_MS.length] ?? 0;
    await delay(pause);
    const killedAtMs = performance.now();
    await victim.kill();
    const times = await Promise.all(this.#clients.map((client) => this.#detected(client, victim.name, killedAtMs)));
    this.first.push(Math.min(...times));
    this.last.push(Math.max(...times));
    const seed = this.#agents[0];
    const revived = new SerfAgent({ program: victim.program, name: victim.name, ip: victim.ip, args: [`-join=${seed?.gossipAddr}`] });
    this.#agents.push(revived);
    await revived.started();
    await this.#converged();
  }

  async stop(): Promise<void> {
    for (const client of this.#clients) client.close();
    await Promise.all(this.#agents.map((agent) => agent.child.stop("SIGKILL")));
  }

  async #detected(client: SerfClient, name: string, killedAtMs: number): Promise<number> {
    for (;;) {
      const members = await client.members();
      const elapsed = performance.now() - killedAtMs;
      if (members.some((member) => member.name === name && member.status === "failed")) return elapsed;
      if (elapsed > DETECT_DEADLINE_MS) throw new Error(`${this.title}: ${name} not failed after ${elapsed} ms`);
      await delay(POLL_MS);
    }
  }

  async #converged(): Promise<void> {
    await eventually(`${this.title} is complete`, CONVERGE_DEADLINE_MS, async () => {
      const views = await Promise.all(this.#clients.map((client) => client.members()));
      const complete = views.every((members) => members.filter((member) => member.status === "alive").length === this.#programs.length);
      return complete ? null : "a view lacks a member";
    });
  }
}

function summary(values: readonly number[]): string {
  const sorted = values.toSorted((a, b) => a - b);
  return `${median(values).toFixed(0)} [${sorted[0]?.toFixed(0)}..${sorted.at(-1)?.toFixed(0)}]`;
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? (sorted[middle] ?? 0) : ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2;
}

const kills = Number(process.argv[2] ?? DEFAULT_KILLS);
const targets = COMPOSITIONS.map(([title, programs]) => new Target(title, programs));
try {
  for (const target of targets) await target.start();
  for (let i = 0; i < kills; i += 1) {
    for (const target of targets) await target.kill();
    process.stderr.write(`kill ${i + 1} of ${kills}: ${targets.map((target) => target.last.at(-1)?.toFixed(0)).join(" ")} ms\n`);
  }
  const reference = median(targets[0]?.last ?? []);
  for (const { title, first, last } of targets) {
    process.stdout.write(`${title}: first ${summary(first)} ms, all ${summary(last)} ms, ${(median(last) / reference).toFixed(2)} of the originals, n=${last.length}\n`);
  }
} finally {
  await Promise.all(targets.map((target) => target.stop()));
}
