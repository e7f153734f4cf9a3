/** Messages between the agent and its spawner process, and the limits both know. */

/** Run `/bin/sh -c command` with the spawner's environment plus `env`. */
export interface ScriptRequest {
  readonly id: number;
  readonly command: string;
  readonly env: Readonly<Record<string, string>>;
  readonly stdin: Uint8Array;
}

/** Exactly one per request. */
export interface ScriptOutcome {
  readonly id: number;
  /** "" when the script succeeded, else why not: "exit status 7", "signal: killed". */
  readonly status: string;
  /** The end of what it wrote to standard output and standard error. */
  readonly output: Uint8Array;
  /** How much it wrote altogether. */
  readonly outputBytes: number;
}

/** Output kept of each script; the original's limit. */
export const OUTPUT_BYTES_MAX = 8192;
/** How long output may still arrive after a script has ended, in ms. */
export const EXIT_GRACE_MS = 100;
