import assert from "node:assert/strict";
import { test } from "node:test";
import type { PoolEffect } from "../../src/serf/types.ts";
import { cluster, type Host } from "./harness.ts";

/** What a cluster that fires events says, with something done at each node before each millisecond. */
function play(before: (host: Host) => void): readonly (readonly PoolEffect[])[] {
  const { net, hosts } = cluster(4);
  for (let ms = 0; ms < 800; ms += 1) {
    for (const host of hosts) before(host);
    if (ms % 50 === 0) net.command(hosts[(ms / 50) % 4] as Host, { kind: "userEvent", name: `event-${ms}`, payload: null, coalesce: false });
    net.advance(1);
  }
  return hosts.map(({ effects }) => effects);
}

test("reading ahead changes nothing, whatever the pool holds", () => {
  let reads = 0;
  const touched = play(({ pool }) => {
    assert.equal(typeof pool.makeTouch().read(), "number");
    reads += 1;
  });
  assert.equal(reads, 3_200);
  assert.deepEqual(touched, play(() => {}));
});

test("a node that gossips without pause still probes, and looks at its queues in time", () => {
  const { net, hosts } = cluster(3, { queueCheckIntervalMs: 1_000, queueDepthWarning: 1 });
  const [first, second] = hosts as [Host, Host];
  second.isCut = true; // Found by a probe alone.
  for (let i = 0; i < 400 && !first.view.includes("n2 failed"); i += 1) {
    net.command(first, { kind: "userEvent", name: `event-${i}`, payload: null, coalesce: false });
    net.advance(50);
  }
  assert.ok(first.view.includes("n2 failed"));
  assert.ok(first.logs.some((line) => line.includes("Event queue depth")));
});
