/** From request to plan, without a socket: routing, methods, redirects, options of reads, and bodies as Go decodes them. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { AskedBefore } from "../../../src/api/http/cached.ts";
import { planRequest } from "../../../src/api/http/front.ts";
import { decodeBody, GO_ANY, GO_BOOL, GO_BYTES, GO_INT, GO_STRING, GO_UINT64, goList, goMap, goStruct, type GoType } from "../../../src/api/http/go-decode.ts";
import { cleanPath, isPrintable } from "../../../src/api/http/path.ts";
import { parseQuery, unescape } from "../../../src/api/http/query.ts";
import { readOptions } from "../../../src/api/http/read-options.ts";
import { findRoute, ROUTES } from "../../../src/api/http/routes.ts";
import type { HttpAnswer, HttpContext, HttpPlan, HttpRequest } from "../../../src/api/http/types.ts";
import { encodeUtf8 } from "../../../src/base/utf8.ts";

const CONTEXT: HttpContext = { datacenter: "dc1", nodeName: "n", pretty: false, ui: false, commandLine: null, kvMaxValueBytes: 10, txnMaxBytes: 100, toBase64: () => "", askedBefore: new AskedBefore() };

function request(method: string, target: string, headers: HttpRequest["headers"] = {}): HttpRequest {
  const mark = target.indexOf("?");
  return { method, rawPath: mark < 0 ? target : target.slice(0, mark), rawQuery: mark < 0 ? "" : target.slice(mark + 1), headers, body: new Uint8Array() };
}

function plan(method: string, target: string): HttpPlan {
  return planRequest(request(method, target), CONTEXT);
}

function answer(method: string, target: string): HttpAnswer {
  const made = plan(method, target);
  assert.ok(made.kind === "answer", `${method} ${target}`);
  return made.answer;
}

function headerOf(given: HttpAnswer, name: string): string | undefined {
  return given.headers.find(([key]) => key === name)?.[1];
}

test("every route answers OPTIONS with its methods and refuses the others with them", () => {
  for (const { path, methods } of ROUTES) {
    const target = path.endsWith("/") ? `${path}x` : path;
    if (findRoute(target)?.path !== path) continue;
    const allow = ["OPTIONS", ...methods].join(",");
    const options = answer("OPTIONS", target);
    assert.deepEqual([options.status, headerOf(options, "Allow"), options.body], [200, allow, ""], target);
    const refused = answer("PATCH", target);
    assert.deepEqual([refused.status, headerOf(refused, "Allow"), refused.body], [405, allow, "method PATCH not allowed"], target);
  }
});

test("paths that are not there, not clean, not printable or not decodable", () => {
  assert.deepEqual([answer("GET", "/v1/nothing").status, answer("GET", "/v2/kv/a").status, answer("GET", "/").status], [404, 404, 200]);
  for (const [target, location] of [["//v1/kv/a", "/v1/kv/a"], ["/v1/./kv/../kv/a/", "/v1/kv/a/"], ["/v1/kv", "/v1/kv/"], ["/v1/kv//a?x=%20&y", "/v1/kv/a?x=%20&y"], ["/..", "/"]] as const) {
    const moved = answer("GET", target);
    assert.deepEqual([moved.status, headerOf(moved, "Location")], [301, location], target);
    assert.equal(moved.body, `<a href="${location.replaceAll("&", "&amp;")}">Moved Permanently</a>.\n\n`);
    assert.equal(answer("PUT", target).body, "");
  }
  assert.equal(answer("GET", "/v1/kv/a%01").status, 400);
  assert.equal(answer("GET", "/v1/kv/a%E2%80%8B").status, 400);
  const malformed = answer("GET", "/v1/kv/%g0");
  assert.deepEqual([malformed.status, malformed.unframed], [400, true]);
  assert.equal(answer("GET", "/v1/kv/a?x=%g0").status, 500);
});

test("without debugging and a page nothing is there for browsers", () => {
  for (const target of ["/ui", "/ui/", "/ui/x", "/robots.txt"]) assert.deepEqual([answer("GET", target).status, answer("GET", target).body], [404, ""], target);
  const refused = answer("GET", "/debug/pprof/cmdline");
  assert.deepEqual([refused.status, refused.body], [401, "ACL support disabled"]);
});

test("a key is what stands behind the route, decoded", () => {
  for (const [target, key] of [["/v1/kv/a%2Fb+c", "a/b+c"], ["/v1/kv/%C3%A9", "é"], ["/v1/kv/a/b/", "a/b/"], ["/v1/kv/a%20b", "a b"]] as const) {
    const made = plan("GET", target);
    assert.ok(made.kind === "rpc" && "key" in made.args);
    assert.equal(made.args.key, key);
  }
});

test("paths are cleaned as path.Clean does", () => {
  for (const [path, clean] of [["", "/"], ["/", "/"], ["/a/", "/a/"], ["/a/..", "/"], ["/../a", "/a"], ["/a/b/../c/.", "/a/c"], ["a", "/a"], ["/.a/..b", "/.a/..b"]] as const) {
    assert.equal(cleanPath(path), clean);
  }
  for (const [path, printable] of [["/é 世", true], ["/a\u00a0b", false], ["/\u200b", false], ["/\u007f", false], ["/😀", true]] as const) assert.equal(isPrintable(path), printable);
});

test("queries as url.ParseQuery reads them", () => {
  const query = parseQuery("a=1&a=2&b&=x&c=%26+%C3%A9;d=4&e=f=g");
  assert.ok(query !== null);
  assert.deepEqual([query.all("a"), query.get("b"), query.has("b"), query.get("c"), query.get("d"), query.get("e"), query.has("z")], [["1", "2"], "", true, "& é", "4", "f=g", false]);
  assert.equal(query.encode(), "=x&a=1&a=2&b=&c=%26+%C3%A9&d=4&e=f%3Dg");
  for (const wrong of ["a=%", "a=%4", "%zz"]) assert.equal(parseQuery(wrong), null);
  assert.deepEqual([unescape("a+b", false), unescape("a+b", true)], ["a+b", "a b"]);
});

test("JSON nested deeper than any body needs is refused, however deep", () => {
  for (const [depth, fine] of [[1000, true], [1001, false], [200_000, false]] as const) {
    for (const [open, close] of [["[", "]"], ['{"a":', "}"]] as const) {
      const read = decodeBody(encodeUtf8(open.repeat(depth) + "1" + close.repeat(depth)), GO_ANY);
      assert.equal(read.ok, fine, `${depth} ${open}`);
      if (!read.ok) assert.equal(read.error, "exceeded max depth");
    }
  }
});

test("options of a read, and the first mistake in the original's words", () => {
  const options = (raw: string, headers: HttpRequest["headers"] = {}): unknown => {
    const query = parseQuery(raw);
    assert.ok(query !== null);
    const read = readOptions(request("GET", `/x?${raw}`, headers), query);
    return read.ok ? read.options : read.error;
  };
  const none = { minQueryIndex: 0, maxQueryTimeMs: 0, allowStale: false, requireConsistent: false, maxStaleMs: 0, filter: "" };
  for (const [raw, changes] of [
    ["", {}], ["index=7&wait=1m30s", { minQueryIndex: 7, maxQueryTimeMs: 90_000 }], ["stale", { allowStale: true }], ["consistent=", { requireConsistent: true }],
    ["max_stale=5s", { allowStale: true, maxStaleMs: 5000 }], ["filter=a%3D%3Db", { filter: "a==b" }], ["wait=-1s", { maxQueryTimeMs: -1000 }],
  ] as const) assert.deepEqual(options(raw), { ...none, ...changes }, raw);
  for (const [raw, error] of [
    ["index=-1", "Invalid index"], ["index=x", "Invalid index"], ["index=18446744073709551616", "Invalid index"], ["wait=5", "Invalid wait time"], ["wait=soon&index=x", "Invalid wait time"],
    ["stale&consistent", "Cannot specify ?stale with ?consistent, conflicting semantics."], ["cached&consistent", "Cannot specify ?cached with ?consistent, conflicting semantics."],
    ["max_stale=x", 'Invalid max_stale value "x"'],
  ] as const) assert.equal(options(raw), error, raw);
  assert.equal(options("", { "cache-control": "max-age=x" }), "Invalid Cache-Control header.");
  assert.deepEqual(options("", { "cache-control": "no-cache, max-age=5" }), none);
});

const PART = goStruct("api.Part", { N: GO_INT, Texts: goList(GO_STRING) }, false);
const WHOLE = goStruct("api.Whole", { Name: GO_STRING, On: GO_BOOL, Count: GO_UINT64, Raw: GO_BYTES, Meta: goMap(GO_STRING), Part: PART }, true);

test("bodies are decoded, and refused, as encoding/json does it", () => {
  const decoded = (text: string, type: GoType = WHOLE): unknown => {
    const result = decodeBody(encodeUtf8(text), type);
    return result.ok ? result.value : result.error;
  };
  assert.deepEqual({ ...(decoded('{"NAME":"a","on":true,"Count":18446744073709551615,"Raw":"YQ==","Meta":{"k":null}}') as object) }, {
    Name: "a", On: true, Count: 18_446_744_073_709_551_615n, Raw: Uint8Array.of(0x61), Meta: Object.assign(Object.create(null) as object, { k: "" }),
  });
  assert.equal(decoded("null"), undefined);
  assert.deepEqual({ ...(decoded('{"Name":null}') as object) }, {});
  assert.deepEqual({ ...(decoded('{"N":1,"unknown":2}', PART) as object) }, { N: 1 });
  for (const [text, error] of [
    ['{"Name":1}', "json: cannot unmarshal number into Go struct field Whole.Name of type string"],
    ['{"On":"x"}', "json: cannot unmarshal string into Go struct field Whole.On of type bool"],
    ['{"Count":-1}', "json: cannot unmarshal number -1 into Go struct field Whole.Count of type uint64"],
    ['{"Count":1.5}', "json: cannot unmarshal number 1.5 into Go struct field Whole.Count of type uint64"],
    ['{"Meta":[]}', "json: cannot unmarshal array into Go struct field Whole.Meta of type map[string]string"],
    ['{"Nope":1}', 'json: unknown field "Nope"'],
    ["[]", "json: cannot unmarshal array into Go value of type api.Whole"],
    ['{"Part":{"N":{}}}', "json: cannot unmarshal object into Go struct field Part.Part.N of type int"],
    ['{"Part":{"Texts":[1]}}', "json: cannot unmarshal number into Go struct field Part.Part.Texts of type string"],
    ['{"Raw":"*"}', "illegal base64 data at input byte 0"],
  ] as const) assert.equal(decoded(text), error, text);
  for (const text of ["", "{", '{"Name":"a"', "nope"]) assert.equal(typeof decoded(text), "string", text);
});
