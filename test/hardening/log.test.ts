/** The durable log against what happens to processes and disks (DESIGN.md §5): kills, a full disk, a slow one, a failing one, a second process. */
import assert from "node:assert/strict";
import { mkdirSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import { SeededRandom } from "../../src/base/random.ts";
import type { FoundLog } from "../../src/io/lanes/log-protocol.ts";
import type { LogStore } from "../../src/io/lanes/log-store.ts";
import { appendOf, entriesOf, entryOf, LogWitness, openLog, readAll } from "../io/lanes/log-support.ts";
import { Child, runCommand } from "../support/child.ts";
import { canTrace, fillDisk, smallDisk } from "../support/small-disk.ts";
import { tempDir } from "../support/temp-dir.ts";

const CHILD = fileURLToPath(new URL("./log-child.js", import.meta.url));
const DEADLINE_MS = 60_000;
/** Kills of the first test; `LOG_KILLS=100` for the full one. */
const KILLS = Number(process.env["LOG_KILLS"] ?? 8);
/** Attempts to open a log in use. One in 50 of them lost the other process a commit when the log was opened before it was known to be in use. */
const INTRUSIONS = Number(process.env["LOG_INTRUSIONS"] ?? 20);

function logChild(dir: string, ...args: readonly string[]): Child {
  return new Child("log", [process.execPath, CHILD, dir, ...args]);
}

/** Closed at the latest when the test ends, however it ends: an open log would hold the file up to the runner's limit. */
async function openedIn(t: TestContext, dir: string, witness: LogWitness): Promise<LogStore> {
  const log = await openLog(dir, witness);
  t.after(() => log.close());
  return log;
}

function lastNumber(output: string, word: string): number {
  const lines = output.split("\n").filter((line) => line.startsWith(`${word} `));
  return Number(lines.at(-1)?.split(" ")[1] ?? 0);
}

/** The terms of all entries, `terms[i]` of index i + 1, as a log read back shows them. */
function termsOf({ termRuns, lastIndex }: FoundLog): number[] {
  return Array.from({ length: lastIndex }, (_, i) => termRuns.findLast((run) => run.firstIndex <= i + 1)?.term ?? 0);
}

/** What the log may hold after a kill: everything up to the last `durable`, and any number of the appends sent after it, whole. */
function possible(before: readonly number[], output: string): number[][] {
  const durable = lastNumber(output, "durable");
  const terms = before.slice();
  const states: number[][] = durable === 0 ? [terms.slice()] : [];
  for (const line of output.split("\n")) {
    if (!line.startsWith("sent ")) continue;
    const [seq = 0, truncateFrom = 0, first = 0, last = 0, term = 0] = line.split(" ").slice(1).map(Number);
    if (truncateFrom > 0) terms.length = truncateFrom - 1;
    for (let index = first; index <= last; index += 1) terms.push(term);
    if (seq >= durable) states.push(terms.slice());
  }
  return states;
}

test(`${KILLS} times kill -9 at any moment: everything acknowledged is there, nothing is there by halves`, async (t) => {
  const dir = tempDir(t);
  const random = new SeededRandom(KILLS);
  let terms: number[] = [];
  let acknowledged = 0;
  for (let round = 1; round <= KILLS; round += 1) {
    const child = logChild(dir, "0", String(round));
    const wanted = 1 + random.below(60);
    await child.waitFor(`${wanted} acknowledged`, (output) => lastNumber(output, "durable") >= wanted, DEADLINE_MS);
    child.kill("SIGKILL");
    await child.exited;
    // The last line may be cut off.
    const output = child.output.slice(0, child.output.lastIndexOf("\n") + 1);
    acknowledged += lastNumber(output, "durable");

    const witness = new LogWitness();
    const log = await openedIn(t, dir, witness);
    const found = termsOf(log.found);
    const states = possible(terms, output);
    assert.ok(states.some((state) => state.length === found.length && state.every((term, i) => term === found[i])), `round ${round}: ${found.length} entries, ${states.length} possible states`);
    assert.equal(log.found.hardState.currentTerm, round);
    assert.ok(Number(log.found.hardState.lastVoteCandidate.split(" ")[1]) >= lastNumber(output, "durable"));
    const entries = await readAll(log);
    assert.equal(entries.length, found.length);
    for (const { index, term, data } of entries) assert.ok(Buffer.from(data).toString().startsWith(`entry ${index} of term ${term} `));
    await log.close();
    terms = found;
  }
  t.diagnostic(`${acknowledged} appends acknowledged, ${terms.length} entries at the end`);
});

test("a second process on one data directory is told who has it, costs that one nothing, and gets it at once when that one is killed", async (t) => {
  const dir = tempDir(t);
  const child = logChild(dir, "0");
  t.after(() => child.stop("SIGKILL"));
  await child.waitFor("acknowledged", (output) => lastNumber(output, "durable") >= 3, DEADLINE_MS);
  const witness = new LogWitness();
  for (let attempt = 1; attempt <= INTRUSIONS; attempt += 1) {
    const acknowledged = lastNumber(child.output, "durable");
    await assert.rejects(openLog(dir, witness), new RegExp(`data directory in use: .* is open in process ${child.pid} \\(last opened by process ${child.pid}, started 20`));
    await child.waitFor("more", (output) => lastNumber(output, "durable") > acknowledged, DEADLINE_MS);
  }
  child.kill("SIGKILL");
  await child.exited;
  const log = await openedIn(t, dir, witness);
  assert.ok(log.found.lastIndex > 0);
  const entries = await readAll(log);
  assert.equal(entries.length, log.found.lastIndex);
  for (const [i, { index, data }] of entries.entries()) {
    assert.equal(index, i + 1);
    assert.ok(Buffer.from(data).toString().startsWith(`entry ${index} of term 1 `));
  }
  await log.close();
});

test("a process that is refused has not so much as opened the log: LMDB undoes a commit under way when it is opened (ITS#9496)", async (t) => {
  const dir = tempDir(t);
  const raft = join(dir, "raft");
  mkdirSync(raft);
  const child = new Child("lock", [process.execPath, fileURLToPath(new URL("./lock-child.js", import.meta.url)), raft]);
  t.after(() => child.stop("SIGKILL"));
  await child.waitFor("the lock", (output) => output.includes("locked"), DEADLINE_MS);
  await assert.rejects(openLog(dir, new LogWitness()), new RegExp(`data directory in use: .* is open in process ${child.pid} \\(last opened by process ${child.pid}, started 20`));
  assert.deepEqual(readdirSync(raft).sort(), ["holder", "lock.mdb", "lock.mdb-lock"]);
  child.kill("SIGKILL");
  await child.exited;
  await (await openLog(dir, new LogWitness())).close();
});

test("a disk filled by another process: appends are refused with a reason, reads go on, nothing is lost, and it resumes by itself", async (t) => {
  const dir = smallDisk(t, 64);
  if (dir === null) return t.skip("cannot mount a file system here");
  const witness = new LogWitness();
  const log = await openedIn(t, dir, witness);
  log.append(appendOf(1, { entries: entriesOf(1, 100, 1) }));
  await witness.durable(1);
  const fat = join(dir, "fat");
  await fillDisk(fat);
  log.append(appendOf(2, { entries: entriesOf(101, 110, 1) }));
  log.append(appendOf(3, { entries: entriesOf(111, 120, 1) }));
  await witness.until("refused", () => witness.refusals.length > 0);
  assert.equal(witness.refusals[0]?.seq, 2);
  assert.match(witness.refusals[0]?.error ?? "", /^no space left for the raft log: \d+ bytes free beside .*log\.mdb, \d+ needed$/);
  assert.equal((await log.read(1, 200, 1 << 20)).length, 100);
  log.append(appendOf(4, { afterRefusal: 2, entries: entriesOf(101, 101, 2) }));
  await witness.until("refused again", () => witness.refusals.length > 1);
  assert.equal(witness.refusals[1]?.seq, 4);
  await assert.rejects(log.snapshots.begin({ index: 5, term: 1, configuration: { servers: [] }, configurationIndex: 0 }), /no space left/);

  rmSync(fat);
  log.append(appendOf(5, { entries: entriesOf(101, 101, 3) })); // It does not know of the refusal: dropped.
  log.append(appendOf(6, { afterRefusal: 4, entries: entriesOf(101, 105, 4) }));
  await witness.durable(6);
  await log.close();
  const again = await openedIn(t, dir, witness);
  assert.deepEqual([again.found.lastIndex, again.found.termRuns], [105, [{ firstIndex: 1, term: 1 }, { firstIndex: 101, term: 4 }]]);
  await again.close();
  assert.deepEqual(witness.failures, []);
});

test("the reserve: a full batch fits although another process took all room after the check", async (t) => {
  const dir = smallDisk(t, 64);
  if (dir === null) return t.skip("cannot mount a file system here");
  const { code, output } = await runCommand([process.execPath, fileURLToPath(new URL("./reserve-child.js", import.meta.url)), dir], DEADLINE_MS);
  assert.deepEqual([code, output.trim().split("\n").at(-1)], [0, "written on a full disk: 250 entries"], output);
});

/** strace with `args`, or null when it is not here or may not trace. */
function traced(args: readonly string[], command: readonly string[]): Child | null {
  return canTrace() ? new Child("traced log", ["strace", "-f", "--seccomp-bpf", "-o", "/dev/null", ...args, ...command]) : null;
}

test("fdatasync takes 5 s: nothing is acknowledged before, and main is told that the write is late", async (t) => {
  const dir = tempDir(t);
  const child = traced(["-e", "trace=fdatasync", "-e", "inject=fdatasync:delay_enter=5000000"], [process.execPath, CHILD, dir, "1"]);
  if (child === null) return t.skip("strace is missing or may not trace here");
  t.after(() => child.stop("SIGKILL"));
  await child.waitFor("sent", (output) => output.includes("sent 1"), 2 * DEADLINE_MS);
  const sentAtMs = performance.now();
  await child.waitFor("durable", (output) => output.includes("durable 1"), DEADLINE_MS);
  assert.ok(performance.now() - sentAtMs >= 4_900, `${performance.now() - sentAtMs}`);
  const late = child.output.split("\n").filter((line) => line.startsWith("late ")).map((line) => Number(line.slice(5)));
  assert.ok(late.length >= 3 && late.every((ms, i) => ms >= 1_000 && ms > (late[i - 1] ?? 0)), child.output);
  assert.ok(child.output.indexOf("late") < child.output.indexOf("durable 1"));
});

test("a failed sync ends the process with a reason, and what was acknowledged before is there", async (t) => {
  const dir = tempDir(t);
  const first = logChild(dir, "20");
  await first.waitFor("done", (output) => output.includes("durable 20"), DEADLINE_MS);
  await first.exited;
  const child = traced(["-e", "trace=fdatasync", "-e", "inject=fdatasync:error=EIO:when=9+"], [process.execPath, CHILD, dir, "0", "2", "1"]);
  if (child === null) return t.skip("strace is missing or may not trace here");
  const { code } = await child.exited;
  assert.match(child.output, /^failed .*/m, child.output);
  assert.equal(code, 1);
  const log = await openedIn(t, dir, new LogWitness());
  const found = termsOf(log.found);
  const before = possible([], first.output).at(-1) ?? [];
  assert.ok(possible(before, child.output).some((state) => state.length === found.length && state.every((term, i) => term === found[i])), child.output);
  await log.close();
});

test("a log closed in the middle of its compaction has everything above it", async (t) => {
  const dir = tempDir(t);
  const witness = new LogWitness();
  const log = await openedIn(t, dir, witness);
  log.append(appendOf(1, { entries: entriesOf(1, 5000, 1) }));
  await witness.durable(1);
  log.compact(4900);
  log.append(appendOf(2, { entries: [entryOf(5001, 1)] }));
  await witness.durable(2);
  await log.close(); // Slices that were not run yet are not needed: the next start goes on from where it was.
  const again = await openedIn(t, dir, witness);
  assert.ok(again.found.firstIndex > 1 && again.found.firstIndex <= 4901 && again.found.lastIndex === 5001);
  await again.close();
});
