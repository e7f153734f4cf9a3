/** Runs every `*.test.js` under `dist/test` with node's own test runner; words on the command line keep only files whose path contains one of them. */
import { readdirSync } from "node:fs";
import { run } from "node:test";
import { spec } from "node:test/reporters";
import { fileURLToPath } from "node:url";

/** A file that takes so long hangs: it fails by name instead of holding up the run. The slowest takes a third of that on a busy machine. */
const FILE_MS_MAX = 300_000;

const root = fileURLToPath(new URL(".", import.meta.url));
const wanted = process.argv.slice(2);
const files = readdirSync(root, { recursive: true, encoding: "utf8" })
  .filter((file) => file.endsWith(".test.js"))
  .filter((file) => wanted.length === 0 || wanted.some((word) => file.includes(word)))
  .sort()
  .map((file) => root + file);

if (files.length === 0) {
  process.stderr.write(`no test file matches ${wanted.join(" ")}: give a part of a path under test/, such as wire or lzw\n`);
  process.exitCode = 1;
} else {
  // Two at a time: the machines this runs on have two cores, and interop tests mostly wait for real programs.
  run({ files, concurrency: 2, timeout: FILE_MS_MAX })
    .on("test:fail", () => {
      process.exitCode = 1;
    })
    .compose(new spec())
    .pipe(process.stdout);
}
