import assert from "node:assert/strict";
import { test } from "node:test";
import { fromHex, toHex } from "../../src/base/bytes.ts";
import { decodeConfiguration, encodeConfiguration } from "../../src/wire/raft-configuration.ts";
import type { RaftConfiguration } from "../../src/wire/raft-messages.ts";

/** Data of a configuration entry recorded between servers of Consul 1.8.7. */
const recorded =
  "81a7536572766572739483a741646472657373ae3132372e302e312e313a38333030a24944da002433333333333333332d636363632d34636363" +
  "2d386363632d303030303030303030303031a853756666726167650083a741646472657373ae3132372e302e312e333a38333030a24944da0024" +
  "33333333333333332d636363632d346363632d386363632d303030303030303030303033a853756666726167650083a741646472657373ae3132" +
  "372e302e312e323a38333030a24944da002433333333333333332d636363632d346363632d386363632d303030303030303030303032a8537566" +
  "66726167650083a741646472657373ae3132372e302e312e343a38333030a24944da002433333333333333332d636363632d346363632d386363" +
  "632d303030303030303030303034a8537566667261676501";

test("a recorded configuration entry decodes and encodes to the same bytes", () => {
  const decoded = decodeConfiguration(fromHex(recorded));
  assert.ok(decoded.ok);
  assert.deepEqual(decoded.value.servers.map(({ address, suffrage }) => `${address} ${suffrage}`), [
    "127.0.1.1:8300 voter", "127.0.1.3:8300 voter", "127.0.1.2:8300 voter", "127.0.1.4:8300 nonvoter",
  ]);
  assert.equal(toHex(encodeConfiguration(decoded.value)), recorded);
});

test("every truncation of a configuration fails, and so does a byte behind it", () => {
  const bytes = fromHex(recorded);
  for (let length = 0; length < bytes.length; length += 1) assert.equal(decodeConfiguration(bytes.subarray(0, length)).ok, false);
  assert.equal(decodeConfiguration(fromHex(`${recorded}00`)).ok, false);
});

test("a configuration that names an id or an address twice is refused", () => {
  const twice = (second: { id: string; address: string }): RaftConfiguration => ({
    servers: [{ id: "a", address: "1:1", suffrage: "voter" }, { ...second, suffrage: "nonvoter" }],
  });
  assert.equal(decodeConfiguration(encodeConfiguration(twice({ id: "b", address: "1:2" }))).ok, true);
  assert.equal(decodeConfiguration(encodeConfiguration(twice({ id: "a", address: "1:2" }))).ok, false);
  assert.equal(decodeConfiguration(encodeConfiguration(twice({ id: "b", address: "1:1" }))).ok, false);
});
