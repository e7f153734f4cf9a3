/** What the tests beside the real `consul` share: its command, its agent, and a dev agent of ours. */
import { join } from "node:path";
import { Child, runCommand } from "../support/child.ts";
import { consulHttp, ConsulServerProcess } from "../support/consul-agent.ts";
import { eventually } from "../support/eventually.ts";
import { nextLoopbackIp } from "../support/loopback.ts";
import { projectPath } from "../support/project-root.ts";
import { tempDir, type Cleanup } from "../support/temp-dir.ts";

/** Two cores may be shared with many other tests. */
export const SOON_MS = 90_000;
const COMMAND_MS = 60_000;

export interface Printed {
  readonly code: number | null;
  readonly output: string;
}

/** The real command, asking the agent at this address. */
export async function consul(ip: string, ...args: readonly string[]): Promise<Printed> {
  return runCommand(["consul", ...args], COMMAND_MS, asking(ip));
}

/** The same for commands that last. */
export function startConsul(t: Cleanup, ip: string, ...args: readonly string[]): Child {
  const child = new Child(`consul ${args.join(" ").slice(0, 60)}`, ["consul", ...args], asking(ip));
  t.after(async () => void (await child.stop()));
  return child;
}

function asking(ip: string): NodeJS.ProcessEnv {
  return { ...process.env, CONSUL_HTTP_ADDR: `${ip}:8500` };
}

/** Until a value can be written through the agent at this address. */
export async function untilWritable(ip: string, agent: Child): Promise<void> {
  await eventually(`${ip} takes writes`, SOON_MS, async () => {
    if (agent.exit !== null) throw new Error(`it ended\n${agent.describe()}`);
    const { status, body } = await consulHttp(ip, "PUT", "/v1/kv/ready", "yes");
    return status === 200 && body.trim() === "true" ? null : `${status} ${body}`;
  }, () => agent.describe());
}

/** Our dev agent. */
export async function startDevAgent(t: Cleanup): Promise<{ readonly ip: string; readonly child: Child }> {
  const ip = nextLoopbackIp();
  const child = new Child("dev agent", [process.execPath, projectPath("dist/src/main.js"), "consul", "agent", "-dev", `-bind=${ip}`, `-client=${ip}`, "-node=dev"]);
  t.after(async () => void (await child.stop()));
  await untilWritable(ip, child);
  return { ip, child };
}

/** Three servers of ours that have elected a leader. */
export async function startServers(t: Cleanup): Promise<readonly ConsulServerProcess[]> {
  const ips = [nextLoopbackIp(), nextLoopbackIp(), nextLoopbackIp()];
  const joins = ips.flatMap((ip) => [`-retry-join=${ip}`]);
  const servers = ips.map((ip) => new ConsulServerProcess(ip, tempDir(t), ["-bootstrap-expect=3", ...joins]));
  t.after(async () => void (await Promise.all(servers.map(({ child }) => child.stop()))));
  for (const server of servers) await server.writable("ready", SOON_MS);
  return servers;
}

/** A client agent of the original that has joined. */
export async function startClient(t: Cleanup, name: string, servers: readonly ConsulServerProcess[]): Promise<{ readonly ip: string; readonly child: Child }> {
  const ip = nextLoopbackIp();
  const joins = servers.map((server) => `-retry-join=${server.ip}`);
  const args = [`-data-dir=${join(tempDir(t), "data")}`, `-bind=${ip}`, `-client=${ip}`, `-node=${name}`, "-retry-interval=1s", ...joins];
  const child = new Child(`client ${name}`, ["consul", "agent", ...args]);
  t.after(async () => void (await child.stop()));
  await untilWritable(ip, child);
  return { ip, child };
}
