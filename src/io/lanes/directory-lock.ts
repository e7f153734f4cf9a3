/**
 * Who has a data directory. The log must not even be opened before this is known: opening an LMDB environment while another process commits to it can undo that
 * commit, because the opener writes the number of the transaction it found into the memory both share (LMDB ITS#9496, not mended in the LMDB that lmdb 3.5.6 brings).
 * So there is an environment beside the log in which nothing is ever written, only to be entered. Its table of readers tells who is here, guarded by locks that the
 * kernel drops when a process dies.
 */
import { closeSync, fsyncSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { open, type RootDatabase } from "lmdb";
import { damagedPage } from "./log-file-check.ts";

/** The environment, made when it is missing. It holds no data: removing it while no server runs loses nothing. */
const LOCK_FILE = "lock.mdb";
/** Text on the last process that took the lock, for the message to one that comes later. */
const HOLDER_FILE = "holder";
const ANY_KEY = Buffer.from("any");

export class DirectoryLock {
  readonly #env: RootDatabase;

  private constructor(env: RootDatabase) {
    this.#env = env;
  }

  /**
   * Takes the lock of `dir`, which must exist. `holder` describes this process. Throws with a text for the operator when another process has it. Both enter before
   * they look, so of two at once at least one sees the other. Once in a process at a time: LMDB would let the same process in twice.
   */
  static async take(dir: string, holder: string): Promise<DirectoryLock> {
    const path = join(dir, LOCK_FILE);
    const damaged = damagedPage(path);
    if (damaged !== null) throw new Error(`${path} is damaged: page ${damaged} is no header of an LMDB file; remove it, it holds no data`);
    const env = open({ path, overlappingSync: false, keyEncoding: "binary", encoding: "binary" });
    try {
      const others = otherProcesses(env);
      if (others.length > 0) throw new Error(inUseText(dir, others, lastHolder(dir)));
      sync(path);
    } catch (error) {
      await env.close(); // Nobody else should find us in there.
      throw error;
    }
    tellHolder(dir, holder);
    return new DirectoryLock(env);
  }

  /** Gives the lock back; the log must be closed. */
  async release(): Promise<void> {
    await this.#env.close();
  }
}

/** Processes other than this one that have `env` open. */
export function otherProcesses(env: RootDatabase): readonly number[] {
  env.get(ANY_KEY); // Reading enters us into the table.
  env.readerCheck();
  return readerPids(env.readerList()).filter((pid) => pid !== process.pid);
}

export function inUseText(path: string, pids: readonly number[], lastHolder: string): string {
  return `data directory in use: ${path} is open in process ${pids.join(", ")}${lastHolder === "" ? "" : ` (last opened by ${lastHolder})`}`;
}

/** The first column of LMDB's table of readers. */
function readerPids(list: string): number[] {
  const pids: number[] = [];
  for (const line of list.split("\n")) {
    const pid = Number.parseInt(line.trim(), 10);
    if (pid > 0) pids.push(pid);
  }
  return [...new Set(pids)];
}

/** LMDB does not sync what it makes a file of; a header of zeros after a loss of power would keep the server from starting. */
function sync(path: string): void {
  const fd = openSync(path, "r");
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

function lastHolder(dir: string): string {
  try {
    return readFileSync(join(dir, HOLDER_FILE), "utf8").trim();
  } catch {
    return "";
  }
}

/** Only a help to whoever comes later: no reason not to start. */
function tellHolder(dir: string, holder: string): void {
  try {
    writeFileSync(join(dir, HOLDER_FILE), `${holder}\n`, { mode: 0o600 });
  } catch {
    // The next one is told the process number all the same.
  }
}
