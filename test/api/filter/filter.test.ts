/** Filter expressions: what the original answered to the same expressions on a node of its own (1.8.7, catalog/nodes, catalog/service, health/service). */
import assert from "node:assert/strict";
import { test } from "node:test";
import { compileFilter, FILTER_ERROR, type CompileExpression, type StructShape } from "../../../src/api/filter/evaluate.ts";
import { FILTER_LENGTH_MAX, parseFilter } from "../../../src/api/filter/grammar.ts";
import { PEG_DEPTH_MAX } from "../../../src/api/filter/peg.ts";
import { CHECKED_INSTANCE_SHAPE, NODE_SHAPE, SERVICE_NODE_SHAPE } from "../../../src/api/filter/shapes.ts";
import { compileExpression } from "../../../src/io/matcher.ts";
import type { CatalogNode, HealthCheck, NodeService } from "../../../src/wire/fsm-commands.ts";

const NODE: CatalogNode = {
  id: "a9f48406-e629-fa57-64e6-9b6237c8d94a", node: "tango", address: "127.0.44.1", datacenter: "dc1", taggedAddresses: new Map([["lan", "127.0.44.1"]]),
  meta: new Map([["consul-network-segment", ""], ["zone", "a1"]]), createIndex: 1, modifyIndex: 1,
};
const SERVICE: NodeService = {
  kind: "", id: "consul", service: "consul", tags: [], address: "", taggedAddresses: null, meta: new Map([["version", "1.8.7"]]), port: 8300,
  weights: { passing: 1, warning: 1 }, enableTagOverride: false, locallyRegisteredAsSidecar: false, proxy: undefined, connect: undefined, createIndex: 1, modifyIndex: 1,
};
const CHECK: HealthCheck = {
  node: "tango", checkId: "serfHealth", name: "Serf Health Status", status: "passing", notes: "", output: "Agent alive and reachable", serviceId: "", serviceName: "",
  serviceTags: [], type: "", definition: undefined, createIndex: 1, modifyIndex: 1,
};

const compile: CompileExpression = compileExpression;

function outcome(shape: StructShape, row: unknown, filter: string): boolean | string {
  const compiled = compileFilter(filter, shape, compile);
  if (!compiled.ok) {
    assert.ok(compiled.error.startsWith(FILTER_ERROR));
    return compiled.error.slice(FILTER_ERROR.length);
  }
  return compiled.value(row);
}

const VALUE_EXPECTED = '"-", "0", "\\"", "`", [ \\t\\r\\n], [1-9] or [a-zA-Z]';
const START_EXPECTED = '"(", "-", "0", "\\"", "`", "not", [ \\t\\r\\n], [1-9] or [a-zA-Z]';

const ON_NODES: readonly (readonly [string, boolean | string])[] = [
  ["", true],
  [" ", `1:2 (1): no match found, expected: ${START_EXPECTED}`],
  ["Node == tango", true],
  ["Node==tango", true],
  ['Node=="tango"', true],
  ["Node == `tango`", true],
  ["Node != tango", false],
  ["NODE == tango", 'Selector "NODE" is not valid'],
  ["CreateIndex == 1", 'Selector "CreateIndex" is not valid'],
  ["Node.x == 1", 'Selector "Node.x" is not valid'],
  ["Meta.zone.x == 1", 'Selector "Meta.zone.x" is not valid'],
  ["Meta.nope == x", false],
  ["Meta.nope != x", true],
  ["Meta.nope matches x", true],
  ["Meta.nope not matches x", true],
  ['"x" in Meta.nope', false],
  ['"x" not in Meta.nope', true],
  ["Meta.nope is empty", 'Invalid match operator "Is Empty" for selector "Meta.nope"'],
  ["ID is not empty", 'Invalid match operator "Is Not Empty" for selector "ID"'],
  ["TaggedAddresses == x", 'Invalid match operator "Equal" for selector "TaggedAddresses"'],
  ["Meta matches x", 'Invalid match operator "Matches" for selector "Meta"'],
  ["Meta is empty", false],
  ["Meta.zone contains a", true],
  ['"a1" in Meta.zone', true],
  ["tango in Node", true],
  ["1 in Node", false],
  ['"zone" in Meta', true],
  ["zone not in Meta", false],
  ['Meta["zone"] == a1', true],
  ['TaggedAddresses.lan == "127.0.44.1"', true],
  ["Node matches ango", true],
  ['Node not matches "^ango"', true],
  ['Node matches "["', 'Failed to compile regular expression "[": error parsing regexp: missing closing ]: `[`'],
  ["Node == Meta.zone", false],
  ["Node == -1", false],
  ['Node == "a\\nb"', false],
  ['Node == "\\x74\\141\\u006e\\U00000067o"', true],
  ["not Node == tango", false],
  ["not not Node == tango", true],
  ["((((Node == tango))))", true],
  ["(Node == tango) and (Datacenter == dc1)", true],
  ["Node == tango or Node == x and Node == y", true],
  ["(Node == tango or Node == x) and Node == y", false],
  ["bogus ==", `1:9 (8): no match found, expected: ${VALUE_EXPECTED}`],
  ["Node ==", `1:8 (7): no match found, expected: ${VALUE_EXPECTED}`],
  ["Node == é", `1:9 (8): no match found, expected: ${VALUE_EXPECTED}`],
  ["é == x", `1:1 (0): no match found, expected: ${START_EXPECTED}`],
  ["x y", '1:3 (2): no match found, expected: "!=", "==", "contains", "in", "is", "matches", "not" or [ \\t\\r\\n]'],
  ["Meta", '1:5 (4): no match found, expected: "!=", ".", "==", "[", [ \\t\\r\\n] or [a-zA-Z0-9_]'],
  ["(Node == tango) or", "1:19 (18): no match found, expected: [ \\t\\r\\n]"],
  ["Node == tango and", "1:18 (17): no match found, expected: [ \\t\\r\\n]"],
  ["Node == tango xor", '1:15 (14): no match found, expected: "and", "or", [ \\t\\r\\n] or EOF'],
  ["(Node == tango", '1:15 (14): rule "grouping": Unmatched parentheses'],
  ['Node == "tango', '1:15 (14): rule "string": Unterminated string literal'],
  ['Node == "a\\"b"', '1:9 (8): rule "string": invalid syntax'],
  ["Node == 1x", '1:10 (9): rule "number": Invalid number literal'],
  ["Node == 1.5.2", '1:12 (11): rule "number": Invalid number literal'],
  ["Node == 01", '1:10 (9): rule "number": Invalid number literal'],
  ["Node in 5", '1:9 (8): rule "match": Invalid selector'],
  ['"q" in [x', '1:8 (7): rule "match": Invalid selector'],
  ['Meta["zone', '1:11 (10): rule "string": Unterminated string literal\n1:6 (5): rule "index": Invalid index'],
  ["Meta[zone] == x", '1:6 (5): rule "index": Invalid index'],
  ['Meta["zone"', '1:12 (11): rule "index": Unclosed index expression'],
];

test("filters on nodes: what matches, and the original's words for what does not parse", () => {
  for (const [filter, expected] of ON_NODES) assert.equal(outcome(NODE_SHAPE, NODE, filter), expected, filter);
});

test("values are read as the field's type, and structs without content have zero values", () => {
  const row = { node: NODE, service: SERVICE };
  const coerced = (value: string, field: string, why: string): string => `Failed to coerce value "${value}" for selector "${field}": ${why}`;
  for (const [filter, expected] of [
    ["ServicePort == 8300", true],
    ["ServicePort != 8300", false],
    ["ServicePort == abc", coerced("abc", "ServicePort", 'strconv.ParseInt: parsing "abc": invalid syntax')],
    ['ServicePort == "8300.0"', coerced("8300.0", "ServicePort", 'strconv.ParseInt: parsing "8300.0": invalid syntax')],
    ["ServicePort == 99999999999999999999", coerced("99999999999999999999", "ServicePort", 'strconv.ParseInt: parsing "99999999999999999999": value out of range')],
    ["ServiceEnableTagOverride == maybe", coerced("maybe", "ServiceEnableTagOverride", 'strconv.ParseBool: parsing "maybe": invalid syntax')],
    ["ServiceEnableTagOverride == false", true],
    ["ServiceEnableTagOverride != t", true],
    ["ServiceTags is empty", true],
    ['ServiceMeta.version == "1.8.7"', true],
    ["ServiceWeights.Passing == 1", true],
    ['ServiceProxy.MeshGateway.Mode == ""', true],
    ["ServiceProxy.Expose.Checks == false", true],
    ["ServiceConnect.Native == false", true],
    ["ServiceTaggedAddresses is empty", true],
    ["ServiceTaggedAddresses.lan.Address == x", false],
    ["ServiceTaggedAddresses.lan.Address != x", true],
    ["ServiceProxy.Upstreams is empty", true],
    ["ServiceProxy.Upstreams.DestinationName == x", false],
    ["ServiceWeights is empty", 'Invalid match operator "Is Empty" for selector "ServiceWeights"'],
    ["ServiceProxy.Config is empty", 'Selector "ServiceProxy.Config" is not valid'],
    ["ServiceTags == x", 'Invalid match operator "Equal" for selector "ServiceTags"'],
    ["Checks is empty", 'Selector "Checks" is not valid'],
  ] as const) assert.equal(outcome(SERVICE_NODE_SHAPE, row, filter), expected, filter);
});

test("a selector through a list holds when it does for any element", () => {
  const row = { node: NODE, service: SERVICE, checks: [CHECK, { ...CHECK, checkId: "other", status: "warning" }] };
  for (const [filter, expected] of [
    ["Checks is not empty", true],
    ["Checks.Status == passing", true],
    ["Checks.Status != passing", true],
    ["Checks.Status == critical", false],
    ["Checks.Output matches alive", true],
    ["Node.Meta.zone == a1 and Service.Port == 8300", true],
    ["Checks == x", 'Invalid match operator "Equal" for selector "Checks"'],
    ["Checks.Definition.TCP == x", 'Selector "Checks.Definition" is not valid'],
    ["Node is empty", 'Invalid match operator "Is Empty" for selector "Node"'],
  ] as const) assert.equal(outcome(CHECKED_INSTANCE_SHAPE, row, filter), expected, filter);
});

test("brackets, chains and long texts take bounded time and stack", () => {
  assert.ok(parseFilter(`${"(".repeat(40)}a == b${")".repeat(40)}`).ok);
  assert.deepEqual(parseFilter("(".repeat(PEG_DEPTH_MAX)), { ok: false, error: "expression is nested too deeply" });
  assert.deepEqual(parseFilter("not ".repeat(PEG_DEPTH_MAX)), { ok: false, error: "expression is nested too deeply" });
  assert.deepEqual(parseFilter("x".repeat(FILTER_LENGTH_MAX + 1)), { ok: false, error: `expression too long (${FILTER_LENGTH_MAX + 1} > ${FILTER_LENGTH_MAX})` });
});
