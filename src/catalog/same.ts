/** Whether two rows say the same: what decides if a registration changes anything. Maps are compared without regard to order. */
import { equalBytes } from "../base/bytes.ts";
import type { CatalogNode, HealthCheck, NodeService } from "../wire/fsm-commands.ts";
import { ZERO_CONNECT, ZERO_DEFINITION, ZERO_PROXY } from "../wire/fsm-structs.ts";
import { Float64, type MsgpackValue } from "../wire/msgpack.ts";

type Plain = MsgpackValue | readonly string[] | ReadonlyMap<string, unknown> | undefined;

/** Deep equality of decoded values. With `loose`, nil equals an empty list or map, as Go's comparison by elements has it. */
export function sameValue(a: unknown, b: unknown, loose = false): boolean {
  if (a === b) return true;
  if (loose && (a === null || b === null)) return isEmpty(a) && isEmpty(b);
  if (a instanceof Uint8Array && b instanceof Uint8Array) return equalBytes(a, b);
  if (a instanceof Float64 && b instanceof Float64) return Object.is(a.value, b.value);
  if (Array.isArray(a) && Array.isArray(b)) return a.length === b.length && a.every((item, i) => sameValue(item, b[i], loose));
  if (a instanceof Map && b instanceof Map) return sameMap(a as ReadonlyMap<string, Plain>, b as ReadonlyMap<string, Plain>, loose);
  if (isRecord(a) && isRecord(b)) return Object.keys(a).every((name) => sameValue(a[name], b[name], loose));
  return false;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}

function isEmpty(value: unknown): boolean {
  return value === null || (Array.isArray(value) && value.length === 0) || (value instanceof Map && value.size === 0);
}

function sameMap(a: ReadonlyMap<string, Plain>, b: ReadonlyMap<string, Plain>, loose: boolean): boolean {
  if (a.size !== b.size) return false;
  for (const [name, value] of a) if (!b.has(name) || !sameValue(value, b.get(name), loose)) return false;
  return true;
}

/** All but the indexes. */
export function sameNode(a: CatalogNode, b: CatalogNode): boolean {
  return (
    a.id === b.id &&
    a.node === b.node &&
    a.address === b.address &&
    a.datacenter === b.datacenter &&
    sameValue(a.taggedAddresses, b.taggedAddresses) &&
    sameValue(a.meta, b.meta)
  );
}

export function sameService(a: NodeService, b: NodeService): boolean {
  return (
    a.id === b.id &&
    a.service === b.service &&
    a.kind === b.kind &&
    a.address === b.address &&
    a.port === b.port &&
    a.enableTagOverride === b.enableTagOverride &&
    sameValue(a.tags, b.tags) &&
    sameValue(a.weights, b.weights) &&
    sameValue(a.taggedAddresses, b.taggedAddresses) &&
    sameValue(a.meta, b.meta) &&
    sameValue(a.proxy ?? ZERO_PROXY, b.proxy ?? ZERO_PROXY) &&
    sameValue(a.connect ?? ZERO_CONNECT, b.connect ?? ZERO_CONNECT)
  );
}

export function sameCheck(a: HealthCheck, b: HealthCheck): boolean {
  return (
    a.node === b.node &&
    a.checkId === b.checkId &&
    a.name === b.name &&
    a.status === b.status &&
    a.notes === b.notes &&
    a.output === b.output &&
    a.serviceId === b.serviceId &&
    a.serviceName === b.serviceName &&
    sameValue(a.serviceTags, b.serviceTags) &&
    sameValue(a.definition ?? ZERO_DEFINITION, b.definition ?? ZERO_DEFINITION)
  );
}
