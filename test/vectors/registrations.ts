/** consul-registrations: services and checks as a real agent kept them, decoded and encoded to the same text, or refused for what is not offered. */
import { strict as assert } from "node:assert";
import { createHash } from "node:crypto";
import { checkFile, checkOfFile, serviceFile, serviceOfFile } from "../../src/api/http/kept-registrations.ts";
import { encodeUtf8 } from "../../src/base/utf8.ts";
import { attempt, fieldsOf } from "./compare.ts";
import type { Report } from "./registry.ts";
import { unwrap } from "./values.ts";

interface KeptFile {
  readonly id: string;
  /** Its name. */
  readonly file: string;
  readonly text: string;
  /** Part of the reason why an agent of ours leaves it out. */
  readonly refused?: string;
}

interface Recording {
  readonly services: readonly KeptFile[];
  readonly checks: readonly KeptFile[];
}

/** Whose files they are. */
const NODE = "n1";

type Fields = Readonly<Record<string, unknown>>;

export function checkRegistrations(data: unknown, report: Report): void {
  const { services = [], checks = [] } = fieldsOf<Recording>(data, ["services", "checks"], report);
  for (const kept of services) {
    attempt(`service ${kept.id}`, report, () => {
      checkName(kept);
      const decoded = serviceOfFile(encodeUtf8(kept.text));
      if (!isRefused(kept, decoded)) assert.equal(serviceFile(unwrap(decoded)), kept.text);
    });
  }
  for (const kept of checks) {
    attempt(`check ${kept.id}`, report, () => {
      checkName(kept);
      const decoded = checkOfFile(encodeUtf8(kept.text), NODE);
      if (!isRefused(kept, decoded)) assert.equal(checkFile(unwrap(decoded)), asWeSay(kept));
    });
  }
}

function checkName({ id, file }: KeptFile): void {
  assert.equal(createHash("md5").update(id).digest("hex"), file);
}

function isRefused({ refused }: KeptFile, decoded: { readonly ok: boolean; readonly error?: string }): boolean {
  if (refused === undefined) return false;
  assert.equal(decoded.ok, false);
  assert.ok(decoded.error?.includes(refused), decoded.error);
  return true;
}

/** The text with the defaults that the original fills in only when it uses them. A check that is taken up is critical. */
function asWeSay({ text }: KeptFile): string {
  const kept = JSON.parse(text) as { readonly Check: Fields; readonly ChkType: Fields | null };
  const type = kept.ChkType;
  const looked = ["http", "tcp"].includes(String(kept.Check["Type"])) ? { Method: type?.["Method"] || "GET", Timeout: type?.["Timeout"] || 1e10 } : {};
  const said = type === null ? null : { ...type, CheckID: kept.Check["CheckID"], Name: kept.Check["Name"], Status: "", ...looked, OutputMaxSize: type["OutputMaxSize"] || 4096 };
  return JSON.stringify({ ...kept, Check: { ...kept.Check, Status: "critical" }, ChkType: said });
}
