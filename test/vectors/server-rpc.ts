/** rpc-yamux-frames, rpc-calls, connections, live-checks: the multiplexed RPC of real servers, frame by frame and call by call. */
import { strict as assert } from "node:assert";
import { concatBytes, fromHex, toHex } from "../../src/base/bytes.ts";
import { CONNECTION_KIND } from "../../src/io/server-port.ts";
import { encodeRpcReply, encodeRpcRequest, RpcReplyStream, RpcRequestStream, type RpcReply, type RpcRequest } from "../../src/wire/server-rpc.ts";
import { YamuxSession, type YamuxEvent } from "../../src/wire/yamux.ts";
import { attempt } from "./compare.ts";
import type { Report } from "./registry.ts";

interface Frame {
  readonly dir: "client->server" | "server->client";
  readonly ms: number;
  readonly type: "Data" | "WindowUpdate" | "Ping" | "GoAway";
  readonly flags: readonly string[];
  readonly stream: number;
  readonly length: number;
  readonly headerHex: string;
  readonly dataHex?: string;
}
interface Connection {
  readonly conn: string;
  readonly frames: readonly Frame[];
  readonly clientBytesHex?: string;
  readonly serverBytesHex?: string;
}

export function checkYamuxFrames(data: unknown, report: Report): void {
  for (const { conn, frames, clientBytesHex, serverBytesHex } of (data as { readonly connections: readonly Connection[] }).connections) {
    attempt(`${conn}: our sessions in both places send the same frames`, report, () => replay(frames));
    attempt(`${conn}: ours take what the real ones sent`, report, () => listen(frames));
    if (clientBytesHex === undefined || serverBytesHex === undefined) continue;
    attempt(`${conn}: the whole connection`, report, () => {
      const { sent } = replay(frames);
      assert.equal(`04${sent["client->server"]}`, clientBytesHex);
      assert.equal(sent["server->client"], serverBytesHex);
    });
  }
}

type Direction = Frame["dir"];

/** When a window update is due differs between implementations: those without a flag are not compared. */
function isPlainUpdate(header: string): boolean {
  return header.startsWith("00010000");
}

function replay(frames: readonly Frame[]): { readonly sent: Readonly<Record<Direction, string>> } {
  const sessions = { "client->server": new YamuxSession(true, 0), "server->client": new YamuxSession(false, 0) };
  const sent = { "client->server": "", "server->client": "" };
  const expected = { "client->server": "", "server->client": "" };
  for (const frame of frames) {
    const session = sessions[frame.dir];
    const payload = frame.type === "Data" ? (frame.dataHex === undefined ? new Uint8Array(frame.length) : fromHex(frame.dataHex)) : new Uint8Array(0);
    if (!isPlainUpdate(frame.headerHex)) expected[frame.dir] += frame.headerHex + toHex(payload);
    act(session, frame, payload);
    // Whatever either has to say goes over at once.
    for (let busy = true; busy; ) {
      busy = false;
      for (const dir of ["client->server", "server->client"] as const) {
        const peer = sessions[dir === "client->server" ? "server->client" : "client->server"];
        const output = sessions[dir].takeOutput();
        if (output.length === 0) continue;
        busy = true;
        const bytes = concatBytes(output);
        if (!isPlainUpdate(toHex(bytes.subarray(0, 4)))) sent[dir] += toHex(bytes);
        const events: YamuxEvent[] = [];
        peer.feed(bytes, frame.ms, events);
        for (const event of events) if (event.kind === "data") peer.consume(event.stream, event.bytes.length);
        assert.equal(events.some((event) => event.kind === "closed"), false);
      }
    }
  }
  assert.deepEqual(sent, expected);
  return { sent };
}

function act(session: YamuxSession, { type, flags, stream }: Frame, payload: Uint8Array): void {
  if (type === "Ping" && flags.includes("SYN")) session.wake(session.wakeAtMs, []);
  else if (type === "GoAway") session.goAway();
  else if (flags.includes("SYN")) assert.equal(session.open(), stream);
  if (type === "Data") session.send(stream, payload);
  if (flags.includes("FIN")) session.finish(stream);
  if (flags.includes("RST")) session.reset(stream);
}

/** Each side's recorded bytes, cut at every byte, into a session of ours. */
function listen(frames: readonly Frame[]): void {
  const server = new YamuxSession(false, 0);
  let data = "";
  let expected = "";
  for (const frame of frames.filter(({ dir }) => dir === "client->server")) {
    const payload = frame.type === "Data" ? (frame.dataHex ?? "00".repeat(frame.length)) : "";
    expected += payload;
    for (const byte of fromHex(frame.headerHex + payload)) {
      const events: YamuxEvent[] = [];
      server.feed(Uint8Array.of(byte), frame.ms, events);
      for (const event of events) {
        assert.notEqual(event.kind, "closed");
        if (event.kind !== "data") continue;
        data += toHex(event.bytes);
        server.consume(event.stream, event.bytes.length);
      }
    }
    server.takeOutput();
  }
  assert.equal(data, expected);
}

interface Call {
  readonly method: string;
  readonly header: { readonly Seq: number; readonly ServiceMethod: string };
  readonly requestHex: string;
  readonly replyHeader?: { readonly Error: string; readonly Seq: number; readonly ServiceMethod: string };
  readonly responseHex?: string;
}

/** The frames of each call; what stands in the bodies belongs to the methods. */
export function checkRpcCalls(data: unknown, report: Report): void {
  for (const [i, { method, header, requestHex, replyHeader, responseHex }] of (data as { readonly calls: readonly Call[] }).calls.entries()) {
    attempt(`${i} ${method} request`, report, () => {
      const request = readRequest(fromHex(requestHex));
      assert.deepEqual({ Seq: request.seq, ServiceMethod: request.method }, header);
      assert.equal(toHex(concatBytes(encodeRpcRequest(request))), requestHex);
    });
    if (replyHeader === undefined || responseHex === undefined) continue;
    attempt(`${i} ${method} reply`, report, () => {
      const reply = readReply(fromHex(responseHex));
      assert.deepEqual({ Error: reply.error, Seq: reply.seq, ServiceMethod: reply.method }, replyHeader);
      assert.equal(toHex(concatBytes(encodeRpcReply(reply))), responseHex);
    });
  }
}

function readRequest(bytes: Uint8Array): RpcRequest {
  const stream = new RpcRequestStream();
  for (let at = 0; at < bytes.length - 1; at += 7) {
    stream.append(bytes.subarray(at, Math.min(at + 7, bytes.length - 1)));
    assert.equal(stream.next(), "short");
  }
  stream.append(bytes.subarray(bytes.length - 1));
  const request = stream.next();
  assert.ok(typeof request !== "string" && stream.size === 0);
  return request;
}

function readReply(bytes: Uint8Array): RpcReply {
  const stream = new RpcReplyStream();
  for (let at = 0; at < bytes.length - 1; at += 7) {
    stream.append(bytes.subarray(at, Math.min(at + 7, bytes.length - 1)));
    assert.equal(stream.next(), "short");
  }
  stream.append(bytes.subarray(bytes.length - 1));
  const reply = stream.next();
  assert.ok(typeof reply !== "string" && stream.size === 0);
  return reply;
}

/** Every connection that carried something began with a kind we know. */
export function checkConnections(data: unknown, report: Report): void {
  const known: readonly number[] = Object.values(CONNECTION_KIND);
  for (const { from, to, firstByte } of (data as { readonly connections: readonly { readonly from: string; readonly to: string; readonly firstByte: string }[] }).connections) {
    attempt(`${from} -> ${to}`, report, () => assert.ok(firstByte === "" || known.includes(Number.parseInt(firstByte, 16)), firstByte));
  }
}

interface LiveExchange {
  readonly name: string;
  readonly sentHex: string;
  readonly receivedHex: string;
  readonly serverClosed: boolean | string;
}

/** live-checks, what is framing: multiplexed exchanges go through a session of ours which answers with the recorded replies; refused first bytes are refused. */
export function checkLiveFraming(data: unknown, report: Report): void {
  for (const exchange of (data as { readonly exchanges: readonly LiveExchange[] }).exchanges) {
    const { name, sentHex, serverClosed } = exchange;
    if (sentHex.startsWith("04")) attempt(name, report, () => checkMultiplexed(exchange));
    else if (name.startsWith("first byte")) attempt(name, report, () => checkRefusal(Number.parseInt(sentHex.slice(0, 2), 16), serverClosed));
  }
}

function checkRefusal(byte: number, serverClosed: boolean | string): void {
  const known: readonly number[] = Object.values(CONNECTION_KIND);
  // 07 is a TLS server of the original, which waits; we do not offer it.
  assert.ok(!known.includes(byte) && (serverClosed === "reset" || byte === 7));
}

function checkMultiplexed({ sentHex, receivedHex, serverClosed }: LiveExchange): void {
  const session = new YamuxSession(false, 0);
  const events: YamuxEvent[] = [];
  session.feed(fromHex(sentHex.slice(2)), 0, events);
  assert.equal(events.some((event) => event.kind === "closed"), serverClosed === true);
  const requests = new Map<number, RpcRequestStream>();
  for (const event of events) {
    if (event.kind === "opened") requests.set(event.stream, new RpcRequestStream());
    if (event.kind === "data") requests.get(event.stream)?.append(event.bytes);
  }
  // The recorded frames in their kinds, sorted: in which order streams are answered is chance.
  const replies = framesOf(fromHex(receivedHex));
  for (const [stream, input] of requests) {
    const request = input.next();
    assert.ok(typeof request !== "string");
    const reply = replies.find((frame) => frame.type === 0 && frame.stream === stream);
    assert.ok(reply !== undefined);
    const answer = readReply(reply.data);
    assert.equal(answer.seq, request.seq);
    session.send(stream, reply.data);
    if (events.some((event) => event.kind === "ended" && event.stream === stream)) session.finish(stream);
  }
  const shown = (frames: readonly Parsed[]): string[] => frames.map(({ type, flags, stream, length, data }) => `${type} ${flags} ${stream} ${length} ${toHex(data)}`).sort();
  // The original puts the acknowledgement on the first data frame when both are due; ours is a frame of its own.
  const ours = framesOf(concatBytes(session.takeOutput())).filter((frame) => replies.some((other) => other.flags === frame.flags && other.type === frame.type));
  assert.deepEqual(shown(ours), shown(replies));
}

interface Parsed {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  readonly length: number;
  readonly data: Uint8Array;
}

function framesOf(bytes: Uint8Array): Parsed[] {
  const frames: Parsed[] = [];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let at = 0; at < bytes.length; ) {
    const type = view.getUint8(at + 1);
    const length = view.getUint32(at + 8);
    const end = at + 12 + (type === 0 ? length : 0);
    frames.push({ type, flags: view.getUint16(at + 2), stream: view.getUint32(at + 4), length, data: bytes.subarray(at + 12, end) });
    at = end;
  }
  return frames;
}
