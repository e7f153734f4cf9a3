/** raft-append-entries, raft-elections, raft-install-snapshot, disk-state: what real servers sent each other and kept, decoded, compared and encoded to the same bytes. */
import { strict as assert } from "node:assert";
import { toHex, fromHex } from "../../src/base/bytes.ts";
import { encodeUtf8 } from "../../src/base/utf8.ts";
import { decodeSnapshotMeta, encodeSnapshotMeta, parseSnapshotId } from "../../src/io/lanes/snapshot-meta.ts";
import { decodeLogEntry, encodeLogEntry, encodePeers, encodeRaftRequest, encodeRaftResponse } from "../../src/wire/raft-codec.ts";
import { decodeConfiguration, encodeConfiguration } from "../../src/wire/raft-configuration.ts";
import { RAFT_RPC, type LogEntry, type RaftRequest, type RaftResponse } from "../../src/wire/raft-messages.ts";
import { RaftRequestStream, RaftResponseStream, type Unread } from "../../src/wire/raft-stream.ts";
import { attempt } from "./compare.ts";
import type { Report } from "./registry.ts";

type Json = Readonly<Record<string, unknown>>;
interface Exchange {
  readonly rpc: string;
  readonly rpcType: number;
  readonly requestHex: string;
  readonly request: Json;
  readonly responseHex?: string | null;
  readonly responseError?: string | null;
  readonly response?: Json | null;
  readonly streamHex?: string;
  readonly streamBytes?: number;
  readonly configurationDecoded?: Json;
  readonly peersDecoded?: readonly string[];
  readonly surrounding?: readonly Exchange[];
}

/** Members that describe the recording, not what was sent. */
const ABOUT: ReadonlySet<string> = new Set(["description", "captured", "note", "timeline", "seenCounts"]);

/** Any recording whose members are lists of exchanges. */
export function checkRaftExchanges(data: unknown, report: Report): void {
  for (const [name, list] of Object.entries(data as Json)) {
    if (ABOUT.has(name)) continue;
    if (!Array.isArray(list)) report(name, "not a list of exchanges");
    else (list as readonly Exchange[]).forEach((exchange, i) => checkExchange(`${name} ${i}`, exchange, report));
  }
}

function checkExchange(name: string, exchange: Exchange, report: Report): void {
  attempt(`${name}: ${exchange.rpc} request`, report, () => checkRequest(exchange));
  const { responseHex } = exchange;
  if (typeof responseHex === "string") attempt(`${name}: ${exchange.rpc} response`, report, () => checkResponse(exchange, responseHex));
  if (exchange.surrounding !== undefined) exchange.surrounding.forEach((other, i) => checkExchange(`${name} surrounding ${i}`, other, report));
}

function checkRequest({ rpcType, requestHex, request: recorded, streamHex, streamBytes, configurationDecoded, peersDecoded }: Exchange): void {
  const bytes = fromHex(requestHex);
  const request = readWhole(bytes);
  assert.deepEqual(readBytewise(bytes), request, "cut at every byte it must read the same");
  assert.equal(RAFT_RPC[request.kind], rpcType);
  assert.equal(toHex(encodeRaftRequest(request)), requestHex);
  assert.deepEqual(recordedRequest(request), comparable(recorded));
  if (request.kind !== "installSnapshot") return;
  assert.equal(request.size, streamBytes ?? request.size);
  if (streamHex !== undefined) assert.equal(request.size, streamHex.length / 2);
  if (configurationDecoded !== undefined) assert.deepEqual({ Servers: request.configuration.servers.map(recordedServer) }, configurationDecoded);
  if (peersDecoded !== undefined) assert.deepEqual(request.configuration.servers.filter((server) => server.suffrage === "voter").map((server) => server.address), peersDecoded);
}

function readWhole(bytes: Uint8Array): RaftRequest {
  const stream = new RaftRequestStream();
  stream.append(bytes);
  const request = whole(stream.next());
  assert.equal(stream.size, 0);
  return request;
}

function readBytewise(bytes: Uint8Array): RaftRequest {
  const stream = new RaftRequestStream();
  for (let i = 0; i < bytes.length - 1; i += 1) {
    stream.append(bytes.subarray(i, i + 1));
    assert.equal(stream.next(), "short", `after ${i + 1} bytes`);
  }
  stream.append(bytes.subarray(bytes.length - 1));
  return whole(stream.next());
}

function whole<Message extends object>(message: Message | Unread): Message {
  if (typeof message === "string") throw new Error(`not read: ${message}`);
  return message;
}

function checkResponse({ response: recorded, responseError }: Exchange, responseHex: string): void {
  const bytes = fromHex(responseHex);
  const kind = kindOf(recorded);
  const stream = new RaftResponseStream();
  stream.append(bytes);
  const answer = whole(stream.next(kind));
  assert.equal(stream.size, 0);
  const slow = new RaftResponseStream();
  for (let i = 0; i < bytes.length - 1; i += 1) {
    slow.append(bytes.subarray(i, i + 1));
    assert.equal(slow.next(kind), "short");
  }
  slow.append(bytes.subarray(bytes.length - 1));
  assert.deepEqual(slow.next(kind), answer);
  assert.equal(answer.error, responseError ?? "");
  assert.equal(toHex(encodeRaftResponse(answer.error, answer.message)), responseHex);
  assert.deepEqual(answer.message === null ? null : recordedResponse(answer.message), recorded ?? null);
}

/** A recorded response tells by its fields what it answers. */
function kindOf(recorded: Json | null | undefined): RaftRequest["kind"] {
  const fields = Object.keys(recorded ?? {});
  if (fields.includes("LastLog")) return "appendEntries";
  if (fields.includes("Peers")) return "requestVote";
  if (fields.includes("Granted")) return "requestPreVote";
  return fields.includes("Success") ? "installSnapshot" : "timeoutNow";
}

/** Without what the recorder added: names beginning with `$`, but for `$hex` itself. */
function comparable(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(comparable);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).filter(([name]) => !name.startsWith("$") || name === "$hex");
  return Object.fromEntries(entries.map(([name, item]) => [name, comparable(item)]));
}

function recordedRequest(request: RaftRequest): Json {
  const { header } = request;
  const head = { ProtocolVersion: header.protocolVersion, ...(header.id === "" ? {} : { ID: header.id }), ...(header.address === "" ? {} : { Addr: header.address }) };
  switch (request.kind) {
    case "appendEntries":
      return {
        ...head, Term: request.term, Leader: request.leader, PrevLogEntry: request.prevLogIndex, PrevLogTerm: request.prevLogTerm,
        LeaderCommitIndex: request.leaderCommit, Entries: request.entries === null ? null : request.entries.map(recordedEntry),
      };
    case "requestVote":
      return {
        ...head, Term: request.term, Candidate: request.candidate, LastLogIndex: request.lastLogIndex, LastLogTerm: request.lastLogTerm,
        LeadershipTransfer: request.leadershipTransfer,
      };
    case "requestPreVote":
      return { ...head, Term: request.term, LastLogIndex: request.lastLogIndex, LastLogTerm: request.lastLogTerm };
    case "installSnapshot":
      return {
        ...head, Term: request.term, Leader: request.leader, LastLogIndex: request.lastLogIndex, LastLogTerm: request.lastLogTerm, SnapshotVersion: 1, Size: request.size,
        ConfigurationIndex: request.configurationIndex, Configuration: { $hex: toHex(encodeConfiguration(request.configuration)) },
        Peers: { $hex: toHex(encodePeers(request.configuration)) },
      };
    case "timeoutNow":
      return head;
  }
}

function recordedResponse(response: RaftResponse): Json {
  const head = { ProtocolVersion: response.header.protocolVersion };
  switch (response.kind) {
    case "appendEntries":
      return { ...head, Term: response.term, LastLog: response.lastLog, NoRetryBackoff: response.noRetryBackoff, Success: response.success };
    case "requestVote":
      return { ...head, Term: response.term, Granted: response.granted, Peers: null };
    case "requestPreVote":
      return { ...head, Term: response.term, Granted: response.granted };
    case "installSnapshot":
      return { ...head, Term: response.term, Success: response.success };
    case "timeoutNow":
      return head;
  }
}

function recordedEntry({ data, extensions, index, term, type }: LogEntry): Json {
  const raw = (bytes: Uint8Array): Json | null => (bytes.length === 0 ? null : { $hex: toHex(bytes) });
  return { Data: raw(data), Extensions: raw(extensions), Index: index, Term: term, Type: type };
}

function recordedServer({ id, address, suffrage }: { readonly id: string; readonly address: string; readonly suffrage: string }): Json {
  return { Address: address, ID: id, Suffrage: ["voter", "nonvoter", "staging"].indexOf(suffrage) };
}

interface DiskState {
  readonly raftDb: {
    readonly conf: readonly { readonly key: string; readonly valueHex: string }[];
    readonly logs: readonly { readonly keyHex: string; readonly valueHex: string; readonly decoded: Json }[];
  };
  readonly snapshotsDir: readonly (Json & { readonly dir: string; readonly "meta.json": string })[];
}

/** The entries of raft.db and the meta.json of each snapshot; the state inside snapshots belongs to the catalog's checker. */
export function checkDiskState(data: unknown, report: Report): void {
  const { raftDb, snapshotsDir } = data as DiskState;
  for (const { keyHex, valueHex, decoded } of raftDb.logs) {
    attempt(`raft.db log ${keyHex}`, report, () => {
      const entry = decodeLogEntry(fromHex(valueHex));
      assert.ok(entry !== null);
      assert.equal(entry.index, Number.parseInt(keyHex, 16));
      assert.deepEqual(recordedEntry(entry), comparable(decoded));
      assert.equal(toHex(encodeLogEntry(entry)), valueHex);
      if (entry.type === 5) {
        const configuration = decodeConfiguration(entry.data);
        assert.ok(configuration.ok && toHex(encodeConfiguration(configuration.value)) === toHex(entry.data));
      }
    });
  }
  for (const snapshot of snapshotsDir) {
    attempt(`snapshot ${snapshot.dir}`, report, () => {
      const meta = decodeSnapshotMeta(snapshot["meta.json"]);
      assert.ok(meta.ok, JSON.stringify(meta));
      assert.equal(meta.value.id, snapshot.dir);
      assert.deepEqual(parseSnapshotId(snapshot.dir)?.slice(0, 2), [meta.value.term, meta.value.index]);
      assert.equal(meta.value.size, snapshot["state.bin size"]);
      assert.equal(toHex(encodeUtf8(encodeSnapshotMeta(meta.value))), toHex(encodeUtf8(snapshot["meta.json"])));
    });
  }
}
