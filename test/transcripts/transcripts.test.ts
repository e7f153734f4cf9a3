import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { join } from "node:path";
import { test } from "node:test";
import { movedTo, runTranscript } from "./run.ts";
import type { Transcript } from "./types.ts";

/** Recordings of the original, without the steps that need what is not offered. */
const DATA = fileURLToPath(new URL("../../../test/transcripts/data", import.meta.url));

readdirSync(DATA).sort().forEach((file, i) => {
  test(`recorded answers of the original: ${file}`, async () => {
    const transcript = JSON.parse(readFileSync(join(DATA, file), "utf8")) as Transcript;
    const { passed, failed, later } = await runTranscript(movedTo(`127.0.9.${i + 1}`, transcript), {}, null);
    assert.deepEqual(failed, []);
    assert.equal(later, 0);
    assert.ok(passed > 10, `${passed} steps`);
  });
});
