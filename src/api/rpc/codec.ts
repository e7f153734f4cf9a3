/**
 * Arguments and replies of the procedures as Consul's server RPC carries them (reference: consul-agent §6.3, §6.4): msgpack of the old dialect, struct fields
 * sorted bytewise. What is decoded comes from other servers and clients: wrong bytes are an error text, never an exception.
 */
import { fail, ok, type Result } from "../../base/result.ts";
import type { Rows, TxnError, TxnOutcome, TxnResult } from "../../catalog/types.ts";
import {
  decodeDeregisterRequest, decodeKvRequest, decodeRegisterRequest, decodeSessionRequest, decodeTxnRequest,
  encodeDeregisterRequest, encodeKvRequest, encodeRegisterRequest, encodeSessionRequest, encodeTxnRequest, readTxnOps,
} from "../../wire/fsm-codec.ts";
import type { DirEntry, KvOp, TxnOp } from "../../wire/fsm-commands.ts";
import {
  readCheck, readDirEntry, readNode, readService, readTexts, writeCheck, writeDirEntry, writeNode, writeService, writeTexts,
} from "../../wire/fsm-structs.ts";
import { Reader, Writer } from "../../wire/msgpack.ts";
import {
  type Codec, type Fields, META_READS, Malformed, NO_OPTIONS, OPTION_READS, type Read, SOURCE, bool, checksReply, command, datacenterArgs, int, keyRead, list, metaFields, metaOf, nil, nodeArgs, nodesArgs, nothingReply, numberOf, optionFields, optionsOf, read, readBool, readList, readStruct, readText, readUint, sessionRead, struct, structPieces, text, textOf, texts,
} from "./codec-parts.ts";
import { OPERATOR_CODECS } from "./codec-operator.ts";
import { SERVICE_CODECS } from "./codec-services.ts";
import type { RpcArgs, RpcMethod, RpcMethods, RpcReply } from "./types.ts";

const writer = new Writer("gossip");

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
    writeValue: (w, keys: Rows<string>) => writeTexts(w, [...keys]),
    readValue: (r): Rows<string> => readTexts(r) ?? [],
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
  ...SERVICE_CODECS,
  ...OPERATOR_CODECS,
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

/** More rows than this are encoded in pieces. */
const LONG_FROM_ROWS = 128;

/** The bytes of `encodeReply` one after the other, for lists of keys, which may be as long as the state is large; null for what is short enough. */
export function replyPieces(method: RpcMethod, reply: RpcReply): Iterator<Uint8Array, void> | null {
  if (method !== "KVS.List" && method !== "KVS.ListKeys") return null;
  const { meta, value } = reply as RpcMethods["KVS.List" | "KVS.ListKeys"]["reply"];
  if (value.length <= LONG_FROM_ROWS) return null;
  if (method === "KVS.List") return structPieces(writer, metaFields(meta), "Entries", value as Rows<DirEntry>, writeDirEntry);
  return structPieces(writer, metaFields(meta), "Keys", value as Rows<string>, (w, key) => void w.text(key));
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
