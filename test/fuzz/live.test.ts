import assert from "node:assert/strict";
import { test } from "node:test";
import { fuzzLiveAgent } from "./live-agent.ts";

const DEADLINE_MS = 60_000;

for (const [seed, encrypt, packetWorkers] of [[1, false, 0], [2, true, 1]] as const) {
  test(`a live agent survives mutated packets, streams and RPC frames${encrypt ? ", encrypted and with a lane" : ""}`, { timeout: DEADLINE_MS }, async () => {
    const report = await fuzzLiveAgent({ count: 2000, seed, encrypt, packetWorkers, settle: false, progress: () => undefined });
    assert.deepEqual(report.problems, []);
    assert.equal(report.packets + report.streams + report.rpcFrames, 2000);
  });
}
