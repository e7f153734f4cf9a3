/** Where the original keeps a file each for services, checks and what these were told, below its data directory (reference: consul-agent §5.2). */
import { createHash } from "node:crypto";
import { encodeUtf8 } from "../base/utf8.ts";

/** Mode of the directories. */
export const KEPT_DIRECTORY_MODE = 0o700;

/** Ids may hold any letter, file names may not. */
export function keptFileName(id: string): string {
  return createHash("md5").update(encodeUtf8(id)).digest("hex");
}
