import assert from "node:assert/strict";
import { test } from "node:test";
import { LOG_BACKLOG_MAX, LOG_LINE_LENGTH_MAX, LogHub, parseLogLevel } from "../../src/io/log-hub.ts";

const at = new Date(2026, 0, 2, 3, 4, 5);

test("lines have the original's format, in local time", () => {
  const hub = new LogHub(() => at.getTime());
  const lines: string[] = [];
  hub.subscribe("info", (line) => lines.push(line), { replay: false });
  hub.write("info", "serf: EventMemberJoin: a 10.0.0.1");
  hub.write("err", "agent: two\n\tlines");
  hub.write("debug", "unheard");
  assert.deepEqual(lines, ["2026/01/02 03:04:05 [INFO] serf: EventMemberJoin: a 10.0.0.1", "2026/01/02 03:04:05 [ERR] agent: two\n\tlines"]);
});

test("a late listener gets the last lines that pass its level, also finer ones than others hear", () => {
  const hub = new LogHub(() => at.getTime());
  for (let i = 0; i < LOG_BACKLOG_MAX + 10; i += 1) hub.write(i % 2 === 0 ? "debug" : "info", `n${i}`);
  const fine: string[] = [];
  const coarse: string[] = [];
  hub.subscribe("debug", (line) => fine.push(line), { replay: true });
  const subscription = hub.subscribe("info", (line) => coarse.push(line), { replay: true });
  assert.equal(fine.length, LOG_BACKLOG_MAX);
  assert.match(fine[0] ?? "", / n10$/);
  assert.match(fine.at(-1) ?? "", new RegExp(` n${LOG_BACKLOG_MAX + 9}$`));
  assert.equal(coarse.length, LOG_BACKLOG_MAX / 2);
  subscription.setLevel("err");
  hub.write("info", "too fine now");
  subscription.close();
  hub.write("err", "closed");
  assert.equal(coarse.length, LOG_BACKLOG_MAX / 2);
});

test("a line is bounded", () => {
  const hub = new LogHub(() => at.getTime());
  hub.write("info", "x".repeat(10 * LOG_LINE_LENGTH_MAX));
  assert.ok((hub.backlog()[0]?.line.length ?? 0) < LOG_LINE_LENGTH_MAX + 64);
});

test("level names", () => {
  assert.equal(parseLogLevel("WaRn"), "warn");
  assert.equal(parseLogLevel("loud"), null);
  assert.equal(parseLogLevel("constructor"), null);
});
