/** snapshot-replay, snapshot-write, snapshots-agent: reading a snapshot file, writing one, and the files of a live agent. */
import assert from "node:assert/strict";
import { ipToBytes } from "../../src/base/endpoint.ts";
import { encodeUtf8, utf8Length } from "../../src/base/utf8.ts";
import { readSnapshot, replaySnapshot, SNAPSHOT_COMPACT_MIN_BYTES, SnapshotWriter } from "../../src/serf/snapshot.ts";
import type { Member, MemberEventType, SerfEvent } from "../../src/serf/types.ts";
import { attempt, fieldsOf } from "./compare.ts";
import type { Report } from "./registry.ts";

type Clock = number | { readonly $int: string };

interface ReplayCase {
  readonly name: string;
  readonly file: string;
  readonly rejoinAfterLeave: boolean;
  readonly alive: Readonly<Record<string, string>>;
  readonly clock: Clock;
  readonly eventClock: Clock;
  readonly queryClock: Clock;
}

export function checkSnapshotReplay(data: unknown, report: Report): void {
  const { cases } = fieldsOf<{ readonly cases: readonly ReplayCase[] }>(data, ["cases"], report);
  for (const { name, file, rejoinAfterLeave, alive, clock, eventClock, queryClock } of cases ?? []) {
    attempt(`${name}${rejoinAfterLeave ? " (rejoin)" : ""}`, report, () => {
      const content = readSnapshot(encodeUtf8(file), rejoinAfterLeave);
      assert.deepEqual(Object.fromEntries(content.alive), alive);
      assert.deepEqual([content.clock, content.eventClock, content.queryClock], [clock, eventClock, queryClock].map(toBigInt));
    });
  }
}

function toBigInt(clock: Clock): bigint {
  return typeof clock === "number" ? BigInt(clock) : BigInt(clock.$int);
}

type WriteStep = Readonly<Record<string, string | number | boolean>>;

interface WriteCase {
  readonly name: string;
  readonly file: string;
  readonly minCompactSize: number;
  readonly rejoinAfterLeave: boolean;
  readonly steps: readonly WriteStep[];
}

export function checkSnapshotWrite(data: unknown, report: Report): void {
  const { cases } = fieldsOf<{ readonly cases: readonly WriteCase[] }>(data, ["cases"], report);
  for (const { name, file, minCompactSize, rejoinAfterLeave, steps } of cases ?? []) {
    attempt(name, report, () => {
      const recorder = new Recorder(rejoinAfterLeave, minCompactSize);
      for (const step of steps) recorder.apply(step);
      assert.equal(recorder.file, file);
    });
  }
}

/** A writer with the file that its lines make. */
class Recorder {
  file = "";
  readonly #writer: SnapshotWriter;
  #clock = 1;

  constructor(rejoinAfterLeave: boolean, compactMinBytes: number, before = "") {
    const restored = before === "" ? null : replaySnapshot(encodeUtf8(before), rejoinAfterLeave);
    this.file = before;
    this.#clock = (restored?.clock ?? 0) + 1;
    this.#writer = new SnapshotWriter({ rejoinAfterLeave, compactMinBytes }, restored);
  }

  apply(step: WriteStep): void {
    const { addr, ...rest } = step;
    const [[kind, value] = ["", ""], ...others] = Object.entries(rest);
    assert.equal(others.length, 0, `a step with ${others.map(([name]) => name).join(", ")}`);
    if (kind.startsWith("member-")) this.event({ kind: "members", type: kind as MemberEventType, members: [member(String(value), addr)] });
    else if (kind === "witnessClock") this.clock(Math.max(this.#clock, Number(value) + 1));
    else if (kind === "user" || kind === "query") this.event(stamped(kind, Number(value)));
    else if (kind === "users" || kind === "queries") {
      for (const time of times(String(value))) this.event(stamped(kind === "users" ? "user" : "query", time));
    } else if (kind === "leave") this.leave();
    else assert.fail(`unknown step ${kind}`);
  }

  event(event: SerfEvent): void {
    this.#writer.event(event, this.#clock);
    this.#take();
  }

  /** The clock is raised; the writer sees it with the next event or tick. */
  clock(time: number): void {
    this.#clock = time;
  }

  tick(): void {
    this.#writer.clock(this.#clock);
    this.#take();
  }

  leave(): void {
    this.#writer.leave();
    this.#take();
  }

  #take(): void {
    const change = this.#writer.take();
    if (change === null) return;
    const text = change.lines.map((line) => `${line}\n`).join("");
    this.file = change.kind === "compact" ? text : this.file + text;
  }
}

/** "LTime 1..30" */
function times(text: string): number[] {
  const match = /^LTime (\d+)\.\.(\d+)$/.exec(text);
  assert.ok(match !== null, `unknown range ${text}`);
  const [first, last] = [Number(match[1]), Number(match[2])];
  return Array.from({ length: last - first + 1 }, (_, i) => first + i);
}

function stamped(kind: "user" | "query", lamportTime: number): SerfEvent {
  if (kind === "user") return { kind, lamportTime, name: "e", payload: null, coalesce: false };
  return { kind, token: 1, lamportTime, name: "q", payload: null, sourceNode: "", deadlineMs: 0 };
}

function member(name: string, addr: unknown): Member {
  const [, ip = "127.0.0.1", port = "7946"] = typeof addr === "string" ? (/^\[?([^\]]*?)\]?:(\d+)$/.exec(addr) ?? []) : [];
  return { name, ip, port: Number(port), addr: ipToBytes(ip) ?? new Uint8Array(0) } as Member;
}

interface AgentRecording {
  readonly node: string;
  readonly stages: readonly { readonly stage: string; readonly file: string }[];
}

/** The agent's files must read without an unknown line, and our writer, fed with what they tell, must write the same bytes. */
export function checkSnapshotsAgent(data: unknown, report: Report): void {
  const { stages, node } = fieldsOf<AgentRecording>(data, ["stages", "node"], report);
  for (const { stage, file } of stages ?? []) {
    attempt(stage, report, () => {
      const content = readSnapshot(encodeUtf8(file), true);
      assert.deepEqual(content.unknownLines, []);
      assert.ok(file === "" || (node !== undefined && (content.alive.has(node) || file.includes("\nleave\n"))), "the node itself is not in its snapshot");
      assert.ok(utf8Length(file) <= SNAPSHOT_COMPACT_MIN_BYTES);
      assert.equal(rewritten(file), file);
    });
  }
}

function rewritten(file: string): string {
  let recorder = new Recorder(false, SNAPSHOT_COMPACT_MIN_BYTES);
  let hasLeft = false;
  for (const line of file.split("\n").slice(0, -1)) {
    const [kind = "", rest = ""] = line.split(/: (.*)/s);
    if (kind === "clock") {
      recorder.clock(Number(rest) + 1);
      recorder.tick();
      continue;
    }
    if (hasLeft) {
      // Only a new run writes more than clocks after a leave.
      recorder = new Recorder(false, SNAPSHOT_COMPACT_MIN_BYTES, recorder.file);
      hasLeft = false;
    }
    const space = rest.lastIndexOf(" ");
    if (kind === "alive") recorder.apply({ "member-join": rest.slice(0, space), addr: rest.slice(space + 1) });
    else if (kind === "not-alive") recorder.apply({ "member-leave": rest });
    else if (kind === "event-clock") recorder.apply({ user: Number(rest) });
    else if (kind === "query-clock") recorder.apply({ query: Number(rest) });
    else if (kind === "leave") {
      recorder.leave();
      hasLeft = true;
    } else assert.fail(`unknown line ${line}`);
  }
  return recorder.file;
}
