/**
 * `npm run transcripts -- DIR [WORD] [--peer=PROGRAM]`: replays the recordings below DIR against fresh agents of ours (or of another program, to check the
 * recordings themselves), prints every difference, and last the counts.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { runTranscript, type Later } from "./run.ts";
import type { Transcript } from "./types.ts";

const words = process.argv.slice(2);
const peer = words.find((word) => word.startsWith("--peer="))?.slice("--peer=".length) ?? null;
const [dir, filter = ""] = words.filter((word) => !word.startsWith("--"));
if (dir === undefined) {
  process.stderr.write("Usage: npm run transcripts -- DIR [WORD] [--peer=PROGRAM]\n\nDIR holds recordings; WORD picks those whose path contains it.\n");
  process.exit(2);
}

const laterFile = join(dir, "later.json");
const later = existsSync(laterFile) ? (JSON.parse(readFileSync(laterFile, "utf8")) as Later & { readonly files?: readonly string[] }) : {};
let passed = 0;
let failed = 0;
let apart = 0;
for (const path of readdirSync(dir, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".json")).sort()) {
  if (!path.includes(filter)) continue;
  const transcript = JSON.parse(readFileSync(join(dir, path), "utf8")) as Partial<Transcript>;
  if (!Array.isArray(transcript.steps) || transcript.setup?.agents === undefined) continue;
  if ((later as { files?: readonly string[] }).files?.includes(path) === true) {
    apart += transcript.steps.length;
    continue;
  }
  const tally = await runTranscript(transcript as Transcript, later, peer).catch((error: unknown) => ({ passed: 0, failed: [`${path}: ${String(error)}`], later: 0 }));
  for (const line of tally.failed) process.stdout.write(`${line}\n`);
  process.stdout.write(`${path}: ${tally.passed} passed, ${tally.failed.length} failed, ${tally.later} later\n`);
  passed += tally.passed;
  failed += tally.failed.length;
  apart += tally.later;
}
process.stdout.write(`${passed} passed, ${failed} failed, ${apart} later\n`);
process.exitCode = failed > 0 ? 1 : 0;
