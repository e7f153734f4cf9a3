/** Key management across the two programs: install, use, remove, list from either side. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { isDeepStrictEqual } from "node:util";
import { eventually } from "../support/eventually.ts";
import { peerMissing } from "../support/peers.ts";
import type { SerfAgent } from "../support/serf-agent.ts";
import { MixedCluster, NAMES, expectArrival, startMonitors } from "./mixed-cluster.ts";

const [FIRST = "", SECOND = "", THIRD = ""] = [1, 2, 3].map((byte) => Buffer.alloc(byte === 2 ? 16 : 32, byte).toString("base64"));
const EVERYWHERE = `${NAMES.length}/${NAMES.length}`;
const TEST_DEADLINE_MS = 120_000;
/** A key operation is a query, and the originals' gossip loses one now and then: operators repeat it, and so do we. */
const RETRY_DEADLINE_MS = 20_000;

/** Key to `[nodes that have it/all]`, from `serf keys -list`. */
async function listKeys(agent: SerfAgent): Promise<Record<string, string>> {
  const output = await agent.cliOk(["keys", "-list"]);
  return Object.fromEntries([...output.matchAll(/(\S+) +\[(\d+\/\d+)\]/g)].map(([, key = "", count = ""]) => [key, count]));
}

test("keys are installed, used and removed from either side", { skip: peerMissing("serf"), timeout: TEST_DEADLINE_MS }, async (t) => {
  const cluster = await MixedCluster.start(t, [`-encrypt=${FIRST}`]);
  await cluster.expectMembers("six members everywhere", {});
  const [theirs, ours] = [cluster.agent("theirs1"), cluster.agent("ours1")];
  const expectKeys = async (keys: readonly string[]): Promise<void> => {
    const expected = Object.fromEntries(keys.map((key) => [key, EVERYWHERE]));
    for (const agent of [theirs, ours]) {
      await eventually(`${agent.name} lists ${keys.length} keys everywhere`, RETRY_DEADLINE_MS, async () => {
        const listed = await listKeys(agent);
        return isDeepStrictEqual(listed, expected) ? null : JSON.stringify(listed);
      }, () => cluster.describe());
    }
  };
  const change = async (agent: SerfAgent, option: string): Promise<void> => {
    await eventually(`keys ${option} at ${agent.name}`, RETRY_DEADLINE_MS, async () => {
      const { code, output } = await agent.cli(["keys", option]);
      return code === 0 ? null : output;
    }, () => cluster.describe());
  };

  await t.test("both sides list the one key", () => expectKeys([FIRST]));

  for (const [by, other, from, to] of [[theirs, ours, FIRST, SECOND], [ours, theirs, SECOND, THIRD]] as const) {
    await t.test(`a new key comes in through ${by.name}, the old one goes out through ${other.name}`, async () => {
      await change(by, `-install=${to}`);
      await expectKeys([from, to]);
      await change(other, `-use=${to}`);
      const refused = await by.cli(["keys", `-remove=${to}`]);
      assert.equal(refused.code, 1);
      assert.match(refused.output, /Removing the primary key is not allowed/);
      await change(other, `-remove=${from}`);
      await expectKeys([to]);
    });
  }

  await t.test("gossip flows under the new key", async (t) => {
    const monitors = await startMonitors(t, cluster);
    for (const agent of [theirs, ours]) {
      await agent.cliOk(["event", "-coalesce=false", `from-${agent.name}`]);
      await expectArrival(monitors, "user", `from-${agent.name}`);
    }
  });

  for (const [entry, stranger] of [[ours, false], [theirs, true]] as const) {
    await t.test(`${entry.name} refuses a newcomer with the old key`, async () => {
      const { child } = cluster.startStranger("newcomer", stranger, [`-encrypt=${FIRST}`, `-join=${entry.gossipAddr}`]);
      assert.equal((await child.exited).code, 1, child.describe());
      await cluster.expectMembers("nobody has joined", {});
    });
  }
});
