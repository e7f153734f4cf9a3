/**
 * A saturated API must not make a node look dead (issue 4, part 2): connections that pipeline `members` and `event` as fast as they can, while
 * a prober pings the agent every 5 ms and three more agents probe it. Prints a JSON report; exit 1 when the prober's p99.9 is above 50 ms.
 *
 *   node dist/test/load/rpc-flood.js [--seconds 15] [--connections 64] [--network 127.0.23]
 */
import { connect, type Socket } from "node:net";
import { parseArgs } from "node:util";
import { concatBytes } from "../../src/base/bytes.ts";
import { encodeRequest } from "../../src/wire/ipc-requests.ts";
import type { SerfAgent } from "../support/serf-agent.ts";
import { cpuMs, LOAD_KEY, machineLine, runLoadProgram, startCluster, stopCluster, watchMembers } from "./load-agents.ts";
import type { ProbeReport } from "./prober.ts";

/** Requests that each connection keeps under way. */
const PIPELINED = 256;
const RPC_PORT = 7373;
const PROBER_P999_MS_MAX = 50;

class Flooder {
  answered = 0;
  readonly #socket: Socket;
  readonly #chunk: Uint8Array;

  constructor(ip: string) {
    const requests: Uint8Array[] = [];
    for (let i = 0; i < PIPELINED; i += 2) {
      requests.push(encodeRequest(i + 1, { command: "members" }));
      requests.push(encodeRequest(i + 2, { command: "event", name: "flood", payload: new Uint8Array(32), coalesce: false }));
    }
    this.#chunk = concatBytes(requests);
    this.#socket = connect(RPC_PORT, ip);
    this.#socket.on("error", () => undefined);
    this.#socket.write(encodeRequest(0, { command: "handshake", version: 1 }));
    this.#write();
    // Answers are only counted by their headers' rhythm: reading them fast matters, understanding them does not.
    this.#socket.on("data", (bytes) => {
      for (let at = bytes.indexOf("Seq"); at >= 0; at = bytes.indexOf("Seq", at + 3)) this.answered += 1;
    });
  }

  #write(): void {
    if (this.#socket.destroyed) return;
    if (this.#socket.write(this.#chunk)) setImmediate(() => this.#write());
    else this.#socket.once("drain", () => this.#write());
  }

  stop(): void {
    this.#socket.destroy();
  }
}

const { values } = parseArgs({ options: { seconds: { type: "string" }, connections: { type: "string" }, network: { type: "string" } } });
const seconds = Number(values.seconds ?? 15);
const network = values.network ?? "127.0.23";
const agents = await startCluster(network, 4, []);
try {
  const target = agents[0] as SerfAgent;
  const members = watchMembers(agents.slice(1));
  const cpuBefore = cpuMs(target.child.pid);
  const flooders = Array.from({ length: Number(values.connections ?? 64) }, () => new Flooder(target.ip));
  const probe = await runLoadProgram<ProbeReport>("prober", [target.ip, `${network}.21`, target.name, String(seconds), LOAD_KEY], 1000 * seconds + 30_000);
  const answered = flooders.reduce((sum, flooder) => sum + flooder.answered, 0);
  const cpu = cpuMs(target.child.pid) - cpuBefore;
  for (const flooder of flooders) flooder.stop();
  const notAlive = await members.stop();
  process.stdout.write(`${JSON.stringify({ machine: machineLine(), probe, answered, cpuUsPerRequest: Math.round((10_000 * cpu) / answered) / 10, notAlive }, null, 2)}\n`);
  if (probe.p999Ms > PROBER_P999_MS_MAX || probe.lost > 0 || notAlive.length > 0) process.exitCode = 1;
} finally {
  await stopCluster(agents);
}
