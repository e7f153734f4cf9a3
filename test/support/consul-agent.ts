import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { Child } from "./child.ts";
import { eventually } from "./eventually.ts";
import { projectPath } from "./project-root.ts";

const START_MS = 60_000;

export interface HttpAnswer {
  readonly status: number;
  readonly body: string;
}

/** Asks any Consul agent. Status 0: no answer (refused, closed, or not within the deadline). */
export async function consulHttp(ip: string, method: string, path: string, body?: string, deadlineMs = 10_000): Promise<HttpAnswer> {
  try {
    const response = await fetch(`http://${ip}:8500${path}`, { method, signal: AbortSignal.timeout(deadlineMs), ...(body === undefined ? {} : { body }) });
    return { status: response.status, body: await response.text() };
  } catch (error) {
    return { status: 0, body: String(error) };
  }
}

export interface ServerProcessOptions {
  /** Directory for the configuration file; default: the data directory. */
  readonly configDir?: string;
  /** A program and its arguments that start it. */
  readonly under?: readonly string[];
  /** Added to the environment. */
  readonly env?: Readonly<Record<string, string>>;
}

/** A server of ours as a process of its own, on one loopback address with the usual ports. */
export class ConsulServerProcess {
  readonly ip: string;
  readonly child: Child;

  /** `dataDir` must exist; `args` follow the usual ones, `settings` go into its configuration file. `raft_multiplier` is 1. */
  constructor(ip: string, dataDir: string, args: readonly string[], settings: Readonly<Record<string, unknown>> = {}, options: ServerProcessOptions = {}) {
    this.ip = ip;
    const config = join(options.configDir ?? dataDir, "test.json");
    writeFileSync(config, JSON.stringify({ performance: { raft_multiplier: 1 }, node_name: `n-${ip.replaceAll(".", "-")}`, ...settings }));
    const common = [`-data-dir=${dataDir}`, `-config-file=${config}`, `-bind=${ip}`, `-client=${ip}`];
    const command = [process.execPath, projectPath("dist/src/main.js"), "consul", "agent", "-server", ...common, ...args];
    this.child = new Child(`server ${ip}`, [...(options.under ?? []), ...command], { ...process.env, ...options.env });
  }

  async http(method: string, path: string, body?: string, deadlineMs = 10_000): Promise<HttpAnswer> {
    return consulHttp(this.ip, method, path, body, deadlineMs);
  }

  /** Until a value can be written. */
  async writable(key = "ready", deadlineMs = START_MS): Promise<void> {
    await eventually(`${this.ip} takes writes`, deadlineMs, async () => {
      if (this.child.exit !== null) throw new Error(`it ended\n${this.child.describe()}`);
      const { status, body } = await this.http("PUT", `/v1/kv/${key}`, "yes");
      return status === 200 && body.trim() === "true" ? null : `${status} ${body}`;
    }, () => this.child.describe());
  }
}
