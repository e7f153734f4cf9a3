import { Child, runCommand, type Exit } from "./child.ts";
import { nextLoopbackIp } from "./loopback.ts";
import { projectPath } from "./project-root.ts";
import type { Cleanup } from "./temp-dir.ts";

/** Whose program: the original's `serf`, or ours under the Serf persona. */
export type Program = "serf" | "muster";

const COMMANDS: Readonly<Record<Program, readonly string[]>> = {
  serf: ["serf"],
  muster: [process.execPath, projectPath("dist/muster.cjs"), "serf"],
};
const START_DEADLINE_MS = 15_000;
const CLI_DEADLINE_MS = 30_000;

export interface AgentSpec {
  readonly program: Program;
  readonly name: string;
  /** Default: a fresh loopback address. */
  readonly ip?: string;
  readonly args?: readonly string[];
  /** Most file descriptors that it may open; default: as many as we may. */
  readonly descriptorsMax?: number;
  /** Options of node itself, for ours. */
  readonly nodeArgs?: readonly string[];
}

/** One member as `serf members -format=json` prints it. */
export interface CliMember {
  readonly name: string;
  readonly addr: string;
  readonly port: number;
  readonly tags: Readonly<Record<string, string>>;
  readonly status: string;
  readonly protocol: { readonly max: number; readonly min: number; readonly version: number };
}

function commandOf({ program, nodeArgs = [], descriptorsMax }: AgentSpec): readonly string[] {
  const [executable = "", ...rest] = COMMANDS[program];
  const command = [executable, ...nodeArgs, ...rest];
  return descriptorsMax === undefined ? command : ["/bin/sh", "-c", `ulimit -n ${descriptorsMax}; exec "$@"`, "sh", ...command];
}

/** A running agent of either program on its own loopback address, with the usual ports. */
export class SerfAgent {
  readonly program: Program;
  readonly name: string;
  readonly ip: string;
  readonly child: Child;

  constructor(spec: AgentSpec) {
    this.program = spec.program;
    this.name = spec.name;
    this.ip = spec.ip ?? nextLoopbackIp();
    const args = ["agent", `-node=${this.name}`, `-bind=${this.gossipAddr}`, `-rpc-addr=${this.rpcAddr}`, ...(spec.args ?? [])];
    this.child = new Child(`${this.name} (${this.program})`, [...commandOf(spec), ...args]);
  }

  get gossipAddr(): string {
    return `${this.ip}:7946`;
  }

  get rpcAddr(): string {
    return `${this.ip}:7373`;
  }

  /** Resolves once the agent has printed that it runs (after its start joins). */
  async started(): Promise<void> {
    await this.child.waitFor("it was up", (output) => output.includes("Log data will now stream in"), START_DEADLINE_MS);
  }

  /** Runs a CLI command against this agent; by default with the real `serf`, whatever the agent's program. */
  async cli(args: readonly string[], program: Program = "serf"): Promise<{ readonly code: number | null; readonly output: string }> {
    const [command = "", ...rest] = args;
    return runCommand([...COMMANDS[program], command, `-rpc-addr=${this.rpcAddr}`, ...rest], CLI_DEADLINE_MS);
  }

  /** As `cli`, but fails unless the command succeeds. Returns what it printed. */
  async cliOk(args: readonly string[], program: Program = "serf"): Promise<string> {
    const { code, output } = await this.cli(args, program);
    if (code !== 0) throw new Error(`${program} ${args.join(" ")} at ${this.name}: exit code ${code}: ${output}\n${this.child.describe()}`);
    return output;
  }

  /** Its view of the cluster, sorted by name, asked with the real `serf members`. */
  async members(): Promise<readonly CliMember[]> {
    const { members } = JSON.parse(await this.cliOk(["members", "-format=json"])) as { readonly members: CliMember[] | null };
    return (members ?? []).toSorted((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** Ends it without a leave. */
  async kill(): Promise<Exit> {
    this.child.kill("SIGKILL");
    return this.child.exited;
  }
}

/** Starts an agent that is stopped when the test ends, and waits until it is up. */
export async function startAgent(t: Cleanup, spec: AgentSpec): Promise<SerfAgent> {
  const agent = new SerfAgent(spec);
  t.after(async () => {
    await agent.child.stop();
  });
  await agent.started();
  return agent;
}
