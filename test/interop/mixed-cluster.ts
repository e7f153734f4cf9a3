/**
 * Three agents of the original and three of ours in one cluster, put through a member's whole life. Everything is asked with the real `serf` command and
 * seen through the real `serf monitor`. With MUSTER_INTEROP=originals "ours" are originals too: when a scenario fails there, the scenario is wrong.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { eventually } from "../support/eventually.ts";
import { EventMonitor } from "../support/event-monitor.ts";
import { SerfAgent, startAgent, type CliMember, type Program } from "../support/serf-agent.ts";
import { tempDir, type Cleanup } from "../support/temp-dir.ts";

export const OURS: Program = process.env["MUSTER_INTEROP"] === "originals" ? "serf" : "muster";

/**
 * Time for a change to reach six `lan` nodes. Gossip takes well under a second, but the originals send each message so few times that one node in a few
 * hundred misses it (seen with originals alone, too) and learns of it by its own push/pull, which comes every 30 s.
 */
const SPREAD_DEADLINE_MS = 45_000;
/** Suspicion of six `lan` nodes lasts 4 to 24 s, depending on confirmations. */
export const FAILURE_DEADLINE_MS = 60_000;
const REJOIN_DEADLINE_MS = 60_000;

interface NodePlan {
  readonly name: string;
  readonly ours: boolean;
  /** Name of the node it joins; both programs join both. */
  readonly joins: string | null;
}

const PLAN: readonly NodePlan[] = [
  { name: "theirs1", ours: false, joins: null },
  { name: "ours1", ours: true, joins: "theirs1" },
  { name: "theirs2", ours: false, joins: "ours1" },
  { name: "ours2", ours: true, joins: "ours1" },
  { name: "ours3", ours: true, joins: "theirs2" },
  { name: "theirs3", ours: false, joins: "theirs1" },
];

export const NAMES: readonly string[] = PLAN.map(({ name }) => name).toSorted();

/** Tags of a node: something common, something own, a value that needs care when printed. */
export function tagsOf(name: string): Record<string, string> {
  return { side: name.slice(0, -1), self: name, text: "a=b, c\"d ž" };
}

/** How a member differs from "alive, with its own tags". */
export interface MemberChange {
  readonly status?: string;
  readonly tags?: Readonly<Record<string, string>>;
}

export class MixedCluster {
  readonly agents = new Map<string, SerfAgent>();
  readonly #t: Cleanup;
  readonly #dir: string;
  readonly #args: readonly string[];

  private constructor(t: Cleanup, args: readonly string[]) {
    this.#t = t;
    this.#args = args;
    this.#dir = tempDir(t);
  }

  /** `args` go to all six. */
  static async start(t: Cleanup, args: readonly string[]): Promise<MixedCluster> {
    const cluster = new MixedCluster(t, args);
    for (const { name, ours, joins } of PLAN) await cluster.startNode(name, ours, joins === null ? [] : [`-join=${cluster.agent(joins).gossipAddr}`]);
    return cluster;
  }

  agent(name: string): SerfAgent {
    const agent = this.agents.get(name);
    assert.ok(agent, `no agent ${name}`);
    return agent;
  }

  /** Starts (or restarts, at its old address and with its old snapshot) the node of that name. */
  async startNode(name: string, ours: boolean, extraArgs: readonly string[]): Promise<SerfAgent> {
    const ip = this.agents.get(name)?.ip;
    const agent = await startAgent(this.#t, { ...this.#spec(name, ours, extraArgs), ...(ip === undefined ? {} : { ip }) });
    this.agents.set(name, agent);
    return agent;
  }

  /** Starts a node that is not one of the six, with these arguments only and without waiting for it: it may be meant to fail. */
  startStranger(name: string, ours: boolean, extraArgs: readonly string[]): SerfAgent {
    const agent = new SerfAgent({ program: ours ? OURS : "serf", name, args: extraArgs });
    this.#t.after(async () => {
      await agent.child.stop();
    });
    return agent;
  }

  /** Waits until all running nodes show exactly these members; `changes` name what differs from "alive, with its own tags". null: not listed. */
  async expectMembers(what: string, changes: Readonly<Record<string, MemberChange | null>>, deadlineMs: number = SPREAD_DEADLINE_MS): Promise<void> {
    const expected = NAMES.filter((name) => changes[name] !== null).map((name) => this.#expectedMember(name, changes[name] ?? {}));
    await eventually(what, deadlineMs, async () => {
      for (const agent of this.running()) {
        const members = await agent.members();
        try {
          assert.deepEqual(members, expected);
        } catch (error) {
          return `${agent.name} shows ${members.map((member) => `${member.name}:${member.status}`).join(" ")}; ${(error as Error).message.slice(0, 2000)}`;
        }
      }
      return null;
    }, () => this.describe());
  }

  async expectRejoined(what: string): Promise<void> {
    await this.expectMembers(what, {}, REJOIN_DEADLINE_MS);
  }

  running(): SerfAgent[] {
    return [...this.agents.values()].filter((agent) => agent.child.exit === null);
  }

  describe(): string {
    return [...this.agents.values()].map((agent) => agent.child.describe(30)).join("");
  }

  #spec(name: string, ours: boolean, extraArgs: readonly string[]): { readonly program: Program; readonly name: string; readonly args: readonly string[] } {
    const tags = Object.entries(tagsOf(name)).map(([key, value]) => `-tag=${key}=${value}`);
    const answer = `-event-handler=query:who=printf "I am $SERF_SELF_NAME"`;
    const args = ["-profile=lan", "-log-level=debug", `-snapshot=${join(this.#dir, `${name}.snapshot`)}`, answer, ...tags, ...this.#args, ...extraArgs];
    return { program: ours ? OURS : "serf", name, args };
  }

  #expectedMember(name: string, { status = "alive", tags = tagsOf(name) }: MemberChange): CliMember {
    return { name, addr: this.agent(name).gossipAddr, port: 7946, tags, status, protocol: { max: 5, min: 2, version: 5 } };
  }
}

/** Monitors on all six, ready: each has seen an event, so nothing that is sent from now on can be missed. */
export async function startMonitors(t: Cleanup, cluster: MixedCluster): Promise<EventMonitor[]> {
  const monitors = cluster.running().map((agent) => new EventMonitor(agent));
  for (const monitor of monitors) t.after(() => monitor.stop());
  let round = 0;
  await eventually("every monitor sees events", SPREAD_DEADLINE_MS, async () => {
    round += 1;
    await cluster.agent("theirs1").cliOk(["event", "-coalesce=false", "warm-up", `${round}`]);
    const deaf = monitors.filter((monitor) => monitor.count("user", "warm-up") === 0);
    return deaf.length === 0 ? null : `not at ${deaf.map((monitor) => monitor.agent.name).join(" ")}`;
  }, () => monitors.map((monitor) => monitor.describe()).join(""));
  return monitors;
}

/** Waits until the event or query has arrived at every monitor. */
export async function expectArrival(monitors: readonly EventMonitor[], kind: "user" | "query", name: string): Promise<void> {
  await eventually(`${kind} ${name} arrives at all`, SPREAD_DEADLINE_MS, () => {
    const missing = monitors.filter((monitor) => monitor.count(kind, name) === 0);
    return missing.length === 0 ? null : `not at ${missing.map((monitor) => monitor.agent.name).join(" ")}`;
  }, () => monitors.map((monitor) => monitor.describe()).join(""));
}

/** What `serf query -format=json` prints. */
export interface QueryAnswer {
  readonly Acks: readonly string[] | null;
  readonly Responses: Readonly<Record<string, string>>;
}

/** Asks `who` through this agent and returns acks and answers, sorted. */
export async function askWho(agent: SerfAgent, options: readonly string[] = []): Promise<{ readonly acks: string[]; readonly answers: Record<string, string> }> {
  const output = await agent.cliOk(["query", "-format=json", "-timeout=2s", ...options, "who"]);
  const { Acks, Responses } = JSON.parse(output) as QueryAnswer;
  const answers = Object.fromEntries(Object.entries(Responses).toSorted(([a], [b]) => (a < b ? -1 : 1)));
  return { acks: [...(Acks ?? [])].toSorted(), answers };
}

/** What `askWho` must return when exactly these nodes are asked. */
export function answersOf(names: readonly string[]): { readonly acks: string[]; readonly answers: Record<string, string> } {
  const sorted = names.toSorted();
  return { acks: sorted, answers: Object.fromEntries(sorted.map((name) => [name, `I am ${name}`])) };
}
