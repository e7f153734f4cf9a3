/** Commands of the replicated state machine to bytes and back: one type byte, then the request struct (agent reference §7.2). */
import { fail, ok, type Result } from "../base/result.ts";
import {
  FSM_TYPE,
  type DeregisterRequest,
  type DirEntry,
  type HealthCheck,
  type KvRequest,
  type NodeService,
  type RegisterRequest,
  type Session,
  type SessionRequest,
  type TextMap,
  type TombstoneRequest,
  type TxnOp,
  type TxnRequest,
} from "./fsm-commands.ts";
import {
  readCheck,
  readDirEntry,
  readNode,
  readService,
  readSession,
  readTextMap,
  wireKeys,
  writeCheck,
  writeDirEntry,
  writeNode,
  writeService,
  writeSession,
  writeTextMap,
} from "./fsm-structs.ts";
import { Reader, Schema, structLength, Writer, type Encodable, type MsgpackValue } from "./msgpack.ts";

const K = wireKeys(
  "Address", "Check", "CheckID", "Checks", "CreateIndex", "Datacenter", "DirEnt", "ID", "Intention", "KV", "ModifyIndex", "Node", "NodeMeta", "Op", "Ops",
  "ReapIndex", "Service", "ServiceID", "Session", "SkipNodeUpdate", "TaggedAddresses", "Token", "Verb",
);

const writer = new Writer("gossip");

const ZERO_ENTRY: DirEntry = { key: "", value: null, flags: 0, lockIndex: 0, session: "", createIndex: 0, modifyIndex: 0 };
const ZERO_SESSION: Session = {
  id: "", name: "", node: "", lockDelay: 0, behavior: "", ttl: "", nodeChecks: null, serviceChecks: null, checks: null, createIndex: 0, modifyIndex: 0,
};

/** The value read by `read` at `at` of `data`, or what is wrong with the bytes. Bytes behind it are ignored, as Go's decoder does. */
function decodeWith<T>(data: Uint8Array, at: number, read: (r: Reader) => T): Result<T> {
  const r = new Reader(data, at);
  const value = read(r);
  return r.failed ? fail(r.short ? "command ends too early" : "malformed command") : ok(value);
}

// ---- KV

const kvSchema = new Schema("Datacenter", "Op", "DirEnt", "Token");

/** A KV command as the state machine's codec writes it; the op of a decoded one may be any text. */
export interface DecodedKvRequest extends Omit<KvRequest, "op"> {
  readonly op: string;
}

export function encodeKvRequest({ datacenter, op, entry, token }: DecodedKvRequest): Uint8Array {
  writer.byte(FSM_TYPE.kvs).mapHead(4).raw(K.Datacenter).text(datacenter).raw(K.DirEnt);
  writeDirEntry(writer, entry);
  return writer.raw(K.Op).text(op).raw(K.Token).text(token).finish();
}

export function decodeKvRequest(data: Uint8Array): Result<DecodedKvRequest> {
  return decodeWith(data, 1, (r) => {
    let datacenter = "";
    let op = "";
    let entry = ZERO_ENTRY;
    let token = "";
    const head = r.structHead();
    for (let i = 0; i < structLength(head) && !r.failed; i += 1) {
      const field = r.field(kvSchema, head, i);
      if (field === 0) datacenter = r.text();
      else if (field === 1) op = r.text();
      else if (field === 2) entry = readDirEntry(r);
      else if (field === 3) token = r.text();
      else r.skip();
    }
    return { datacenter, op, entry, token };
  });
}

// ---- Sessions

const sessionRequestSchema = new Schema("Datacenter", "Op", "Session", "Token");

export interface DecodedSessionRequest extends Omit<SessionRequest, "op"> {
  readonly op: string;
}

export function encodeSessionRequest({ datacenter, op, session, token }: DecodedSessionRequest): Uint8Array {
  writer.byte(FSM_TYPE.session).mapHead(4).raw(K.Datacenter).text(datacenter).raw(K.Op).text(op).raw(K.Session);
  writeSession(writer, session);
  return writer.raw(K.Token).text(token).finish();
}

export function decodeSessionRequest(data: Uint8Array): Result<DecodedSessionRequest> {
  return decodeWith(data, 1, (r) => {
    let datacenter = "";
    let op = "";
    let session = ZERO_SESSION;
    let token = "";
    const head = r.structHead();
    for (let i = 0; i < structLength(head) && !r.failed; i += 1) {
      const field = r.field(sessionRequestSchema, head, i);
      if (field === 0) datacenter = r.text();
      else if (field === 1) op = r.text();
      else if (field === 2) session = readSession(r);
      else if (field === 3) token = r.text();
      else r.skip();
    }
    return { datacenter, op, session, token };
  });
}

// ---- Tombstones

const tombstoneSchema = new Schema("Datacenter", "Op", "ReapIndex", "Token");

export interface DecodedTombstoneRequest extends TombstoneRequest {
  readonly op: string;
}

export function encodeTombstoneRequest({ datacenter, reapIndex, token }: TombstoneRequest): Uint8Array {
  writer.byte(FSM_TYPE.tombstone).mapHead(4).raw(K.Datacenter).text(datacenter).raw(K.Op).text("reap");
  return writer.raw(K.ReapIndex).int(reapIndex).raw(K.Token).text(token).finish();
}

export function decodeTombstoneRequest(data: Uint8Array): Result<DecodedTombstoneRequest> {
  return decodeWith(data, 1, (r) => {
    let datacenter = "";
    let op = "";
    let reapIndex = 0;
    let token = "";
    const head = r.structHead();
    for (let i = 0; i < structLength(head) && !r.failed; i += 1) {
      const field = r.field(tombstoneSchema, head, i);
      if (field === 0) datacenter = r.text();
      else if (field === 1) op = r.text();
      else if (field === 2) reapIndex = r.index();
      else if (field === 3) token = r.text();
      else r.skip();
    }
    return { datacenter, op, reapIndex, token };
  });
}

// ---- Register, deregister

const registerSchema = new Schema(
  "Datacenter", "ID", "Node", "Address", "TaggedAddresses", "NodeMeta", "Service", "Check", "Checks", "SkipNodeUpdate", "Token", "CreateIndex", "ModifyIndex",
);

export function encodeRegisterRequest(request: RegisterRequest): Uint8Array {
  writer.byte(FSM_TYPE.register);
  writeRegister(writer, request);
  return writer.finish();
}

/** The struct alone, as snapshots hold it too. */
export function writeRegister(w: Writer, request: RegisterRequest): void {
  w.mapHead(13).raw(K.Address).text(request.address).raw(K.Check);
  if (request.check === null) w.nil();
  else writeCheck(w, request.check);
  w.raw(K.Checks);
  if (request.checks === null) w.nil();
  else {
    w.arrayHead(request.checks.length);
    for (const check of request.checks) writeCheck(w, check);
  }
  w.raw(K.CreateIndex).int(request.createIndex).raw(K.Datacenter).text(request.datacenter).raw(K.ID).text(request.id);
  w.raw(K.ModifyIndex).int(request.modifyIndex).raw(K.Node).text(request.node).raw(K.NodeMeta);
  writeTextMap(w, request.nodeMeta);
  w.raw(K.Service);
  if (request.service === null) w.nil();
  else writeService(w, request.service);
  w.raw(K.SkipNodeUpdate).bool(request.skipNodeUpdate).raw(K.TaggedAddresses);
  writeTextMap(w, request.taggedAddresses);
  w.raw(K.Token).text(request.token);
}

export function readRegister(r: Reader): RegisterRequest {
  let datacenter = "";
  let id = "";
  let node = "";
  let address = "";
  let taggedAddresses: TextMap | null = null;
  let nodeMeta: TextMap | null = null;
  let service: NodeService | null = null;
  let check: HealthCheck | null = null;
  let checks: (HealthCheck)[] | null = null;
  let skipNodeUpdate = false;
  let token = "";
  let createIndex = 0;
  let modifyIndex = 0;
  const head = r.structHead();
  for (let i = 0; i < structLength(head) && !r.failed; i += 1) {
    switch (r.field(registerSchema, head, i)) {
      case 0:
        datacenter = r.text();
        break;
      case 1:
        id = r.text();
        break;
      case 2:
        node = r.text();
        break;
      case 3:
        address = r.text();
        break;
      case 4:
        taggedAddresses = readTextMap(r);
        break;
      case 5:
        nodeMeta = readTextMap(r);
        break;
      case 6:
        service = r.nil() ? null : readService(r);
        break;
      case 7:
        check = r.nil() ? null : readCheck(r);
        break;
      case 8:
        checks = readChecks(r);
        break;
      case 9:
        skipNodeUpdate = r.bool();
        break;
      case 10:
        token = r.text();
        break;
      case 11:
        createIndex = r.index();
        break;
      case 12:
        modifyIndex = r.index();
        break;
      default:
        r.skip();
    }
  }
  return { datacenter, id, node, address, taggedAddresses, nodeMeta, service, check, checks, skipNodeUpdate, token, createIndex, modifyIndex };
}

function readChecks(r: Reader): HealthCheck[] | null {
  if (r.nil()) return null;
  const checks: HealthCheck[] = [];
  for (let left = r.arrayHead(); left > 0 && !r.failed; left -= 1) checks.push(readCheck(r));
  return checks;
}

export function decodeRegisterRequest(data: Uint8Array): Result<RegisterRequest> {
  return decodeWith(data, 1, readRegister);
}

const deregisterSchema = new Schema("Datacenter", "Node", "ServiceID", "CheckID", "Token");

export function encodeDeregisterRequest({ datacenter, node, serviceId, checkId, token }: DeregisterRequest): Uint8Array {
  writer.byte(FSM_TYPE.deregister).mapHead(5).raw(K.CheckID).text(checkId).raw(K.Datacenter).text(datacenter).raw(K.Node).text(node);
  return writer.raw(K.ServiceID).text(serviceId).raw(K.Token).text(token).finish();
}

export function decodeDeregisterRequest(data: Uint8Array): Result<DeregisterRequest> {
  return decodeWith(data, 1, (r) => {
    let datacenter = "";
    let node = "";
    let serviceId = "";
    let checkId = "";
    let token = "";
    const head = r.structHead();
    for (let i = 0; i < structLength(head) && !r.failed; i += 1) {
      const field = r.field(deregisterSchema, head, i);
      if (field === 0) datacenter = r.text();
      else if (field === 1) node = r.text();
      else if (field === 2) serviceId = r.text();
      else if (field === 3) checkId = r.text();
      else if (field === 4) token = r.text();
      else r.skip();
    }
    return { datacenter, node, serviceId, checkId, token };
  });
}

// ---- Transactions

const txnSchema = new Schema("Datacenter", "Ops", "Token");
const txnOpSchema = new Schema("KV", "Intention", "Node", "Service", "Check", "Session");

export function encodeTxnRequest({ datacenter, ops, token }: TxnRequest): Uint8Array {
  writer.byte(FSM_TYPE.txn).mapHead(3).raw(K.Datacenter).text(datacenter).raw(K.Ops);
  // Go sends a list it made for zero operations as empty, not as nil.
  writer.arrayHead(ops.length);
  for (const op of ops) writeTxnOp(writer, op);
  return writer.raw(K.Token).text(token).finish();
}

export function decodeTxnRequest(data: Uint8Array): Result<TxnRequest> {
  return decodeWith(data, 1, (r) => {
    let datacenter = "";
    let ops: TxnOp[] = [];
    let token = "";
    const head = r.structHead();
    for (let i = 0; i < structLength(head) && !r.failed; i += 1) {
      const field = r.field(txnSchema, head, i);
      if (field === 0) datacenter = r.text();
      else if (field === 1) ops = readTxnOps(r);
      else if (field === 2) token = r.text();
      else r.skip();
    }
    return { datacenter, ops, token };
  });
}

/** Shared with the RPC codec: a list of operations. */
export function readTxnOps(r: Reader): TxnOp[] {
  const ops: TxnOp[] = [];
  for (let left = r.arrayHead(); left > 0 && !r.failed; left -= 1) ops.push(readTxnOp(r));
  return ops;
}

const NO_OP: TxnOp = { kind: "none" };

function readTxnOp(r: Reader): TxnOp {
  const found: (TxnOp | null)[] = [null, null, null, null, null, null];
  const head = r.structHead();
  for (let i = 0; i < structLength(head) && !r.failed; i += 1) {
    const field = r.field(txnOpSchema, head, i);
    if (field < 0) r.skip();
    else if (!r.nil()) found[field] = readTxnPart(r, field);
  }
  // Several parts in one operation: Go takes the first of KV, node, service, check, session; an intention is the last.
  for (const field of [0, 2, 3, 4, 5, 1]) {
    const part = found[field];
    if (part !== null && part !== undefined) return part;
  }
  return NO_OP;
}

const txnPartSchemas = [
  new Schema("Verb", "DirEnt"),
  new Schema(),
  new Schema("Verb", "Node"),
  new Schema("Verb", "Node", "Service"),
  new Schema("Verb", "Check"),
  new Schema("Verb", "Session"),
];

function readTxnPart(r: Reader, kind: number): TxnOp {
  if (kind === 1) return { kind: "intention", value: r.value() };
  const part: { verb: string; entry: DirEntry | null; node: string; body: TxnOp | null } = { verb: "", entry: null, node: "", body: null };
  const schema = txnPartSchemas[kind] as Schema;
  const head = r.structHead();
  for (let i = 0; i < structLength(head) && !r.failed; i += 1) {
    const field = r.field(schema, head, i);
    if (field === 0) part.verb = r.text();
    else if (field === 1 && kind === 3) part.node = r.text();
    else if (field > 0) part.body = readTxnBody(r, kind);
    else r.skip();
  }
  return withVerb(part.body ?? emptyBody(kind), part.verb, part.node);
}

function readTxnBody(r: Reader, kind: number): TxnOp {
  const verb = "";
  switch (kind) {
    case 0:
      return { kind: "kv", verb, entry: readDirEntry(r) };
    case 2:
      return { kind: "node", verb, node: readNode(r) };
    case 3:
      return { kind: "service", verb, node: "", service: readService(r) };
    case 4:
      return { kind: "check", verb, check: readCheck(r) };
    default:
      return { kind: "session", verb, session: readSession(r) };
  }
}

/** Reading from an empty struct gives every body its zero value. */
function emptyBody(kind: number): TxnOp {
  return readTxnBody(new Reader(Uint8Array.of(0x80)), kind);
}

function withVerb(op: TxnOp, verb: string, node: string): TxnOp {
  if (op.kind === "service") return { ...op, verb, node };
  return op.kind === "intention" || op.kind === "none" ? op : { ...op, verb };
}

function writeTxnOp(w: Writer, op: TxnOp): void {
  w.mapHead(6).raw(K.Check);
  if (op.kind === "check") {
    w.mapHead(2).raw(K.Check);
    writeCheck(w, op.check);
    w.raw(K.Verb).text(op.verb);
  } else w.nil();
  w.raw(K.Intention).value((op.kind === "intention" ? op.value : null) as Encodable);
  w.raw(K.KV);
  if (op.kind === "kv") {
    w.mapHead(2).raw(K.DirEnt);
    writeDirEntry(w, op.entry);
    w.raw(K.Verb).text(op.verb);
  } else w.nil();
  w.raw(K.Node);
  if (op.kind === "node") {
    w.mapHead(2).raw(K.Node);
    writeNode(w, op.node);
    w.raw(K.Verb).text(op.verb);
  } else w.nil();
  w.raw(K.Service);
  if (op.kind === "service") {
    w.mapHead(3).raw(K.Node).text(op.node).raw(K.Service);
    writeService(w, op.service);
    w.raw(K.Verb).text(op.verb);
  } else w.nil();
  w.raw(K.Session);
  if (op.kind === "session") {
    w.mapHead(2).raw(K.Session);
    writeSession(w, op.session);
    w.raw(K.Verb).text(op.verb);
  } else w.nil();
}

// ---- Anything else

/** A command whose struct is kept as it is on the wire; `encodeOpaque` gives the same bytes again. */
export function decodeOpaque(data: Uint8Array): Result<MsgpackValue> {
  return decodeWith(data, 1, (r) => r.value());
}

export function encodeOpaque(type: number, value: MsgpackValue): Uint8Array {
  return writer.byte(type).value(value as Encodable).finish();
}
