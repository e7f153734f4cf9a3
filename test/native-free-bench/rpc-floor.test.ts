/** The program that does nothing: it must answer what the drivers ask, or it shows no floor. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Agent, type Target } from "../../native-free-bench/load/agent.ts";
import { findPeer } from "../../native-free-bench/run-load.ts";
import { nextLoopbackIp } from "../support/loopback.ts";
import { projectPath } from "../support/project-root.ts";

const ENOUGH_FOR_LONGER_NUMBERS = 300;

test("rpc-floor answers a handshake, members and any number of events", async (t) => {
  const target: Target | null = findPeer(projectPath("dist/native-free-bench/rpc-floor.js"));
  assert.ok(target !== null, "it can be run as a program");
  const agent = new Agent({ target, name: "floor", ip: nextLoopbackIp(), prefix: [] });
  t.after(() => agent.kill());
  const client = await agent.connect();
  t.after(() => client.close());
  for (let i = 0; i < ENOUGH_FOR_LONGER_NUMBERS; i += 1) await client.userEvent("deploy", Buffer.from("x"), { coalesce: false });
  const members = await client.members();
  assert.deepEqual(members.map(({ name, status }) => [name, status]), [["bench", "alive"]]);
});
