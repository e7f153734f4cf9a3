/**
 * A process with a log of its own, for tests that kill it, slow its disk or fail it. It tells everything by whole lines written at once:
 *
 *   opened FIRST LAST · sent SEQ TRUNCATE-FROM FIRST LAST TERM · durable SEQ · refused SEQ TEXT · late MS · failed TEXT · report TEXT
 *
 * Arguments: directory, how many appends (0: without end), the term of its entries, and the number of appends under way at a time.
 */
import { writeSync } from "node:fs";
import { openWorkerLog } from "../../src/io/lanes/worker-log-store.ts";
import type { LogStore } from "../../src/io/lanes/log-store.ts";
import { SeededRandom } from "../../src/base/random.ts";
import { appendOf, entryOf } from "../io/lanes/log-support.ts";

const [dir = "", count = "0", termText = "1", underWay = "4"] = process.argv.slice(2);
const term = Number(termText);
const random = new SeededRandom(term);
const appends = count === "0" ? Number.POSITIVE_INFINITY : Number(count);
let log: LogStore | null = null;
let seq = 0;
let durable = 0;
let last = 0;

function say(line: string): void {
  writeSync(1, `${line}\n`);
}

/** What an entry must hold. */
function dataOf(index: number): string {
  return `entry ${index} of term ${term} ${"x".repeat(random.below(400))}`;
}

function feed(store: LogStore): void {
  while (seq < appends && seq - durable < Number(underWay)) {
    seq += 1;
    const truncateFrom = random.below(8) === 0 && last > 10 ? last - random.below(5) : 0;
    const first = truncateFrom > 0 ? truncateFrom : last + 1;
    last = first + random.below(20);
    const entries = Array.from({ length: last - first + 1 }, (_, i) => entryOf(first + i, term, dataOf(first + i)));
    say(`sent ${seq} ${truncateFrom} ${first} ${last} ${term}`);
    store.append(appendOf(seq, { truncateFrom, entries, hardState: { currentTerm: term, lastVoteTerm: term, lastVoteCandidate: `seq ${seq}` } }));
  }
}

const events = {
  durable(number: number): void {
    durable = number;
    say(`durable ${number}`);
    if (log !== null) feed(log);
    if (durable >= appends) void log?.close();
  },
  refused: (number: number, error: string): void => say(`refused ${number} ${error}`),
  late: (waitingMs: number): void => say(`late ${Math.round(waitingMs)}`),
  failed(error: string): void {
    say(`failed ${error}`);
    process.exit(1);
  },
  report: (text: string): void => say(`report ${text}`),
};

try {
  log = await openWorkerLog({ dataDir: dir, events, tailBytesMax: 1 << 20, lateAfterMs: 1_000 });
  last = log.found.lastIndex;
  say(`opened ${log.found.firstIndex} ${last}`);
  feed(log);
} catch (error) {
  say(`failed ${error instanceof Error ? error.message : String(error)}`);
  process.exit(1);
}
