/** Runs recordings through their checkers and counts; `main.ts` prints the result, `vectors.test.ts` asserts it. */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import type { Checker, Report } from "./registry.ts";

export interface Outcome {
  readonly passed: number;
  readonly failures: readonly Failure[];
}

export interface Failure {
  readonly file: string;
  readonly caseName: string;
  readonly error: string;
}

/** Longest time for one file; recordings that are replayed against a live agent wait for its timers. */
const FILE_DEADLINE_MS = 180_000;

/** The recordings in `dir`, sorted; `words` keep only files whose name contains one of them. */
export function listVectorFiles(dir: string, words: readonly string[] = []): string[] {
  return readdirSync(dir)
    .filter((name) => name.endsWith(".json") && statSync(join(dir, name)).isFile())
    .filter((name) => words.length === 0 || words.some((word) => name.includes(word)))
    .sort()
    .map((name) => join(dir, name));
}

/** Checks one file. Never rejects: an unknown kind, unreadable JSON, a checker that throws, hangs or reports nothing is one failure each. */
export async function checkVectorFile(path: string, checkers: ReadonlyMap<string, Checker>, deadlineMs: number = FILE_DEADLINE_MS): Promise<Outcome> {
  const file = basename(path);
  const failures: Failure[] = [];
  let passed = 0;
  let open = true;
  const report: Report = (caseName, error) => {
    if (!open) return;
    if (error === null) passed += 1;
    else failures.push({ file, caseName, error });
  };
  const checker = checkers.get(basename(path, ".json"));
  if (checker === undefined) {
    report("(file)", `no checker for this kind of recording; known: ${[...checkers.keys()].sort().join(" ")}`);
    return { passed, failures };
  }
  let timer: NodeJS.Timeout | undefined;
  const tooLate = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not finished after ${deadlineMs} ms`)), deadlineMs);
  });
  try {
    const data: unknown = JSON.parse(readFileSync(path, "utf8"));
    await Promise.race([checker(data, report), tooLate]);
    if (passed + failures.length === 0) report("(file)", "the checker found no case in it");
  } catch (error) {
    report("(file)", error instanceof Error ? (error.stack ?? error.message) : String(error));
  } finally {
    clearTimeout(timer);
    open = false;
  }
  return { passed, failures };
}
