import assert from "node:assert/strict";
import { test } from "node:test";
import { decodeStreamMessage, encodePushPull } from "../../src/wire/gossip-codec.ts";
import type { PushPull } from "../../src/wire/gossip-messages.ts";
import type { Result } from "../../src/base/result.ts";
import { PushPullDecoder, PushPullEncoder } from "../../src/wire/push-pull.ts";

const SLICES = [1, 3, 7, 100, Infinity];

function sample(nodes: number, userState: Uint8Array | null): Omit<PushPull, "kind"> {
  const node = (i: number): PushPull["nodes"][number] => ({
    name: `n${i}`, addr: Uint8Array.of(10, 0, 0, i), port: 7946, meta: new Uint8Array(i % 5), incarnation: i * 1000, state: i % 4, versions: Uint8Array.of(1, 5, 2, 2, 5, 5),
  });
  return { join: nodes % 2 === 0, nodes: Array.from({ length: nodes }, (_, i) => node(i)), userState };
}

const SAMPLES = [sample(0, null), sample(1, Uint8Array.of(9)), sample(7, null), sample(21, new Uint8Array(300))];

function decodeInSlices(message: Uint8Array, count: number): Result<PushPull> {
  const decoder = new PushPullDecoder(message);
  for (;;) {
    const decoded = decoder.next(count);
    if (decoded !== null) return decoded;
  }
}

function encodeInSlices(pushPull: Omit<PushPull, "kind">, count: number): { readonly bytes: Uint8Array; readonly calls: number } {
  const encoder = new PushPullEncoder(pushPull);
  for (let calls = 1; ; calls += 1) {
    const bytes = encoder.next(count);
    if (bytes !== null) return { bytes, calls };
  }
}

test("a push/pull in slices is the same as in one go, and takes as many calls as it has slices", () => {
  for (const pushPull of SAMPLES) {
    const whole = encodePushPull(pushPull);
    for (const count of SLICES) {
      const { bytes, calls } = encodeInSlices(pushPull, count);
      assert.deepEqual(bytes, whole);
      assert.equal(calls, Math.max(1, Math.ceil(pushPull.nodes.length / count)));
      assert.deepEqual(decodeInSlices(whole, count), decodeStreamMessage(whole));
    }
  }
});

test("cut short or damaged anywhere, it fails in slices as in one go", () => {
  for (const pushPull of SAMPLES) {
    const whole = encodePushPull(pushPull);
    for (let length = 1; length < whole.length; length += 1) {
      const cut = whole.subarray(0, length);
      const damaged = Uint8Array.from(whole, (byte, i) => (i === length ? byte ^ 0xff : byte));
      for (const count of SLICES) {
        assert.deepEqual(decodeInSlices(cut, count), decodeStreamMessage(cut));
        assert.deepEqual(decodeInSlices(damaged, count), decodeStreamMessage(damaged));
      }
    }
  }
});
