/**
 * What TTL checks were last told, kept over a restart as the original keeps it: a file each, `checks/state/<md5 of the id>` below the data directory, with when
 * it expires (reference: consul-agent §5.2). Either program reads the other's.
 *
 * The original writes the file within each update, without fsync. Here one writer goes through what has changed, behind the event loop and off it:
 * - Updates come with each beat of each check. A check that is told again while it waits is written once, and a beat that says what its file says already,
 *   down to the second of expiry, is not written. So there are no more writes waiting than checks, and one thread of the pool is busy at most: the log's fsyncs
 *   find the others free.
 * - A beat that is lost with the machine costs one TTL at most and needs no fsync. A changed status has one: `kept` is for who changed it, and a check that was told to be
 *   critical must not go on as passing.
 */
import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { writeJson } from "../api/http/json.ts";
import { isStatus } from "../api/http/agent-bodies.ts";
import { wallMs } from "./clock.ts";
import { nodeFileSystem, replaceFile, type FileSystem } from "./durable-file.ts";
import { errorCode } from "./go-errors.ts";
import { KEPT_DIRECTORY_MODE, keptFileName } from "./kept-files.ts";

export interface CheckState {
  readonly status: string;
  readonly output: string;
}

/** As files have it. */
interface KeptState extends CheckState {
  /** Seconds since 1970: from then on it says nothing. */
  readonly expires: number;
}

export interface CheckStatesOptions {
  /** "" keeps nothing. */
  readonly dataDir: string;
  readonly report: (level: "debug" | "warn", text: string) => void;
  /** In place of the wall clock, which files that outlive the process need. Where it jumps, a status counts for one TTL more, or not after a restart. */
  readonly nowMs?: () => number;
  /** In place of the real one, for what must be durable. */
  readonly fileSystem?: FileSystem;
}

const OWNER_ONLY = 0o600;
const TEMPORARY = ".tmp";

export class CheckStates {
  readonly #options: CheckStatesOptions;
  readonly #dir: string;
  readonly #nowMs: () => number;
  /** What each check was told last, written or not. */
  readonly #last = new Map<string, KeptState>();
  /** Checks whose file is not yet what `#last` says, the oldest first. Those `#last` has not are to go. */
  readonly #waiting = new Set<string>();
  /** Those of them whose status has changed. */
  readonly #changed = new Set<string>();
  readonly #listeners = new Map<string, ((error: Error | null) => void)[]>();
  #writer: Promise<void> | null = null;
  /** A full disk is reported once, not with each beat. */
  #failing = false;

  constructor(options: CheckStatesOptions) {
    this.#options = options;
    this.#nowMs = options.nowMs ?? wallMs;
    this.#dir = options.dataDir === "" ? "" : join(options.dataDir, "checks", "state");
  }

  /** What a check was told, and for how long that counts. Never blocks, never fails: see `kept`. */
  put(id: string, { status, output }: CheckState, ttlMs: number): void {
    if (this.#dir === "") return;
    const expires = Math.trunc((this.#nowMs() + ttlMs) / 1000);
    const last = this.#last.get(id);
    if (last?.expires === expires && last.status === status && last.output === output) return;
    if (last?.status !== status) this.#changed.add(id);
    this.#last.set(id, { status, output, expires });
    this.#write(id);
  }

  drop(id: string): void {
    if (this.#dir === "") return;
    this.#last.delete(id);
    this.#changed.delete(id);
    this.#write(id);
  }

  /** Resolves once the check's file is what it is to be; rejects when it could not be written, which leaves what was there. */
  kept(id: string): Promise<void> {
    if (!this.#waiting.has(id)) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const listeners = this.#listeners.get(id) ?? [];
      this.#listeners.set(id, listeners);
      listeners.push((error) => (error === null ? resolve() : reject(error)));
    });
  }

  /** Resolves once nothing waits to be written. */
  async idle(): Promise<void> {
    while (this.#writer !== null) await this.#writer;
  }

  /** What a check begins with; null when nothing is known that still counts. What cannot be read is reported and left where it is: the next update replaces it. */
  async read(id: string): Promise<CheckState | null> {
    if (this.#dir === "") return null;
    // What waits to be written is newer than the file, and what waits to go is gone.
    if (this.#waiting.has(id)) return this.#unexpired(id, this.#last.get(id) ?? null);
    const path = this.#path(id);
    try {
      return this.#unexpired(id, stateOf(JSON.parse(await readFile(path, "utf8"))));
    } catch (error) {
      if (errorCode(error) === "ENOENT") return null;
      this.#options.report("warn", `${path} is left out: check=${id} error=${JSON.stringify(error instanceof Error ? error.message : String(error))}`);
      return null;
    }
  }

  #unexpired(id: string, state: KeptState | null): CheckState | null {
    if (state === null || this.#nowMs() / 1000 < state.expires) return state;
    this.#options.report("debug", `check state expired, not restoring: check=${id}`);
    this.drop(id);
    return null;
  }

  #write(id: string): void {
    this.#waiting.add(id);
    this.#writer ??= this.#writeAll();
  }

  async #writeAll(): Promise<void> {
    for (const id of this.#waiting) {
      const state = this.#last.get(id);
      const durably = this.#changed.delete(id);
      const error = await this.#replace(id, state, durably);
      this.#waiting.delete(id);
      if (this.#last.get(id) === state) {
        this.#settle(id, error);
        continue;
      }
      // Told otherwise meanwhile: it stays, and has its turn after the others.
      this.#waiting.add(id);
      if (durably && error !== null && this.#last.has(id)) this.#changed.add(id);
    }
    // In the turn in which the last one was found: what comes later starts a new one.
    this.#writer = null;
  }

  #settle(id: string, error: Error | null): void {
    const listeners = this.#listeners.get(id) ?? [];
    this.#listeners.delete(id);
    // The next beat tries again, whatever it says.
    if (error !== null) this.#last.delete(id);
    if (error !== null && !this.#failing) this.#options.report("warn", `failed persisting state for checks: check=${id} error=${JSON.stringify(error.message)}`);
    this.#failing = error !== null;
    for (const settle of listeners) settle(error);
  }

  async #replace(id: string, state: KeptState | undefined, durably: boolean): Promise<Error | null> {
    const path = this.#path(id);
    try {
      if (state === undefined) await rm(path, { force: true });
      else {
        const content = writeJson({ CheckID: id, Output: state.output, Status: state.status, Expires: state.expires }, false);
        await this.#inDirectory(() => (durably ? replaceFile(path, content, this.#options.fileSystem ?? nodeFileSystem, TEMPORARY) : replaceQuickly(path, content)));
      }
      return null;
    } catch (error) {
      return error instanceof Error ? error : new Error(String(error));
    }
  }

  /** Runs `write`, and once more with the directory made when that was missing. */
  async #inDirectory(write: () => Promise<void>): Promise<void> {
    try {
      await write();
    } catch (error) {
      if (errorCode(error) !== "ENOENT") throw error;
      await mkdir(this.#dir, { recursive: true, mode: KEPT_DIRECTORY_MODE });
      await write();
    }
  }

  #path(id: string): string {
    return join(this.#dir, keptFileName(id));
  }
}

/** As `replaceFile`, for what may be lost with the machine. */
async function replaceQuickly(path: string, content: string): Promise<void> {
  await writeFile(path + TEMPORARY, content, { mode: OWNER_ONLY });
  await rename(path + TEMPORARY, path);
}

/** Throws for what is no state of a check. */
function stateOf(value: unknown): KeptState {
  const { Status: status, Output: output, Expires: expires } = (value ?? {}) as Readonly<Record<string, unknown>>;
  if (typeof status !== "string" || !isStatus(status, false) || typeof output !== "string" || typeof expires !== "number") throw new Error("no state of a check");
  return { status, output, expires };
}
