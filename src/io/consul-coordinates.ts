/** Tells the servers where this agent is, rarely enough that a whole datacenter stays below 64 updates a second (reference: consul-agent §8). */
import type { RpcArgs, RpcMethod, RpcOutcome } from "../api/rpc/types.ts";
import type { ConsulAgentOptions } from "./consul-agent-options.ts";
import type { SerfAgent } from "./serf-agent.ts";

const INTERVAL_MIN_MS = 15_000;
const UPDATES_PER_SECOND = 64;

export class CoordinateSender {
  readonly #options: ConsulAgentOptions;
  readonly #lan: SerfAgent;
  readonly #call: (method: RpcMethod, args: RpcArgs, done: (outcome: RpcOutcome) => void) => unknown;
  #timer: NodeJS.Timeout | null = null;

  constructor(options: ConsulAgentOptions, lan: SerfAgent, call: (method: RpcMethod, args: RpcArgs, done: (outcome: RpcOutcome) => void) => unknown) {
    this.#options = options;
    this.#lan = lan;
    this.#call = call;
  }

  start(): void {
    const intervalMs = Math.max(INTERVAL_MIN_MS, (this.#lan.members().length / UPDATES_PER_SECOND) * 1000);
    this.#timer = setTimeout(() => {
      this.#send();
      this.start();
    }, intervalMs * (1 + Math.random())).unref();
  }

  #send(): void {
    const { datacenter, nodeName, log } = this.#options;
    const coord = this.#lan.coordinate(nodeName);
    if (coord === null) return;
    this.#call("Coordinate.Update", { datacenter, node: nodeName, segment: "", coord }, (outcome) => {
      if (!outcome.ok) log.write("warn", `agent: Coordinate update error: error=${JSON.stringify(outcome.error)}`);
    });
  }

  stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
  }
}
