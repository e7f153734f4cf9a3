import assert from "node:assert/strict";
import { test } from "node:test";
import { fail, ok } from "../../src/base/result.ts";
import { advertisedEndpoint, optionsError } from "../../src/io/serf-agent-config.ts";
import { testOptions } from "./support/agents.ts";

test("the advertised address: as asked, else as bound, else the first private one when bound to all", () => {
  const found = (): ReturnType<typeof ok<string>> => ok("10.0.0.9");
  const bound = { ip: "0.0.0.0", port: 7946 };
  const nothing = { ip: "", port: 0 };
  assert.deepEqual(advertisedEndpoint({ ip: "1.2.3.4", port: 5 }, bound, found), ok({ ip: "1.2.3.4", port: 5 }));
  assert.deepEqual(advertisedEndpoint({ ip: "1.2.3.4", port: 0 }, bound, found), ok({ ip: "1.2.3.4", port: 7946 }));
  assert.deepEqual(advertisedEndpoint(nothing, { ip: "127.0.0.1", port: 8 }, found), ok({ ip: "127.0.0.1", port: 8 }));
  assert.deepEqual(advertisedEndpoint(nothing, bound, found), ok({ ip: "10.0.0.9", port: 7946 }));
  assert.deepEqual(advertisedEndpoint(bound, bound, () => fail("none")), fail("none"));
});

test("options outside their limits are refused before anything is opened", () => {
  const refusal = (more: Parameters<typeof testOptions>[2]): string | null => optionsError(testOptions("x", "127.0.0.1", more));
  assert.equal(refusal({}), null);
  assert.equal(refusal({ userEventSizeMax: 9216 }), null);
  assert.equal(refusal({ userEventSizeMax: 9217 }), "user event size limit exceeds limit of 9216 bytes");
  assert.equal(refusal({ keys: [new Uint8Array(16), new Uint8Array(5)] }), "Failed to create memberlist: key size must be 16, 24 or 32 bytes");
  assert.match(refusal({ label: "x".repeat(256) }) ?? "", /^Failed to create memberlist: label .* is too long$/);
  assert.equal(refusal({ allowedCidrs: ["10.0.0.0/40"] }), "Failed to create memberlist: invalid CIDR address: 10.0.0.0/40");
  assert.equal(refusal({ allowedCidrs: [] }), null);
});
