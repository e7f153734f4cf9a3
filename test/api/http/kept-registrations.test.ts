import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import fc from "fast-check";
import { checkFile, checkOfFile, serviceFile, serviceOfFile } from "../../../src/api/http/kept-registrations.ts";
import { encodeUtf8 } from "../../../src/base/utf8.ts";
import { projectPath } from "../../support/project-root.ts";

interface KeptFile {
  readonly text: string;
}

const recorded = JSON.parse(readFileSync(projectPath("test/vectors/data/consul-registrations.json"), "utf8")) as { readonly services: readonly KeptFile[]; readonly checks: readonly KeptFile[] };

/** What is put in place of a value. */
const VALUES = ["null", "{}", "[]", '"x"', "1", "-1", "1e400", "true", '{"a":null}', "[null]", "18446744073709551616", String.raw`"\ud800"`];
const VALUE = /:("[^"]*"|\d+|true|false|null|\{\}|\[[^\]]*\])/g;

/** One of the files with one value replaced, cut off, or with another letter somewhere. */
function mutated(files: readonly KeptFile[]): fc.Arbitrary<string> {
  return fc.tuple(fc.constantFrom(...files.map(({ text }) => text)), fc.nat(), fc.constantFrom(...VALUES), fc.constantFrom("value", "cut", "letter")).map(([text, at, value, how]) => {
    if (how === "cut") return text.slice(0, at % text.length);
    if (how === "letter") return text.slice(0, at % text.length) + value[0] + text.slice((at % text.length) + 1);
    const found = [...text.matchAll(VALUE)];
    const { index, 0: old } = found[at % found.length] as RegExpExecArray;
    return `${text.slice(0, index)}:${value}${text.slice(index + old.length)}`;
  });
}

test("whatever stands in a file, it is a service that can be kept again, or there is a reason", () => {
  fc.assert(
    fc.property(mutated(recorded.services), (text) => {
      const service = serviceOfFile(encodeUtf8(text));
      if (!service.ok) return assert.ok(service.error.length > 0);
      assert.deepEqual(serviceOfFile(encodeUtf8(serviceFile(service.value))), service);
    }),
    { numRuns: 3000 },
  );
});

test("whatever stands in a file, it is a check that can be kept again, or there is a reason", () => {
  fc.assert(
    fc.property(mutated(recorded.checks), (text) => {
      const check = checkOfFile(encodeUtf8(text), "n1");
      if (!check.ok) return assert.ok(check.error.length > 0);
      const again = checkOfFile(encodeUtf8(checkFile(check.value)), "n1");
      assert.ok(again.ok, `${text} is kept as ${checkFile(check.value)}`);
      assert.deepEqual([again.value.check, again.value.plan.kind], [check.value.check, check.value.plan.kind]);
    }),
    { numRuns: 3000 },
  );
});

test("fields of later releases are passed over, the node is ours, and what is missing is named", () => {
  const later = '{"Token":"t","Service":{"ID":"a","Service":"b","Locality":{"Region":"x"},"PeerName":""},"Source":"remote","New":1}';
  const service = serviceOfFile(encodeUtf8(later));
  assert.ok(service.ok);
  assert.deepEqual([service.value.id, service.value.service, service.value.tags, service.value.weights], ["a", "b", null, { passing: 1, warning: 1 }]);
  const check = checkOfFile(encodeUtf8('{"Check":{"Node":"elsewhere","CheckID":"c","Status":"passing","Output":"fine","ExposedPort":0},"ChkType":{"TTL":"1m","H2PING":""}}'), "here");
  assert.ok(check.ok);
  assert.deepEqual([check.value.check.node, check.value.check.status, check.value.check.output, check.value.plan.ttlMs], ["here", "critical", "", 60_000]);
  for (const text of ["{}", '{"Service":{"ID":"a"}}', '{"Service":{"Service":"b"}}', "null"]) assert.deepEqual(serviceOfFile(encodeUtf8(text)), { ok: false, error: "no service" });
  for (const text of ["{}", '{"Check":{"Name":"a"}}', "null"]) assert.deepEqual(checkOfFile(encodeUtf8(text), "n"), { ok: false, error: "no check" });
  assert.deepEqual(checkOfFile(encodeUtf8('{"Check":{"CheckID":"c"},"ChkType":{}}'), "n"), { ok: false, error: "TTL must be > 0 for TTL checks" });
});
