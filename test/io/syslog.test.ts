import assert from "node:assert/strict";
import { once } from "node:events";
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { Syslog } from "../../src/io/syslog.ts";
import { eventually } from "../support/eventually.ts";
import { tempDir } from "../support/temp-dir.ts";

// Any socket stands for the daemon's.
const socket = join(mkdtempSync(join(tmpdir(), "muster-syslog-")), "log");
const daemon = createServer().listen(socket);
before(() => once(daemon, "listening"));
after(() => {
  daemon.close();
  rmSync(dirname(socket), { recursive: true });
});

const options = { facility: "local0", tag: "serf", onFailure: () => undefined };

test("an unknown facility and a machine without syslog are refused in the original's words", () => {
  assert.deepEqual(Syslog.start({ ...options, facility: "FOO" }), { ok: false, error: "invalid syslog facility: FOO" });
  assert.deepEqual(Syslog.start({ ...options, facility: "" }), { ok: false, error: "invalid syslog facility: " });
  assert.deepEqual(Syslog.start({ ...options, sockets: ["/nosuch", "/"] }), { ok: false, error: "Unix syslog delivery error" });
});

test("each line goes to one logger with facility and severity in front", async (t) => {
  const dir = tempDir(t);
  const logger = join(dir, "logger");
  writeFileSync(logger, `#!/bin/sh\necho "$@" > ${dir}/args\ncat > ${dir}/lines\n`);
  chmodSync(logger, 0o700);
  const started = Syslog.start({ ...options, logger, sockets: [socket] });
  assert.ok(started.ok);
  started.value.write("info", "agent: one");
  started.value.write("err", "agent: two\n\t* three\n");
  started.value.write("trace", "agent: four");
  started.value.stop();
  const lines = (): string => readFileSync(join(dir, "lines"), "utf8");
  const expected = "<134>agent: one\n<131>agent: two\n<131>\t* three\n<135>agent: four\n";
  await eventually("the logger's file", 10_000, () => {
    try {
      return lines() === expected ? null : lines();
    } catch (error) {
      return String(error);
    }
  });
  assert.equal(readFileSync(join(dir, "args"), "utf8"), "--prio-prefix -t serf\n");
});

test("a logger that ends is reported once, and later lines are counted", async (t) => {
  const logger = join(tempDir(t), "logger");
  writeFileSync(logger, "#!/bin/sh\nexit 3\n");
  chmodSync(logger, 0o700);
  const reasons: string[] = [];
  const started = Syslog.start({ ...options, logger, sockets: [socket], onFailure: (reason) => reasons.push(reason) });
  assert.ok(started.ok);
  await eventually("the end of the logger", 10_000, () => (reasons.length > 0 ? null : "it runs"));
  started.value.write("info", "agent: lost");
  assert.deepEqual([reasons, started.value.dropped], [["exit status 3"], 1]);
});

test("a logger that does not read costs bounded memory: further records are dropped and counted", (t) => {
  const dir = tempDir(t);
  const logger = join(dir, "logger");
  writeFileSync(logger, "#!/bin/sh\nexec sleep 5\n");
  chmodSync(logger, 0o700);
  const started = Syslog.start({ ...options, logger, sockets: [socket], onFailure: () => undefined });
  assert.ok(started.ok);
  const syslog = started.value;
  t.after(() => syslog.stop());
  const record = "x".repeat(10_000);
  let written = 0;
  for (; syslog.dropped === 0 && written < 10_000; written += 1) syslog.write("info", record);
  // 1 MiB and a pipe's worth.
  assert.ok(written * record.length < 2_000_000, `${written} records were taken`);
  const before = syslog.dropped;
  for (let i = 0; i < 100; i += 1) syslog.write("info", record);
  assert.equal(syslog.dropped - before, 100);
});
