import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { encodeUtf8 } from "../../src/base/utf8.ts";
import { LAMPORT_TIME_MAX } from "../../src/serf/lamport-clock.ts";
import { readSnapshot, replaySnapshot, SNAPSHOT_COMPACT_MIN_BYTES, SnapshotWriter, UNKNOWN_LINES_KEPT } from "../../src/serf/snapshot.ts";
import type { RestoredSnapshot } from "../../src/serf/types.ts";
import { Net, type Host } from "./harness.ts";

/** The file as a driver would have it. */
function fileOf(host: Host): string {
  let file = "";
  for (const effect of host.effects) {
    if (effect.kind === "snapshot") file += effect.lines.map((line) => `${line}\n`).join("");
    else if (effect.kind === "snapshotCompact") file = effect.lines.map((line) => `${line}\n`).join("");
  }
  return file;
}

test("a torn file gives what its whole lines say, cut at any byte", () => {
  const file = "alive: a 1.1.1.1:1\nclock: 12\nalive: b 2.2.2.2:2\nnot-alive: a\nevent-clock: 7\nleave\nclock: 13\n";
  for (let length = 0; length <= file.length; length += 1) {
    const torn = file.slice(0, length);
    const whole = torn.slice(0, torn.lastIndexOf("\n") + 1);
    assert.deepEqual(readSnapshot(encodeUtf8(torn), true), readSnapshot(encodeUtf8(whole), true));
  }
});

test("garbage is skipped and only some of it listed (consul#3362: lines of NUL bytes)", () => {
  const garbage = `alive: a 1.1.1.1:1\n${"\0".repeat(500)}\n${"bogus\n".repeat(1000)}clock: 3\n`;
  const content = readSnapshot(encodeUtf8(garbage), false);
  assert.deepEqual([[...content.alive.keys()], content.clock, content.unknownLines.length], [["a"], 3n, UNKNOWN_LINES_KEPT]);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      const { clock } = replaySnapshot(bytes, false);
      assert.ok(clock >= 0 && clock < LAMPORT_TIME_MAX);
    }),
  );
});

test("the file stays bounded, and a compacted one says the same", () => {
  const writer = new SnapshotWriter({ rejoinAfterLeave: false, compactMinBytes: 500 }, null);
  let file = "";
  for (let i = 1; i <= 2000; i += 1) {
    writer.event({ kind: "user", lamportTime: i, name: "e", payload: null, coalesce: false }, 1 + i);
    if (i % 10 === 0) writer.clock(i);
    const change = writer.take();
    assert.ok(change !== null);
    const text = change.lines.map((line) => `${line}\n`).join("");
    file = change.kind === "compact" ? text : file + text;
    assert.ok(file.length <= 500 + 40);
    assert.equal(readSnapshot(encodeUtf8(file), false).eventClock, BigInt(i));
  }
});

test("a pool writes its snapshot, and one started from it rejoins and does not hear old events again", () => {
  const net = new Net();
  const first = net.start("n1");
  const second = net.start("n2", { snapshot: true });
  net.join(second, first);
  net.advance(2000);
  net.command(first, { kind: "userEvent", name: "once", payload: null, coalesce: false });
  net.advance(2000);
  assert.deepEqual(second.userEvents, ["once"]);
  second.isCut = true;
  const file = fileOf(second);
  assert.match(file, /^alive: n2 10\.0\.0\.2:7946\n/);
  assert.ok(file.includes("alive: n1 10.0.0.1:7946\n") && file.includes("event-clock: 1\n"));

  net.until(() => first.view.includes("n2 failed"), 60_000);
  const restored: RestoredSnapshot = replaySnapshot(encodeUtf8(file), false);
  // The same node again: same name and address.
  const again = net.start("n2", { snapshot: true, restored, advertise: second.config.advertise });
  assert.ok(again.logs.includes("[info] serf: Attempting re-join to previously known node: n1: 10.0.0.1:7946"));
  net.until(() => first.view.includes("n2 alive") && again.view.includes("n1 alive"), 5000);
  assert.ok(again.logs.includes("[info] serf: Re-joined to previously known node: n1: 10.0.0.1:7946"));
  net.advance(3000);
  assert.deepEqual(again.userEvents, []);
  assert.equal(again.pool.stats().get("event_time"), "2");
});

test("nobody left to rejoin is said, and a bad address does no harm", () => {
  const net = new Net();
  const restored = { alive: [{ name: "gone", addr: "10.0.0.77:7946" }, { name: "odd", addr: "nonsense" }], clock: 5, eventClock: 6, queryClock: 7, fileBytes: 0, unknownLines: ["bogus"] };
  const host = net.start("n1", { restored, snapshot: true });
  net.advance(60_000);
  assert.ok(host.logs.includes("[warn] serf: Failed to re-join any previously known node"));
  assert.ok(host.logs.includes("[warn] serf: Unrecognized snapshot line: bogus"));
  const stats = host.pool.stats();
  assert.deepEqual(["member_time", "event_time", "query_time"].map((key) => stats.get(key)), ["6", "7", "8"]);
});

test("after a leave only clocks follow, and the leave is written through", () => {
  const net = new Net();
  const first = net.start("n1");
  const second = net.start("n2", { snapshot: true });
  net.join(second, first);
  net.advance(2000);
  const request = net.command(second, { kind: "leave" });
  const leave = second.effects.find((effect) => effect.kind === "snapshot" && effect.lines.includes("leave"));
  assert.ok(leave?.kind === "snapshot" && leave.flush);
  net.until(() => second.reply(request) !== undefined, 20_000);
  const after = fileOf(second).split("\nleave\n")[1] ?? "";
  assert.match(after, /^(clock: \d+\n)*$/);
  assert.ok(SNAPSHOT_COMPACT_MIN_BYTES > 0);
});
