import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { readConfigs } from "../../../../src/cli/serf/config/files.ts";
import { mergeConfigs } from "../../../../src/cli/serf/config/merge.ts";
import { projectPath } from "../../../support/project-root.ts";
import { tempDir } from "../../../support/temp-dir.ts";

test("files and directories are read in order; a directory by name, without its subdirectories and other files", (t) => {
  const dir = tempDir(t);
  const write = (name: string, text: string): void => writeFileSync(join(dir, name), text);
  mkdirSync(join(dir, "d/sub.json"), { recursive: true });
  write("first.json", '{"node_name": "first", "retry_join": ["a"], "tags": {"x": "1", "y": "1"}, "leave_on_terminate": true}');
  write("d/b.json", '{"profile": "wan", "retry_join": ["c"]}');
  write("d/a.json", '{"profile": "local", "retry_join": ["b"], "tags": {"x": "2"}, "leave_on_terminate": false, "protocol": 0, "node_name": ""}');
  write("d/A.JSON", "not read");
  write("d/sub.json/x.json", "not read");
  assert.deepEqual(readConfigs([join(dir, "first.json"), join(dir, "d")]), {
    ok: true,
    config: { nodeName: "first", retryJoin: ["a", "b", "c"], tags: new Map([["x", "2"], ["y", "1"]]), leaveOnTerminate: true, profile: "wan" },
    origins: new Map([
      ["nodeName", join(dir, "first.json")],
      ["retryJoin", join(dir, "d/b.json")],
      ["tags", join(dir, "d/a.json")],
      ["leaveOnTerminate", join(dir, "first.json")],
      ["profile", join(dir, "d/b.json")],
    ]),
  });
});

test("what cannot be read is named", (t) => {
  const missing = join(tempDir(t), "missing");
  const read = readConfigs([missing]);
  assert.deepEqual(read.ok ? "" : read.error, `Error reading '${missing}': open ${missing}: no such file or directory`);
});

test("negative numbers do not count, but for the two that are raised with a warning", () => {
  const merged = mergeConfigs({ protocol: 5, retryInterval: 1 }, { protocol: -1, retryInterval: -1, broadcastTimeout: -2 });
  assert.deepEqual(merged, { protocol: 5, retryInterval: -1, broadcastTimeout: -2 });
});

test("the sample configuration is valid", () => {
  assert.equal(readConfigs([projectPath("deploy/serf")]).ok, true);
});
