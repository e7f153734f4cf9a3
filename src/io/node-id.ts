/** The id of a Consul node: a UUID, given, or drawn once and kept in the data directory (mode 0600, no line end). */
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { randomUuid } from "../node/server/uuid.ts";
import { fail, ok, type Result } from "../base/result.ts";
import { replaceFile } from "./durable-file.ts";
import { SystemRandom } from "./entropy.ts";
import { errorCode, fileErrorText } from "./go-errors.ts";

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** `asked` "" takes the one on disk, or draws one; `dataDir` "" keeps it nowhere. */
export async function nodeIdOf(asked: string, dataDir: string): Promise<Result<string>> {
  const wanted = asked.toLowerCase();
  const invalid = wanted === "" ? null : uuidError(wanted);
  if (invalid !== null) return fail(`failed to setup node ID: specified NodeID is invalid: ${invalid}`);
  if (dataDir === "") return ok(wanted === "" ? randomUuid(new SystemRandom()) : wanted);
  const path = join(dataDir, "node-id");
  try {
    mkdirSync(dataDir, { recursive: true });
    const kept = wanted === "" ? readKept(path) : null;
    if (kept !== null) {
      const error = uuidError(kept);
      return error === null ? ok(kept) : fail(`failed to setup node ID: ${path}: ${error}; remove the file to draw a new id`);
    }
    const id = wanted === "" ? randomUuid(new SystemRandom()) : wanted;
    await replaceFile(path, id);
    return ok(id);
  } catch (error) {
    return fail(`failed to setup node ID: ${fileErrorText("open", path, error)}`);
  }
}

/** Null: there is none. */
function readKept(path: string): string | null {
  try {
    return readFileSync(path, "utf8").trim().toLowerCase();
  } catch (error) {
    if (errorCode(error) === "ENOENT") return null;
    throw error;
  }
}

function uuidError(id: string): string | null {
  if (id.length !== 36) return "uuid string is wrong length";
  return UUID.test(id) ? null : "uuid is improperly formatted";
}
