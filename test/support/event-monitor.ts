import { Child } from "./child.ts";
import type { SerfAgent } from "./serf-agent.ts";

/** One event as the real `serf monitor` prints it: the Go-syntax values by key. */
export type MonitoredEvent = ReadonlyMap<string, string>;

/** The real `serf monitor` attached to an agent: what its RPC stream delivers, as the original's client understands it. */
export class EventMonitor {
  readonly agent: SerfAgent;
  readonly #child: Child;

  constructor(agent: SerfAgent) {
    this.agent = agent;
    this.#child = new Child(`monitor of ${agent.name}`, ["serf", "monitor", `-rpc-addr=${agent.rpcAddr}`]);
  }

  /** Every event so far, in the order of arrival. */
  events(): MonitoredEvent[] {
    const events: Map<string, string>[] = [];
    for (const line of this.#child.output.split("\n").slice(0, -1)) {
      if (line === "Event Info:") events.push(new Map());
      const field = /^\t(\w+): (.*)$/.exec(line);
      if (field !== null) events.at(-1)?.set(field[1] ?? "", field[2] ?? "");
    }
    return events;
  }

  /** How often a user event or query of this name has arrived. */
  count(kind: "user" | "query", name: string): number {
    return this.events().filter((event) => event.get("Event") === `"${kind}"` && event.get("Name") === `"${name}"`).length;
  }

  describe(): string {
    return this.#child.describe();
  }

  async stop(): Promise<void> {
    await this.#child.stop("SIGKILL");
  }
}
