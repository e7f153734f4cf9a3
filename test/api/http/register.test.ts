/** What of a service's registration asks for Connect, which is not offered. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { decodeBody, type DecodedStruct } from "../../../src/api/http/go-decode.ts";
import { SERVICE, usesConnect } from "../../../src/api/http/register.ts";
import { encodeUtf8 } from "../../../src/base/utf8.ts";

const CASES: readonly (readonly [json: string, asks: boolean])[] = [
  ['{"Service":"a"}', false],
  ['{"Service":"a","Proxy":null,"Connect":null}', false],
  ['{"Service":"a","Proxy":{},"Connect":{}}', false],
  // As the original shows a service that has none: clients send back what they read.
  ['{"Service":"a","Proxy":{"MeshGateway":{},"Expose":{}},"Connect":{}}', false],
  ['{"Service":"a","Proxy":{"DestinationServiceName":"","Upstreams":[],"Expose":{"Checks":false,"Paths":null}},"Connect":{"Native":false,"SidecarService":null}}', false],
  ['{"Service":"a","Proxy":{"MeshGateway":{"Mode":"local"}}}', true],
  ['{"Service":"a","Proxy":{"Upstreams":[{}]}}', true],
  ['{"Service":"a","Connect":{"Native":true}}', true],
  ['{"Service":"a","Connect":{"SidecarService":{}}}', true],
];

test("empty settings of Connect say nothing; an empty sidecar asks for one", () => {
  for (const [json, asks] of CASES) {
    const decoded = decodeBody(encodeUtf8(json), SERVICE);
    assert.ok(decoded.ok, json);
    assert.equal(usesConnect(decoded.value as DecodedStruct), asks, json);
  }
});
