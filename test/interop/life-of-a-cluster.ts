/** The scenario of the mixed cluster, the same for plain, encrypted, compressed and uncompressed gossip. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { peerMissing } from "../support/peers.ts";
import { FAILURE_DEADLINE_MS, MixedCluster, NAMES, answersOf, askWho, expectArrival, startMonitors, tagsOf } from "./mixed-cluster.ts";

const TEST_DEADLINE_MS = 300_000;
const CONFLICT_DEADLINE_MS = 30_000;

export function testLifeOfACluster(title: string, args: readonly string[]): void {
  test(`three originals and three of ours, ${title}`, { skip: peerMissing("serf"), timeout: TEST_DEADLINE_MS }, async (t) => {
    const cluster = await MixedCluster.start(t, args);

    await t.test("all six show the same six members, tags, addresses and versions", async () => {
      await cluster.expectMembers("six members everywhere", {});
    });

    await t.test("an event from each side reaches all six exactly once", async (t) => {
      const monitors = await startMonitors(t, cluster);
      for (const from of ["theirs1", "ours1"]) {
        await cluster.agent(from).cliOk(["event", "-coalesce=false", `from-${from}`, "payload"]);
        await expectArrival(monitors, "user", `from-${from}`);
      }
      // An event sent later is through everywhere: so are the retransmissions of the first ones.
      await cluster.agent("theirs2").cliOk(["event", "-coalesce=false", "fence"]);
      await expectArrival(monitors, "user", "fence");
      for (const monitor of monitors) {
        for (const from of ["theirs1", "ours1"]) assert.equal(monitor.count("user", `from-${from}`), 1, `from-${from} at ${monitor.agent.name}`);
      }
    });

    await t.test("a query from each side gets six acks and six answers, a filtered one only its targets", async () => {
      const [theirs, ours] = [cluster.agent("theirs1"), cluster.agent("ours1")];
      const results = await Promise.all([
        askWho(theirs),
        askWho(ours),
        // By another: of two queries that an original begins at once, both may get the same Lamport time, and then all answers go to one of them.
        askWho(cluster.agent("theirs2"), ["-tag=side=ours"]),
        askWho(ours, ["-tag=side=th.*", "-node=theirs2", "-node=ours2"]),
        askWho(ours, ["-node=theirs3", "-node=ours3"]),
      ]);
      assert.deepEqual(results, [answersOf(NAMES), answersOf(NAMES), answersOf(["ours1", "ours2", "ours3"]), answersOf(["theirs2"]), answersOf(["theirs3", "ours3"])]);
    });

    await t.test("tags changed on one side show on the other", async () => {
      for (const name of ["theirs2", "ours2"]) {
        const { self = "", side = "", text = "" } = tagsOf(name);
        await cluster.agent(name).cliOk(["tags", "-set", "text=changed", "-delete", "self"]);
        await cluster.expectMembers(`the new tags of ${name} spread`, { [name]: { tags: { side, text: "changed" } } });
        await cluster.agent(name).cliOk(["tags", "-set", `text=${text}`, "-set", `self=${self}`]);
        await cluster.expectMembers(`the old tags of ${name} come back`, {});
      }
    });

    for (const [leaver, witness] of [["theirs3", "ours1"], ["ours3", "theirs1"]] as const) {
      await t.test(`${leaver} leaves, shows as left, and rejoins`, async () => {
        const agent = cluster.agent(leaver);
        await agent.cliOk(["leave"]);
        assert.deepEqual(await agent.child.exited, { code: 0, signal: null });
        await cluster.expectMembers(`${leaver} is left everywhere`, { [leaver]: { status: "left" } });
        await cluster.startNode(leaver, leaver.startsWith("ours"), [`-join=${cluster.agent(witness).gossipAddr}`]);
        await cluster.expectRejoined(`${leaver} is back`);
      });
    }

    for (const name of ["theirs3", "ours3"]) {
      await t.test(`${name} is killed, shows as failed, and rejoins from its snapshot`, async () => {
        await cluster.agent(name).kill();
        await cluster.expectMembers(`${name} is failed everywhere`, { [name]: { status: "failed" } }, FAILURE_DEADLINE_MS);
        await cluster.startNode(name, name.startsWith("ours"), []);
        await cluster.expectRejoined(`${name} is back from its snapshot`);
      });
    }

    for (const [name, ours, entry] of [["ours2", false, "theirs1"], ["theirs2", true, "ours1"]] as const) {
      await t.test(`a stranger that calls itself ${name} loses the vote and stops`, async () => {
        const stranger = cluster.startStranger(name, ours, [...args, `-join=${cluster.agent(entry).gossipAddr}`]);
        await stranger.child.waitFor("its end", () => stranger.child.exit !== null, CONFLICT_DEADLINE_MS);
        await cluster.expectMembers("the six stay as they were", {});
        assert.equal(cluster.running().length, NAMES.length);
      });
    }
    // Last, and pruning is asked at one node only: the originals lose a prune that a node misses, and a late leave intent can hold a returning node in "leaving".
    const gone: Record<string, { readonly status: string }> = {};
    for (const [name, through] of [["theirs3", "ours1"], ["ours3", "theirs1"]] as const) {
      await t.test(`${name} fails and is forced to leave through ${through}`, async () => {
        await cluster.agent(name).kill();
        await cluster.expectMembers(`${name} is failed everywhere`, { ...gone, [name]: { status: "failed" } }, FAILURE_DEADLINE_MS);
        await cluster.agent(through).cliOk(["force-leave", name]);
        gone[name] = { status: "left" };
        await cluster.expectMembers(`${name} is left everywhere`, gone);
      });
    }

    for (const [name, through] of [["theirs3", "ours1"], ["ours3", "theirs1"]] as const) {
      await t.test(`${through} forgets ${name} when asked to prune it`, async () => {
        const agent = cluster.agent(through);
        await agent.cliOk(["force-leave", "-prune", name]);
        assert.ok(!(await agent.members()).some((member) => member.name === name));
      });
    }
  });
}
