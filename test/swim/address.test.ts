import assert from "node:assert/strict";
import { test } from "node:test";
import { parseJoinAddress } from "../../src/swim/address.ts";
import { formatJoinErrors, joinError } from "../../src/swim/join-errors.ts";
import { PROFILES, profileByName } from "../../src/swim/profiles.ts";

const accepted: readonly [text: string, name: string, host: string, port: number][] = [
  ["10.0.0.1", "", "10.0.0.1", 7946],
  ["10.0.0.1:80", "", "10.0.0.1", 80],
  ["web-1/10.0.0.1", "web-1", "10.0.0.1", 7946],
  ["web-1/[fd00::2]:80", "web-1", "fd00::2", 80],
  ["fd00::2", "", "fd00::2", 7946],
  ["[fd00::2]", "", "fd00::2", 7946],
  ["web.example:0", "", "web.example", 0],
  [":80", "", "", 80],
  ["a/b/c", "a", "b/c", 7946],
];

for (const [text, name, host, port] of accepted) {
  test(`join address ${text}`, () => assert.deepEqual(parseJoinAddress(text, 7946), { ok: true, value: { name, host, port } }));
}

const refused: readonly [text: string, error: string][] = [
  ["/10.0.0.1", "empty node name provided"],
  ["host:http", 'strconv.ParseUint: parsing "http": invalid syntax'],
  ["host:70000", 'strconv.ParseUint: parsing "70000": value out of range'],
  ["host:", 'strconv.ParseUint: parsing "": invalid syntax'],
  ["[::1]x:80", "address [::1]x:80: missing port in address"],
  ["[::1:80", "address [::1:80: missing ']' in address"],
];

for (const [text, error] of refused) {
  test(`join address ${text} is refused`, () => assert.deepEqual(parseJoinAddress(text, 7946), { ok: false, error }));
}

test("errors of a join as one text", () => {
  const refusal = joinError("10.0.0.2", "dial tcp 10.0.0.2:7946: connect: connection refused");
  assert.equal(formatJoinErrors([refusal]), "1 error occurred:\n\t* Failed to join 10.0.0.2: dial tcp 10.0.0.2:7946: connect: connection refused\n\n");
  assert.equal(formatJoinErrors([refusal, "Failed to resolve x: no such host"]), `2 errors occurred:\n\t* ${refusal}\n\t* Failed to resolve x: no such host\n\n`);
});

test("S-037: three profiles; another name is an error that lists them", () => {
  assert.deepEqual(profileByName("wan"), { ok: true, value: PROFILES.wan });
  assert.deepEqual(profileByName("lanx"), { ok: false, error: 'unknown profile "lanx": use lan, wan or local' });
  assert.deepEqual(profileByName("toString").ok, false);
});
