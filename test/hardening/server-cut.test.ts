/** A leader whose cable is pulled, in network namespaces: nobody may find two truths, and after the heal there is one cluster again. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Clients, DeposedWatch } from "../load/failover-clients.ts";
import { Cluster, pause, type Member } from "../load/failover-cluster.ts";

const FIRST_WRITE_MS_MAX = 60_000;
/** The leader stays cut off for so long after the others went on. */
const CUT_MS = 500;

test("a leader cut off: it steps down, acknowledges nothing and stops answering reads, the others go on without losing a write, and the heal ends it", async (t) => {
  let cluster: Cluster;
  try {
    cluster = new Cluster({ peer: "", multiplier: 1, namespaces: true, net: "" });
  } catch (error) {
    return t.skip(`cannot make network namespaces here: ${error instanceof Error ? error.message : String(error)}`);
  }
  let passed = false;
  t.after(() => cluster.close(!passed));
  for (const member of cluster.members) cluster.start(member);
  await cluster.until("three voters and a leader", () => cluster.calm());
  const clients = new Clients(cluster);
  clients.start();
  await cluster.until("some writes", () => clients.writes > 200);

  // On a busy machine the first writes may cost the first leader its lease.
  const led: (Member | null)[] = [];
  await cluster.until("a leader under writes", async () => led.push(await cluster.leader()) > 0 && led.at(-1) !== null);
  const old = led.at(-1) as Member;
  const others = cluster.members.filter((member) => member !== old);
  const sinceMs = performance.now();
  cluster.cut(old);
  const watch = new DeposedWatch(cluster, old, others[0] as Member);
  await clients.firstWriteMs(sinceMs, others, FIRST_WRITE_MS_MAX);
  await pause(CUT_MS);
  for (const member of others) assert.equal(await clients.lost(member), 0);
  assert.equal((await cluster.ask(old, "GET", "/v1/status/leader")).body, '""');
  const deposed = watch.stop();
  assert.equal(deposed.acknowledged, 0, "writes begun at the old leader after the cut");
  assert.ok(deposed.firstErrorMs !== null, "its writers are told");
  // Its lease ends before anybody else can lead: it never answers with less than was acknowledged before.
  assert.equal(deposed.staleMsMax, 0);

  cluster.heal(old);
  await watch.ended();
  await cluster.until("three voters and a leader again", () => cluster.calm());
  await clients.stop();
  for (const member of cluster.members) assert.equal(await clients.lost(member), 0);
  assert.equal(clients.late, 0, "no write that was given up is carried out after a newer one");
  passed = true;
});
