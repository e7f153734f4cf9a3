/** Joins in the background, again and again until one member answers or the attempts are used up. */
import type { LogSink, SerfAgentApi } from "../../io/serf-agent-api.ts";
import { formatDuration } from "../../wire/go-duration.ts";

export interface RetryJoinConfig {
  readonly retryJoin: readonly string[];
  /** Attempts after the first; 0 for no limit. */
  readonly retryMaxAttempts?: number;
  /** In ms. */
  readonly retryInterval: number;
  readonly replayOnJoin?: boolean;
}

export class RetryJoin {
  readonly #config: RetryJoinConfig;
  readonly #agent: Pick<SerfAgentApi, "join">;
  readonly #log: LogSink;
  readonly #giveUp: () => void;
  #timer: NodeJS.Timeout | null = null;
  #stopped = false;
  #attempts = 0;

  /** `giveUp` is called after the last attempt has failed. */
  constructor(config: RetryJoinConfig, agent: Pick<SerfAgentApi, "join">, log: LogSink, giveUp: () => void) {
    this.#config = config;
    this.#agent = agent;
    this.#log = log;
    this.#giveUp = giveUp;
  }

  start(): void {
    if (this.#config.retryJoin.length > 0) void this.#attempt();
  }

  stop(): void {
    this.#stopped = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
  }

  async #attempt(): Promise<void> {
    const { retryJoin, retryMaxAttempts = 0, retryInterval, replayOnJoin = false } = this.#config;
    this.#log.write("info", `agent: Joining cluster...(replay: ${replayOnJoin})`);
    const { nodes, error } = await this.#agent.join(retryJoin, replayOnJoin).catch((failure: unknown) => ({ nodes: 0, error: String(failure) }));
    if (this.#stopped) return;
    if (nodes > 0 || error === "") {
      this.#log.write("info", `agent: Join completed. Synced with ${nodes} initial agents`);
      return;
    }
    this.#attempts += 1;
    if (retryMaxAttempts > 0 && this.#attempts > retryMaxAttempts) {
      this.#log.write("err", "agent: maximum retry join attempts made, exiting");
      this.#giveUp();
      return;
    }
    this.#log.write("warn", `agent: Join failed: ${error}, retrying in ${formatDuration(retryInterval)}`);
    this.#timer = setTimeout(() => {
      void this.#attempt();
    }, retryInterval);
  }
}
