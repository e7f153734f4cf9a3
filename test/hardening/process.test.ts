/** Lessons of others about a running agent as a process: descriptors, memory, limits of the system. */
import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { ipToBytes } from "../../src/base/endpoint.ts";
import { SerfClient } from "../../src/client/serf-client.ts";
import { encodeCompress, wrapCompressed } from "../../src/wire/compress.ts";
import { encodePing } from "../../src/wire/gossip-codec.ts";
import { STREAM_INFLATED_BYTES_MAX } from "../../src/wire/stream.ts";
import { eventually } from "../support/eventually.ts";
import { lzwBomb } from "../support/lzw-bomb.ts";
import { startAgent, type SerfAgent } from "../support/serf-agent.ts";
import { tempDir } from "../support/temp-dir.ts";

const DEADLINE_MS = 30_000;
const MIB = 1024 * 1024;
const NONE = new Uint8Array(0);

const descriptors = ({ child }: SerfAgent): number => readdirSync(`/proc/${child.pid}/fd`).length;
const residentBytes = ({ child }: SerfAgent): number => 1024 * Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, "utf8"))?.[1]);

/** Resolves once the agent has answered a ping by packet. */
async function ping(agent: SerfAgent): Promise<void> {
  const socket = createSocket("udp4");
  await new Promise<void>((resolve) => socket.bind(0, agent.ip, resolve));
  let heard = 0;
  socket.on("message", () => (heard += 1));
  const bytes = encodePing({ seq: 5, node: agent.name, sourceAddr: ipToBytes(agent.ip) ?? NONE, sourcePort: socket.address().port, sourceNode: "" });
  try {
    await eventually("an ack", DEADLINE_MS, () => {
      socket.send(bytes, 7946, agent.ip);
      return heard > 0 ? null : "none";
    }, () => agent.child.describe());
  } finally {
    socket.close();
  }
}

function dial(t: TestContext, host: string, port: number): Socket {
  const socket = connect(port, host).on("error", () => undefined).resume();
  t.after(() => void socket.destroy());
  return socket;
}

test("1,000 reloads: descriptors and memory stay flat (consul#3018)", { timeout: 120_000 }, async (t) => {
  const config = join(tempDir(t), "agent.json");
  const write = (round: number): void => writeFileSync(config, JSON.stringify({ tags: { round: String(round) }, event_handlers: [`user:never-${round % 3}=true`], log_level: "ERR" }));
  write(0);
  const agent = await startAgent(t, { program: "muster", name: "reloaded", args: [`-config-file=${config}`] });
  const reload = async (round: number): Promise<void> => {
    write(round);
    const before = agent.child.output.length;
    agent.child.kill("SIGHUP");
    await agent.child.waitFor("the reload", (output) => output.indexOf("Reloading configuration...", before) >= 0, DEADLINE_MS);
  };
  for (let round = 1; round <= 100; round += 1) await reload(round);
  const [fds, rss] = [descriptors(agent), residentBytes(agent)];
  for (let round = 101; round <= 1000; round += 1) await reload(round);
  const client = await SerfClient.connect({ address: agent.rpcAddr });
  await eventually("the last reload's tags", DEADLINE_MS, async () => {
    const [self] = await client.members();
    return self?.tags.get("round") === "1000" ? null : `round ${self?.tags.get("round")}`;
  });
  client.close();
  assert.ok(descriptors(agent) <= fds + 2, `${fds} descriptors after 100 reloads, ${descriptors(agent)} after 1,000`);
  assert.ok(residentBytes(agent) - rss < 32 * MIB, `grew by ${(residentBytes(agent) - rss) / MIB} MiB`);
});

test("out of descriptors: both ports refuse, probes are answered, and service comes back (EMFILE on accept)", { timeout: 120_000 }, async (t) => {
  // Node opens the modules of the start side by side, so the limit leaves room for all of them.
  const descriptorsMax = 250;
  const agent = await startAgent(t, { program: "muster", name: "narrow", descriptorsMax });
  const sockets = Array.from({ length: 2 * descriptorsMax }, (_, i) => dial(t, agent.ip, i % 2 === 0 ? 7373 : 7946));
  await eventually("the limit is reached", DEADLINE_MS, () => (descriptors(agent) >= descriptorsMax - 5 ? null : `${descriptors(agent)} descriptors`));
  await ping(agent);
  for (const socket of sockets) socket.destroy();
  await eventually("service is back", DEADLINE_MS, async () => {
    try {
      const client = await SerfClient.connect({ address: agent.rpcAddr });
      await client.stats();
      client.close();
      return null;
    } catch (error) {
      return String(error);
    }
  }, () => agent.child.describe());
  assert.equal(agent.child.exit, null);
});

test("inflation bombs: memory grows by less than twice the largest message, and the agent answers (memberlist#363, #360, #361)", { timeout: 120_000 }, async (t) => {
  const agent = await startAgent(t, { program: "muster", name: "bombed", args: ["-log-level=err"] });
  await ping(agent);
  const before = residentBytes(agent);
  const socket = createSocket("udp4");
  t.after(() => void socket.close());
  // 64 KiB that would be 30 MB; then one just below the limit of a packet, again and again.
  const packets = [wrapCompressed(lzwBomb(30_000_000)), encodeCompress(new Uint8Array(1_000_000))];
  for (let i = 0; i < 100; i += 1) {
    const packet = packets[i % 2] as Uint8Array;
    await new Promise((resolve) => socket.send(packet.subarray(0, 65_000), 7946, agent.ip, resolve));
    if (i % 25 === 0) await ping(agent);
  }
  const streamBomb = wrapCompressed(lzwBomb(STREAM_INFLATED_BYTES_MAX + 1));
  const forged = Uint8Array.of(6, 0x82, 0xa5, ...Buffer.from("Nodes"), 0xce, 0x00, 0x0f, 0xff, 0xff, 0xac, ...Buffer.from("UserStateLen"), 0xce, 0x01, 0x3f, 0xff, 0xff);
  for (const bytes of [streamBomb, forged, streamBomb, forged]) {
    const stream = dial(t, agent.ip, 7946);
    stream.end(bytes);
    await new Promise((resolve) => stream.once("close", resolve));
  }
  await ping(agent);
  const grown = residentBytes(agent) - before;
  assert.ok(grown < 2 * STREAM_INFLATED_BYTES_MAX, `grew by ${grown / MIB} MiB`);
});
