/** Three servers, ours or the originals, on loopback addresses or each in a network namespace of its own, that can be killed, cut off and asked. */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, openSync, rmSync, writeFileSync } from "node:fs";
import { Agent, request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { CutNetwork } from "../support/cut-network.ts";

const MAIN = fileURLToPath(new URL("../../src/main.js", import.meta.url));
const SERVERS = 3;
const READY_MS_MAX = 60_000;
const LOOK_MS = 50;
const ASK_MS_MAX = 1000;

export interface Answer {
  /** 0: none, or not in time. */
  readonly status: number;
  readonly body: string;
}

export interface Member {
  readonly name: string;
  /** Servers talk to each other here. */
  readonly ip: string;
  /** Clients ask here. */
  readonly clientIp: string;
  readonly index: number;
  child: ChildProcess | null;
}

export interface ClusterOptions {
  /** Program of the original; "": ours. */
  readonly peer: string;
  /** How many of the three run it, the last ones; default: all. */
  readonly peers?: number;
  readonly multiplier: number;
  /** In network namespaces, so that servers can be cut off. */
  readonly namespaces: boolean;
  /** First three bytes of the loopback addresses. */
  readonly net: string;
}

export async function pause(ms: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, ms));
}

export class Cluster {
  readonly members: readonly Member[];
  readonly work = mkdtempSync(join(tmpdir(), "muster-failover-"));
  readonly #options: ClusterOptions;
  readonly #network: CutNetwork | null;
  readonly #connections = new Agent({ keepAlive: true, maxSockets: Infinity });

  constructor(options: ClusterOptions) {
    this.#options = options;
    this.#network = options.namespaces ? new CutNetwork(SERVERS) : null;
    this.members = Array.from({ length: SERVERS }, (_, index) => {
      const { ip, clientIp } = this.#network?.hosts[index] ?? { ip: `${options.net}.${index + 1}`, clientIp: `${options.net}.${index + 1}` };
      return { name: `server-${index + 1}`, ip, clientIp, index, child: null };
    });
  }

  start(member: Member): void {
    const { peers = SERVERS, multiplier } = this.#options;
    const peer = member.index >= SERVERS - peers ? this.#options.peer : "";
    const config = join(this.work, `${member.name}.json`);
    writeFileSync(config, JSON.stringify({
      node_name: member.name, server: true, bootstrap_expect: SERVERS, data_dir: join(this.work, member.name), bind_addr: member.ip, client_addr: member.clientIp,
      retry_join: this.members.map(({ ip }) => ip), retry_interval: "1s", performance: { raft_multiplier: multiplier },
      // A server that was killed comes back a moment later: it need not prove itself for ten seconds first.
      autopilot: { cleanup_dead_servers: false }, limits: { http_max_conns_per_client: 1000 },
      ports: peer === "" ? {} : { dns: -1, grpc: -1, serf_wan: -1 },
    }));
    const log = openSync(join(this.work, `${member.name}.log`), "a");
    const command = [...(peer === "" ? [process.execPath, MAIN, "consul", "agent"] : [peer, "agent"]), `-config-file=${config}`];
    const namespace = this.#network?.hosts[member.index]?.namespace;
    const [program = "", ...args] = namespace === undefined ? command : ["ip", "netns", "exec", namespace, ...command];
    member.child = spawn(program, args, { stdio: ["ignore", log, log] });
  }

  async kill(member: Member): Promise<void> {
    if (member.child === null) throw new Error(`${member.name} is not running`);
    const ended = once(member.child, "exit");
    member.child.kill("SIGKILL");
    await ended;
  }

  /** Stops its process, as a machine that is being moved, until `resume`. */
  pause(member: Member): void {
    member.child?.kill("SIGSTOP");
  }

  resume(member: Member): void {
    member.child?.kill("SIGCONT");
  }

  cut(member: Member): void {
    this.#network?.cut(member.index);
  }

  silence(from: Member, to: Member): void {
    this.#network?.silence(from.index, to.index);
  }

  unsilence(from: Member, to: Member): void {
    this.#network?.unsilence(from.index, to.index);
  }

  heal(member: Member): void {
    this.#network?.heal(member.index);
  }

  ask({ clientIp }: Member, method: string, path: string, body = "", timeoutMs = ASK_MS_MAX): Promise<Answer> {
    return new Promise((resolve) => {
      const failed = (): void => resolve({ status: 0, body: "" });
      const asked = request({ host: clientIp, port: 8500, method, path, agent: this.#connections }, (response) => {
        let text = "";
        response.on("data", (piece: Buffer) => (text += piece.toString()));
        response.on("end", () => resolve({ status: response.statusCode ?? 0, body: text.trim() }));
        response.on("error", failed);
      });
      const late = setTimeout(() => asked.destroy(), timeoutMs);
      asked.on("close", () => {
        clearTimeout(late);
        failed();
      });
      asked.on("error", failed);
      asked.end(body);
    });
  }

  async until(what: string, check: () => Promise<boolean> | boolean): Promise<void> {
    const deadline = performance.now() + READY_MS_MAX;
    while (!(await check())) {
      if (performance.now() > deadline) throw new Error(`not within ${READY_MS_MAX / 1000} s: ${what}; logs in ${this.work}`);
      await pause(LOOK_MS);
    }
  }

  /** The leader that all agree on. */
  async leader(): Promise<Member | null> {
    const said = await Promise.all(this.members.map((member) => this.ask(member, "GET", "/v1/status/leader")));
    if (said.some(({ status, body }) => status !== 200 || body !== said[0]?.body)) return null;
    return this.members.find(({ ip }) => said[0]?.body === `"${ip}:8300"`) ?? null;
  }

  /** All are there, vote, and answer. */
  async calm(): Promise<boolean> {
    if ((await this.leader()) === null) return false;
    const { body } = await this.ask(this.members[0] as Member, "GET", "/v1/operator/raft/configuration");
    try {
      const { Servers } = JSON.parse(body) as { readonly Servers: readonly { readonly Voter: boolean }[] };
      return Servers.length === SERVERS && Servers.every(({ Voter }) => Voter);
    } catch {
      return false;
    }
  }

  /** `keep`: the logs are wanted. */
  async close(keep: boolean): Promise<void> {
    for (const member of this.members) if (member.child?.exitCode === null && member.child.signalCode === null) await this.kill(member);
    this.#connections.destroy();
    this.#network?.close();
    if (!keep) rmSync(this.work, { recursive: true, force: true });
  }
}
