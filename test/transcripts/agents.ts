/** The agents of a transcript's setup, as processes in a scratch directory. */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { AgentSetup, Transcript } from "./types.ts";

const MAIN = fileURLToPath(new URL("../../src/main.js", import.meta.url));
/** From the start of the last agent until all know a leader and their own node. */
const READY_MS = 30_000;
const POLL_MS = 25;
/** An agent that was told to end has this long. */
const END_MS = 15_000;

export interface RunningAgents {
  readonly http: string;
  stop(): Promise<void>;
}

/** `peer` runs another program in ours' place. Rejects with the agents' output when one does not come up. */
export async function startAgents(setup: Transcript["setup"], peer: string | null): Promise<RunningAgents> {
  const work = mkdtempSync(join(tmpdir(), "muster-transcript-"));
  for (const [name, content] of Object.entries(setup.files ?? {})) writeFileSync(join(work, name), content);
  const agents = setup.agents ?? [];
  const children: { readonly child: ChildProcess; readonly output: string[] }[] = [];
  const stop = async (): Promise<void> => {
    await Promise.all(children.map(({ child }) => end(child)));
    rmSync(work, { recursive: true, force: true });
  };
  try {
    for (const agent of agents) children.push(start(agent, work, peer));
    for (const [i, agent] of agents.entries()) await ready(agent, children[i] as { child: ChildProcess; output: string[] });
  } catch (error) {
    await stop();
    throw error;
  }
  return { http: agents[0]?.http ?? "127.0.0.1:8500", stop };
}

function start(agent: AgentSetup, work: string, peer: string | null): { readonly child: ChildProcess; readonly output: string[] } {
  const words = agent.argv.slice(1).map((word) => word.replaceAll("{WORK}", work));
  const [program, args] = peer === null ? [process.execPath, [MAIN, "consul", ...words]] : [peer, words];
  const child = spawn(program, args, { cwd: work, stdio: ["ignore", "pipe", "pipe"] });
  const output: string[] = [];
  child.stdout?.on("data", (piece: Buffer) => output.push(piece.toString()));
  child.stderr?.on("data", (piece: Buffer) => output.push(piece.toString()));
  return { child, output };
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, "exit");
  child.kill("SIGTERM");
  const late = setTimeout(() => child.kill("SIGKILL"), END_MS);
  await ended;
  clearTimeout(late);
}

/** A leader is known and the agent's node is in the catalog with its addresses: what the recorder waited for. */
async function ready({ http }: AgentSetup, { child, output }: { readonly child: ChildProcess; readonly output: string[] }): Promise<void> {
  if (http === undefined) return;
  const deadline = performance.now() + READY_MS;
  for (;;) {
    if (child.exitCode !== null) throw new Error(`the agent ended with ${child.exitCode}:\n${output.join("")}`);
    const nodes = await get(http, "/v1/catalog/nodes");
    if (nodes.includes("lan_ipv4")) return;
    if (performance.now() > deadline) throw new Error(`the agent is not ready:\n${output.join("")}`);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

function get(host: string, path: string): Promise<string> {
  const [name, port] = host.split(":") as [string, string];
  return new Promise((resolve) => {
    const asked = request({ host: name, port: Number(port), path, agent: false }, (response) => {
      let body = "";
      response.on("data", (piece: Buffer) => (body += piece.toString()));
      response.on("end", () => resolve(response.statusCode === 200 ? body : ""));
    });
    asked.on("error", () => resolve(""));
    asked.end();
  });
}
