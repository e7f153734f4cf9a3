/** Commands of every kind that the catalog knows, drawn from the seed, over few names: so they meet each other's rows, locks and tombstones. */
import type { Random } from "../../base/random.ts";
import { encodeDeregisterRequest, encodeKvRequest, encodeRegisterRequest, encodeSessionRequest, encodeTombstoneRequest, encodeTxnRequest } from "../../wire/fsm-codec.ts";
import type { DirEntry, HealthCheck, KvOp, NodeService, TxnOp } from "../../wire/fsm-commands.ts";

const DATACENTER = "dc1";
const KEYS = 40;
const SESSIONS = 8;
const NODES = 4;
/** Compared indexes and reaped tombstones lie at most so far behind what the client knows. */
const BEHIND_MAX = 400;
const OPS: readonly KvOp[] = ["set", "set", "set", "delete", "delete-cas", "delete-tree", "cas", "lock", "unlock"];
const STATUS: readonly string[] = ["passing", "warning", "critical"];
const TXN_OPS_MAX = 4;
const NEW = { createIndex: 0, modifyIndex: 0 };

/** `index`: about where the log is; `value` makes commands differ. */
export function catalogCommand(random: Random, index: number, value: number): Uint8Array {
  const what = random.below(20);
  if (what < 10) return encodeKvRequest({ datacenter: DATACENTER, op: pick(random, OPS), entry: entry(random, index, value), token: "" });
  if (what < 13) return sessionCommand(random, value);
  if (what < 16) return register(random, value);
  if (what === 16) return deregister(random);
  if (what === 17) return encodeTombstoneRequest({ datacenter: DATACENTER, reapIndex: Math.max(0, index - random.below(BEHIND_MAX)), token: "" });
  const ops = Array.from({ length: 1 + random.below(TXN_OPS_MAX) }, (): TxnOp => ({ kind: "kv", verb: pick(random, OPS), entry: entry(random, index, value) }));
  return encodeTxnRequest({ datacenter: DATACENTER, ops, token: "" });
}

function pick<T>(random: Random, from: readonly T[]): T {
  return from[random.below(from.length)] as T;
}

function entry(random: Random, index: number, value: number): DirEntry {
  const bytes = random.below(5) === 0 ? null : new Uint8Array(random.below(40)).fill(value);
  const session = random.below(2) === 0 ? "" : sessionId(random.below(SESSIONS));
  const modifyIndex = random.below(3) === 0 ? 0 : Math.max(0, index - random.below(BEHIND_MAX));
  return { key: `tree/${random.below(4)}/${random.below(KEYS)}`.slice(0, random.below(8) === 0 ? 6 : 99), value: bytes, flags: value, lockIndex: 0, session, createIndex: 0, modifyIndex };
}

function sessionId(n: number): string {
  return `00000000-0000-4000-8000-00000000000${n}`;
}

function sessionCommand(random: Random, value: number): Uint8Array {
  const node = nodeName(random);
  const session = {
    id: sessionId(random.below(SESSIONS)), name: `s${value}`, node, lockDelay: 0, behavior: random.below(2) === 0 ? "release" : "delete", ttl: "",
    nodeChecks: random.below(2) === 0 ? ["c0"] : [], serviceChecks: null, checks: null, ...NEW,
  };
  return encodeSessionRequest({ datacenter: DATACENTER, op: random.below(3) === 0 ? "destroy" : "create", session, token: "" });
}

function nodeName(random: Random): string {
  return `node-${random.below(NODES)}`;
}

function register(random: Random, value: number): Uint8Array {
  const node = nodeName(random);
  return encodeRegisterRequest({
    datacenter: DATACENTER, id: "", node, address: `10.1.0.${random.below(3)}`, taggedAddresses: null, nodeMeta: new Map([["v", String(value % 3)]]),
    service: random.below(2) === 0 ? null : service(random), check: random.below(2) === 0 ? null : check(random, node), checks: null, skipNodeUpdate: false, token: "", ...NEW,
  });
}

function service(random: Random): NodeService {
  const name = `web-${random.below(2)}`;
  return {
    kind: "", id: name, service: name, tags: ["a"], address: "", taggedAddresses: null, meta: null, port: random.below(3), weights: { passing: 1, warning: 1 },
    enableTagOverride: false, locallyRegisteredAsSidecar: false, proxy: undefined, connect: undefined, ...NEW,
  };
}

function check(random: Random, node: string): HealthCheck {
  return {
    node, checkId: `c${random.below(2)}`, name: "check", status: pick(random, STATUS), notes: "", output: "", serviceId: "", serviceName: "", serviceTags: null,
    type: "", definition: undefined, ...NEW,
  };
}

function deregister(random: Random): Uint8Array {
  const [serviceId, checkId] = [random.below(3) === 0 ? `web-${random.below(2)}` : "", random.below(3) === 0 ? `c${random.below(2)}` : ""];
  return encodeDeregisterRequest({ datacenter: DATACENTER, node: nodeName(random), serviceId, checkId, token: "" });
}
