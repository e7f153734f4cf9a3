import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { metricName, Prometheus } from "../../src/io/prometheus.ts";
import type { Member } from "../../src/serf/types.ts";
import { nextLoopbackIp } from "../support/loopback.ts";

const ip = nextLoopbackIp();
let prometheus: Prometheus;
before(async () => {
  prometheus = await Prometheus.create();
  await prometheus.listen({ ip, port: 0 });
});
after(() => prometheus.stop());
const scrape = async (path = "/metrics") => fetch(`http://${ip}:${prometheus.port}${path}`);

test("names follow the rules of Prometheus", () => {
  assert.equal(metricName("memberlist.msg.alive"), "serf_memberlist_msg_alive");
  assert.equal(metricName("serf.member.join"), "serf_member_join");
  assert.equal(metricName("serf.queries.a-b c"), "serf_queries_a_b_c");
});

test("everything is there with 0 before anything happened", async () => {
  const text = await (await scrape()).text();
  for (const line of ["serf_memberlist_msg_suspect_total 0", "serf_member_failed_total 0", "serf_agent_event_handler_dropped_total 0", 'serf_members{status="failed"} 0', "serf_health_score 0"]) {
    assert.ok(text.includes(`\n${line}\n`), line);
  }
});

test("counts, samples and what the agent knows are served", async () => {
  prometheus.attach({
    members: () => ["alive", "alive", "failed"].map((status) => ({ status }) as Member),
    stats: () => new Map([["serf", new Map([["health_score", "3"], ["event_time", "12"]])]]),
  });
  prometheus.count("serf.member.join", 2);
  prometheus.count("serf.events.deploy", 1);
  prometheus.sample("agent.invoke./bin/x \"y\"", 7);
  prometheus.sample("memberlist.gossip", 0.5);
  const response = await scrape();
  assert.match(response.headers.get("content-type") ?? "", /^text\/plain; version=0\.0\.4/);
  const text = await response.text();
  const expected = [
    "serf_member_join_total 2", "serf_events_deploy_total 1", 'serf_agent_invoke_ms_bucket{le="10",script="/bin/x \\"y\\""} 1', 'serf_memberlist_gossip_bucket{le="1"} 1',
    'serf_members{status="alive"} 2', 'serf_members{status="failed"} 1', 'serf_members{status="left"} 0', "serf_health_score 3", "serf_event_time 12",
  ];
  for (const line of expected) assert.ok(text.includes(`\n${line}\n`), `${line}\n${text}`);
});

test("names from outside are bounded", async () => {
  for (let i = 0; i < 1000; i += 1) {
    prometheus.count(`late.${i}`, 1);
    prometheus.sample(`agent.invoke.${i}`, 1);
  }
  const text = await (await scrape()).text();
  assert.ok((text.match(/^serf_late_/gm) ?? []).length <= 256);
  assert.ok((text.match(/^serf_agent_invoke_ms_count/gm) ?? []).length <= 256);
});

test("only GET /metrics is served", async () => {
  assert.equal((await scrape("/")).status, 404);
  assert.equal((await fetch(`http://${ip}:${prometheus.port}/metrics`, { method: "POST" })).status, 404);
});

test("a taken port is refused in Go's words", async () => {
  const second = await Prometheus.create();
  await assert.rejects(second.listen({ ip, port: prometheus.port }), { message: `listen tcp ${ip}:${prometheus.port}: bind: address already in use` });
  second.stop();
});
