/** The tags file: a JSON object of strings that keeps tags changed at run time (serf-protocol §10.1). */
import { readFile, stat } from "node:fs/promises";
import { fail, ok, type Result } from "../base/result.ts";
import { nodeFileSystem, replaceFile, type FileSystem } from "./durable-file.ts";
import { errorCode, fileErrorText } from "./go-errors.ts";
import { goJsonError } from "../wire/go-json.ts";
import { jsonKind } from "./keyring-file.ts";

/** The tags in the file; null when there is no file yet; or why it cannot be used, as the original says it. */
export async function loadTagsFile(path: string): Promise<Result<ReadonlyMap<string, string> | null>> {
  let text: string;
  try {
    await stat(path);
    text = await readFile(path, "utf8");
  } catch (error) {
    return errorCode(error) === "ENOENT" ? ok(null) : fail(`Failed to read tags file: ${fileErrorText(errorCode(error) === "EISDIR" ? "read" : "open", path, error)}`);
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return fail(`Failed to decode tags file: ${goJsonError(text)}`);
  }
  if (value === null) return ok(new Map());
  if (typeof value !== "object" || Array.isArray(value)) {
    return fail(`Failed to decode tags file: json: cannot unmarshal ${jsonKind(value)} into Go value of type map[string]string`);
  }
  const tags = new Map<string, string>();
  for (const [key, tag] of Object.entries(value)) {
    if (typeof tag === "string") tags.set(key, tag);
    else if (tag === null) tags.set(key, "");
    else return fail(`Failed to decode tags file: json: cannot unmarshal ${jsonKind(tag)} into Go value of type string`);
  }
  return ok(tags);
}

/** Replaces the file; readable by the owner only. */
export async function saveTagsFile(path: string, tags: ReadonlyMap<string, string>, fs: FileSystem = nodeFileSystem): Promise<void> {
  const sorted = [...tags].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  await replaceFile(path, JSON.stringify(Object.fromEntries(sorted), null, 2), fs);
}
