/** Tells the servers where this agent is, again and again. */
import type { RpcArgs, RpcMethod, RpcOutcome } from "../api/rpc/types.ts";
import type { ConsulAgentOptions } from "./consul-agent-options.ts";
import { CoordinatePace } from "./coordinate-pace.ts";
import type { SerfAgent } from "./serf-agent.ts";

export class CoordinateSender {
  readonly #options: ConsulAgentOptions;
  readonly #lan: SerfAgent;
  readonly #call: (method: RpcMethod, args: RpcArgs, done: (outcome: RpcOutcome) => void) => unknown;
  readonly #pace = new CoordinatePace(Math.random);
  #timer: NodeJS.Timeout | null = null;

  constructor(options: ConsulAgentOptions, lan: SerfAgent, call: (method: RpcMethod, args: RpcArgs, done: (outcome: RpcOutcome) => void) => unknown) {
    this.#options = options;
    this.#lan = lan;
    this.#call = call;
  }

  start(): void {
    this.#after(this.#pace.wait(this.#members()), () => {
      const restMs = this.#pace.due(this.#members());
      if (restMs > 0) this.#after(restMs, () => this.#sendAndGoOn());
      else this.#sendAndGoOn();
    });
  }

  #members(): number {
    return this.#lan.members().length;
  }

  #after(waitMs: number, then: () => void): void {
    this.#timer = setTimeout(then, waitMs).unref();
  }

  #sendAndGoOn(): void {
    this.#send();
    this.start();
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
