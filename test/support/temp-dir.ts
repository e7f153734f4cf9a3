import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** What `tempDir` needs of a test context: node:test's own, or a stand-in of a program. */
export interface Cleanup {
  after(fn: () => void | Promise<void>): void;
}

/** An empty directory that is removed when the test ends. */
export function tempDir(t: Cleanup): string {
  const dir = mkdtempSync(join(tmpdir(), "muster-"));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}
