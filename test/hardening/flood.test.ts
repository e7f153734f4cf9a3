/** Floods against a running agent: gossip goes on, by order and count; how fast depends on the machine and is no matter here. */
import assert from "node:assert/strict";
import { createSocket, type Socket as UdpSocket } from "node:dgram";
import { connect, type Socket } from "node:net";
import { test, type TestContext } from "node:test";
import { concatBytes } from "../../src/base/bytes.ts";
import { ipToBytes } from "../../src/base/endpoint.ts";
import { SerfClient } from "../../src/client/serf-client.ts";
import { LINES_PER_SECOND_MAX } from "../../src/io/log-limiter.ts";
import { encodePing } from "../../src/wire/gossip-codec.ts";
import { encodeRequest } from "../../src/wire/ipc-requests.ts";
import { eventually } from "../support/eventually.ts";
import { startAgent, type SerfAgent } from "../support/serf-agent.ts";

const DEADLINE_MS = 30_000;
const GOSSIP_PORT = 7946;
const RPC_PORT = 7373;
const CONNECTIONS = 8;
const REQUESTS = 4000;
const PACKETS = 4000;
const NONE = new Uint8Array(0);

/** Pings over a socket of its own. */
class Pinger {
  readonly #agent: SerfAgent;
  readonly #socket: UdpSocket;
  acks = 0;
  onAck: () => void = () => undefined;

  constructor(t: TestContext, agent: SerfAgent) {
    this.#agent = agent;
    this.#socket = createSocket("udp4", () => {
      this.acks += 1;
      this.onAck();
    });
    t.after(() => void this.#socket.close());
  }

  async open(): Promise<void> {
    await new Promise<void>((resolve) => this.#socket.bind(0, this.#agent.ip, resolve));
  }

  ping(): void {
    const source = { sourceAddr: ipToBytes(this.#agent.ip) ?? NONE, sourcePort: this.#socket.address().port, sourceNode: "" };
    this.send(encodePing({ seq: 7, node: this.#agent.name, ...source }));
  }

  send(packet: Uint8Array): void {
    this.#socket.send(packet, GOSSIP_PORT, this.#agent.ip);
  }
}

/** Pipelines requests and counts the answers. */
class Flooder {
  answers = 0;
  onAnswers: () => void = () => undefined;
  readonly #socket: Socket;
  #tail = Buffer.alloc(0);

  constructor(t: TestContext, ip: string, requests: Uint8Array) {
    this.#socket = connect(RPC_PORT, ip).on("error", () => undefined);
    t.after(() => void this.#socket.destroy());
    this.#socket.on("data", (chunk: Buffer) => {
      const bytes = Buffer.concat([this.#tail, chunk]);
      for (let at = bytes.indexOf("Seq"); at >= 0; at = bytes.indexOf("Seq", at + 3)) this.answers += 1;
      this.#tail = bytes.subarray(-2);
      this.onAnswers();
    });
    this.#socket.write(requests);
  }
}

function membersRequests(count: number): Uint8Array {
  const requests = [encodeRequest(0, { command: "handshake", version: 1 })];
  for (let i = 1; i < count; i += 1) requests.push(encodeRequest(i, { command: "members" }));
  return concatBytes(requests);
}

test("a ping behind a flood of RPC requests is answered before most of them are", { timeout: 120_000 }, async (t) => {
  const agent = await startAgent(t, { program: "muster", name: "flooded" });
  const pinger = new Pinger(t, agent);
  await pinger.open();
  const requests = membersRequests(REQUESTS);
  const flooders = Array.from({ length: CONNECTIONS }, () => new Flooder(t, agent.ip, requests));
  const answers = (): number => flooders.reduce((sum, flooder) => sum + flooder.answers, 0);
  // At once: half a second later half of them may be answered.
  const asked = await new Promise<number>((resolve) => {
    for (const flooder of flooders) flooder.onAnswers = () => resolve(answers());
  });
  assert.ok(asked < (CONNECTIONS * REQUESTS) / 2, `${asked} answers before the first ping: the flood is too small to show anything`);
  const answersAtAck = await new Promise<number>((resolve) => {
    pinger.onAck = () => resolve(answers());
    pinger.ping();
  });
  assert.ok(answersAtAck < CONNECTIONS * REQUESTS, "the ping waited for the whole flood");
  await eventually("every request is answered", DEADLINE_MS, () => (answers() === CONNECTIONS * REQUESTS ? null : `${answers()} answers`), () => agent.child.describe());
});

test("slow readers and silent clients of the RPC port: pings and other clients are answered all the while", { timeout: 120_000 }, async (t) => {
  const agent = await startAgent(t, { program: "muster", name: "pestered" });
  const requests = membersRequests(REQUESTS);
  for (let i = 0; i < 2 * CONNECTIONS; i += 1) {
    const socket = connect(RPC_PORT, agent.ip).on("error", () => undefined);
    t.after(() => void socket.destroy());
    socket.pause(); // Never reads.
    if (i % 2 === 0) socket.write(requests);
    else socket.write(requests.subarray(0, 5)); // A request that never ends.
  }
  const pinger = new Pinger(t, agent);
  await pinger.open();
  for (let round = 1; round <= 5; round += 1) {
    const before = pinger.acks;
    await eventually("an ack", DEADLINE_MS, () => {
      pinger.ping();
      return pinger.acks > before ? null : "none";
    });
    const client = await SerfClient.connect({ address: agent.rpcAddr });
    assert.equal((await client.members()).length, 1);
    client.close();
  }
});

test("a flood of malformed packets: the next ping is answered, and the log says how many lines it left out instead of writing them", { timeout: 120_000 }, async (t) => {
  const agent = await startAgent(t, { program: "muster", name: "littered" });
  const pinger = new Pinger(t, agent);
  await pinger.open();
  const before = agent.child.output.split("\n").length;
  for (let i = 0; i < PACKETS; i += 1) {
    pinger.send(Uint8Array.of(0, 0xc1, i)); // A ping that is no msgpack.
    if (i % 100 === 99) await new Promise((resolve) => setImmediate(resolve));
  }
  await eventually("an ack", DEADLINE_MS, () => {
    pinger.ping();
    return pinger.acks > 0 ? null : "none";
  });
  await agent.child.waitFor("the rest of the lines in one", (text) => text.includes("[ERR] agent: suppressed"), DEADLINE_MS);
  assert.ok(agent.child.output.split("\n").length - before < PACKETS / 10, `more than ${LINES_PER_SECOND_MAX} lines a second`);
  assert.equal(agent.child.exit, null);
});
