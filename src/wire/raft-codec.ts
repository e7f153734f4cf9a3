/**
 * Raft's messages as bytes (reference: consul-agent §7.1): a type byte and a msgpack map to a peer, an error text and a map (or nil) back. Old msgpack
 * dialect, keys sorted bytewise. Decoders never throw: null stands for bytes that are no such message. `raft-stream.ts` cuts a connection into messages.
 */
import { assertNever } from "../base/assert.ts";
import { EMPTY_BYTES } from "../base/bytes.ts";
import { decodeUtf8 } from "../base/utf8.ts";
import { Reader, Schema, Writer, encodeKey, structLength } from "./msgpack.ts";
import { decodeConfiguration, encodeConfiguration } from "./raft-configuration.ts";
import {
  ENTRY_TYPE, RAFT_RPC, type EntryType, type LogEntry, type RaftConfiguration, type RaftHeader, type RaftRequest, type RaftResponse,
} from "./raft-messages.ts";

/** Entries in one AppendEntries; the original's configuration allows 1,024. More are malformed: each takes far more memory than its bytes. */
export const ENTRIES_MAX = 1024;

/** The layout of snapshots whose header carries a configuration. Frozen. */
const SNAPSHOT_VERSION = 1;

/** What stands in any message; each has some of them. */
class Fields {
  protocolVersion = 0;
  id = "";
  address = "";
  term = 0;
  leader = "";
  prevLogIndex = 0;
  prevLogTerm = 0;
  entries: readonly LogEntry[] | null = null;
  leaderCommit = 0;
  lastLog = 0;
  success = false;
  noRetryBackoff = false;
  candidate = "";
  lastLogIndex = 0;
  lastLogTerm = 0;
  leadershipTransfer = false;
  granted = false;
  configuration: RaftConfiguration | null = null;
  configurationIndex = 0;
  size = 0;
}

type Take = (r: Reader, fields: Fields) => void;

const takes: Readonly<Record<string, Take>> = {
  ProtocolVersion: (r, f) => (f.protocolVersion = r.uint(255)),
  ID: (r, f) => (f.id = rawText(r)),
  Addr: (r, f) => (f.address = rawText(r)),
  Term: (r, f) => (f.term = count(r)),
  Leader: (r, f) => (f.leader = rawText(r)),
  PrevLogEntry: (r, f) => (f.prevLogIndex = count(r)),
  PrevLogTerm: (r, f) => (f.prevLogTerm = count(r)),
  Entries: (r, f) => (f.entries = readEntries(r)),
  LeaderCommitIndex: (r, f) => (f.leaderCommit = count(r)),
  LastLog: (r, f) => (f.lastLog = count(r)),
  Success: (r, f) => (f.success = r.bool()),
  NoRetryBackoff: (r, f) => (f.noRetryBackoff = r.bool()),
  Candidate: (r, f) => (f.candidate = rawText(r)),
  LastLogIndex: (r, f) => (f.lastLogIndex = count(r)),
  LastLogTerm: (r, f) => (f.lastLogTerm = count(r)),
  LeadershipTransfer: (r, f) => (f.leadershipTransfer = r.bool()),
  Granted: (r, f) => (f.granted = r.bool()),
  Configuration: (r, f) => (f.configuration = readRawConfiguration(r)),
  ConfigurationIndex: (r, f) => (f.configurationIndex = count(r)),
  Size: (r, f) => (f.size = count(r)),
  Peers: (r) => r.skip(),
  SnapshotVersion: (r) => r.skip(),
};

/** A message's fields, in the order of the original's declaration. */
class Layout {
  readonly schema: Schema;
  readonly #takes: readonly Take[];

  constructor(...names: readonly string[]) {
    const all = ["ProtocolVersion", "ID", "Addr", ...names];
    this.schema = new Schema(...all);
    this.#takes = all.map((name) => takes[name] as Take);
  }

  read(r: Reader): Fields {
    const fields = new Fields();
    const head = r.structHead();
    for (let i = 0; i < structLength(head) && !r.failed; i += 1) {
      const field = r.field(this.schema, head, i);
      if (field < 0) r.skip();
      else (this.#takes[field] as Take)(r, fields);
    }
    return fields;
  }
}

type Kind = RaftRequest["kind"];

const requestLayouts: Readonly<Record<Kind, Layout>> = {
  appendEntries: new Layout("Term", "Leader", "PrevLogEntry", "PrevLogTerm", "Entries", "LeaderCommitIndex"),
  requestVote: new Layout("Term", "Candidate", "LastLogIndex", "LastLogTerm", "LeadershipTransfer"),
  requestPreVote: new Layout("Term", "LastLogIndex", "LastLogTerm"),
  installSnapshot: new Layout("SnapshotVersion", "Term", "Leader", "LastLogIndex", "LastLogTerm", "Peers", "Configuration", "ConfigurationIndex", "Size"),
  timeoutNow: new Layout(),
};

const responseLayouts: Readonly<Record<Kind, Layout>> = {
  appendEntries: new Layout("Term", "LastLog", "Success", "NoRetryBackoff"),
  requestVote: new Layout("Term", "Peers", "Granted"),
  requestPreVote: new Layout("Term", "Granted"),
  installSnapshot: new Layout("Term", "Success"),
  timeoutNow: new Layout(),
};

const kinds = new Map<number, Kind>(Object.entries(RAFT_RPC).map(([kind, type]) => [type, kind as Kind]));

/** Which request a type byte announces; null: none that we know, and what follows cannot be read. */
export function requestKind(type: number): Kind | null {
  return kinds.get(type) ?? null;
}

/** The request at the reader's place, which holds nothing else. */
export function decodeRaftRequest(kind: Kind, r: Reader): RaftRequest | null {
  const fields = requestLayouts[kind].read(r);
  if (r.failed) return null;
  const { term, lastLogIndex, lastLogTerm } = fields;
  const header = headerOf(fields);
  // Newer libraries leave leader and candidate to the header.
  switch (kind) {
    case "appendEntries": {
      const { prevLogIndex, prevLogTerm, entries, leaderCommit } = fields;
      return { kind, header, term, leader: fields.leader || header.address, prevLogIndex, prevLogTerm, entries, leaderCommit };
    }
    case "requestVote":
      return { kind, header, term, candidate: fields.candidate || header.address, lastLogIndex, lastLogTerm, leadershipTransfer: fields.leadershipTransfer };
    case "requestPreVote":
      return { kind, header, term, lastLogIndex, lastLogTerm };
    case "installSnapshot": {
      const { configuration, configurationIndex, size } = fields;
      if (configuration === null) return null;
      return { kind, header, term, leader: fields.leader || header.address, lastLogIndex, lastLogTerm, configuration, configurationIndex, size };
    }
    case "timeoutNow":
      return { kind, header };
  }
}

/** The response to a request of this kind. */
export function decodeRaftResponse(kind: Kind, r: Reader): RaftResponse | null {
  const fields = responseLayouts[kind].read(r);
  if (r.failed) return null;
  const { term, success, granted, lastLog, noRetryBackoff } = fields;
  const header = headerOf(fields);
  switch (kind) {
    case "appendEntries":
      return { kind, header, term, lastLog, success, noRetryBackoff };
    case "requestVote":
    case "requestPreVote":
      return { kind, header, term, granted };
    case "installSnapshot":
      return { kind, header, term, success };
    case "timeoutNow":
      return { kind, header };
  }
}

function headerOf({ protocolVersion, id, address }: Fields): RaftHeader {
  return { protocolVersion, id, address };
}

function count(r: Reader): number {
  return r.uint(Number.MAX_SAFE_INTEGER);
}

/** Text that the original holds as bytes: of either family. */
function rawText(r: Reader): string {
  const bytes = r.bytesView();
  return bytes === null ? "" : decodeUtf8(bytes);
}

function readRawConfiguration(r: Reader): RaftConfiguration | null {
  const bytes = r.bytesView();
  if (bytes === null) return null;
  const decoded = decodeConfiguration(bytes);
  if (!decoded.ok) r.fail();
  return decoded.ok ? decoded.value : null;
}

function readEntries(r: Reader): readonly LogEntry[] | null {
  if (r.nil()) return null;
  const length = r.arrayHead();
  if (length > ENTRIES_MAX) r.fail();
  const entries: LogEntry[] = [];
  for (let i = 0; i < length && !r.failed; i += 1) entries.push(readLogEntry(r));
  return entries;
}

const entrySchema = new Schema("Index", "Term", "Type", "Data", "Extensions", "AppendedAt");
const entryTypes: ReadonlySet<number> = new Set(Object.values(ENTRY_TYPE));

/** For an entry inside other bytes: look at `r.failed` afterwards. */
export function readLogEntry(r: Reader): LogEntry {
  let index = 0;
  let term = 0;
  let type: EntryType = ENTRY_TYPE.command;
  let data = EMPTY_BYTES;
  let extensions = EMPTY_BYTES;
  const head = r.structHead();
  for (let i = 0; i < structLength(head) && !r.failed; i += 1) {
    switch (r.field(entrySchema, head, i)) {
      case 0:
        index = count(r);
        break;
      case 1:
        term = count(r);
        break;
      case 2:
        type = r.uint(255) as EntryType;
        break;
      case 3:
        data = r.bytes() ?? EMPTY_BYTES;
        break;
      case 4:
        extensions = r.bytes() ?? EMPTY_BYTES;
        break;
      default:
        r.skip();
    }
  }
  if (!entryTypes.has(type)) r.fail();
  return { index, term, type, data, extensions };
}

/** One entry as the original keeps it in raft.db; null when malformed or followed by more. */
export function decodeLogEntry(bytes: Uint8Array): LogEntry | null {
  const r = new Reader(bytes);
  const entry = readLogEntry(r);
  return r.failed || r.left > 0 ? null : entry;
}

const keys = Object.fromEntries([...Object.keys(takes), "Data", "Extensions", "Index", "Type"].map((name) => [name, encodeKey(name)]));
function key(name: string): Uint8Array {
  return keys[name] as Uint8Array;
}
const dataKey = key("Data");
const extensionsKey = key("Extensions");
const indexKey = key("Index");
const termKey = key("Term");
const typeKey = key("Type");

export function writeLogEntry(w: Writer, { data, extensions, index, term, type }: LogEntry): void {
  w.mapHead(5).raw(dataKey).bytes(data.length === 0 ? null : data).raw(extensionsKey).bytes(extensions.length === 0 ? null : extensions);
  w.raw(indexKey).int(index).raw(termKey).int(term).raw(typeKey).int(type);
}

const writer = new Writer("gossip");

/** As `decodeLogEntry` takes it. */
export function encodeLogEntry(entry: LogEntry): Uint8Array {
  writeLogEntry(writer, entry);
  return writer.finish();
}

/** Head of a map of `fields` fields and the header's: `Addr` sorts before all others, `ID` is up to the caller (`writeId`), ProtocolVersion too. */
function begin(header: RaftHeader, fields: number): void {
  writer.mapHead(fields + 1 + (header.id === "" ? 0 : 1) + (header.address === "" ? 0 : 1));
  if (header.address !== "") writer.raw(key("Addr")).text(header.address);
}

function writeId({ id }: RaftHeader): void {
  if (id !== "") writer.raw(key("ID")).text(id);
}

function writeCount(name: string, value: number): void {
  writer.raw(key(name)).int(value);
}

/** Type byte and map; after an InstallSnapshot the state follows. */
export function encodeRaftRequest(message: RaftRequest): Uint8Array {
  writer.byte(RAFT_RPC[message.kind]);
  const { header } = message;
  switch (message.kind) {
    case "appendEntries":
      begin(header, 6);
      writeEntries(message.entries);
      writeId(header);
      writer.raw(key("Leader")).text(message.leader);
      writeCount("LeaderCommitIndex", message.leaderCommit);
      writeCount("PrevLogEntry", message.prevLogIndex);
      writeCount("PrevLogTerm", message.prevLogTerm);
      break;
    case "requestVote":
      begin(header, 5);
      writer.raw(key("Candidate")).text(message.candidate);
      writeId(header);
      writeCount("LastLogIndex", message.lastLogIndex);
      writeCount("LastLogTerm", message.lastLogTerm);
      writer.raw(key("LeadershipTransfer")).bool(message.leadershipTransfer);
      break;
    case "requestPreVote":
      begin(header, 3);
      writeId(header);
      writeCount("LastLogIndex", message.lastLogIndex);
      writeCount("LastLogTerm", message.lastLogTerm);
      break;
    case "installSnapshot": {
      // Before anything else is written: both share the encoder's memory only through `finish`.
      const configuration = encodeConfiguration(message.configuration);
      begin(header, 9);
      writer.raw(key("Configuration")).bytes(configuration);
      writeCount("ConfigurationIndex", message.configurationIndex);
      writeId(header);
      writeCount("LastLogIndex", message.lastLogIndex);
      writeCount("LastLogTerm", message.lastLogTerm);
      writer.raw(key("Leader")).text(message.leader);
      writer.raw(key("Peers")).bytes(encodePeers(message.configuration));
      writeCount("ProtocolVersion", header.protocolVersion);
      writeCount("Size", message.size);
      writeCount("SnapshotVersion", SNAPSHOT_VERSION);
      writeCount("Term", message.term);
      return writer.finish();
    }
    case "timeoutNow":
      begin(header, 0);
      writeId(header);
      writeCount("ProtocolVersion", header.protocolVersion);
      return writer.finish();
    default:
      return assertNever(message);
  }
  writeCount("ProtocolVersion", header.protocolVersion);
  writeCount("Term", message.term);
  return writer.finish();
}

function writeEntries(entries: readonly LogEntry[] | null): void {
  writer.raw(key("Entries"));
  if (entries === null) {
    writer.nil();
    return;
  }
  writer.arrayHead(entries.length);
  for (const entry of entries) writeLogEntry(writer, entry);
}

const peersWriter = new Writer("gossip");

/** The voters' addresses, as peers of older versions read them: in InstallSnapshot and in meta.json. */
export function encodePeers({ servers }: RaftConfiguration): Uint8Array {
  const voters = servers.filter((server) => server.suffrage === "voter");
  peersWriter.arrayHead(voters.length);
  for (const { address } of voters) peersWriter.text(address);
  return peersWriter.finish();
}

/** An error text, "" for none, and the response, or nil for null. */
export function encodeRaftResponse(error: string, message: RaftResponse | null): Uint8Array {
  writer.text(error);
  if (message === null) return writer.nil().finish();
  const { header } = message;
  switch (message.kind) {
    case "appendEntries":
      begin(header, 4);
      writeId(header);
      writeCount("LastLog", message.lastLog);
      writer.raw(key("NoRetryBackoff")).bool(message.noRetryBackoff);
      writeCount("ProtocolVersion", header.protocolVersion);
      writer.raw(key("Success")).bool(message.success);
      break;
    case "requestVote":
      begin(header, 3);
      writer.raw(key("Granted")).bool(message.granted);
      writeId(header);
      writer.raw(key("Peers")).nil();
      writeCount("ProtocolVersion", header.protocolVersion);
      break;
    case "requestPreVote":
      begin(header, 2);
      writer.raw(key("Granted")).bool(message.granted);
      writeId(header);
      writeCount("ProtocolVersion", header.protocolVersion);
      break;
    case "installSnapshot":
      begin(header, 2);
      writeId(header);
      writeCount("ProtocolVersion", header.protocolVersion);
      writer.raw(key("Success")).bool(message.success);
      break;
    case "timeoutNow":
      begin(header, 0);
      writeId(header);
      writeCount("ProtocolVersion", header.protocolVersion);
      return writer.finish();
    default:
      return assertNever(message);
  }
  writeCount("Term", message.term);
  return writer.finish();
}
