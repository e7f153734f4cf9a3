/**
 * Every recorded command, run live: the original's command at our agents, and ours at the original's. The agents are put into the state of the recording, the commands run in its
 * order, and what they print and return must be what was recorded, but for what time, place and chance decide. (The original with itself is the recording; ours with itself is what
 * `test/vectors` checks.)
 */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { test, type TestContext } from "node:test";
import { eventually } from "../support/eventually.ts";
import { nextLoopbackIp } from "../support/loopback.ts";
import { peerMissing } from "../support/peers.ts";
import { projectPath } from "../support/project-root.ts";
import { startAgent, type Program, type SerfAgent } from "../support/serf-agent.ts";
import { normalise } from "../vectors/cli-transcripts.ts";

interface Case {
  readonly name: string;
  readonly args?: readonly string[] | null;
  readonly env?: Readonly<Record<string, string>>;
  readonly exit?: number;
  readonly stdout?: string;
  readonly stderr?: string;
  readonly sigintAfterMs?: number;
}
interface Outcome {
  readonly exit: number | null;
  readonly stdout: string;
  readonly stderr: string;
}
/** What stands in the recording: agent name, its gossip address there. */
type Recorded = Readonly<Record<string, string>>;

const skip = peerMissing("serf");
const COMMANDS: Readonly<Record<Program, readonly string[]>> = { serf: ["serf"], muster: [process.execPath, projectPath("dist/muster.cjs"), "serf"] };
const COMBINATIONS: readonly (readonly [command: Program, agent: Program])[] = [["muster", "serf"], ["serf", "muster"]];
const TEST_DEADLINE_MS = 300_000;
const COMMAND_DEADLINE_MS = 20_000;
/** On top of the recorded wait: on a busy machine a command takes seconds to start. */
const INTERRUPT_LATER_MS = 4_000;
const FAILED_DEADLINE_MS = 30_000;
/** The event handlers whose answers were recorded. */
const HANDLERS = ["uptime=echo up 3 days", "echo=cat", "both=echo out; echo err >&2", "fail=echo no; exit 3", "big=head -c 2000 /dev/zero | tr '\\0' y", "huge=head -c 10000 /dev/zero | tr '\\0' z"];

/** Agents of one program in the place of the recorded ones. */
class World {
  readonly #t: TestContext;
  readonly #program: Program;
  readonly #recorded: Recorded;
  readonly agents = new Map<string, SerfAgent>();

  constructor(t: TestContext, program: Program, recorded: Recorded) {
    this.#t = t;
    this.#program = program;
    this.#recorded = recorded;
  }

  async start(name: string, args: readonly string[]): Promise<void> {
    this.agents.set(name, await startAgent(this.#t, { program: this.#program, name, args: ["-profile=local", ...args] }));
  }

  agent(name: string): SerfAgent {
    return this.agents.get(name) ?? assert.fail(`no agent ${name}`);
  }

  /** Recorded addresses in a command become those of our agents. */
  here(text: string): string {
    let changed = text;
    for (const [name, address] of Object.entries(this.#recorded)) changed = changed.replaceAll(address, this.agents.get(name)?.gossipAddr ?? address);
    return changed;
  }

  /** The addresses of our agents in what was printed become the recorded ones. */
  back(text: string): string {
    let changed = text;
    for (const [name, { ip, gossipAddr }] of this.agents) {
      const [recordedIp = "", port = ""] = (this.#recorded[name] ?? "").split(":");
      changed = changed.replaceAll(gossipAddr, `${recordedIp}:${port}`).replaceAll(ip, recordedIp).replaceAll('"port": 7946', `"port": ${port}`);
    }
    return changed;
  }
}

function run(program: Program, words: readonly string[], env: Case["env"], interruptAfterMs: number | undefined): Promise<Outcome> {
  const [file = "", ...first] = COMMANDS[program];
  return new Promise((resolve) => {
    const child = execFile(file, [...first, ...words], { env: { ...process.env, ...env }, timeout: COMMAND_DEADLINE_MS }, (error, stdout, stderr) => {
      const code = error === null ? 0 : error.code;
      resolve({ exit: typeof code === "number" ? code : null, stdout, stderr });
    });
    if (interruptAfterMs !== undefined) setTimeout(() => child.kill("SIGINT"), interruptAfterMs + INTERRUPT_LATER_MS);
  });
}

/** What both must have in common: see `normalise`; lines in any order, since acks and answers race; figures of the process and times not at all. A log is compared in
 * what the commands made the agent write: strangers may ping its address, and how a client's connection ended depends on who was quicker. */
function comparable({ name }: Case, text: string): string {
  let masked = text
    .replace(/^hint: .*\n/gm, "")
    .replace(/Usage: serf [^]*$/, "<usage text>\n")
    .replace(/rtt: \d+\.\d+ ms/, "rtt: <ms>")
    .replace(/\d{4}\/\d\d\/\d\d \d\d:\d\d:\d\d/g, "<time>");
  if (name === "monitor") masked = masked
    .replace(/^Event Info:\n(\t.*\n)*\n?/gm, "").replace(/^<time> \[\w+\] (?!agent(?!: Script)|memberlist: Failed to resolve).*\n/gm, "")
    .replace(/^<time> \[ERR\] agent\.ipc: (Failed to stream (ack|response) to|failed to decode request header).*\n/gm, "");
  if (/^info( json)?$/.test(name)) masked = masked.replace(/(?<== |": ").*$/gm, "<value>").replace(/^\s+"?(\*|user:\w+|query:\w+):?("| ).*\n/gm, "");
  const lines = normalise(masked).replace(/ {2,}/g, "  ").split("\n");
  return lines.map((line) => line.replace(/,$/, "").trim()).sort().filter((line, i, all) => line !== "" && !(name === "monitor" && line === all[i - 1])).join("\n");
}

async function play(t: TestContext, file: string, world: World, command: Program, rpcAddrs: Readonly<Record<string, string>>, before: Readonly<Record<string, () => Promise<void>>>, target: (recorded: Case) => SerfAgent) {
  const { cases } = JSON.parse(readFileSync(projectPath(`test/vectors/data/${file}.json`), "utf8")) as { readonly cases: readonly Case[] };
  for (const recorded of cases) {
    if (recorded.stdout === undefined) continue; // How agents end, and keyring files: checked by the recordings' own tests.
    await before[recorded.name]?.();
    const { rpcAddr } = target(recorded);
    const aim = (text: string): string => Object.entries(rpcAddrs).reduce((changed, [from, to]) => changed.replaceAll(from, to), world.here(text));
    const words = (recorded.args ?? []).map((word) => aim(word.replace(/^(--?rpc-addr=)127\.0\.0\.1:(17433|17377)$/, `$1${rpcAddr}`)));
    const env = recorded.env === undefined ? {} : Object.fromEntries(Object.entries(recorded.env).map(([name, value]) => [name, name === "SERF_RPC_ADDR" ? rpcAddr : value]));
    await t.test(recorded.name, async () => {
      const { exit, stdout, stderr } = await run(command, words, env, recorded.sigintAfterMs);
      const returned = (text: string): string => comparable(recorded, Object.entries(rpcAddrs).reduce((changed, [to, from]) => changed.replaceAll(from, to), world.back(text)));
      assert.equal(returned(stdout), comparable(recorded, recorded.stdout ?? ""), "stdout");
      assert.equal(returned(stderr), comparable(recorded, recorded.stderr ?? ""), "stderr");
      assert.equal(exit, recorded.exit, "exit code");
    });
  }
}

for (const [command, program] of COMBINATIONS) {
  test(`recorded commands: ${command} at an agent of ${program}`, { skip, timeout: TEST_DEADLINE_MS }, async (t) => {
    const world = new World(t, program, { alpha: "127.0.0.21:17946", beta: "127.0.0.22:17946", gamma: "127.0.0.23:17946" });
    const fit = (JSON.parse(readFileSync(projectPath("test/vectors/data/cli.json"), "utf8")) as { readonly cases: readonly Case[] }).cases.find(({ name }) => name === "query response fits");
    const fitBytes = /: (y+)$/m.exec(fit?.stdout ?? "")?.[1]?.length ?? 0;
    const beta = [...HANDLERS, `fit=head -c ${fitBytes} /dev/zero | tr '\\0' y`].map((handler) => `-event-handler=query:${handler}`);
    await world.start("alpha", ["-tag=role=web", "-tag=dc=east", ...beta.slice(0, 2)]);
    await world.start("beta", ["-tag=role=db", ...beta]);
    const seesGamma = async (status: string): Promise<void> =>
      eventually(`gamma is ${status}`, FAILED_DEADLINE_MS, async () => ((await world.agent("alpha").members()).some((member) => member.name === "gamma" && member.status === status) ? null : "not yet"));
    await play(t, "cli", world, command, { "127.0.0.1:17432": `${nextLoopbackIp()}:17432` }, {
      "rtt one": () => eventually("coordinates", 15_000, async () => ((await world.agent("alpha").cli(["rtt", "beta"])).code === 0 ? null : "none yet")),
      "members with failed": async () => {
        await world.agent("alpha").cliOk(["tags", "-set", "both=1"]);
        await world.start("gamma", [`-join=${world.agent("alpha").gossipAddr}`]);
        await seesGamma("alive");
        await world.agent("gamma").kill();
        await seesGamma("failed");
      },
    }, ({ name }) => world.agent(name === "leave (peer)" ? "beta" : "alpha"));
  });

  test(`recorded commands, token and keys: ${command} at an agent of ${program}`, { skip, timeout: TEST_DEADLINE_MS }, async (t) => {
    const world = new World(t, program, { guarded: "127.0.0.24:17946", enc1: "127.0.0.25:17946", enc2: "127.0.0.26:17946" });
    const key = "-encrypt=MDEyMzQ1Njc4OWFiY2RlZg==";
    await world.start("guarded", [`-config-file=${projectPath("test/interop/data/rpc-auth.json")}`]);
    await world.start("enc1", [key]);
    await world.start("enc2", [key, `-join=${world.agent("enc1").gossipAddr}`]);
    await eventually("both see both", 10_000, async () => ((await world.agent("enc1").members()).length === 2 ? null : "not yet"));
    await play(t, "cli-auth-keys", world, command, {}, {
      "keys list with an unresponsive peer": async () => void (await world.agent("enc2").kill()),
    }, ({ args }) => world.agent(args?.[0] === "keys" ? "enc1" : "guarded"));
  });
}
