/** Services and checks as muster itself kept them until November 2026, before it took to the original's files. They are read, and written anew when their service or check changes. */
import type { LocalCheck } from "../api/http/local-agent.ts";
import { fail, ok, type Result } from "../base/result.ts";
import { decodeUtf8 } from "../base/utf8.ts";
import type { NodeService } from "../wire/fsm-commands.ts";

/** The end of their files' names. */
export const EARLIER_SUFFIX = ".json";
const MAP = "$map";

export function earlierService(bytes: Uint8Array): Result<NodeService> {
  const found = parsed(bytes);
  if (!found.ok) return found;
  return isService(found.value) ? ok({ ...found.value, proxy: undefined, connect: undefined }) : fail("no service");
}

export function earlierCheck(bytes: Uint8Array): Result<LocalCheck> {
  const found = parsed(bytes);
  if (!found.ok) return found;
  if (!isCheck(found.value)) return fail("no check");
  const { check, plan } = found.value;
  return ok({ plan, check: { ...check, status: "critical", output: "", definition: undefined } });
}

function parsed(bytes: Uint8Array): Result<unknown> {
  try {
    return ok(JSON.parse(decodeUtf8(bytes), revive) as unknown);
  } catch (error) {
    return fail(error instanceof Error ? error.message : String(error));
  }
}

function revive(_name: string, value: unknown): unknown {
  const pairs = typeof value === "object" && value !== null && MAP in value ? value[MAP] : null;
  return Array.isArray(pairs) ? new Map(pairs as [unknown, unknown][]) : value;
}

function isService(value: unknown): value is NodeService {
  return typeof value === "object" && value !== null && "id" in value && "service" in value && typeof value.id === "string" && typeof value.service === "string";
}

function isCheck(value: unknown): value is LocalCheck {
  if (typeof value !== "object" || value === null || !("check" in value && "plan" in value)) return false;
  const { check, plan } = value;
  return typeof check === "object" && check !== null && "checkId" in check && typeof check.checkId === "string" && typeof plan === "object" && plan !== null;
}
