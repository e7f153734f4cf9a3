/** The structs inside commands and snapshot records, field by field (agent reference §6.3: old dialect, keys sorted bytewise, nil and empty kept apart). */
import { EMPTY_BYTES } from "../base/bytes.ts";
import type {
  CatalogNode,
  DirEntry,
  HealthCheck,
  NodeService,
  ServiceCheckRef,
  Session,
  TextMap,
  Weights,
  Wide,
} from "./fsm-commands.ts";
import { encodeKey, Schema, structLength, type Encodable, type MsgpackValue, type Reader, type Writer } from "./msgpack.ts";

/** Encoded keys by name. */
export function wireKeys<const N extends string>(...names: readonly N[]): Readonly<Record<N, Uint8Array>> {
  return Object.fromEntries(names.map((name) => [name, encodeKey(name)])) as Record<N, Uint8Array>;
}

const K = wireKeys(
  "Address", "Behavior", "CheckID", "Checks", "Connect", "CreateIndex", "Datacenter", "Definition", "EnableTagOverride", "Flags", "ID", "Key", "Kind",
  "LocallyRegisteredAsSidecar", "LockDelay", "LockIndex", "Meta", "ModifyIndex", "Name", "Namespace", "Node", "NodeChecks", "Notes", "Output", "Passing", "Port",
  "Proxy", "Service", "ServiceChecks", "ServiceID", "ServiceName", "ServiceTags", "Session", "Status", "TTL", "TaggedAddresses", "Tags", "Type", "Value",
  "Warning", "Weights",
);

/** A list of strings; null for nil. */
export function readTexts(r: Reader): string[] | null {
  if (r.nil()) return null;
  const texts: string[] = [];
  for (let left = r.arrayHead(); left > 0 && !r.failed; left -= 1) texts.push(r.text());
  return texts;
}

export function writeTexts(w: Writer, texts: readonly string[] | null): void {
  if (texts === null) w.nil();
  else {
    w.arrayHead(texts.length);
    for (const text of texts) w.text(text);
  }
}

export function readTextMap(r: Reader): TextMap | null {
  if (r.nil()) return null;
  const map = new Map<string, string>();
  for (let left = r.mapHead(); left > 0 && !r.failed; left -= 1) {
    const name = r.text();
    map.set(name, r.text());
  }
  return map;
}

export function writeTextMap(w: Writer, map: TextMap | null): void {
  if (map === null) w.nil();
  else {
    w.mapHead(map.size);
    for (const [name, value] of map) w.text(name).text(value);
  }
}

/** A byte string of the old dialect; nil and empty are kept apart. */
export function readBytes(r: Reader): Uint8Array | null {
  return r.nil() ? null : (r.bytes() ?? EMPTY_BYTES);
}

const dirEntrySchema = new Schema("LockIndex", "Key", "Flags", "Value", "Session", "CreateIndex", "ModifyIndex");

export function readDirEntry(r: Reader): DirEntry {
  let lockIndex = 0;
  let key = "";
  let flags: Wide = 0;
  let value: Uint8Array | null = null;
  let session = "";
  let createIndex = 0;
  let modifyIndex = 0;
  const head = r.structHead();
  for (let i = 0; i < structLength(head) && !r.failed; i += 1) {
    switch (r.field(dirEntrySchema, head, i)) {
      case 0:
        lockIndex = r.index();
        break;
      case 1:
        key = r.text();
        break;
      case 2:
        flags = r.wide();
        if (flags < 0) r.fail();
        break;
      case 3:
        value = readBytes(r);
        break;
      case 4:
        session = r.text();
        break;
      case 5:
        createIndex = r.index();
        break;
      case 6:
        modifyIndex = r.index();
        break;
      default:
        r.skip();
    }
  }
  return { key, value, flags, lockIndex, session, createIndex, modifyIndex };
}

export function writeDirEntry(w: Writer, entry: DirEntry): void {
  w.mapHead(7);
  w.raw(K.CreateIndex).int(entry.createIndex);
  w.raw(K.Flags).int(entry.flags);
  w.raw(K.Key).text(entry.key);
  w.raw(K.LockIndex).int(entry.lockIndex);
  w.raw(K.ModifyIndex).int(entry.modifyIndex);
  w.raw(K.Session).text(entry.session);
  w.raw(K.Value).bytes(entry.value);
}

const sessionSchema = new Schema("ID", "Name", "Node", "LockDelay", "Behavior", "TTL", "NodeChecks", "ServiceChecks", "Checks", "CreateIndex", "ModifyIndex");

export function readSession(r: Reader): Session {
  let id = "";
  let name = "";
  let node = "";
  let lockDelay: Wide = 0;
  let behavior = "";
  let ttl = "";
  let nodeChecks: string[] | null = null;
  let serviceChecks: ServiceCheckRef[] | null = null;
  let checks: string[] | null = null;
  let createIndex = 0;
  let modifyIndex = 0;
  const head = r.structHead();
  for (let i = 0; i < structLength(head) && !r.failed; i += 1) {
    switch (r.field(sessionSchema, head, i)) {
      case 0:
        id = r.text();
        break;
      case 1:
        name = r.text();
        break;
      case 2:
        node = r.text();
        break;
      case 3:
        lockDelay = r.wide();
        break;
      case 4:
        behavior = r.text();
        break;
      case 5:
        ttl = r.text();
        break;
      case 6:
        nodeChecks = readTexts(r);
        break;
      case 7:
        serviceChecks = readServiceChecks(r);
        break;
      case 8:
        checks = readTexts(r);
        break;
      case 9:
        createIndex = r.index();
        break;
      case 10:
        modifyIndex = r.index();
        break;
      default:
        r.skip();
    }
  }
  return { id, name, node, lockDelay, behavior, ttl, nodeChecks, serviceChecks, checks, createIndex, modifyIndex };
}

const serviceCheckSchema = new Schema("ID", "Namespace");

function readServiceChecks(r: Reader): ServiceCheckRef[] | null {
  if (r.nil()) return null;
  const list: ServiceCheckRef[] = [];
  for (let left = r.arrayHead(); left > 0 && !r.failed; left -= 1) {
    let id = "";
    let namespace = "";
    const head = r.structHead();
    for (let i = 0; i < structLength(head) && !r.failed; i += 1) {
      const field = r.field(serviceCheckSchema, head, i);
      if (field === 0) id = r.text();
      else if (field === 1) namespace = r.text();
      else r.skip();
    }
    list.push({ id, namespace });
  }
  return list;
}

export function writeSession(w: Writer, session: Session): void {
  w.mapHead(11);
  w.raw(K.Behavior).text(session.behavior);
  w.raw(K.Checks);
  writeTexts(w, session.checks);
  w.raw(K.CreateIndex).int(session.createIndex);
  w.raw(K.ID).text(session.id);
  w.raw(K.LockDelay).int(session.lockDelay);
  w.raw(K.ModifyIndex).int(session.modifyIndex);
  w.raw(K.Name).text(session.name);
  w.raw(K.Node).text(session.node);
  w.raw(K.NodeChecks);
  writeTexts(w, session.nodeChecks);
  w.raw(K.ServiceChecks);
  if (session.serviceChecks === null) w.nil();
  else {
    w.arrayHead(session.serviceChecks.length);
    for (const { id, namespace } of session.serviceChecks) w.mapHead(2).raw(K.ID).text(id).raw(K.Namespace).text(namespace);
  }
  w.raw(K.TTL).text(session.ttl);
}

const nodeSchema = new Schema("ID", "Node", "Address", "Datacenter", "TaggedAddresses", "Meta", "CreateIndex", "ModifyIndex");

export function readNode(r: Reader): CatalogNode {
  let id = "";
  let node = "";
  let address = "";
  let datacenter = "";
  let taggedAddresses: TextMap | null = null;
  let meta: TextMap | null = null;
  let createIndex = 0;
  let modifyIndex = 0;
  const head = r.structHead();
  for (let i = 0; i < structLength(head) && !r.failed; i += 1) {
    switch (r.field(nodeSchema, head, i)) {
      case 0:
        id = r.text();
        break;
      case 1:
        node = r.text();
        break;
      case 2:
        address = r.text();
        break;
      case 3:
        datacenter = r.text();
        break;
      case 4:
        taggedAddresses = readTextMap(r);
        break;
      case 5:
        meta = readTextMap(r);
        break;
      case 6:
        createIndex = r.index();
        break;
      case 7:
        modifyIndex = r.index();
        break;
      default:
        r.skip();
    }
  }
  return { id, node, address, datacenter, taggedAddresses, meta, createIndex, modifyIndex };
}

export function writeNode(w: Writer, node: CatalogNode): void {
  w.mapHead(8);
  w.raw(K.Address).text(node.address);
  w.raw(K.CreateIndex).int(node.createIndex);
  w.raw(K.Datacenter).text(node.datacenter);
  w.raw(K.ID).text(node.id);
  w.raw(K.Meta);
  writeTextMap(w, node.meta);
  w.raw(K.ModifyIndex).int(node.modifyIndex);
  w.raw(K.Node).text(node.node);
  w.raw(K.TaggedAddresses);
  writeTextMap(w, node.taggedAddresses);
}

/** Go's zero values of the structs that are kept as on the wire. */
export const ZERO_PROXY: MsgpackValue = new Map<string, MsgpackValue>([
  ["Config", null],
  ["DestinationServiceID", ""],
  ["DestinationServiceName", ""],
  ["Expose", new Map<string, MsgpackValue>([["Checks", false], ["Paths", null]])],
  ["LocalServiceAddress", ""],
  ["LocalServicePort", 0],
  ["MeshGateway", new Map<string, MsgpackValue>([["Mode", ""]])],
  ["Upstreams", null],
]);

export const ZERO_CONNECT: MsgpackValue = new Map<string, MsgpackValue>([["Native", false], ["SidecarService", null]]);

export const ZERO_DEFINITION: MsgpackValue = new Map<string, MsgpackValue>([
  ["AliasNode", ""],
  ["AliasService", ""],
  ["Body", ""],
  ["DeregisterCriticalServiceAfter", 0],
  ["DockerContainerID", ""],
  ["GRPC", ""],
  ["GRPCUseTLS", false],
  ["HTTP", ""],
  ["Header", null],
  ["Interval", 0],
  ["Method", ""],
  ["OutputMaxSize", 0],
  ["ScriptArgs", null],
  ["Shell", ""],
  ["TCP", ""],
  ["TLSSkipVerify", false],
  ["TTL", 0],
  ["Timeout", 0],
]);

function writeOpaque(w: Writer, value: MsgpackValue | undefined, zero: MsgpackValue): void {
  w.value((value === undefined ? zero : value) as Encodable);
}

const serviceSchema = new Schema(
  "Kind", "ID", "Service", "Tags", "Address", "TaggedAddresses", "Meta", "Port", "Weights", "EnableTagOverride", "Proxy", "Connect",
  "LocallyRegisteredAsSidecar", "CreateIndex", "ModifyIndex",
);

export function readService(r: Reader): NodeService {
  const service: { -readonly [F in keyof NodeService]: NodeService[F] } = {
    kind: "", id: "", service: "", tags: null, address: "", taggedAddresses: null, meta: null, port: 0, weights: null, enableTagOverride: false,
    proxy: undefined, connect: undefined, locallyRegisteredAsSidecar: false, createIndex: 0, modifyIndex: 0,
  };
  const head = r.structHead();
  for (let i = 0; i < structLength(head) && !r.failed; i += 1) {
    switch (r.field(serviceSchema, head, i)) {
      case 0:
        service.kind = r.text();
        break;
      case 1:
        service.id = r.text();
        break;
      case 2:
        service.service = r.text();
        break;
      case 3:
        service.tags = readTexts(r);
        break;
      case 4:
        service.address = r.text();
        break;
      case 5:
        service.taggedAddresses = readServiceAddresses(r);
        break;
      case 6:
        service.meta = readTextMap(r);
        break;
      case 7:
        service.port = r.clamped();
        break;
      case 8:
        service.weights = readWeights(r);
        break;
      case 9:
        service.enableTagOverride = r.bool();
        break;
      case 10:
        service.proxy = r.value();
        break;
      case 11:
        service.connect = r.value();
        break;
      case 12:
        service.locallyRegisteredAsSidecar = r.bool();
        break;
      case 13:
        service.createIndex = r.index();
        break;
      case 14:
        service.modifyIndex = r.index();
        break;
      default:
        r.skip();
    }
  }
  return service;
}

const serviceAddressSchema = new Schema("Address", "Port");

function readServiceAddresses(r: Reader): NodeService["taggedAddresses"] {
  if (r.nil()) return null;
  const map = new Map<string, { address: string; port: number }>();
  for (let left = r.mapHead(); left > 0 && !r.failed; left -= 1) {
    const name = r.text();
    let address = "";
    let port = 0;
    const head = r.structHead();
    for (let i = 0; i < structLength(head) && !r.failed; i += 1) {
      const field = r.field(serviceAddressSchema, head, i);
      if (field === 0) address = r.text();
      else if (field === 1) port = r.clamped();
      else r.skip();
    }
    map.set(name, { address, port });
  }
  return map;
}

const weightsSchema = new Schema("Passing", "Warning");

function readWeights(r: Reader): Weights | null {
  if (r.nil()) return null;
  let passing = 0;
  let warning = 0;
  const head = r.structHead();
  for (let i = 0; i < structLength(head) && !r.failed; i += 1) {
    const field = r.field(weightsSchema, head, i);
    if (field === 0) passing = r.clamped();
    else if (field === 1) warning = r.clamped();
    else r.skip();
  }
  return { passing, warning };
}

export function writeService(w: Writer, service: NodeService): void {
  w.mapHead(15);
  w.raw(K.Address).text(service.address);
  w.raw(K.Connect);
  writeOpaque(w, service.connect, ZERO_CONNECT);
  w.raw(K.CreateIndex).int(service.createIndex);
  w.raw(K.EnableTagOverride).bool(service.enableTagOverride);
  w.raw(K.ID).text(service.id);
  w.raw(K.Kind).text(service.kind);
  w.raw(K.LocallyRegisteredAsSidecar).bool(service.locallyRegisteredAsSidecar);
  w.raw(K.Meta);
  writeTextMap(w, service.meta);
  w.raw(K.ModifyIndex).int(service.modifyIndex);
  w.raw(K.Port).int(service.port);
  w.raw(K.Proxy);
  writeOpaque(w, service.proxy, ZERO_PROXY);
  w.raw(K.Service).text(service.service);
  w.raw(K.TaggedAddresses);
  if (service.taggedAddresses === null) w.nil();
  else {
    w.mapHead(service.taggedAddresses.size);
    for (const [name, { address, port }] of service.taggedAddresses) w.text(name).mapHead(2).raw(K.Address).text(address).raw(K.Port).int(port);
  }
  w.raw(K.Tags);
  writeTexts(w, service.tags);
  w.raw(K.Weights);
  if (service.weights === null) w.nil();
  else w.mapHead(2).raw(K.Passing).int(service.weights.passing).raw(K.Warning).int(service.weights.warning);
}

const checkSchema = new Schema(
  "Node", "CheckID", "Name", "Status", "Notes", "Output", "ServiceID", "ServiceName", "ServiceTags", "Type", "Definition", "CreateIndex", "ModifyIndex",
);

export function readCheck(r: Reader): HealthCheck {
  const check: { -readonly [F in keyof HealthCheck]: HealthCheck[F] } = {
    node: "", checkId: "", name: "", status: "", notes: "", output: "", serviceId: "", serviceName: "", serviceTags: null, type: "", definition: undefined,
    createIndex: 0, modifyIndex: 0,
  };
  const head = r.structHead();
  for (let i = 0; i < structLength(head) && !r.failed; i += 1) {
    switch (r.field(checkSchema, head, i)) {
      case 0:
        check.node = r.text();
        break;
      case 1:
        check.checkId = r.text();
        break;
      case 2:
        check.name = r.text();
        break;
      case 3:
        check.status = r.text();
        break;
      case 4:
        check.notes = r.text();
        break;
      case 5:
        check.output = r.text();
        break;
      case 6:
        check.serviceId = r.text();
        break;
      case 7:
        check.serviceName = r.text();
        break;
      case 8:
        check.serviceTags = readTexts(r);
        break;
      case 9:
        check.type = r.text();
        break;
      case 10:
        check.definition = r.value();
        break;
      case 11:
        check.createIndex = r.index();
        break;
      case 12:
        check.modifyIndex = r.index();
        break;
      default:
        r.skip();
    }
  }
  return check;
}

export function writeCheck(w: Writer, check: HealthCheck): void {
  w.mapHead(13);
  w.raw(K.CheckID).text(check.checkId);
  w.raw(K.CreateIndex).int(check.createIndex);
  w.raw(K.Definition);
  writeOpaque(w, check.definition, ZERO_DEFINITION);
  w.raw(K.ModifyIndex).int(check.modifyIndex);
  w.raw(K.Name).text(check.name);
  w.raw(K.Node).text(check.node);
  w.raw(K.Notes).text(check.notes);
  w.raw(K.Output).text(check.output);
  w.raw(K.ServiceID).text(check.serviceId);
  w.raw(K.ServiceName).text(check.serviceName);
  w.raw(K.ServiceTags);
  writeTexts(w, check.serviceTags);
  w.raw(K.Status).text(check.status);
  w.raw(K.Type).text(check.type);
}
