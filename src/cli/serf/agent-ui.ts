/**
 * The agent's output: everything goes to standard output, notices behind "==> ", details and log lines behind four spaces, as the original does.
 * What we add to the original's error texts goes to standard error, so that scripts which match them still do.
 */
import type { LogHub, LogSubscription } from "../../io/log-hub.ts";
import type { LogLevel } from "../../swim/types.ts";

/** Log lines kept until the banner is out. */
const HELD_LINES_MAX = 4096;

/** Where lines go; each call is one, without its newline. */
export interface LineOutputs {
  out(line: string): void;
  err(line: string): void;
}

export class AgentUi {
  readonly #to: LineOutputs;
  #held: string[] | null = [];
  #log: LogSubscription | null = null;

  constructor(to: LineOutputs) {
    this.#to = to;
  }

  /** A notice or an error. */
  output(text: string): void {
    this.#to.out(`==> ${text}`);
  }

  /** A detail; the empty one is an empty line. */
  info(text: string): void {
    this.#to.out(text === "" ? "" : `    ${text}`);
  }

  /** What to do about the error before. */
  hints(lines: readonly string[]): void {
    for (const line of lines) this.#to.err(`hint: ${line}`);
  }

  /** What the original too sends to standard error: complaints about the command line, the dump of metrics. */
  plain(text: string): void {
    this.#to.err(text);
  }

  /** Prints log lines from `level` up; they are held back until `openLog`. */
  attachLog(logs: LogHub, level: LogLevel): void {
    this.#log = logs.subscribe(level, (line) => this.#writeLog(line), { replay: true });
  }

  setLogLevel(level: LogLevel): void {
    this.#log?.setLevel(level);
  }

  /** Lets the lines held so far and all later ones through. */
  openLog(): void {
    const held = this.#held ?? [];
    this.#held = null;
    for (const line of held) this.#writeLog(line);
  }

  #writeLog(line: string): void {
    // Joining errors end in a newline of their own.
    if (this.#held === null) this.#to.out(`    ${line.endsWith("\n") ? line.slice(0, -1) : line}`);
    else if (this.#held.length < HELD_LINES_MAX) this.#held.push(line);
  }
}

export interface Banner {
  readonly nodeName: string;
  readonly bind: string;
  /** "" when not configured. */
  readonly advertise: string;
  readonly rpcAddr: string;
  readonly encrypted: boolean;
  readonly snapshot: boolean;
  readonly profile: string;
  readonly compression: boolean;
  /** Name of the mDNS cluster; "" for none. */
  readonly discover: string;
}

/** The block that describes a running agent. The advertise line is not aligned: so it is in the original. */
export function printBanner(ui: AgentUi, banner: Banner): void {
  const line = (label: string, value: string): void => ui.info(`${label.padStart(27)}: ${value}`);
  ui.output("Serf agent running!");
  line("Node name", `'${banner.nodeName}'`);
  line("Bind addr", `'${banner.bind}'`);
  if (banner.advertise !== "") ui.info(`Advertise addr: '${banner.advertise}'`);
  line("RPC addr", `'${banner.rpcAddr}'`);
  line("Encrypted", String(banner.encrypted));
  line("Snapshot", String(banner.snapshot));
  line("Profile", banner.profile);
  line("Message Compression Enabled", String(banner.compression));
  if (banner.discover !== "") line("mDNS cluster", banner.discover);
}
