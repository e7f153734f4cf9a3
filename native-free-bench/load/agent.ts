/** Agents under measurement, as processes of their own. */
import { spawn, type ChildProcess } from "node:child_process";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { Endpoint } from "../../src/base/endpoint.ts";
import { SerfClient } from "../../src/client/serf-client.ts";
import type { Side } from "../rows.ts";

/** A program that has the Serf command line. */
export interface Target {
  readonly side: Side;
  readonly label: string;
  /** What stands before `agent` and `members`. */
  readonly command: readonly string[];
}

// What the name `muster` starts; beside sources that are run as they are, their own main.
const MAIN = fileURLToPath(new URL(import.meta.url.endsWith(".ts") ? "../../src/main.ts" : "../../muster.cjs", import.meta.url));

export const OUR_TARGET: Target = { side: "ours", label: "muster", command: [process.execPath, MAIN, "serf"] };

const GOSSIP_PORT = 7946;
const RPC_PORT = 7373;
const START_DEADLINE_MS = 30_000;
const CONNECT_PAUSE_MS = 5;
const OUTPUT_CHARS_MAX = 4096;

export interface AgentOptions {
  readonly target: Target;
  readonly name: string;
  readonly ip: string;
  /** Put before the command, for pinning. */
  readonly prefix: readonly string[];
  readonly profile?: "lan" | "local";
  /** The gossip key in base64. */
  readonly encryptKey?: string;
}

const running = new Set<ChildProcess>();
process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

export class Agent {
  readonly name: string;
  readonly gossip: Endpoint;
  readonly rpc: Endpoint;
  readonly #process: ChildProcess;
  readonly #ended: Promise<void>;
  #output = "";
  #exited = false;

  /** Starts the process; `connect` waits until it serves. */
  constructor({ target, name, ip, prefix, profile = "lan", encryptKey }: AgentOptions) {
    this.name = name;
    this.gossip = { ip, port: GOSSIP_PORT };
    this.rpc = { ip, port: RPC_PORT };
    const args = ["agent", `-node=${name}`, `-bind=${ip}:${GOSSIP_PORT}`, `-rpc-addr=${ip}:${RPC_PORT}`, `-profile=${profile}`, "-log-level=err"];
    if (encryptKey !== undefined) args.push(`-encrypt=${encryptKey}`);
    const [program = "", ...rest] = [...prefix, ...target.command, ...args];
    this.#process = spawn(program, rest, { stdio: ["ignore", "pipe", "pipe"] });
    running.add(this.#process);
    for (const stream of [this.#process.stdout, this.#process.stderr]) {
      stream?.setEncoding("utf8").on("data", (text: string) => {
        this.#output = (this.#output + text).slice(-OUTPUT_CHARS_MAX);
      });
    }
    this.#ended = new Promise((resolve) => {
      const end = (): void => {
        this.#exited = true;
        running.delete(this.#process);
        resolve();
      };
      this.#process.once("error", end);
      this.#process.once("close", end);
    });
  }

  get pid(): number {
    return this.#process.pid ?? -1;
  }

  get rpcAddress(): string {
    return `${this.rpc.ip}:${this.rpc.port}`;
  }

  /** Connects as soon as it listens. Fails when it ended or does not listen within half a minute. */
  async connect(): Promise<SerfClient> {
    const end = performance.now() + START_DEADLINE_MS;
    for (;;) {
      try {
        return await SerfClient.connect({ address: this.rpcAddress });
      } catch (error) {
        if (this.#exited || performance.now() > end) throw new Error(`agent ${this.name} does not serve at ${this.rpcAddress}:\n${this.#output}`, { cause: error });
      }
      await delay(CONNECT_PAUSE_MS);
    }
  }

  /** Ends it at once, without a leave. */
  async kill(): Promise<void> {
    this.#process.kill("SIGKILL");
    await this.#ended;
  }
}
