/** An agent is killed, or stopped, and started again: its TTL checks go on with what they were told last, and what is gone does not come back. */
import assert from "node:assert/strict";
import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { ConsulServerProcess } from "../support/consul-agent.ts";
import { nextLoopbackIp } from "../support/loopback.ts";
import { tempDir } from "../support/temp-dir.ts";

type Checks = Readonly<Record<string, { readonly Status: string; readonly Output: string }>>;

async function done(server: ConsulServerProcess, path: string, body?: object): Promise<void> {
  assert.deepEqual(await server.http("PUT", path, body === undefined ? undefined : JSON.stringify(body)), { status: 200, body: "" }, path);
}

async function statuses(server: ConsulServerProcess): Promise<Readonly<Record<string, string>>> {
  const checks = JSON.parse((await server.http("GET", "/v1/agent/checks")).body) as Checks;
  return Object.fromEntries(Object.entries(checks).map(([id, { Status, Output }]) => [id, `${Status} ${Output}`.trim()]));
}

test("TTL checks go on after a kill, after a stop, and with one file damaged", async (t) => {
  const dir = tempDir(t);
  const ip = nextLoopbackIp();
  let server: ConsulServerProcess | null = null;
  const start = async (): Promise<ConsulServerProcess> => {
    server = new ConsulServerProcess(ip, dir, ["-bootstrap-expect=1"]);
    await server.writable();
    return server;
  };
  t.after(() => server?.child.stop("SIGKILL"));
  const first = await start();
  const checks = ["a", "b", "c", "d"].map((CheckID) => ({ CheckID, TTL: "1h" }));
  await done(first, "/v1/agent/service/register", { Name: "web", Checks: checks });
  await done(first, "/v1/agent/check/register", { Name: "node", TTL: "1h" });
  await done(first, "/v1/agent/check/pass/a?note=fine");
  await done(first, "/v1/agent/check/warn/b?note=slow");
  await done(first, "/v1/agent/check/pass/d");
  await done(first, "/v1/agent/check/pass/node");
  await done(first, "/v1/agent/check/fail/node?note=no");
  // Registering again, without one of them, is no word on the health of the others.
  await done(first, "/v1/agent/service/register?replace-existing-checks", { Name: "web", Checks: checks.slice(0, 3) });
  const told = { a: "passing fine", b: "warning slow", c: "critical", node: "critical no" };
  assert.deepEqual(await statuses(first), told);
  await first.child.stop("SIGKILL");

  const second = await start();
  assert.deepEqual(await statuses(second), told);
  // A beat that changes no status is not waited for: a stop waits for it.
  await done(second, "/v1/agent/check/pass/a?note=better");
  await done(second, "/v1/agent/check/deregister/node");
  await second.child.stop();
  const files = join(dir, "checks", "state");
  assert.equal(readdirSync(files).length, 2, "of those that were told something and are still there");
  // md5 of "b".
  writeFileSync(join(files, "92eb5ffee6ae2fec3ad71c777531578f"), '{"CheckID":"b","Outp');

  const third = await start();
  assert.deepEqual(await statuses(third), { a: "passing better", b: "critical", c: "critical" });
  assert.match(third.child.output, /92eb5ffee6ae2fec3ad71c777531578f is left out: check=b/);
});
