/**
 * Starts scripts for the agent through one small child process. Forking from a process costs main time in proportion to its memory; the
 * spawner is forked once, before state grows, and forks for everybody. When it dies, the scripts it ran are reported as failed and the next
 * script starts a new one.
 */
import { fork, type ChildProcess } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { ScriptOutcome, ScriptRequest } from "./spawner-messages.ts";

export type ScriptResult = Omit<ScriptOutcome, "id">;

export interface ScriptRunner {
  /** Never rejects: what went wrong is the result's `status`. */
  run(command: string, env: ReadonlyMap<string, string>, stdin: Uint8Array): Promise<ScriptResult>;
}

/** The entry file has this file's extension: sources and build run alike. */
const ENTRY = fileURLToPath(new URL(import.meta.url.endsWith(".ts") ? "./spawner-child.ts" : "./spawner-child.js", import.meta.url));
/** The spawner holds a few kilobytes; a small heap makes V8 reserve little. No helper threads: it has nothing to compute. */
const NODE_OPTIONS_SMALL: readonly string[] = ["--max-old-space-size=32", "--max-semi-space-size=1", "--v8-pool-size=0"];
/** Wait before a dead spawner is replaced, in ms; doubles with each death, so that one that cannot live costs little. */
const RESTART_DELAY_MS_MIN = 100;
const RESTART_DELAY_MS_MAX = 10_000;
/** A spawner that lived this long has not died at its start: the wait begins anew. */
const HEALTHY_AFTER_MS = 60_000;

interface Running {
  readonly resolve: (result: ScriptResult) => void;
  readonly request: ScriptRequest;
}

export class Spawner implements ScriptRunner {
  readonly #onDeath: (reason: string) => void;
  #child: ChildProcess | null = null;
  #startedAtMs = 0;
  #delayMs = RESTART_DELAY_MS_MIN;
  #restart: NodeJS.Timeout | null = null;
  #stopped = false;
  #nextId = 1;
  readonly #running = new Map<number, Running>();
  #waiting: Running[] = [];

  /** `onDeath`: told when the process ended by itself, with its exit status. */
  constructor(onDeath: (reason: string) => void) {
    this.#onDeath = onDeath;
  }

  /** Forks the process. Scripts asked for earlier or later are run either way; this only chooses when to pay for the fork. */
  start(): void {
    if (this.#stopped || this.#child !== null || this.#restart !== null) return;
    const child = fork(ENTRY, { serialization: "advanced", execArgv: [...NODE_OPTIONS_SMALL], stdio: ["ignore", "ignore", "inherit", "ipc"] });
    this.#child = child;
    this.#startedAtMs = performance.now();
    child.on("message", (outcome: ScriptOutcome) => this.#finish(outcome));
    child.on("error", (error) => this.#died(child, error.message));
    child.on("exit", (code, signal) => this.#died(child, signal === null ? `exit status ${code}` : `signal ${signal}`));
    for (const script of this.#waiting.splice(0)) this.#send(script);
    this.#hold();
  }

  /** Process id of the spawner; 0 when there is none now. */
  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  run(command: string, env: ReadonlyMap<string, string>, stdin: Uint8Array): Promise<ScriptResult> {
    const id = this.#nextId;
    this.#nextId += 1;
    const request: ScriptRequest = { id, command, env: Object.fromEntries(env), stdin };
    return new Promise((resolve) => {
      if (this.#stopped) {
        resolve(failed("the agent is stopping"));
        return;
      }
      this.#waiting.push({ resolve, request });
      if (this.#child === null) this.start();
      else for (const script of this.#waiting.splice(0)) this.#send(script);
      this.#hold();
    });
  }

  /** Ends the spawner; scripts that run now go on without us and are reported as failed. */
  stop(): void {
    this.#stopped = true;
    if (this.#restart !== null) clearTimeout(this.#restart);
    const child = this.#child;
    this.#child = null;
    if (child?.connected === true) child.disconnect();
    this.#failAll("the agent is stopping");
  }

  #send(script: Running): void {
    this.#running.set(script.request.id, script);
    // A failed send means that the process is gone; its exit event follows and reports the script.
    this.#child?.send(script.request, () => {});
  }

  #finish({ id, ...result }: ScriptOutcome): void {
    const script = this.#running.get(id);
    this.#running.delete(id);
    this.#hold();
    script?.resolve(result);
  }

  /** Scripts that run or wait keep our process alive; an idle spawner does not. */
  #hold(): void {
    const busy = this.#running.size + this.#waiting.length > 0;
    for (const handle of [this.#child, this.#child?.channel, this.#restart]) {
      if (busy) handle?.ref();
      else handle?.unref();
    }
  }

  #died(child: ChildProcess, reason: string): void {
    if (this.#child !== child) return;
    this.#child = null;
    this.#onDeath(reason);
    if (performance.now() - this.#startedAtMs >= HEALTHY_AFTER_MS) this.#delayMs = RESTART_DELAY_MS_MIN;
    this.#restart = setTimeout(() => {
      this.#restart = null;
      this.start();
    }, this.#delayMs);
    this.#delayMs = Math.min(2 * this.#delayMs, RESTART_DELAY_MS_MAX);
    const running = [...this.#running.values()];
    this.#running.clear();
    this.#hold();
    for (const script of running) script.resolve(failed(`the spawner process died: ${reason}`));
  }

  #failAll(reason: string): void {
    const scripts = [...this.#running.values(), ...this.#waiting.splice(0)];
    this.#running.clear();
    for (const script of scripts) script.resolve(failed(reason));
  }
}

function failed(status: string): ScriptResult {
  return { status, output: new Uint8Array(0), outputBytes: 0 };
}
