import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import { test, type TestContext } from "node:test";
import { concatBytes, EMPTY_BYTES, fromHex, toHex } from "../../src/base/bytes.ts";
import { MemoryLogStore } from "../../src/io/lanes/memory-log-store.ts";
import type { SnapshotStore } from "../../src/io/lanes/log-store.ts";
import { UNSENT_BYTES_MAX } from "../../src/io/raft-outgoing.ts";
import { RaftTransport } from "../../src/io/raft-transport.ts";
import { CONNECTION_KIND, ServerPort, type ConnectionRefusal } from "../../src/io/server-port.ts";
import type { Channel, RaftInput, SendEffect } from "../../src/raft/types.ts";
import { encodeRaftRequest, encodeRaftResponse } from "../../src/wire/raft-codec.ts";
import { ENTRY_TYPE, type InstallSnapshotRequest, type RaftRequest, type RaftResponse } from "../../src/wire/raft-messages.ts";
import { RaftResponseStream } from "../../src/wire/raft-stream.ts";
import { projectPath } from "../support/project-root.ts";

const IP = "127.0.60.10";
const DEADLINE_MS = 20_000;
const header = { protocolVersion: 3, id: "", address: "" };

/** Inputs as they come, and a way to wait for one. */
class Inputs {
  readonly all: RaftInput[] = [];
  #taken = 0;
  #wake: () => void = () => undefined;
  onRequest: ((input: Extract<RaftInput, { kind: "request" }>) => void) | null = null;

  readonly take = (input: RaftInput): void => {
    this.all.push(input);
    if (input.kind === "request") this.onRequest?.(input);
    this.#wake();
  };

  /** The next input not yet returned; the kind must be this. */
  async next<Kind extends RaftInput["kind"]>(kind: Kind): Promise<Extract<RaftInput, { kind: Kind }>> {
    const end = performance.now() + DEADLINE_MS;
    while (this.all.length <= this.#taken) {
      if (performance.now() > end) throw new Error(`no ${kind} came`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, 500);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    const input = this.all[this.#taken] as RaftInput;
    this.#taken += 1;
    assert.equal(input.kind, kind, JSON.stringify(input));
    return input as Extract<RaftInput, { kind: Kind }>;
  }
}

interface Peer {
  readonly transport: RaftTransport;
  readonly inputs: Inputs;
  readonly address: string;
  readonly counts: Map<string, number>;
  readonly refusals: ConnectionRefusal[];
  readonly port: ServerPort;
  readonly snapshots: SnapshotStore;
}

async function peer(t: TestContext, ip = IP, options: { handshakeMs?: number; perAddressMax?: number; totalMax?: number; inputBytesMax?: number } = {}): Promise<Peer> {
  const inputs = new Inputs();
  const counts = new Map<string, number>();
  const refusals: ConnectionRefusal[] = [];
  const { snapshots } = new MemoryLogStore({ durable: () => undefined });
  const count = (name: string, delta: number): void => void counts.set(name, (counts.get(name) ?? 0) + delta);
  const transport = new RaftTransport({ localAddress: ip, snapshots, input: inputs.take, count, ...options });
  const handlers = new Map([[CONNECTION_KIND.raft, (socket: Socket, first: Uint8Array): void => transport.accept(socket, first)]]);
  const port = new ServerPort({ handlers, refused: (reason) => refusals.push(reason), ...options });
  const where = await port.listen({ ip, port: 0 });
  t.after(async () => {
    transport.close();
    await port.close();
  });
  return { transport, inputs, address: `${where.ip}:${where.port}`, counts, refusals, port, snapshots };
}

async function dial(t: TestContext, address: string): Promise<{ readonly socket: Socket; readonly received: () => Uint8Array; readonly closed: Promise<void> }> {
  const [host = "", port = ""] = address.split(":");
  const socket = connect({ host, port: Number(port), localAddress: IP });
  t.after(() => socket.destroy());
  const chunks: Uint8Array[] = [];
  socket.on("data", (chunk: Buffer) => chunks.push(chunk));
  socket.on("error", () => undefined);
  const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  await new Promise((resolve) => socket.once("connect", resolve));
  return { socket, received: () => concatBytes(chunks), closed };
}

async function until(what: string, holds: () => boolean): Promise<void> {
  const end = performance.now() + DEADLINE_MS;
  while (!holds()) {
    if (performance.now() > end) throw new Error(`not in time: ${what}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

function vote(term: number): RaftRequest {
  return { kind: "requestVote", header, term, candidate: "127.0.60.9:8300", lastLogIndex: term, lastLogTerm: 1, leadershipTransfer: false };
}

function voted(term: number): RaftResponse {
  return { kind: "requestVote", header, term, granted: true };
}

let lastCall = 0;
function sendTo(address: string, message: RaftRequest, channel: Channel = "vote", timeoutMs = DEADLINE_MS, snapshotId = ""): SendEffect {
  lastCall += 1;
  return { kind: "send", call: lastCall, to: { id: "peer", address }, channel, message, timeoutMs, snapshotId };
}

interface Exchange {
  readonly requestHex: string;
  readonly responseHex: string;
  readonly response: { readonly LastLog: number; readonly NoRetryBackoff: boolean; readonly Success: boolean; readonly Term: number };
}

test("recorded requests of a real leader reach the core, and its answers leave as the real follower's did", async (t) => {
  const { appends, rejected } = JSON.parse(readFileSync(projectPath("test/vectors/data/raft-append-entries.json"), "utf8")) as Record<"appends" | "rejected", Exchange[]>;
  const exchanges = [...appends, ...rejected];
  const { transport, inputs, address } = await peer(t);
  let next = 0;
  inputs.onRequest = ({ call }) => {
    const { LastLog, NoRetryBackoff, Success, Term } = (exchanges[next++] as Exchange).response;
    transport.answer({ kind: "answer", call, error: "", message: { kind: "appendEntries", header, term: Term, lastLog: LastLog, success: Success, noRetryBackoff: NoRetryBackoff } });
  };
  const { socket, received } = await dial(t, address);
  socket.write(fromHex(`01${exchanges.map((exchange) => exchange.requestHex).join("")}`));
  const expected = exchanges.map((exchange) => exchange.responseHex).join("");
  await until("answers", () => received().length >= expected.length / 2);
  assert.equal(toHex(received()), expected);
});

test("answers leave in the order of the requests, however the core gives them; at 128 unanswered ones reading stops", async (t) => {
  const { transport, inputs, address } = await peer(t);
  const { socket, received } = await dial(t, address);
  socket.write(concatBytes([Uint8Array.of(1), ...Array.from({ length: 200 }, (_, i) => encodeRaftRequest(vote(i + 1)))]));
  await until("128 requests", () => inputs.all.length >= 128);
  for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  assert.equal(inputs.all.length, 128);
  const answered = new Set<number>();
  const answerAll = (): void => {
    for (const input of inputs.all.slice().reverse()) {
      if (input.kind !== "request" || answered.has(input.call) || input.message.kind !== "requestVote") continue;
      answered.add(input.call);
      transport.answer({ kind: "answer", call: input.call, error: "", message: voted(input.message.term) });
    }
  };
  const expected = concatBytes(Array.from({ length: 200 }, (_, i) => encodeRaftResponse("", voted(i + 1))));
  await until("all answers", () => {
    answerAll();
    return received().length >= expected.length;
  });
  assert.equal(toHex(received()), toHex(expected));
});

test("an error text goes back with a nil response, and arrives as the failure `error`", async (t) => {
  const one = await peer(t);
  const two = await peer(t, "127.0.60.11");
  two.inputs.onRequest = ({ call }) => two.transport.answer({ kind: "answer", call, message: null, error: "operation not supported" });
  const effect = sendTo(two.address, vote(1));
  one.transport.send(effect);
  assert.deepEqual(await one.inputs.next("failed"), { kind: "failed", call: effect.call, failure: "error", error: "operation not supported" });
});

test("requests sent before and after the connection stands are answered in order on one connection; a closing peer is told after its calls have failed", async (t) => {
  const one = await peer(t);
  const two = await peer(t, "127.0.60.11");
  two.inputs.onRequest = ({ call, message }) => {
    if (message.kind === "requestVote" && message.term <= 2) two.transport.answer({ kind: "answer", call, message: voted(message.term), error: "" });
  };
  const calls = [1, 2, 3].map((term) => sendTo(two.address, vote(term)));
  one.transport.send(calls[0] as SendEffect);
  assert.equal((await one.inputs.next("response")).call, calls[0]?.call);
  one.transport.send(calls[1] as SendEffect);
  one.transport.send(calls[2] as SendEffect);
  assert.equal((await one.inputs.next("response")).call, calls[1]?.call);
  assert.equal(two.transport.incomingConnections, 1);
  await until("the third", () => two.inputs.all.length === 3);
  two.transport.close();
  const failed = await one.inputs.next("failed");
  assert.deepEqual([failed.call, failed.failure], [calls[2]?.call, "closed"]);
  assert.deepEqual(await one.inputs.next("channelClosed"), { kind: "channelClosed", peer: "peer", channel: "vote" });
});

test("why a call has no response: refused, timeout, malformed, unreachable; a dial check tells connected from refused", async (t) => {
  const { transport, inputs, address } = await peer(t);
  const free = createServer();
  await new Promise<void>((resolve) => free.listen(0, IP, resolve));
  const unused = `${IP}:${(free.address() as AddressInfo).port}`;
  await new Promise((resolve) => free.close(resolve));
  const mute = createServer((socket) => {
    t.after(() => socket.destroy());
    socket.on("data", (chunk) => (chunk.includes("malformed:1") ? socket.write("\xc1\xc1") : undefined));
  });
  await new Promise<void>((resolve) => mute.listen(0, IP, resolve));
  t.after(() => void mute.close());
  const silent = `${IP}:${(mute.address() as AddressInfo).port}`;

  const failureOf = async (effect: SendEffect): Promise<string> => {
    transport.send(effect);
    const { call, failure } = await inputs.next("failed");
    assert.equal(call, effect.call);
    return failure;
  };
  assert.equal(await failureOf(sendTo(unused, vote(1))), "refused");
  assert.equal(await failureOf(sendTo(silent, vote(1), "vote", 50)), "timeout");
  assert.equal(await failureOf(sendTo(silent, { ...vote(1), candidate: "malformed:1" } as RaftRequest, "preVote")), "malformed");
  assert.equal((await inputs.next("channelClosed")).channel, "preVote");
  assert.equal(await failureOf(sendTo("nowhere", vote(1))), "unreachable");
  assert.equal(await failureOf(sendTo(`${IP}:99999`, vote(1))), "unreachable");

  transport.dialCheck({ kind: "dialCheck", call: 7, to: { id: "a", address: unused }, timeoutMs: DEADLINE_MS });
  assert.deepEqual(await inputs.next("dialed"), { kind: "dialed", call: 7, outcome: "refused" });
  transport.dialCheck({ kind: "dialCheck", call: 8, to: { id: "a", address: silent }, timeoutMs: DEADLINE_MS });
  assert.deepEqual(await inputs.next("dialed"), { kind: "dialed", call: 8, outcome: "connected" });
  transport.dialCheck({ kind: "dialCheck", call: 9, to: { id: "a", address: "nowhere" }, timeoutMs: DEADLINE_MS });
  assert.deepEqual(await inputs.next("dialed"), { kind: "dialed", call: 9, outcome: "unknown" });
  assert.ok(address.startsWith(IP));
});

const configuration = { servers: [{ id: "a", address: "127.0.60.10:8300", suffrage: "voter" as const }] };

function install(size: number): InstallSnapshotRequest {
  return { kind: "installSnapshot", header, term: 3, leader: "127.0.60.10:8300", lastLogIndex: 100, lastLogTerm: 2, configuration, configurationIndex: 1, size };
}

async function storedState(store: SnapshotStore, size: number): Promise<{ readonly id: string; readonly state: Uint8Array }> {
  const state = Uint8Array.from({ length: size }, (_, i) => (i * 7) ^ (i >>> 8));
  const writer = await store.begin({ index: 100, term: 2, configuration, configurationIndex: 1 });
  for (let at = 0; at < size; at += 1 << 20) await writer.write(state.subarray(at, at + (1 << 20)));
  return { id: (await writer.finish()).id, state };
}

test("a snapshot of 3 MB travels on its own connection from one store to the other", async (t) => {
  const one = await peer(t);
  const two = await peer(t, "127.0.60.11");
  const { id, state } = await storedState(one.snapshots, 3_000_001);
  one.transport.send(sendTo(two.address, install(state.length), "snapshot", DEADLINE_MS, id));
  const { call, message } = await two.inputs.next("request");
  assert.deepEqual(message, install(state.length));
  two.transport.receiveSnapshot({ kind: "receiveSnapshot", call, message: message as InstallSnapshotRequest });
  const { meta, call: received } = await two.inputs.next("snapshotReceived");
  assert.ok(meta !== null && received === call);
  assert.deepEqual({ ...meta, id: "" }, { id: "", index: 100, term: 2, configuration, configurationIndex: 1, size: state.length });
  const pieces: Uint8Array[] = [];
  for (let at = 0; at < state.length; at += 1 << 20) pieces.push(await two.snapshots.read(meta.id, at, 1 << 20));
  assert.ok(Buffer.from(concatBytes(pieces)).equals(state));
  two.transport.answer({ kind: "answer", call, error: "", message: { kind: "installSnapshot", header: { ...header, protocolVersion: 0 }, term: 3, success: true } });
  assert.equal((await one.inputs.next("response")).message.kind, "installSnapshot");
  assert.equal((await two.inputs.next("connectionClosed")).kind, "connectionClosed");
});

test("a snapshot that the core refuses is read past, and the connection goes on", async (t) => {
  const { transport, inputs, address } = await peer(t);
  inputs.onRequest = ({ call, message }) => {
    if (message.kind === "installSnapshot") transport.answer({ kind: "answer", call, error: "", message: { kind: "installSnapshot", header, term: 9, success: false } });
    else transport.answer({ kind: "answer", call, error: "", message: voted(1) });
  };
  const { socket, received } = await dial(t, address);
  socket.write(concatBytes([Uint8Array.of(1), encodeRaftRequest(install(200_000)), new Uint8Array(100_000)]));
  await inputs.next("request");
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(received().length, 0, "not before all of it was read");
  socket.write(concatBytes([new Uint8Array(100_000), encodeRaftRequest(vote(1))]));
  const expected = concatBytes([encodeRaftResponse("", { kind: "installSnapshot", header, term: 9, success: false }), encodeRaftResponse("", voted(1))]);
  await until("two answers", () => received().length >= expected.length);
  assert.equal(toHex(received()), toHex(expected));
});

test("a snapshot whose stream breaks is told as such; one that another takes the place of too", async (t) => {
  const { transport, inputs, address } = await peer(t);
  const first = await dial(t, address);
  first.socket.write(concatBytes([Uint8Array.of(1), encodeRaftRequest(install(1000)), new Uint8Array(10)]));
  const one = await inputs.next("request");
  transport.receiveSnapshot({ kind: "receiveSnapshot", call: one.call, message: one.message as InstallSnapshotRequest });
  const second = await dial(t, address);
  second.socket.write(concatBytes([Uint8Array.of(1), encodeRaftRequest(install(1000)), new Uint8Array(10)]));
  const two = await inputs.next("request");
  transport.receiveSnapshot({ kind: "receiveSnapshot", call: two.call, message: two.message as InstallSnapshotRequest });
  assert.deepEqual({ ...(await inputs.next("snapshotReceived")), error: "" }, { kind: "snapshotReceived", call: one.call, meta: null, error: "" });
  second.socket.destroy();
  assert.equal((await inputs.next("connectionClosed")).connection, two.connection);
  assert.equal((await inputs.next("snapshotReceived")).meta, null);
});

test("the server port: unknown first bytes and silence are closed, one address has a limit, a first byte may come alone", async (t) => {
  const { inputs, address, refusals, port } = await peer(t, IP, { handshakeMs: 50, perAddressMax: 2 });
  const wrong = await dial(t, address);
  wrong.socket.write(Uint8Array.of(0x16, 3, 1));
  await wrong.closed;
  const silent = await dial(t, address);
  await silent.closed;
  assert.deepEqual(refusals, ["unknownKind", "silent"]);
  const patient = await dial(t, address);
  patient.socket.write(Uint8Array.of(1));
  await until("handed over", () => port.connections === 1);
  const busy = await dial(t, address);
  busy.socket.write(Uint8Array.of(1));
  const third = await dial(t, address);
  await third.closed;
  assert.deepEqual(refusals, ["unknownKind", "silent", "perAddress"]);
  patient.socket.write(encodeRaftRequest(vote(5)));
  assert.equal((await inputs.next("request")).message.kind, "requestVote");
});

test("the server port has so many connections of all addresses and no more, until one is closed", async (t) => {
  const { address, refusals, port } = await peer(t, IP, { totalMax: 2 });
  const first = await dial(t, address);
  first.socket.write(Uint8Array.of(1));
  await dial(t, address);
  const third = await dial(t, address);
  await third.closed;
  assert.deepEqual(refusals, ["total"]);
  first.socket.destroy();
  await until("there is room", () => port.connections === 1);
  await dial(t, address);
  await until("it is taken", () => port.connections === 2);
  assert.deepEqual(refusals, ["total"]);
});

test("incomplete requests of all peers together are bounded: whoever holds most is closed and counted, the others go on", async (t) => {
  const { inputs, address, counts } = await peer(t, IP, { inputBytesMax: 3_000_000 });
  const entry = (byteLength: number) => ({ index: 1, term: 1, type: ENTRY_TYPE.command, data: new Uint8Array(byteLength), extensions: EMPTY_BYTES });
  const append = (byteLength: number): Uint8Array =>
    encodeRaftRequest({ kind: "appendEntries", header, term: 1, leader: "127.0.60.9:8300", prevLogIndex: 0, prevLogTerm: 0, entries: [entry(byteLength)], leaderCommit: 0 });
  const begun = async (bytes: Uint8Array): Promise<Awaited<ReturnType<typeof dial>>> => {
    const connection = await dial(t, address);
    connection.socket.write(Uint8Array.of(1));
    connection.socket.write(bytes.subarray(0, -1));
    return connection;
  };
  const small = append(1_000_000);
  const one = await begun(small);
  const large = await begun(append(2_500_000));
  await large.closed;
  assert.equal(counts.get("raft.transport.input_shed"), 1);
  await inputs.next("connectionClosed");
  one.socket.write(small.subarray(-1));
  assert.equal((await inputs.next("request")).message.kind, "appendEntries");
});

test("a peer that does not read is sent so many bytes and no more: further requests fail", async (t) => {
  const server = createServer({ pauseOnConnect: true }, (socket) => t.after(() => socket.destroy()));
  await new Promise<void>((resolve) => server.listen(0, IP, resolve));
  t.after(() => void server.close());
  const { transport, inputs } = await peer(t, IP);
  const address = `${IP}:${(server.address() as AddressInfo).port}`;
  const data = new Uint8Array(4 << 20);
  const message: RaftRequest = { kind: "appendEntries", header, term: 1, leader: "127.0.60.9:8300", prevLogIndex: 0, prevLogTerm: 0, entries: [{ index: 1, term: 1, type: ENTRY_TYPE.command, data, extensions: EMPTY_BYTES }], leaderCommit: 0 };
  const sent = Math.ceil(UNSENT_BYTES_MAX / data.length) + 10;
  let failures: readonly RaftInput[] = [];
  // The system takes some of it: what it takes, and when, is its business.
  for (let i = 0; i < 2 * sent && failures.length === 0; i += 1) {
    transport.send(sendTo(address, message, "replication"));
    await new Promise((resolve) => setTimeout(resolve, 5));
    failures = inputs.all.filter(({ kind }) => kind === "failed");
  }
  assert.ok(failures.length > 0);
  assert.deepEqual(failures.map((input) => (input.kind === "failed" ? [input.failure, input.error] : [])), failures.map(() => ["unreachable", "the peer does not read"]));
});

test("bytes that are no Raft: counted and closed, whatever they are", async (t) => {
  const { inputs, address, counts, transport } = await peer(t);
  inputs.onRequest = ({ call }) => transport.answer({ kind: "answer", call, error: "", message: voted(1) });
  const whole = encodeRaftRequest(install(0));
  let seed = 1;
  const random = (below: number): number => {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
    return Math.floor((seed / 2 ** 32) * below);
  };
  for (let round = 0; round < 150; round += 1) {
    const bytes = whole.slice();
    for (let flips = 0; flips <= random(4); flips += 1) bytes[random(bytes.length)] = random(256);
    const { socket, closed } = await dial(t, address);
    socket.write(Uint8Array.of(1));
    socket.end(bytes);
    await closed;
  }
  await until("all closed", () => transport.incomingConnections === 0);
  assert.ok((counts.get("raft.transport.malformed") ?? 0) > 20, `${counts.get("raft.transport.malformed") ?? 0}`);
  const stream = new RaftResponseStream();
  stream.append(EMPTY_BYTES);
  assert.equal(stream.next("timeoutNow"), "short");
});
