/** `npm run vectors -- DIR [word…]`: checks every recording in DIR, or those whose file name contains a word; the last line is `N passed, N failed`. */
import { statSync } from "node:fs";
import { checkers } from "./registry.ts";
import { checkVectorFile, listVectorFiles } from "./run.ts";

process.exitCode = await main(process.argv.slice(2));
// A failed checker may have left a socket or a child behind; the verdict must not wait for it.
process.stdout.write("", () => process.exit());

async function main(args: readonly string[]): Promise<number> {
  const [dir, ...words] = args;
  if (dir === undefined || dir.startsWith("-") || statSync(dir, { throwIfNoEntry: false })?.isDirectory() !== true) {
    process.stderr.write(`${dir === undefined ? "no directory given" : `not a directory: ${dir}`}\nusage: npm run vectors -- DIR [word…]   for example: npm run vectors -- test/vectors/data lzw\n`);
    return 1;
  }
  let passed = 0;
  let failed = 0;
  const files = listVectorFiles(dir, words);
  if (files.length === 0) {
    process.stderr.write(`no *.json in ${dir}${words.length > 0 ? ` named like ${words.join(" or ")}` : ""}\n`);
    failed = 1;
  }
  for (const path of files) {
    const outcome = await checkVectorFile(path, checkers);
    passed += outcome.passed;
    failed += outcome.failures.length;
    for (const { file, caseName, error } of outcome.failures) process.stdout.write(`FAILED ${file}: ${caseName}: ${error}\n`);
  }
  process.stdout.write(`${passed} passed, ${failed} failed\n`);
  return failed === 0 ? 0 : 1;
}
