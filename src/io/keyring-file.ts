/** The keyring file: a JSON array of base64 keys, primary first (serf-protocol §8.10), read and written as the original does. */
import { readFile, stat } from "node:fs/promises";
import { fail, ok, type Result } from "../base/result.ts";
import { nodeFileSystem, replaceFile, type FileSystem } from "./durable-file.ts";
import { errorCode, fileErrorText } from "./go-errors.ts";
import { decodeBase64 } from "../wire/go-base64.ts";
import { goJsonError } from "../wire/go-json.ts";
import { newKeyring, type KeyList } from "./keyring.ts";

/** The ring in the file, or why it cannot be used, as the original says it. The file must exist and hold at least one key. */
export async function loadKeyringFile(path: string): Promise<Result<KeyList>> {
  try {
    await stat(path);
  } catch (error) {
    return fail(fileErrorText("stat", path, error));
  }
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    return fail(`Failed to read keyring file: ${fileErrorText(errorCode(error) === "EISDIR" ? "read" : "open", path, error)}`);
  }
  const list = parseKeyList(text);
  if (!list.ok) return list;
  if (list.value.length === 0) return fail("Keyring file contains no keys");
  const ring = newKeyring(list.value, list.value[0] ?? null);
  return ring.ok ? ring : fail(`Failed to restore keyring: ${ring.error}`);
}

function parseKeyList(text: string): Result<Uint8Array[]> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return fail(`Failed to decode keyring file: ${goJsonError(text)}`);
  }
  if (value === null) return ok([]);
  if (!Array.isArray(value)) return fail(`Failed to decode keyring file: json: cannot unmarshal ${jsonKind(value)} into Go value of type []string`);
  const keys: Uint8Array[] = [];
  for (const item of value as unknown[]) {
    if (typeof item !== "string") return fail(`Failed to decode keyring file: json: cannot unmarshal ${jsonKind(item)} into Go value of type string`);
    const key = decodeBase64(item);
    if (!key.ok) return fail(`Failed to decode key from keyring: ${key.error}`);
    keys.push(key.value);
  }
  return ok(keys);
}

/** Go's word for the kind of a JSON value. */
export function jsonKind(value: unknown): string {
  if (Array.isArray(value)) return "array";
  if (typeof value === "boolean") return "bool";
  return value === null ? "null" : typeof value;
}

/** Replaces the file: two-space indent, no newline at the end, readable by the owner only. */
export async function saveKeyringFile(path: string, ring: KeyList, fs: FileSystem = nodeFileSystem): Promise<void> {
  const keys = ring.map((key) => Buffer.from(key).toString("base64"));
  await replaceFile(path, JSON.stringify(keys, null, 2), fs);
}
