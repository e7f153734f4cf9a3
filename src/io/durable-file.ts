/** Whole-file replacement that survives a crash at any moment: either the old content is there or the new one (DESIGN.md §5). */
import { open, rename, unlink, type FileHandle } from "node:fs/promises";
import { dirname } from "node:path";
import { errorCode } from "./go-errors.ts";

/** The few calls that touch the disk; tests inject failures through them. */
export interface FileSystem {
  open(path: string, flags: string, mode: number): Promise<FileHandle>;
  rename(from: string, to: string): Promise<void>;
  unlink(path: string): Promise<void>;
}

export const nodeFileSystem: FileSystem = { open, rename, unlink };

/** Keys and tags are nobody else's business. */
const OWNER_ONLY = 0o600;

/**
 * Replaces `path` by `content`: temporary file beside it, fsync, rename, fsync of the directory. Rejects with the system's error and
 * leaves the old file untouched when anything before the rename fails.
 */
export async function replaceFile(path: string, content: string | Uint8Array, fs: FileSystem = nodeFileSystem, suffix = ".tmp"): Promise<void> {
  const temporary = path + suffix;
  try {
    const file = await fs.open(temporary, "w", OWNER_ONLY);
    try {
      await file.writeFile(content);
      await file.sync();
    } finally {
      await file.close();
    }
    await fs.rename(temporary, path);
  } catch (error) {
    await fs.unlink(temporary).catch(() => undefined); // Nothing of ours may be left; a missing one is fine.
    throw error;
  }
  await syncDirectory(dirname(path), fs);
}

/** Removes `path`, durably; a missing one is fine. */
export async function removeFile(path: string, fs: FileSystem = nodeFileSystem): Promise<void> {
  try {
    await fs.unlink(path);
  } catch (error) {
    if (errorCode(error) === "ENOENT") return;
    throw error;
  }
  await syncDirectory(dirname(path), fs);
}

/** Makes a rename or a removal durable. Some file systems refuse to sync a directory: the change itself has succeeded, so that is no failure. */
async function syncDirectory(path: string, fs: FileSystem): Promise<void> {
  const directory = await fs.open(path, "r", 0).catch(() => null);
  if (directory === null) return;
  await directory.sync().catch(() => undefined);
  await directory.close();
}
