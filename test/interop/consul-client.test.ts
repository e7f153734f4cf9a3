/** A client agent of the original in a datacenter whose servers are ours: it joins the LAN pool, and every request it is asked goes to port 8300 of one of them. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { consulHttp, type HttpAnswer } from "../support/consul-agent.ts";
import { eventually } from "../support/eventually.ts";
import { peerMissing } from "../support/peers.ts";
import { consul, SOON_MS, startClient, startServers } from "./consul-peers.ts";

const TEST_DEADLINE_MS = 400_000;

test("a client agent of the original works with servers of ours", { skip: peerMissing("consul"), timeout: TEST_DEADLINE_MS }, async (t) => {
  const servers = await startServers(t);
  const client = await startClient(t, "theirs", servers);
  const [server] = servers;
  assert.ok(server !== undefined);
  const ask = (method: string, path: string, body?: string): Promise<HttpAnswer> => consulHttp(client.ip, method, path, body, 30_000);
  const asked = async (method: string, path: string, body?: string): Promise<unknown> => {
    const answer = await ask(method, path, body);
    assert.equal(answer.status, 200, `${method} ${path}: ${answer.body}`);
    return JSON.parse(answer.body);
  };
  const names = (nodes: unknown): readonly string[] => (nodes as readonly { readonly Node: string }[]).map(({ Node }) => Node);

  await t.test("it is a member, a node of the catalog, and synchronises itself", async () => {
    assert.match((await consul(server.ip, "members")).output, new RegExp(`^theirs +${client.ip}:8301 +alive +client +1\\.8\\.7 +2 +dc1 +<default>$`, "m"));
    await eventually("its node has what it says of itself", SOON_MS, async () => {
      const { body } = await ask("GET", "/v1/catalog/node/theirs");
      return body.includes(`"lan":"${client.ip}"`) ? null : body;
    }, () => client.child.describe());
    assert.equal(names(await asked("GET", "/v1/catalog/nodes")).length, 4);
    assert.ok(!client.child.output.includes("can't find method"), client.child.output);
  });

  await t.test("kv, transactions and the state of the cluster", async () => {
    assert.equal(await asked("PUT", "/v1/kv/from/client", "hello"), true);
    assert.equal((await server.http("GET", "/v1/kv/from/client?raw")).body, "hello");
    for (const how of ["", "consistent", "stale"]) assert.equal((await ask("GET", `/v1/kv/from/none?${how}`)).status, 404);
    assert.equal((await ask("GET", "/v1/kv/from/client?raw&consistent")).body, "hello");
    assert.deepEqual(await asked("GET", "/v1/kv/from/?keys"), ["from/client"]);
    assert.equal(await asked("PUT", "/v1/kv/from/client?cas=0", "no"), false);
    const value = Buffer.from("txn").toString("base64");
    await asked("PUT", "/v1/txn", JSON.stringify([{ KV: { Verb: "set", Key: "from/txn", Value: value } }]));
    const read = (await asked("PUT", "/v1/txn", JSON.stringify([{ KV: { Verb: "get", Key: "from/txn" } }]))) as { readonly Results: readonly { readonly KV: { readonly Value: string } }[] };
    assert.equal(read.Results[0]?.KV.Value, value);
    assert.deepEqual(await asked("GET", "/v1/catalog/datacenters"), ["dc1"]);
    assert.equal(((await asked("GET", "/v1/status/peers")) as readonly string[]).length, 3);
    assert.equal((await consul(client.ip, "operator", "raft", "list-peers")).output.trimEnd().split("\n").length, 4);
  });

  await t.test("a blocked read is answered by a write elsewhere", async () => {
    const first = JSON.parse((await ask("GET", "/v1/kv/from/client")).body) as readonly { readonly ModifyIndex: number }[];
    const blocked = ask("GET", `/v1/kv/from/client?index=${first[0]?.ModifyIndex}&wait=25s`);
    assert.equal((await server.http("PUT", "/v1/kv/from/client", "changed")).status, 200);
    assert.match((await blocked).body, new RegExp(Buffer.from("changed").toString("base64")));
  });

  await t.test("a service registered at it reaches the catalog", async () => {
    assert.equal((await ask("PUT", "/v1/agent/service/register", JSON.stringify({ Name: "web", Port: 80, Tags: ["v1"] }))).status, 200);
    await eventually("the service is known to our servers", SOON_MS, async () => {
      const { body } = await server.http("GET", "/v1/catalog/services");
      return body.includes('"web":') ? null : body;
    });
  });

  await t.test("its lock is released when it dies, and force-leave ends its membership", async () => {
    const { ID: session } = (await asked("PUT", "/v1/session/create", JSON.stringify({ Name: "mine", LockDelay: "0s" }))) as { readonly ID: string };
    assert.equal(await asked("PUT", `/v1/kv/from/lock?acquire=${session}`, "held"), true);
    assert.ok((await server.http("GET", "/v1/kv/from/lock")).body.includes(session));
    await client.child.stop("SIGKILL");
    await eventually("the session ended with its node", SOON_MS, async () => {
      const { status, body } = await server.http("GET", "/v1/kv/from/lock");
      return status === 200 && !body.includes(session) ? null : `${status} ${body}`;
    });
    assert.equal((await consul(server.ip, "force-leave", "theirs")).code, 0);
    await eventually("it counts as left, and the catalog forgets it", SOON_MS, async () => {
      const { output } = await consul(server.ip, "members", "-status=left");
      const nodes = names(JSON.parse((await server.http("GET", "/v1/catalog/nodes")).body));
      return output.includes("theirs") && !nodes.includes("theirs") ? null : `${output} ${nodes.join()}`;
    });
  });
});
