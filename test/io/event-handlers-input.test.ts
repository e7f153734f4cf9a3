import assert from "node:assert/strict";
import { test } from "node:test";
import { handlerEnvironment, handlerStdin, tagVariable } from "../../src/io/event-handlers-input.ts";
import type { Member, SerfEvent } from "../../src/serf/types.ts";

function member(name: string, tags: readonly (readonly [string, string])[]): Member {
  const versions = { protocolMin: 1, protocolMax: 5, protocolCur: 2, delegateMin: 2, delegateMax: 5, delegateCur: 5 };
  return { name, addr: new Uint8Array([10, 0, 0, 1]), ip: "10.0.0.1", port: 1, tags: new Map(tags), status: "alive", ...versions };
}
const user = (payload: string | null): SerfEvent => ({ kind: "user", lamportTime: 7, name: "deploy", payload: payload === null ? null : Buffer.from(payload, "latin1"), coalesce: true });
const stdin = (event: SerfEvent): string => Buffer.from(handlerStdin(event)).toString("latin1");

test("tag names become variable names letter by letter", () => {
  for (const [tag, name] of [["dc", "DC"], ["my-tag.x", "MY_TAG_X"], ["9z_", "9Z_"], ["ключ", "____"], ["straße", "STRA_E"], ["a\u{1f600}b", "A_B"], ["\udcff", "_"]] as const) {
    assert.equal(tagVariable(tag), name);
  }
});

test("an environment holds what the event and we are; nothing after a NUL", () => {
  const self = member("odd name", [["role", "a\tb"], ["x", "1\0 2"]]);
  assert.deepEqual(Object.fromEntries(handlerEnvironment(user("p"), self)), {
    SERF_EVENT: "user", SERF_SELF_NAME: "odd name", SERF_SELF_ROLE: "a\tb", SERF_TAG_ROLE: "a\tb", SERF_TAG_X: "1", SERF_USER_EVENT: "deploy", SERF_USER_LTIME: "7",
  });
  const query: SerfEvent = { kind: "query", token: 1, lamportTime: 9, name: "load", payload: null, sourceNode: "", deadlineMs: 0 };
  assert.deepEqual(Object.fromEntries(handlerEnvironment(query, member("n", []))), {
    SERF_EVENT: "query", SERF_SELF_NAME: "n", SERF_SELF_ROLE: "", SERF_QUERY_NAME: "load", SERF_QUERY_LTIME: "9",
  });
  assert.equal(handlerEnvironment({ kind: "members", type: "member-reap", members: [] }, self).get("SERF_EVENT"), "member-reap");
});

test("a payload gets a newline unless it has one or is empty", () => {
  for (const [payload, input] of [[null, ""], ["", ""], ["x", "x\n"], ["x\n", "x\n"], ["\n", "\n"], ["\x00\xff", "\x00\xff\n"]] as const) assert.equal(stdin(user(payload)), input);
});

test("each member is a line; what would break it is escaped; bytes that are no text stay as they came", () => {
  const members = [member("a\tb\nc", [["role", "x\ty"], ["k", "v,w"]]), member("\udcff", [])];
  assert.equal(stdin({ kind: "members", type: "member-join", members }), "a\\tb\\nc\t10.0.0.1\tx\\ty\trole=x\\ty,k=v,w\n\xff\t10.0.0.1\t\t\n");
});
