/**
 * Arguments and replies of the procedures as Consul's server RPC carries them (reference: consul-agent §6.3, §6.4): msgpack of the old dialect, struct fields
 * sorted bytewise. What is decoded comes from other servers and clients: wrong bytes are an error text, never an exception.
 */
import { fail, ok, type Result } from "../../base/result.ts";
import type { TxnError, TxnOutcome, TxnResult } from "../../catalog/types.ts";
import {
  decodeDeregisterRequest, decodeKvRequest, decodeRegisterRequest, decodeSessionRequest, decodeTxnRequest,
  encodeDeregisterRequest, encodeKvRequest, encodeRegisterRequest, encodeSessionRequest, encodeTxnRequest, readTxnOps,
} from "../../wire/fsm-codec.ts";
import type { KvOp, TxnOp } from "../../wire/fsm-commands.ts";
import {
  readCheck, readDirEntry, readNode, readService, readSession, readTexts, writeCheck, writeDirEntry, writeNode, writeService, writeSession, writeTexts,
} from "../../wire/fsm-structs.ts";
import { Reader, Writer } from "../../wire/msgpack.ts";
import type { QueryMeta, QueryOptions, Queried, RpcArgs, RpcMethod, RpcMethods, RpcReply } from "./types.ts";

const writer = new Writer("gossip");

type Write = (w: Writer) => void;
type Read = (r: Reader) => unknown;
type Fields = Readonly<Record<string, Write>>;

const text = (value: string): Write => (w) => void w.text(value);
const bool = (value: boolean): Write => (w) => void w.bool(value);
const int = (value: number): Write => (w) => void w.int(Math.round(value));
/** Unsigned indexes and signed durations of 64 bits: a client may ask for what a double holds only nearly, and the largest one must not wrap to 0. */
const UINT64_MAX = 18_446_744_073_709_549_568;
const INT64_MAX = 9_223_372_036_854_774_784;
const uint64 = (value: number): Write => int(Math.min(UINT64_MAX, value));
const duration = (ms: number): Write => int(Math.max(-INT64_MAX, Math.min(INT64_MAX, ms * NS_PER_MS)));
const nil: Write = (w) => void w.nil();
const texts = (value: readonly string[]): Write => (w) => writeTexts(w, value);
const NS_PER_MS = 1e6;

function list<T>(items: readonly T[], write: (w: Writer, item: T) => void): Write {
  return (w) => {
    w.arrayHead(items.length);
    for (const item of items) write(w, item);
  };
}

/** A struct: its fields sorted bytewise, as the original's encoder does. */
function struct(w: Writer, fields: Fields): void {
  const names = Object.keys(fields).sort();
  w.mapHead(names.length);
  for (const name of names) {
    w.text(name);
    (fields[name] as Write)(w);
  }
}

/** What a struct holds under the names asked for; others are skipped, missing ones stay undefined. */
function readStruct(r: Reader, reads: Readonly<Record<string, Read>>): Record<string, unknown> {
  const found: Record<string, unknown> = {};
  for (let left = r.mapHead(); left > 0 && !r.failed; left -= 1) {
    const name = r.text();
    const read = Object.hasOwn(reads, name) ? reads[name] : undefined;
    if (read === undefined) r.skip();
    else found[name] = read(r);
  }
  return found;
}

function readList<T>(read: (r: Reader) => T): (r: Reader) => T[] {
  return (r) => {
    const items: T[] = [];
    for (let left = r.arrayHead(); left > 0 && !r.failed; left -= 1) items.push(read(r));
    return items;
  };
}

const readText: Read = (r) => r.text();
const readBool: Read = (r) => r.bool();
const readInteger: Read = (r) => r.integer();
const readUint: Read = (r) => r.uint(Number.MAX_SAFE_INTEGER);

function optionFields(options: QueryOptions): Fields {
  return {
    AllowStale: bool(options.allowStale), Filter: text(options.filter), MaxAge: int(0), MaxQueryTime: duration(options.maxQueryTimeMs),
    MaxStaleDuration: duration(options.maxStaleMs), MinQueryIndex: uint64(options.minQueryIndex), MustRevalidate: bool(false),
    RequireConsistent: bool(options.requireConsistent), StaleIfError: int(0), Token: text(""), UseCache: bool(false),
  };
}

const OPTION_READS: Readonly<Record<string, Read>> = {
  AllowStale: readBool, Filter: readText, MaxQueryTime: readInteger, MaxStaleDuration: readInteger, MinQueryIndex: readInteger, RequireConsistent: readBool, Datacenter: readText,
};

function optionsOf(found: Record<string, unknown>): QueryOptions {
  return {
    allowStale: found["AllowStale"] === true,
    filter: textOf(found, "Filter"),
    maxQueryTimeMs: numberOf(found, "MaxQueryTime") / NS_PER_MS,
    maxStaleMs: numberOf(found, "MaxStaleDuration") / NS_PER_MS,
    minQueryIndex: numberOf(found, "MinQueryIndex"),
    requireConsistent: found["RequireConsistent"] === true,
  };
}

function textOf(found: Record<string, unknown>, name: string): string {
  const value = found[name];
  return typeof value === "string" ? value : "";
}

function numberOf(found: Record<string, unknown>, name: string): number {
  const value = found[name];
  return typeof value === "number" ? value : 0;
}

const SOURCE: Write = (w) => struct(w, { Datacenter: text(""), Ip: text(""), Node: text(""), Segment: text("") });
const NO_OPTIONS: QueryOptions = { allowStale: false, filter: "", maxQueryTimeMs: 0, maxStaleMs: 0, minQueryIndex: 0, requireConsistent: false };

function metaFields(meta: QueryMeta): Fields {
  return { ConsistencyLevel: text(""), Index: int(meta.index), KnownLeader: bool(meta.knownLeader), LastContact: duration(meta.lastContactMs) };
}

const META_READS: Readonly<Record<string, Read>> = { Index: readUint, KnownLeader: readBool, LastContact: readInteger };

function metaOf(found: Record<string, unknown>, options: QueryOptions): QueryMeta {
  return {
    index: numberOf(found, "Index"),
    knownLeader: found["KnownLeader"] === true,
    lastContactMs: numberOf(found, "LastContact") / NS_PER_MS,
    consistency: options.allowStale ? "stale" : options.requireConsistent ? "consistent" : "leader",
  };
}

interface Codec<M extends RpcMethod> {
  readonly writeArgs: (w: Writer, args: RpcMethods[M]["args"]) => void;
  readonly readArgs: (r: Reader) => RpcMethods[M]["args"];
  readonly writeReply: (w: Writer, reply: RpcMethods[M]["reply"]) => void;
  /** `args`: those of the call. */
  readonly readReply: (r: Reader, args: RpcMethods[M]["args"]) => RpcMethods[M]["reply"];
}

/** Commands travel as they stand in the log, without the type byte. */
function command<Request>(encode: (request: Request) => Uint8Array, decode: (data: Uint8Array) => Result<Request>): {
  readonly writeArgs: (w: Writer, request: Request) => void;
  readonly readArgs: (r: Reader) => Request;
} {
  return {
    writeArgs: (w, request) => void w.raw(encode(request).subarray(1)),
    readArgs: (r) => {
      const rest = r.raw(r.left) ?? new Uint8Array();
      const data = new Uint8Array(rest.length + 1);
      data.set(rest, 1);
      const decoded = decode(data);
      if (!decoded.ok) throw new Malformed(decoded.error);
      return decoded.value;
    },
  };
}

class Malformed extends Error {}

type QueriedMethod = { readonly [M in RpcMethod]: RpcMethods[M]["reply"] extends Queried<infer _> ? M : never }[RpcMethod];
type ValueOf<M extends QueriedMethod> = RpcMethods[M]["reply"] extends Queried<infer V> ? V : never;

/** A read: further arguments by name, and a value under one name of the reply. */
interface ReadSpec<M extends QueriedMethod> {
  readonly fields: (args: RpcMethods[M]["args"]) => Fields;
  readonly reads: Readonly<Record<string, Read>>;
  readonly take: (found: Record<string, unknown>) => Omit<RpcMethods[M]["args"], "datacenter" | "options">;
  readonly valueName: string;
  readonly writeValue: (w: Writer, value: ValueOf<M>) => void;
  readonly readValue: (r: Reader) => ValueOf<M>;
  readonly empty: ValueOf<M>;
}

function read<M extends QueriedMethod>(spec: ReadSpec<M>): {
  readonly writeArgs: (w: Writer, args: RpcMethods[M]["args"]) => void;
  readonly readArgs: (r: Reader) => RpcMethods[M]["args"];
  readonly writeReply: (w: Writer, reply: RpcMethods[M]["reply"]) => void;
  readonly readReply: (r: Reader, args: RpcMethods[M]["args"]) => RpcMethods[M]["reply"];
} {
  return {
    writeArgs: (w, args) => struct(w, { ...optionFields(args.options), Datacenter: text(args.datacenter), ...spec.fields(args) }),
    readArgs: (r) => {
      const found = readStruct(r, { ...OPTION_READS, ...spec.reads });
      return { datacenter: textOf(found, "Datacenter"), options: optionsOf(found), ...spec.take(found) } as RpcMethods[M]["args"];
    },
    writeReply: (w, reply) => {
      const { meta, value } = reply as Queried<ValueOf<M>>;
      struct(w, { ...metaFields(meta), [spec.valueName]: (inner) => spec.writeValue(inner, value) });
    },
    readReply: (r, args) => {
      const found = readStruct(r, { ...META_READS, [spec.valueName]: spec.readValue });
      return { meta: metaOf(found, args.options), value: (found[spec.valueName] as ValueOf<M> | undefined) ?? spec.empty } as RpcMethods[M]["reply"];
    },
  };
}

const keyRead = {
  fields: ({ key }: { readonly key: string }): Fields => ({ Key: text(key) }),
  reads: { Key: readText },
  take: (found: Record<string, unknown>) => ({ key: textOf(found, "Key") }),
  valueName: "Entries",
  writeValue: (w: Writer, entries: RpcMethods["KVS.Get"]["reply"]["value"]) => list(entries, writeDirEntry)(w),
  readValue: readList(readDirEntry),
  empty: [],
} as const;

const sessionRead = {
  fields: ({ sessionId }: { readonly sessionId: string }): Fields => ({ Session: text(sessionId), SessionID: text(sessionId) }),
  reads: { Session: readText, SessionID: readText },
  take: (found: Record<string, unknown>) => ({ sessionId: textOf(found, "SessionID") || textOf(found, "Session") }),
  valueName: "Sessions",
  writeValue: (w: Writer, sessions: RpcMethods["Session.Get"]["reply"]["value"]) => list(sessions, writeSession)(w),
  readValue: readList(readSession),
  empty: [],
} as const;

const nodeArgs = {
  fields: ({ node }: { readonly node: string }): Fields => ({ Node: text(node) }),
  reads: { Node: readText },
  take: (found: Record<string, unknown>) => ({ node: textOf(found, "Node") }),
} as const;

const nodesArgs = {
  fields: ({ nodeMeta }: { readonly nodeMeta: ReadonlyMap<string, string> }): Fields => ({ NodeMetaFilters: writeMeta(nodeMeta), Source: SOURCE }),
  reads: { NodeMetaFilters: readMeta },
  take: (found: Record<string, unknown>) => ({ nodeMeta: (found["NodeMetaFilters"] as ReadonlyMap<string, string> | undefined) ?? new Map<string, string>() }),
} as const;

function writeMeta(meta: ReadonlyMap<string, string>): Write {
  if (meta.size === 0) return nil;
  return (w) => {
    w.mapHead(meta.size);
    for (const [key, value] of meta) w.text(key).text(value);
  };
}

function readMeta(r: Reader): ReadonlyMap<string, string> {
  const meta = new Map<string, string>();
  for (let left = r.mapHead(); left > 0 && !r.failed; left -= 1) meta.set(r.text(), r.text());
  return meta;
}

const checksReply = {
  valueName: "HealthChecks",
  writeValue: (w: Writer, checks: RpcMethods["Health.NodeChecks"]["reply"]["value"]) => list(checks, writeCheck)(w),
  readValue: readList(readCheck),
  empty: [],
} as const;

const datacenterArgs = {
  writeArgs: (w: Writer, { datacenter }: { readonly datacenter: string }): void =>
    struct(w, { ...optionFields(NO_OPTIONS), Datacenter: text(datacenter), NodeMetaFilters: nil, Source: SOURCE }),
  readArgs: (r: Reader): { readonly datacenter: string } => ({ datacenter: textOf(readStruct(r, { Datacenter: readText }), "Datacenter") }),
} as const;

const nothingReply = {
  writeReply: (w: Writer): void => struct(w, {}),
  readReply: (r: Reader): null => {
    r.skip();
    return null;
  },
} as const;

const CODECS: { readonly [M in RpcMethod]: Codec<M> } = {
  "Status.Ping": { ...datacenterArgs, ...nothingReply },
  "Status.Leader": { ...datacenterArgs, writeReply: (w, reply) => void w.text(reply), readReply: (r) => r.text() },
  "Status.Peers": { ...datacenterArgs, writeReply: (w, peers) => texts(peers)(w), readReply: (r) => readTexts(r) ?? [] },
  "Status.RaftStats": {
    ...datacenterArgs,
    // The original asks with an empty struct.
    writeArgs: (w) => struct(w, {}),
    writeReply: (w, stats) => struct(w, { LastContact: text(stats.lastContact), LastIndex: int(stats.lastIndex), LastTerm: int(stats.lastTerm) }),
    readReply: (r) => {
      const found = readStruct(r, { LastContact: readText, LastIndex: readUint, LastTerm: readUint });
      return { lastContact: textOf(found, "LastContact"), lastIndex: numberOf(found, "LastIndex"), lastTerm: numberOf(found, "LastTerm") };
    },
  },
  "KVS.Apply": {
    ...command(encodeKvRequest, decodeKvRequest as (data: Uint8Array) => Result<RpcMethods["KVS.Apply"]["args"] & { readonly op: KvOp }>),
    writeReply: (w, done) => void w.bool(done),
    readReply: (r) => r.bool(),
  },
  "KVS.Get": read<"KVS.Get">(keyRead),
  "KVS.List": read<"KVS.List">(keyRead),
  "KVS.ListKeys": read<"KVS.ListKeys">({
    fields: ({ prefix, separator }) => ({ Prefix: text(prefix), Seperator: text(separator) }),
    reads: { Prefix: readText, Seperator: readText },
    take: (found) => ({ prefix: textOf(found, "Prefix"), separator: textOf(found, "Seperator") }),
    valueName: "Keys",
    writeValue: (w, keys: readonly string[]) => writeTexts(w, keys),
    readValue: (r): readonly string[] => readTexts(r) ?? [],
    empty: [],
  }),
  "Session.Apply": {
    ...command(encodeSessionRequest, decodeSessionRequest as (data: Uint8Array) => Result<RpcMethods["Session.Apply"]["args"]>),
    writeReply: (w, id) => void w.text(id),
    readReply: (r) => r.text(),
  },
  "Session.Get": read<"Session.Get">(sessionRead),
  "Session.List": read<"Session.List">(sessionRead),
  "Session.Renew": read<"Session.Renew">(sessionRead),
  "Session.NodeSessions": read<"Session.NodeSessions">({ ...sessionRead, ...nodeArgs }),
  "Txn.Apply": { ...command(encodeTxnRequest, decodeTxnRequest), writeReply: (w, outcome) => struct(w, txnFields(outcome)), readReply: (r) => txnOf(readStruct(r, TXN_READS)) },
  "Txn.Read": {
    writeArgs: (w, args) => struct(w, { ...optionFields(args.options), Datacenter: text(args.datacenter), Ops: (inner) => void inner.raw(opsBytes(args.ops)) }),
    readArgs: (r) => {
      const found = readStruct(r, { ...OPTION_READS, Ops: readTxnOps });
      return { datacenter: textOf(found, "Datacenter"), options: optionsOf(found), ops: (found["Ops"] as readonly TxnOp[] | undefined) ?? [] };
    },
    writeReply: (w, { meta, value }) => struct(w, { ...metaFields(meta), ...txnFields(value) }),
    readReply: (r, args) => {
      const found = readStruct(r, { ...META_READS, ...TXN_READS });
      return { meta: metaOf(found, args.options), value: txnOf(found) };
    },
  },
  "Catalog.Register": { ...command(encodeRegisterRequest, decodeRegisterRequest), ...nothingReply },
  "Catalog.Deregister": { ...command(encodeDeregisterRequest, decodeDeregisterRequest), ...nothingReply },
  "Catalog.ListDatacenters": {
    ...datacenterArgs,
    writeArgs: (w) => struct(w, optionFields(NO_OPTIONS)),
    writeReply: (w, names) => texts(names)(w),
    readReply: (r) => readTexts(r) ?? [],
  },
  "Catalog.ListNodes": read<"Catalog.ListNodes">({ ...nodesArgs, valueName: "Nodes", writeValue: (w, nodes) => list(nodes, writeNode)(w), readValue: readList(readNode), empty: [] }),
  "Catalog.ListServices": read<"Catalog.ListServices">({ ...nodesArgs, valueName: "Services", writeValue: writeServices, readValue: readServices, empty: new Map() }),
  "Catalog.NodeServices": read<"Catalog.NodeServices">({ ...nodeArgs, valueName: "NodeServices", writeValue: writeNodeServices, readValue: readNodeServices, empty: null }),
  "Catalog.NodeServiceList": read<"Catalog.NodeServiceList">({ ...nodeArgs, valueName: "NodeServices", writeValue: writeNodeServiceList, readValue: readNodeServiceList, empty: null }),
  "Health.NodeChecks": read<"Health.NodeChecks">({ ...nodeArgs, ...checksReply }),
  "Health.ChecksInState": read<"Health.ChecksInState">({
    fields: (args) => ({ ...nodesArgs.fields(args), State: text(args.state) }),
    reads: { ...nodesArgs.reads, State: readText },
    take: (found) => ({ ...nodesArgs.take(found), state: textOf(found, "State") }),
    ...checksReply,
  }),
  "Coordinate.Update": {
    writeArgs: (w, { datacenter, node }) => struct(w, { Coord: nil, Datacenter: text(datacenter), Node: text(node), Segment: text(""), Token: text("") }),
    readArgs: (r) => {
      const found = readStruct(r, { Datacenter: readText, Node: readText });
      return { datacenter: textOf(found, "Datacenter"), node: textOf(found, "Node") };
    },
    ...nothingReply,
  },
  "Operator.RaftGetConfiguration": {
    writeArgs: (w, args) => struct(w, { ...optionFields(args.options), Datacenter: text(args.datacenter), NodeMetaFilters: nil, Source: SOURCE }),
    readArgs: (r) => {
      const found = readStruct(r, OPTION_READS);
      return { datacenter: textOf(found, "Datacenter"), options: optionsOf(found) };
    },
    writeReply: (w, { servers, index }) => struct(w, { Index: int(index), Servers: list(servers, writeServer) }),
    readReply: (r) => {
      const found = readStruct(r, { Index: readUint, Servers: readList(readServer) });
      return { index: numberOf(found, "Index"), servers: (found["Servers"] as ReturnType<typeof readServer>[] | undefined) ?? [] };
    },
  },
  "Operator.RaftRemovePeerByID": {
    writeArgs: (w, { datacenter, id }) => struct(w, { Address: text(""), Datacenter: text(datacenter), ID: text(id), Token: text("") }),
    readArgs: (r) => {
      const found = readStruct(r, { Datacenter: readText, ID: readText });
      return { datacenter: textOf(found, "Datacenter"), id: textOf(found, "ID") };
    },
    ...nothingReply,
  },
  "Operator.RaftRemovePeerByAddress": {
    writeArgs: (w, { datacenter, address }) => struct(w, { Address: text(address), Datacenter: text(datacenter), ID: text(""), Token: text("") }),
    readArgs: (r) => {
      const found = readStruct(r, { Datacenter: readText, Address: readText });
      return { datacenter: textOf(found, "Datacenter"), address: textOf(found, "Address") };
    },
    ...nothingReply,
  },
};

type ServerInfo = RpcMethods["Operator.RaftGetConfiguration"]["reply"]["servers"][number];

function writeServer(w: Writer, server: ServerInfo): void {
  struct(w, {
    Address: text(server.address), ID: text(server.id), Leader: bool(server.leader), Node: text(server.node), ProtocolVersion: text(server.protocolVersion), Voter: bool(server.voter),
  });
}

function readServer(r: Reader): ServerInfo {
  const found = readStruct(r, { Address: readText, ID: readText, Leader: readBool, Node: readText, ProtocolVersion: readText, Voter: readBool });
  return {
    address: textOf(found, "Address"), id: textOf(found, "ID"), leader: found["Leader"] === true, node: textOf(found, "Node"),
    protocolVersion: textOf(found, "ProtocolVersion"), voter: found["Voter"] === true,
  };
}

function writeServices(w: Writer, services: ReadonlyMap<string, readonly string[]>): void {
  w.mapHead(services.size);
  for (const [name, tags] of services) {
    w.text(name);
    writeTexts(w, tags);
  }
}

function readServices(r: Reader): ReadonlyMap<string, readonly string[]> {
  const services = new Map<string, readonly string[]>();
  for (let left = r.mapHead(); left > 0 && !r.failed; left -= 1) services.set(r.text(), readTexts(r) ?? []);
  return services;
}

type NodeServices = RpcMethods["Catalog.NodeServices"]["reply"]["value"];

function writeNodeServices(w: Writer, found: NodeServices): void {
  if (found === null) {
    w.nil();
    return;
  }
  struct(w, {
    Node: (inner) => writeNode(inner, found.node),
    Services: (inner) => {
      inner.mapHead(found.services.length);
      for (const service of found.services) {
        inner.text(service.id);
        writeService(inner, service);
      }
    },
  });
}

function readNodeServices(r: Reader): NodeServices {
  if (r.nil()) return null;
  const found = readStruct(r, {
    Node: readNode,
    Services: (inner) => {
      const services = [];
      for (let left = inner.mapHead(); left > 0 && !inner.failed; left -= 1) {
        inner.text();
        services.push(readService(inner));
      }
      return services;
    },
  });
  const node = found["Node"] as ReturnType<typeof readNode> | undefined;
  return node === undefined ? null : { node, services: (found["Services"] as ReturnType<typeof readService>[] | undefined) ?? [] };
}

/** The form for agents: always a struct, of nothing when the node is unknown; services as a list, null when empty. */
function writeNodeServiceList(w: Writer, found: NodeServices): void {
  const services = found?.services ?? [];
  struct(w, {
    Node: found === null ? nil : (inner) => writeNode(inner, found.node),
    Services: services.length === 0 ? nil : list(services, writeService),
  });
}

function readNodeServiceList(r: Reader): NodeServices {
  const found = readStruct(r, { Node: unlessNil(readNode), Services: readList(readService) });
  const node = found["Node"] as ReturnType<typeof readNode> | undefined;
  return node === undefined ? null : { node, services: (found["Services"] as ReturnType<typeof readService>[] | undefined) ?? [] };
}

function opsBytes(ops: readonly TxnOp[]): Uint8Array {
  // The list alone: a transaction without datacenter and token, past its type byte, map head and the names around it.
  const whole = encodeTxnRequest({ datacenter: "", ops, token: "" });
  const r = new Reader(whole, 1);
  r.mapHead();
  for (;;) {
    if (r.text() === "Ops") break;
    r.skip();
  }
  const from = r.at;
  r.skip();
  return whole.slice(from, r.at);
}

function txnFields({ results, errors }: TxnOutcome): Fields {
  return {
    Errors: errors.length === 0 ? nil : list(errors, (w, { opIndex, what }) => struct(w, { OpIndex: int(opIndex), What: text(what) })),
    Results: errors.length > 0 ? nil : list(results, writeResult),
  };
}

function writeResult(w: Writer, result: TxnResult): void {
  struct(w, {
    Check: result.kind === "check" ? (inner) => writeCheck(inner, result.check) : nil,
    KV: result.kind === "kv" ? (inner) => writeDirEntry(inner, result.entry) : nil,
    Node: result.kind === "node" ? (inner) => writeNode(inner, result.node) : nil,
    Service: result.kind === "service" ? (inner) => writeService(inner, result.service) : nil,
  });
}

const unlessNil = (readValue: Read): Read => (r) => (r.nil() ? undefined : readValue(r));

function readResult(r: Reader): TxnResult | null {
  const found = readStruct(r, { Check: unlessNil(readCheck), KV: unlessNil(readDirEntry), Node: unlessNil(readNode), Service: unlessNil(readService) });
  if (found["KV"] !== undefined) return { kind: "kv", entry: found["KV"] as ReturnType<typeof readDirEntry> };
  if (found["Node"] !== undefined) return { kind: "node", node: found["Node"] as ReturnType<typeof readNode> };
  if (found["Service"] !== undefined) return { kind: "service", service: found["Service"] as ReturnType<typeof readService> };
  if (found["Check"] !== undefined) return { kind: "check", check: found["Check"] as ReturnType<typeof readCheck> };
  return null;
}

function readTxnError(r: Reader): TxnError {
  const found = readStruct(r, { OpIndex: readUint, What: readText });
  return { opIndex: numberOf(found, "OpIndex"), what: textOf(found, "What") };
}

const TXN_READS: Readonly<Record<string, Read>> = { Errors: readList(readTxnError), Results: readList(readResult) };

function txnOf(found: Record<string, unknown>): TxnOutcome {
  const results = (found["Results"] as readonly (TxnResult | null)[] | undefined) ?? [];
  return { errors: (found["Errors"] as readonly TxnError[] | undefined) ?? [], results: results.filter((result) => result !== null) };
}

export function isRpcMethod(name: string): name is RpcMethod {
  return Object.hasOwn(CODECS, name);
}

export function encodeArgs(method: RpcMethod, args: RpcArgs): Uint8Array {
  // Method and arguments belong together by the type of the call.
  (CODECS[method] as unknown as Codec<"Status.Ping">).writeArgs(writer, args);
  return writer.finish();
}

export function decodeArgs(method: RpcMethod, bytes: Uint8Array): Result<RpcArgs> {
  return decoded(bytes, (r) => CODECS[method].readArgs(r));
}

export function encodeReply(method: RpcMethod, reply: RpcReply): Uint8Array {
  (CODECS[method] as unknown as Codec<"Status.Leader">).writeReply(writer, reply as string);
  return writer.finish();
}

export function decodeReply(method: RpcMethod, bytes: Uint8Array, args: RpcArgs): Result<RpcReply> {
  return decoded(bytes, (r) => (CODECS[method] as unknown as { readReply: (r: Reader, args: RpcArgs) => RpcReply }).readReply(r, args));
}

function decoded<T>(bytes: Uint8Array, readBody: (r: Reader) => T): Result<T> {
  const r = new Reader(bytes);
  try {
    const value = readBody(r);
    return r.failed ? fail("msgpack decode error: malformed or truncated body") : ok(value);
  } catch (error) {
    if (!(error instanceof Malformed)) throw error;
    return fail(error.message);
  }
}
