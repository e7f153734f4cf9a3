/**
 * Loads a CommonJS file of this build together with what V8 made of it during the build (`deploy/compile-agent.ts`). An agent spends more time on reading a hundred
 * modules and compiling their functions than on its start itself: 150 ms of processor time beyond an empty Node program, and 20 to 30 this way.
 *
 * The code file is `SHA-256 ‖ V8's cached data`. The digest covers Node's version, the source and the data, so that code from another build, of another Node or of a
 * torn file is never run: V8 itself compares little more than the source's length. Without a usable code file the source is compiled as usual.
 */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { createRequire, Module } from "node:module";
import { dirname } from "node:path";
import { Script } from "node:vm";

const DIGEST_BYTES = 32;

/** Where the code of a file stands. */
export function codeFileOf(file: string): string {
  return `${file}.code`;
}

export interface LoadedCode {
  /** What the file exports. */
  readonly exports: unknown;
  /** The code file was there, belonged to the source, and V8 took it. */
  readonly fromCode: boolean;
  /** What V8 has compiled by now, as the content of a code file. */
  encode(): Uint8Array;
}

/** Runs `file`, an absolute path. Throws what reading or running it throws. */
export function loadCompiled(file: string): LoadedCode {
  const source = readFileSync(file);
  const cachedData = readCode(codeFileOf(file), source);
  const script = new Script(Module.wrap(source.toString()), { filename: file, ...(cachedData === null ? {} : { cachedData }) });
  const loaded = { exports: {} };
  const run = script.runInThisContext() as (...words: readonly unknown[]) => void;
  run(loaded.exports, createRequire(file), loaded, file, dirname(file));
  return {
    exports: loaded.exports,
    fromCode: cachedData !== null && script.cachedDataRejected === false,
    encode() {
      const data = script.createCachedData();
      return Buffer.concat([digestOf(source, data), data]);
    },
  };
}

/** The cached data for `source`; null when there is none or it is of something else. */
function readCode(path: string, source: Uint8Array): Buffer | null {
  let code: Buffer;
  try {
    code = readFileSync(path);
  } catch {
    return null;
  }
  const data = code.subarray(DIGEST_BYTES);
  return digestOf(source, data).equals(code.subarray(0, DIGEST_BYTES)) ? data : null;
}

function digestOf(source: Uint8Array, data: Uint8Array): Buffer {
  return createHash("sha256").update(`${process.version} ${process.arch} ${source.length}\n`).update(source).update(data).digest();
}
