import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runCommand } from "./child.ts";
import type { Cleanup } from "./temp-dir.ts";

const FILL_MS = 60_000;

/** A small file system of its own, or null when this machine does not let us make one. */
export function smallDisk(t: Cleanup, mebibytes: number): string | null {
  const dir = mkdtempSync(join(tmpdir(), "muster-disk-"));
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", `size=${mebibytes}m`, "tmpfs", dir], { stdio: "ignore" });
  } catch {
    rmdirSync(dir);
    return null;
  }
  t.after(() => {
    execFileSync("umount", ["-l", dir]);
    rmdirSync(dir);
  });
  return dir;
}

/** Another process takes all room that is left, into a file at `path`. */
export async function fillDisk(path: string): Promise<void> {
  const program = "const fs=require('fs');const fd=fs.openSync(process.argv[1],'w');const b=Buffer.alloc(4096,1);try{for(;;)fs.writeSync(fd,b)}catch(e){console.log(e.code)}";
  const { output } = await runCommand([process.execPath, "-e", program, path], FILL_MS);
  assert.equal(output.trim(), "ENOSPC");
}

/** The program strace may trace a process here. */
export function canTrace(): boolean {
  try {
    execFileSync("strace", ["-f", "-o", "/dev/null", "true"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}
