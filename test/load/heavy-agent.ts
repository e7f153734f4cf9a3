/**
 * The agent inside a program that holds MEGABYTES of live memory, half of it small objects and half buffers, taken once the agent runs. Prints HEAVY when it holds them.
 *
 *   node --expose-gc dist/test/load/heavy-agent.js MEGABYTES [agent's arguments]
 */
import { runSerf } from "../../src/cli/serf/persona.ts";

const MB = 1024 * 1024;
/** Little enough for one turn of the event loop. */
const STEP_BYTES = MB;
/** What V8 takes for one of `record`. */
const RECORD_BYTES = 64;

interface Held {
  readonly at: number;
  readonly text: string;
  readonly before: Held | null;
}
const buffers: Buffer[] = [];
const records: Held[] = [];

const [megabytes = "0", ...args] = process.argv.slice(2);
let held = false;
const exitCode = await runSerf(
  {
    out(text) {
      process.stdout.write(`${text}\n`);
      if (held || !text.includes("Log data will now stream in")) return;
      held = true;
      hold(Number(megabytes) * MB);
    },
    err: (text) => void process.stderr.write(`${text}\n`),
    env: process.env,
    onInterrupt: () => undefined,
  },
  ["agent", ...args],
);
process.exit(exitCode);

function hold(bytes: number): void {
  if (bytes <= 0) {
    // What follows measures an agent that has this much memory, not one whose memory has just grown.
    globalThis.gc?.();
    process.stdout.write(`HEAVY ${Math.round(process.memoryUsage().rss / MB)} MB, ${records.length} records, ${buffers.length} buffers\n`);
    return;
  }
  buffers.push(Buffer.alloc(STEP_BYTES / 2, 1));
  for (let i = 0; i < STEP_BYTES / 2 / RECORD_BYTES; i += 1) records.push({ at: i, text: `${bytes}.${i}`, before: records.at(-1) ?? null });
  setImmediate(hold, bytes - STEP_BYTES);
}
