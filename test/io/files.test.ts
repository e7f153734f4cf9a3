import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { open, rename, unlink, type FileHandle } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, mock, test } from "node:test";
import { replaceFile, type FileSystem } from "../../src/io/durable-file.ts";
import { loadKeyringFile, saveKeyringFile } from "../../src/io/keyring-file.ts";
import { readSnapshotFile, SNAPSHOT_PENDING_LINES_MAX, SNAPSHOT_RETRY_MS, SnapshotFile } from "../../src/io/snapshot-file.ts";
import { loadTagsFile, saveTagsFile } from "../../src/io/tags-file.ts";

let dir = "";
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "muster-files-"));
});
afterEach(() => {
  mock.timers.reset();
  rmSync(dir, { recursive: true });
});

const text = (path: string): string => readFileSync(path, "utf8");
const key = (byte: number, size = 16): Uint8Array => new Uint8Array(size).fill(byte);

/** The real file system, whose writes fail with `ENOSPC` while `full` is set. */
class FullDisk implements FileSystem {
  full = false;
  writes = 0;
  readonly rename = rename;
  readonly unlink = unlink;

  async open(path: string, flags: string, mode: number): Promise<FileHandle> {
    const file = await open(path, flags, mode);
    return new Proxy(file, {
      get: (target, name) => {
        const member: unknown = Reflect.get(target, name);
        if (typeof member !== "function") return member;
        return (...args: unknown[]): unknown => {
          if (name !== "write" && name !== "writeFile") return Reflect.apply(member, target, args);
          this.writes += 1;
          return this.full ? Promise.reject(Object.assign(new Error("full"), { code: "ENOSPC" })) : Reflect.apply(member, target, args);
        };
      },
    });
  }
}

test("replaceFile: new content, owner only, nothing left beside it; a failed one leaves the old file", async () => {
  const path = join(dir, "f");
  await replaceFile(path, "one");
  assert.equal(statSync(path).mode & 0o777, 0o600);
  const disk = new FullDisk();
  disk.full = true;
  await assert.rejects(replaceFile(path, "two", disk), { code: "ENOSPC" });
  assert.equal(text(path), "one");
  assert.deepEqual(readdirSync(dir), ["f"]);
});

test("keyring file: written as the original writes it, read back", async () => {
  const path = join(dir, "keyring.json");
  await saveKeyringFile(path, [key(1), key(2, 32)]);
  assert.equal(text(path), `[\n  "${Buffer.from(key(1)).toString("base64")}",\n  "${Buffer.from(key(2, 32)).toString("base64")}"\n]`);
  const loaded = await loadKeyringFile(path);
  assert.deepEqual(loaded.ok && loaded.value.map((k) => [k[0], k.length]), [[1, 16], [2, 32]]);
});

test("keyring file: what cannot be used is refused with the original's words", async () => {
  const path = join(dir, "k");
  const refusal = async (content: string): Promise<string> => {
    writeFileSync(path, content);
    const loaded = await loadKeyringFile(path);
    return loaded.ok ? "accepted" : loaded.error;
  };
  assert.equal(await refusal("[]"), "Keyring file contains no keys");
  assert.equal(await refusal('["%%"]'), "Failed to decode key from keyring: illegal base64 data at input byte 0");
  assert.equal(await refusal('["YWJj"]'), "Failed to restore keyring: key size must be 16, 24 or 32 bytes");
  assert.equal(await refusal("[1]"), "Failed to decode keyring file: json: cannot unmarshal number into Go value of type string");
  assert.equal(await refusal("{}"), "Failed to decode keyring file: json: cannot unmarshal object into Go value of type []string");
  assert.equal(await refusal('["a"'), "Failed to decode keyring file: unexpected end of JSON input");
  assert.equal(await refusal("[x]"), "Failed to decode keyring file: invalid character 'x' looking for beginning of value");
  assert.deepEqual(await loadKeyringFile(join(dir, "none")), { ok: false, error: `stat ${join(dir, "none")}: no such file or directory` });
  assert.deepEqual(await loadKeyringFile(dir), { ok: false, error: `Failed to read keyring file: read ${dir}: is a directory` });
});

test("tags file", async () => {
  const path = join(dir, "tags");
  assert.deepEqual(await loadTagsFile(path), { ok: true, value: null });
  await saveTagsFile(path, new Map([["b", "2"], ["a", "1"]]));
  assert.equal(text(path), '{\n  "a": "1",\n  "b": "2"\n}');
  const loaded = await loadTagsFile(path);
  assert.deepEqual(loaded.ok && loaded.value, new Map([["a", "1"], ["b", "2"]]));
  writeFileSync(path, "[1]");
  assert.deepEqual(await loadTagsFile(path), { ok: false, error: "Failed to decode tags file: json: cannot unmarshal array into Go value of type map[string]string" });
});

test("snapshot file: torn tail and NUL bytes are told and skipped", async () => {
  const path = join(dir, "s");
  assert.deepEqual(await readSnapshotFile(path), { bytes: null, completeBytes: 0, tornBytes: 0, nulBytes: 0 });
  writeFileSync(path, "clock: 1\n\0\0\0clock: 2\ncl\0ck: 3\nclock: 4\nclo");
  const { bytes, ...rest } = await readSnapshotFile(path);
  assert.equal(Buffer.from(bytes ?? []).toString(), "clock: 1\nclock: 2\nclock: 4\n");
  assert.deepEqual(rest, { completeBytes: 39, tornBytes: 3, nulBytes: 4 });
});

const quiet = { failed: (error: string) => assert.fail(error), recovered: () => assert.fail("nothing had failed") };

test("snapshot file: lines go behind the complete ones, over a torn tail; compaction replaces all", async () => {
  const path = join(dir, "s");
  writeFileSync(path, "clock: 1\nclo");
  const file = new SnapshotFile(path, 9, quiet);
  file.append(["clock: 2", "clock: 3"], false);
  await file.close();
  assert.equal(text(path), "clock: 1\nclock: 2\nclock: 3\n");
  const again = new SnapshotFile(path, text(path).length, quiet);
  again.append(["outdated"], false);
  again.compact(["alive: a 1.2.3.4:5"]);
  again.append(["clock: 9"], true);
  await again.close();
  assert.equal(text(path), "alive: a 1.2.3.4:5\nclock: 9\n");
  assert.deepEqual(readdirSync(dir), ["s"]);
});

test("snapshot file: a full disk is reported, waits, and loses nothing once there is room", async () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  const path = join(dir, "s");
  const disk = new FullDisk();
  const failed: string[] = [];
  let wake = (): void => {};
  const hooks = {
    failed: (error: string) => {
      failed.push(error);
      wake();
    },
    recovered: (dropped: number) => {
      assert.equal(dropped, 0);
      wake();
    },
  };
  const file = new SnapshotFile(path, null, hooks, disk);
  disk.full = true;
  await new Promise<void>((resolve) => {
    wake = resolve;
    file.append(["clock: 1"], true);
  });
  file.append(["clock: 2"], true); // Not tried before the pause is over.
  assert.equal(disk.writes, 1);
  disk.full = false;
  await new Promise<void>((resolve) => {
    wake = resolve;
    setImmediate(() => mock.timers.tick(SNAPSHOT_RETRY_MS));
  });
  await file.close();
  assert.equal(text(path), "clock: 1\nclock: 2\n");
  assert.deepEqual(failed, ["no space left on device"]);
});

test("snapshot file: lines that wait for a sick disk are bounded; the oldest are given up, and it is said how many", async () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  const path = join(dir, "s");
  const disk = new FullDisk();
  let wake = (): void => {};
  let given = -1;
  const file = new SnapshotFile(path, null, {
    failed: () => wake(),
    recovered: (dropped) => {
      given = dropped;
      wake();
    },
  }, disk);
  disk.full = true;
  await new Promise<void>((resolve) => {
    wake = resolve;
    file.append(["clock: 0"], true);
  });
  const extra = 1000;
  for (let i = 1; i < SNAPSHOT_PENDING_LINES_MAX + extra; i += 1) file.append([`clock: ${i}`], false);
  disk.full = false;
  await new Promise<void>((resolve) => {
    wake = resolve;
    setImmediate(() => mock.timers.tick(SNAPSHOT_RETRY_MS));
  });
  await file.close();
  assert.equal(given, extra);
  const lines = text(path).split("\n");
  assert.deepEqual([lines.length - 1, lines[0], lines.at(-2)], [SNAPSHOT_PENDING_LINES_MAX, `clock: ${extra}`, `clock: ${SNAPSHOT_PENDING_LINES_MAX + extra - 1}`]);
});
