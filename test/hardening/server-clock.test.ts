/** A server whose wall clock jumps: elections, leases and session TTLs run by the monotonic clock, so nothing happens but other dates in the log. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { pathToFileURL } from "node:url";
import { ConsulServerProcess } from "../support/consul-agent.ts";
import { nextLoopbackIp } from "../support/loopback.ts";
import { projectPath } from "../support/project-root.ts";
import { tempDir } from "../support/temp-dir.ts";

const DEADLINE_MS = 60_000;
const JUMPS = 4;

test("jumps of the wall clock by hours change no leader, lose no write, and end no session", async (t) => {
  const env = { NODE_OPTIONS: `--import=${pathToFileURL(projectPath("dist/test/support/jumping-clock.js")).href}` };
  const ips = [nextLoopbackIp(), nextLoopbackIp(), nextLoopbackIp()];
  // Slow timers: on a busy machine no election must come by itself.
  const settings = { performance: { raft_multiplier: 5 } };
  const servers = ips.map((ip) => new ConsulServerProcess(ip, tempDir(t), ["-bootstrap-expect=3", ...ips.map((other) => `-retry-join=${other}`)], settings, { env }));
  t.after(() => Promise.all(servers.map(({ child }) => child.stop("SIGKILL"))));
  for (const server of servers) await server.writable(`ready/${server.ip}`);
  const [first] = servers as [ConsulServerProcess];
  const created = await first.http("PUT", "/v1/session/create", JSON.stringify({ TTL: "600s", LockDelay: "0s" }));
  const { ID: session } = JSON.parse(created.body) as { readonly ID: string };
  assert.equal((await first.http("PUT", `/v1/kv/lock?acquire=${session}`, "held")).body.trim(), "true");
  const leader = (await first.http("GET", "/v1/status/leader")).body;

  for (let jump = 1; jump <= JUMPS; jump += 1) {
    for (const { child } of servers) child.kill("SIGUSR2");
    for (const { child } of servers) await child.waitFor("its jump", (output) => output.split("wall clock: ").length === jump + 1, DEADLINE_MS);
    for (const server of servers) assert.deepEqual(await server.http("PUT", `/v1/kv/jump/${jump}/${server.ip}`, "yes"), { status: 200, body: "true" });
  }
  for (const server of servers) {
    assert.equal((await server.http("GET", "/v1/status/leader")).body, leader);
    assert.equal((JSON.parse((await server.http("GET", "/v1/kv/jump/?keys&consistent")).body) as string[]).length, JUMPS * servers.length);
    assert.match((await server.http("GET", "/v1/kv/lock?consistent")).body, new RegExp(session));
  }
});
