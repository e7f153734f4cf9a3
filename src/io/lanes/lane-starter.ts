/**
 * Starts the packet lanes when there is work for them. A thread costs 10 MB and the processor time of loading and warming up the same code a second
 * time; most agents handle some dozens of packets a second, which the main thread does with less.
 */
import { BusyWindow } from "../busy-window.ts";

/** Bytes of packets within one window that make the lanes worth their threads: more than 1,000 packets a second, 3 % of a core inline. */
export const START_ABOVE_BYTES = 1024 * 1024;
export const WINDOW_MS = 1000;

export interface LaneStarterOptions<Host> {
  /** Loads the code and starts the threads; packets go inline until they are up. */
  readonly start: () => Promise<Host>;
  readonly stop: (host: Host) => Promise<void>;
  readonly now: () => number;
}

export class LaneStarter<Host> {
  readonly #options: LaneStarterOptions<Host>;
  readonly #window: BusyWindow;
  #starting: Promise<Host> | null = null;
  #host: Host | null = null;
  #stopped = false;

  constructor(options: LaneStarterOptions<Host>) {
    this.#options = options;
    this.#window = new BusyWindow({ amountMax: START_ABOVE_BYTES, windowMs: WINDOW_MS, now: options.now });
  }

  /** Null until the lanes were started. */
  get host(): Host | null {
    return this.#host;
  }

  /** Packets of so many bytes were received or sent. */
  work(bytes: number): void {
    if (this.#starting !== null) return;
    if (this.#window.add(bytes)) void this.start();
  }

  /** Starts them now, whatever the load. */
  async start(): Promise<void> {
    if (this.#stopped) return;
    this.#starting ??= this.#options.start();
    this.#host = await this.#starting;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    if (this.#starting !== null) await this.#options.stop(await this.#starting);
  }
}
