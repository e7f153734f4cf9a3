import assert from "node:assert/strict";
import { test } from "node:test";
import { LogHub } from "../../src/io/log-hub.ts";
import { KIND_LENGTH, KINDS_MAX, LINES_PER_SECOND_MAX, LogLimiter } from "../../src/io/log-limiter.ts";

function limiter(): { readonly limiter: LogLimiter; readonly told: string[] } {
  const told: string[] = [];
  return { limiter: new LogLimiter((level, text) => told.push(`${level} ${text}`)), told };
}

test("a kind has its lines per second, and what was left out is told with the next one", (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const { limiter: limit, told } = limiter();
  const passed = Array.from({ length: 100 }, (_, i) => limit.passes("err", `memberlist: Received invalid msgType (${i}) from=1.2.3.4:5`)).filter(Boolean);
  assert.equal(passed.length, LINES_PER_SECOND_MAX);
  assert.deepEqual(told, []);
  t.mock.timers.tick(1000);
  assert.deepEqual(told, [`err agent: suppressed ${100 - LINES_PER_SECOND_MAX} more lines like "memberlist: Received inv…" within a second`]);
  assert.equal(limit.passes("err", "memberlist: Received invalid msgType (1)"), true);
  t.mock.timers.tick(1000);
  assert.equal(told.length, 1);
});

test("other kinds and levels go on, and what members do is never cut", () => {
  const { limiter: limit } = limiter();
  for (let i = 0; i < 100; i += 1) limit.passes("warn", "serf: flood of one kind and nothing else");
  assert.equal(limit.passes("err", "serf: flood of one kind and nothing else"), true);
  assert.equal(limit.passes("warn", "serf: another kind"), true);
  for (let i = 0; i < 100; i += 1) assert.equal(limit.passes("info", "serf: EventMemberJoin: a 1.2.3.4"), true);
  limit.flush();
});

test("kinds are bounded: texts that a peer chooses share one limit beyond it", () => {
  const { limiter: limit, told } = limiter();
  let passed = 0;
  for (let i = 0; i < 10 * KINDS_MAX; i += 1) if (limit.passes("warn", String(i).padEnd(KIND_LENGTH, "x"))) passed += 1;
  assert.equal(passed, KINDS_MAX + LINES_PER_SECOND_MAX);
  limit.flush();
  assert.deepEqual(told, [`warn agent: suppressed ${9 * KINDS_MAX - LINES_PER_SECOND_MAX} more lines of many kinds within a second`]);
});

test("the hub cuts a flood for all listeners and for its backlog", () => {
  const hub = new LogHub();
  const lines: string[] = [];
  hub.subscribe("warn", (line) => lines.push(line), { replay: false });
  for (let i = 0; i < 1000; i += 1) hub.write("warn", `memberlist: Got ping for unexpected node '${i}'`);
  assert.equal(lines.length, LINES_PER_SECOND_MAX);
  assert.equal(hub.backlog().length, LINES_PER_SECOND_MAX);
});
