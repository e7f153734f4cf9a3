/**
 * Codecs of RPC requests. Decoders take a `Reader` at the object and never throw: look at `reader.failed` afterwards. Missing fields
 * keep their zero value and unknown ones are skipped, as go-msgpack does it.
 */
import type {
  EventRequest,
  ForceLeaveRequest,
  IpcSeq,
  JoinRequest,
  MembersFilteredRequest,
  QueryRequest,
  RequestHeader,
  RespondRequest,
  TagsRequest,
} from "./ipc-messages.ts";
import { type Reader, Schema, structLength, Writer } from "./msgpack.ts";

// Field names in Go's declaration order, which is the order of the array form.
const HEADER = new Schema("Command", "Seq");
const EVENT = new Schema("Name", "Payload", "Coalesce");
const FORCE_LEAVE = new Schema("Node", "Prune");
const JOIN = new Schema("Existing", "Replay");
const MEMBERS_FILTERED = new Schema("Tags", "Status", "Name");
const TAGS = new Schema("Tags", "DeleteTags");
const QUERY = new Schema("FilterNodes", "FilterTags", "RequestAck", "RelayFactor", "Timeout", "Name", "Payload");
const RESPOND = new Schema("ID", "Payload");
const VERSION = new Schema("Version");
const AUTH = new Schema("AuthKey");
const KEY = new Schema("Key");
const LOG_LEVEL = new Schema("LogLevel");
const TYPE = new Schema("Type");
const STOP = new Schema("Stop");
const NODE = new Schema("Node");

const NS_PER_MS = 1e6;
const U64_MAX = 2n ** 64n - 1n;

/** Calls `read` with each known field's declaration index, its value next. */
function readStruct(reader: Reader, schema: Schema, read: (field: number) => void): void {
  const head = reader.structHead();
  const length = structLength(head);
  for (let i = 0; i < length && !reader.failed; i += 1) {
    const field = reader.field(schema, head, i);
    if (field < 0) reader.skip();
    else read(field);
  }
}

/** An unsigned 64-bit integer; nil is 0. */
export function readSeq(reader: Reader): IpcSeq {
  const value = reader.value();
  if (value === null) return 0;
  if (typeof value === "number" && Number.isInteger(value) && value >= 0) return value;
  if (typeof value === "bigint" && value >= 0n && value <= U64_MAX) return value;
  reader.fail();
  return 0;
}

function readTexts(reader: Reader): readonly string[] | null {
  if (reader.nil()) return null;
  const texts: string[] = [];
  const count = reader.arrayHead();
  for (let i = 0; i < count && !reader.failed; i += 1) texts.push(reader.text());
  return texts;
}

function readTextMap(reader: Reader): ReadonlyMap<string, string> | null {
  if (reader.nil()) return null;
  const map = new Map<string, string>();
  const count = reader.mapHead();
  for (let i = 0; i < count && !reader.failed; i += 1) {
    const key = reader.text();
    map.set(key, reader.text());
  }
  return map;
}

/**
 * Reads a header over the previous one of the connection: fields that are absent keep their old values, and nil clears both. Clients
 * that lost step with an agent that wants authentication see their last command answered again because of it, as with the original.
 */
export function decodeRequestHeader(reader: Reader, into: RequestHeader): void {
  if (reader.nil()) {
    into.command = "";
    into.seq = 0;
    return;
  }
  // Without a closure, as in `decodeEvent`: these two are read with every request of a busy client.
  const head = reader.structHead();
  const length = structLength(head);
  for (let i = 0; i < length && !reader.failed; i += 1) {
    const field = reader.field(HEADER, head, i);
    if (field === 0) into.command = reader.text();
    else if (field === 1) into.seq = readSeq(reader);
    else reader.skip();
  }
}

/** A header as nearly all clients write it: a command, and what goes before the number. */
export interface KnownHead {
  readonly command: IpcCommand;
  readonly bytes: Uint8Array;
}

/** Null where there is no such command. */
export function knownHead(command: string): KnownHead | null {
  return KNOWN_HEADS.get(command) ?? null;
}

/** Reads the field of a struct that has one. */
function readOnly<T>(reader: Reader, schema: Schema, zero: T, read: () => T): T {
  let value = zero;
  readStruct(reader, schema, () => {
    value = read();
  });
  return value;
}

const readOnlyText = (reader: Reader, schema: Schema): string => readOnly(reader, schema, "", () => reader.text());

/** What a client sends, header and body together. */
export type IpcRequest =
  | { readonly command: "handshake"; readonly version: number }
  | { readonly command: "auth"; readonly authKey: string }
  | ({ readonly command: "event" } & EventRequest)
  | ({ readonly command: "force-leave" } & ForceLeaveRequest)
  | ({ readonly command: "join" } & JoinRequest)
  | { readonly command: BareCommand }
  | ({ readonly command: "members-filtered" } & MembersFilteredRequest)
  | ({ readonly command: "tags" } & TagsRequest)
  | { readonly command: "stream"; readonly type: string }
  | { readonly command: "monitor"; readonly logLevel: string }
  | { readonly command: "stop"; readonly stop: IpcSeq }
  | ({ readonly command: "query" } & QueryRequest)
  | ({ readonly command: "respond" } & RespondRequest)
  | { readonly command: "install-key" | "use-key" | "remove-key"; readonly key: string }
  | { readonly command: "get-coordinate"; readonly node: string };

export type IpcCommand = IpcRequest["command"];
export type CommandWithBody = Exclude<IpcCommand, BareCommand>;
const BARE = ["members", "list-keys", "stats", "leave"] as const;
type BareCommand = (typeof BARE)[number];

export function isCommand(text: string): text is IpcCommand {
  // The first is asked for by the thousand, and looking a name up that V8 has not seen as one takes far longer than comparing it.
  return text === "event" || isBare(text) || Object.hasOwn(BODIES, text);
}

function isBare(text: string): text is BareCommand {
  return text === "members" || text === "list-keys" || text === "stats" || text === "leave";
}

/** A body follows the header of this command. */
export function hasBody(command: IpcCommand): command is CommandWithBody {
  return command === "event" || !isBare(command);
}

/** The request of a command that has a body; null when the body is malformed. */
export function decodeRequestBody(command: CommandWithBody, reader: Reader): IpcRequest | null {
  const request = command === "event" ? decodeEvent(reader) : BODIES[command](reader);
  return reader.failed ? null : request;
}

const BODIES: { readonly [Command in CommandWithBody]: (reader: Reader) => IpcRequest } = {
  handshake: (reader) => ({ command: "handshake", version: readOnly(reader, VERSION, 0, () => reader.int()) }),
  auth: (reader) => ({ command: "auth", authKey: readOnlyText(reader, AUTH) }),
  event: decodeEvent,
  "force-leave": decodeForceLeave,
  join: decodeJoin,
  "members-filtered": decodeMembersFiltered,
  tags: decodeTags,
  stream: (reader) => ({ command: "stream", type: readOnlyText(reader, TYPE) }),
  monitor: (reader) => ({ command: "monitor", logLevel: readOnlyText(reader, LOG_LEVEL) }),
  stop: (reader) => ({ command: "stop", stop: readOnly<IpcSeq>(reader, STOP, 0, () => readSeq(reader)) }),
  query: decodeQuery,
  respond: decodeRespond,
  "install-key": (reader) => ({ command: "install-key", key: readOnlyText(reader, KEY) }),
  "use-key": (reader) => ({ command: "use-key", key: readOnlyText(reader, KEY) }),
  "remove-key": (reader) => ({ command: "remove-key", key: readOnlyText(reader, KEY) }),
  "get-coordinate": (reader) => ({ command: "get-coordinate", node: readOnlyText(reader, NODE) }),
};

/** By names that are the program's own, which are compared at a glance; what a client sent is a text like any other. */
const KNOWN_HEADS: ReadonlyMap<string, KnownHead> = new Map([...BARE, ...(Object.keys(BODIES) as CommandWithBody[])].map((command) => [command, headOf(command)]));

function headOf(command: IpcCommand): KnownHead {
  return { command, bytes: new Writer("rpc").mapHead(2).text("Command").text(command).text("Seq").finish() };
}

/** Look at `reader.failed` afterwards. */
export function decodeEvent(reader: Reader): Extract<IpcRequest, { readonly command: "event" }> {
  let name = "";
  let payload: Uint8Array | null = null;
  let coalesce = false;
  const head = reader.structHead();
  const length = structLength(head);
  for (let i = 0; i < length && !reader.failed; i += 1) {
    const field = reader.field(EVENT, head, i);
    if (field === 0) name = reader.text();
    else if (field === 1) payload = reader.bytes();
    else if (field === 2) coalesce = reader.bool();
    else reader.skip();
  }
  return { command: "event", name, payload, coalesce };
}

function decodeForceLeave(reader: Reader): IpcRequest {
  const body = { node: "", prune: false };
  readStruct(reader, FORCE_LEAVE, (field) => {
    if (field === 0) body.node = reader.text();
    else body.prune = reader.bool();
  });
  return { command: "force-leave", ...body };
}

function decodeJoin(reader: Reader): IpcRequest {
  const body = { existing: null as readonly string[] | null, replay: false };
  readStruct(reader, JOIN, (field) => {
    if (field === 0) body.existing = readTexts(reader);
    else body.replay = reader.bool();
  });
  return { command: "join", ...body };
}

function decodeMembersFiltered(reader: Reader): IpcRequest {
  const body = { tags: null as ReadonlyMap<string, string> | null, status: "", name: "" };
  readStruct(reader, MEMBERS_FILTERED, (field) => {
    if (field === 0) body.tags = readTextMap(reader);
    else if (field === 1) body.status = reader.text();
    else body.name = reader.text();
  });
  return { command: "members-filtered", ...body };
}

function decodeTags(reader: Reader): IpcRequest {
  const body = { tags: null as ReadonlyMap<string, string> | null, deleteTags: null as readonly string[] | null };
  readStruct(reader, TAGS, (field) => {
    if (field === 0) body.tags = readTextMap(reader);
    else body.deleteTags = readTexts(reader);
  });
  return { command: "tags", ...body };
}

function decodeQuery(reader: Reader): IpcRequest {
  const body = {
    filterNodes: null as readonly string[] | null,
    filterTags: null as ReadonlyMap<string, string> | null,
    requestAck: false,
    relayFactor: 0,
    timeoutMs: 0,
    name: "",
    payload: null as Uint8Array | null,
  };
  readStruct(reader, QUERY, (field) => {
    if (field === 0) body.filterNodes = readTexts(reader);
    else if (field === 1) body.filterTags = readTextMap(reader);
    else if (field === 2) body.requestAck = reader.bool();
    else if (field === 3) body.relayFactor = reader.uint(255);
    else if (field === 4) body.timeoutMs = reader.integer() / NS_PER_MS;
    else if (field === 5) body.name = reader.text();
    else body.payload = reader.bytes();
  });
  return { command: "query", ...body };
}

function decodeRespond(reader: Reader): IpcRequest {
  const body = { id: 0, payload: null as Uint8Array | null };
  readStruct(reader, RESPOND, (field) => {
    if (field === 0) body.id = reader.uint(Number.MAX_SAFE_INTEGER);
    else body.payload = reader.bytes();
  });
  return { command: "respond", ...body };
}

/** Header and body; keys in wire (sorted) order. */
export function encodeRequest(seq: IpcSeq, request: IpcRequest): Uint8Array {
  const writer = new Writer("rpc");
  writer.value({ Command: request.command, Seq: seq });
  switch (request.command) {
    case "handshake":
      return writer.value({ Version: request.version }).finish();
    case "auth":
      return writer.value({ AuthKey: request.authKey }).finish();
    case "event":
      return writer.value({ Coalesce: request.coalesce, Name: request.name, Payload: request.payload }).finish();
    case "force-leave":
      return writer.value({ Node: request.node, Prune: request.prune }).finish();
    case "join":
      return writer.value({ Existing: request.existing, Replay: request.replay }).finish();
    case "members":
    case "list-keys":
    case "stats":
    case "leave":
      return writer.finish();
    case "members-filtered":
      return writer.value({ Name: request.name, Status: request.status, Tags: request.tags }).finish();
    case "tags":
      return writer.value({ DeleteTags: request.deleteTags, Tags: request.tags }).finish();
    case "stream":
      return writer.value({ Type: request.type }).finish();
    case "monitor":
      return writer.value({ LogLevel: request.logLevel }).finish();
    case "stop":
      return writer.value({ Stop: request.stop }).finish();
    case "query":
      return writer.value(queryBody(request)).finish();
    case "respond":
      return writer.value({ ID: request.id, Payload: request.payload }).finish();
    case "install-key":
    case "use-key":
    case "remove-key":
      return writer.value({ Key: request.key }).finish();
    case "get-coordinate":
      return writer.value({ Node: request.node }).finish();
  }
}

function queryBody(request: QueryRequest) {
  return {
    FilterNodes: request.filterNodes,
    FilterTags: request.filterTags,
    Name: request.name,
    Payload: request.payload,
    RelayFactor: request.relayFactor,
    RequestAck: request.requestAck,
    Timeout: Math.round(request.timeoutMs * NS_PER_MS),
  };
}
