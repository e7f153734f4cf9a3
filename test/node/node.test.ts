import assert from "node:assert/strict";
import { test } from "node:test";
import { SeededRandom } from "../../src/base/random.ts";
import { ClusterNode } from "../../src/node/node.ts";
import type { PoolEffect } from "../../src/serf/types.ts";
import { PROFILES } from "../../src/swim/profiles.ts";
import { poolConfig, testMatcher } from "../serf/harness.ts";

const LATENCY_MS = 1;

/** A network of nodes with several pools each; an address belongs to one pool of one node. */
class PoolNet {
  nowMs = 0;
  readonly nodes: ClusterNode[] = [];
  readonly effects: { readonly pool: string; readonly effect: PoolEffect }[][] = [];
  readonly #owners = new Map<string, { readonly node: ClusterNode; readonly pool: string }>();
  readonly #streams = new Map<string, { readonly node: ClusterNode; readonly pool: string; readonly stream: number }>();
  readonly #queue: { readonly atMs: number; readonly run: () => void }[] = [];
  #accepted = 0;

  add(pools: Readonly<Record<string, string>>): ClusterNode {
    const node = new ClusterNode(new SeededRandom(this.nodes.length + 1), testMatcher);
    this.nodes.push(node);
    this.effects.push([]);
    for (const [pool, ip] of Object.entries(pools)) {
      this.#owners.set(`${ip}:7946`, { node, pool });
      const profile = pool === "wan" ? PROFILES.wan : PROFILES.lan;
      const out: PoolEffect[] = [];
      // Two data centres may have nodes of one name; the WAN pool tells them apart as Consul does.
      const name = pool === "wan" ? `n${this.nodes.length}.dc` : `n${this.nodes.length}`;
      node.addPool(pool, poolConfig(name, ip, { profile }), this.nowMs, out);
      this.#run(node, pool, out);
    }
    return node;
  }

  step(node: ClusterNode, pool: string, input: Parameters<ClusterNode["step"]>[1]): void {
    const out: PoolEffect[] = [];
    node.step(pool, input, this.nowMs, out);
    this.#run(node, pool, out);
  }

  advance(ms: number): void {
    const endMs = this.nowMs + ms;
    for (;;) {
      const atMs = Math.min(this.#queue[0]?.atMs ?? Infinity, ...this.nodes.map((node) => node.wakeAtMs));
      if (atMs > endMs) break;
      this.nowMs = Math.max(this.nowMs, atMs);
      while ((this.#queue[0]?.atMs ?? Infinity) <= this.nowMs) this.#queue.shift()?.run();
      for (const node of this.nodes) {
        const out: PoolEffect[] = [];
        node.wake(this.nowMs, out, (pool) => this.#run(node, pool, out.splice(0)));
      }
    }
    this.nowMs = endMs;
  }

  #later(run: () => void): void {
    this.#queue.push({ atMs: this.nowMs + LATENCY_MS, run });
  }

  #run(node: ClusterNode, pool: string, effects: readonly PoolEffect[]): void {
    this.effects[this.nodes.indexOf(node)]?.push(...effects.map((effect) => ({ pool, effect })));
    const id = this.nodes.indexOf(node);
    for (const effect of effects) {
      const from = node.pool(pool)?.config.advertise ?? { ip: "", port: 0 };
      if (effect.kind === "packet") {
        for (const to of effect.to) {
          const owner = this.#owners.get(`${to.ip}:${to.port}`);
          for (const bytes of effect.messages) if (owner !== undefined) this.#later(() => this.step(owner.node, owner.pool, { kind: "message", from, bytes }));
        }
      } else if (effect.kind === "dial") {
        const owner = this.#owners.get(`${effect.to.ip}:${effect.to.port}`);
        if (owner === undefined) continue;
        this.#accepted -= 1;
        const accepted = this.#accepted;
        this.#streams.set(`${id} ${pool} ${effect.stream}`, { ...owner, stream: accepted });
        this.#streams.set(`${this.nodes.indexOf(owner.node)} ${owner.pool} ${accepted}`, { node, pool, stream: effect.stream });
        this.#later(() => this.step(node, pool, { kind: "streamOpened", stream: effect.stream }));
      } else if (effect.kind === "streamSend") {
        const peer = this.#streams.get(`${id} ${pool} ${effect.stream}`);
        if (peer !== undefined) this.#later(() => this.step(peer.node, peer.pool, { kind: "streamMessage", stream: peer.stream, from, bytes: effect.bytes }));
      }
    }
  }
}

function view(node: ClusterNode, pool: string): string[] {
  return (node.pool(pool)?.members() ?? []).map(({ name, status }) => `${name} ${status}`).sort();
}

function join(net: PoolNet, node: ClusterNode, pool: string, ip: string): void {
  net.step(node, pool, { kind: "join", request: 1, targets: [{ name: "", to: { ip, port: 7946 } }], ignoreOld: true, errors: [] });
}

test("one node lives in a LAN and a WAN pool; members, events and clocks of the two never mix", () => {
  const net = new PoolNet();
  const server = net.add({ lan: "10.1.0.1", wan: "10.9.0.1" });
  const client = net.add({ lan: "10.1.0.2" });
  const remote = net.add({ wan: "10.9.0.2", lan: "10.2.0.1" });
  join(net, client, "lan", "10.1.0.1");
  join(net, remote, "wan", "10.9.0.1");
  net.advance(3000);
  assert.deepEqual(view(server, "lan"), ["n1 alive", "n2 alive"]);
  assert.deepEqual(view(server, "wan"), ["n1.dc alive", "n3.dc alive"]);
  assert.deepEqual(view(remote, "lan"), ["n3 alive"]);

  net.step(server, "wan", { kind: "userEvent", request: 2, name: "far", payload: null, coalesce: false });
  net.advance(5000);
  const heard = net.effects.map((effects) => effects.flatMap(({ pool, effect }) => (effect.kind === "event" && effect.event.kind === "user" ? [`${pool} ${effect.event.name}`] : [])));
  assert.deepEqual(heard, [["wan far"], [], ["wan far"]]);
  assert.equal(server.pool("lan")?.stats().get("event_time"), "1");
});

test("a pool can be dropped and started anew while the other goes on", () => {
  const net = new PoolNet();
  const server = net.add({ lan: "10.1.0.1", wan: "10.9.0.1" });
  const client = net.add({ lan: "10.1.0.2" });
  join(net, client, "lan", "10.1.0.1");
  net.advance(2000);
  server.removePool("wan");
  assert.deepEqual(server.poolNames, ["lan"]);
  const out: PoolEffect[] = [];
  server.step("wan", { kind: "wake" }, net.nowMs, out);
  assert.deepEqual(out, []);
  net.advance(5000);
  assert.deepEqual(view(server, "lan"), ["n1 alive", "n2 alive"]);
  server.addPool("wan", poolConfig("n1.dc", "10.9.0.1"), net.nowMs, out);
  assert.deepEqual(view(server, "wan"), ["n1.dc alive"]);
});

test("a node without pools never wants to be woken", () => {
  const node = new ClusterNode(new SeededRandom(1), testMatcher);
  assert.equal(node.wakeAtMs, Infinity);
  assert.equal(node.pool("lan"), null);
});
