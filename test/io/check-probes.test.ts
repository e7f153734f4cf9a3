/** Probes of checks against servers of the test's own. */
import assert from "node:assert/strict";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { test, type TestContext } from "node:test";
import type { CheckPlan } from "../../src/api/http/local-agent.ts";
import { CheckProbes } from "../../src/io/check-probes.ts";
import { nextLoopbackIp } from "../support/loopback.ts";

const PLAN: CheckPlan = {
  kind: "http", ttlMs: 0, intervalMs: 5, timeoutMs: 5000, url: "", method: "GET", headers: new Map(), body: "", tlsSkipVerify: false, tcp: "", aliasService: "", outputBytesMax: 20,
  successBeforePassing: 0, failuresBeforeCritical: 0, deregisterAfterMs: 0,
};

interface Found {
  readonly status: string;
  readonly output: string;
}

/** What the first probe of each plan finds. */
async function probe(t: TestContext, plan: CheckPlan): Promise<Found> {
  return new Promise((resolve) => {
    const probes = new CheckProbes({
      planOf: () => plan,
      found: (_id, status, output) => {
        probes.stop();
        resolve({ status, output });
      },
    });
    t.after(() => probes.stop());
    probes.start("c", plan);
  });
}

test("HTTP: 2xx passes, 429 warns, everything else is critical; method, headers and body are sent, and outputs are cut", async (t) => {
  const asked: { readonly request: IncomingMessage; readonly body: string }[] = [];
  const server = createServer((request, response) => {
    let body = "";
    request.on("data", (piece: Buffer) => (body += piece.toString()));
    request.on("end", () => {
      asked.push({ request, body });
      response.writeHead(Number(request.url?.slice(1)));
      response.end(request.url === "/204" ? "" : "0123456789012345678901234");
    });
  });
  const ip = nextLoopbackIp();
  await new Promise<void>((resolve) => server.listen(0, ip, resolve));
  t.after(() => server.close());
  const base = `http://${ip}:${(server.address() as AddressInfo).port}`;
  const cut = "01234567890123456789 ... (captured 20 of 25 bytes)";
  for (const [path, status, output] of [
    ["/200", "passing", `200 OK Output: ${cut}`], ["/204", "passing", "204 No Content Output: "], ["/429", "warning", `429 Too Many Requests Output: ${cut}`],
    ["/404", "critical", `404 Not Found Output: ${cut}`], ["/301", "critical", `301 Moved Permanently Output: ${cut}`],
  ] as const) assert.deepEqual(await probe(t, { ...PLAN, url: base + path }), { status, output: `HTTP GET ${base}${path}: ${output}` });
  await probe(t, { ...PLAN, url: `${base}/200`, method: "PUT", headers: new Map([["X-A", ["1", "2"]]]), body: "hello" });
  const last = asked.at(-1);
  assert.deepEqual([last?.request.method, last?.body, last?.request.headers["x-a"], last?.request.headers["user-agent"]], ["PUT", "hello", "1, 2", "Consul Health Check"]);
});

test("TCP and what cannot be reached", async (t) => {
  const ip = nextLoopbackIp();
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, ip, resolve));
  t.after(() => server.close());
  const open = `${ip}:${(server.address() as AddressInfo).port}`;
  assert.deepEqual(await probe(t, { ...PLAN, kind: "tcp", tcp: open, outputBytesMax: 100 }), { status: "passing", output: `TCP connect ${open}: Success` });
  const refused = `dial tcp ${ip}:1: connect: connection refused`;
  assert.deepEqual(await probe(t, { ...PLAN, kind: "tcp", tcp: `${ip}:1`, outputBytesMax: 100 }), { status: "critical", output: refused });
  assert.deepEqual(await probe(t, { ...PLAN, url: `http://${ip}:1/` }), { status: "critical", output: `Get "http://${ip}:1/": ${refused}` });
  const wrong = await probe(t, { ...PLAN, url: "no url" });
  assert.equal(wrong.status, "critical");
});

test("a probe ends when its check is another one, and goes on while it is the same", async (t) => {
  const plans: (CheckPlan | null)[] = [];
  const plan: CheckPlan = { ...PLAN, kind: "tcp", tcp: `${nextLoopbackIp()}:1` };
  let current: CheckPlan | null = plan;
  // Probes alone do not keep a process running.
  const awake = setInterval(() => undefined, 1000);
  t.after(() => clearInterval(awake));
  await new Promise<void>((resolve) => {
    const probes = new CheckProbes({
      planOf: () => {
        if (current === null) resolve();
        return current;
      },
      found: () => {
        plans.push(current);
        if (plans.length === 3) current = null;
      },
    });
    t.after(() => probes.stop());
    probes.start("c", plan);
  });
  assert.deepEqual(plans, [plan, plan, plan]);
});
