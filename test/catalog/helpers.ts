/** Short forms of commands for the tests of the state machine. */
import { concatBytes } from "../../src/base/bytes.ts";
import { encodeUtf8 } from "../../src/base/utf8.ts";
import { encodeDeregisterRequest, encodeKvRequest, encodeRegisterRequest, encodeSessionRequest, encodeTxnRequest } from "../../src/wire/fsm-codec.ts";
import type { CatalogNode, DirEntry, HealthCheck, NodeService, RegisterRequest, Session, TxnOp } from "../../src/wire/fsm-commands.ts";
import type { ApplyResult, CatalogSnapshot, StateMachine } from "../../src/catalog/types.ts";

export const ENTRY: DirEntry = { key: "", value: null, flags: 0, lockIndex: 0, session: "", createIndex: 0, modifyIndex: 0 };

export function entry(key: string, value: string | Uint8Array | null = null, rest: Partial<DirEntry> = {}): DirEntry {
  return { ...ENTRY, key, value: typeof value === "string" ? encodeUtf8(value) : value, ...rest };
}

export function kv(op: string, row: DirEntry): Uint8Array {
  return encodeKvRequest({ datacenter: "dc1", op, entry: row, token: "" });
}

export const SESSION: Session = {
  id: "", name: "", node: "n1", lockDelay: 0, behavior: "release", ttl: "", nodeChecks: ["serfHealth"], serviceChecks: null, checks: null, createIndex: 0, modifyIndex: 0,
};

/** A well-formed id that ends in `n`. */
export function uuid(n: number): string {
  return `00000000-0000-4000-8000-${String(n).padStart(12, "0")}`;
}

export function session(op: string, row: Partial<Session>): Uint8Array {
  return encodeSessionRequest({ datacenter: "dc1", op, session: { ...SESSION, ...row }, token: "" });
}

export const CHECK: HealthCheck = {
  node: "n1", checkId: "serfHealth", name: "Serf Health Status", status: "passing", notes: "", output: "", serviceId: "", serviceName: "", serviceTags: null, type: "",
  definition: undefined, createIndex: 0, modifyIndex: 0,
};

export const SERVICE: NodeService = {
  kind: "", id: "web", service: "web", tags: null, address: "", taggedAddresses: null, meta: null, port: 80, weights: { passing: 1, warning: 1 }, enableTagOverride: false,
  locallyRegisteredAsSidecar: false, proxy: undefined, connect: undefined, createIndex: 0, modifyIndex: 0,
};

export const NODE: CatalogNode = {
  id: "", node: "n1", address: "10.0.0.1", datacenter: "dc1", taggedAddresses: null, meta: null, createIndex: 0, modifyIndex: 0,
};

export function register(rest: Partial<RegisterRequest> = {}): Uint8Array {
  return encodeRegisterRequest({
    datacenter: "dc1", id: "", node: "n1", address: "10.0.0.1", taggedAddresses: null, nodeMeta: null, service: null, check: null, checks: null, skipNodeUpdate: false,
    token: "", createIndex: 0, modifyIndex: 0, ...rest,
  });
}

export function deregister(node: string, serviceId = "", checkId = ""): Uint8Array {
  return encodeDeregisterRequest({ datacenter: "dc1", node, serviceId, checkId, token: "" });
}

export function txn(...ops: readonly TxnOp[]): Uint8Array {
  return encodeTxnRequest({ datacenter: "dc1", ops, token: "" });
}

export function kvOp(verb: string, row: DirEntry): TxnOp {
  return { kind: "kv", verb, entry: row };
}

/** Applies commands one after another, at indexes that follow the machine's own; the results. */
export function applyAll(machine: StateMachine, ...commands: readonly Uint8Array[]): ApplyResult[] {
  return commands.map((command) => machine.apply(machine.appliedIndex + 1, command, 0));
}

export function encoded(snapshot: CatalogSnapshot): Uint8Array {
  const pieces: Uint8Array[] = [];
  const encoder = snapshot.encode();
  for (let piece = encoder.next(); piece.done !== true; piece = encoder.next()) pieces.push(piece.value);
  return concatBytes(pieces);
}
