/** Nodes, services and checks as bodies of requests carry them, made rows of the catalog. */
import type { CatalogNode, HealthCheck, NodeService, TextMap } from "../../wire/fsm-commands.ts";
import { ZERO_DEFINITION } from "../../wire/fsm-structs.ts";
import { parseDuration } from "../../wire/go-duration.ts";
import type { MsgpackValue } from "../../wire/msgpack.ts";
import type { Decoded, DecodedStruct } from "./go-decode.ts";

export function nodeOf(node: DecodedStruct, datacenter: string): CatalogNode {
  return {
    id: text(node, "ID"),
    node: text(node, "Node"),
    address: text(node, "Address"),
    datacenter: text(node, "Datacenter") || datacenter,
    taggedAddresses: textMapOf(node["TaggedAddresses"]),
    meta: textMapOf(node["Meta"]),
    createIndex: integer(node, "CreateIndex"),
    modifyIndex: integer(node, "ModifyIndex"),
  };
}

export function serviceOf(service: DecodedStruct): NodeService {
  const weights = struct(service["Weights"]);
  const addresses = struct(service["TaggedAddresses"]);
  return {
    kind: text(service, "Kind"),
    id: text(service, "ID"),
    service: text(service, "Service"),
    tags: textsOf(service["Tags"]),
    address: text(service, "Address"),
    taggedAddresses: addresses === null ? null : new Map(Object.entries(addresses).map(([name, value]) => [name, addressOf(value)] as const)),
    meta: textMapOf(service["Meta"]),
    port: integer(service, "Port"),
    weights: weights === null ? { passing: 1, warning: 1 } : { passing: integer(weights, "Passing"), warning: integer(weights, "Warning") },
    enableTagOverride: service["EnableTagOverride"] === true,
    locallyRegisteredAsSidecar: false,
    proxy: undefined,
    connect: undefined,
    createIndex: integer(service, "CreateIndex"),
    modifyIndex: integer(service, "ModifyIndex"),
  };
}

export function checkOf(check: DecodedStruct): HealthCheck {
  return {
    node: text(check, "Node"),
    checkId: text(check, "CheckID"),
    name: text(check, "Name"),
    status: text(check, "Status"),
    notes: text(check, "Notes"),
    output: text(check, "Output"),
    serviceId: text(check, "ServiceID"),
    serviceName: text(check, "ServiceName"),
    serviceTags: textsOf(check["ServiceTags"]),
    type: text(check, "Type"),
    definition: definitionOf(struct(check["Definition"])),
    createIndex: integer(check, "CreateIndex"),
    modifyIndex: integer(check, "ModifyIndex"),
  };
}

/** As the state machine keeps it: durations in ns, everything else as given; undefined when there is none. What is no duration counts as none. */
function definitionOf(given: DecodedStruct | null): MsgpackValue | undefined {
  if (given === null) return undefined;
  const definition = new Map<string, MsgpackValue>(ZERO_DEFINITION as ReadonlyMap<string, MsgpackValue>);
  for (const [name, value] of Object.entries(given)) {
    if (DEFINITION_DURATIONS.includes(name)) definition.set(name, nanoseconds(value));
    else if (value !== undefined) definition.set(name, wired(value));
  }
  return definition;
}

/** Fields of a check's definition that are durations: Go's texts, or ns. */
export const DEFINITION_DURATIONS: readonly string[] = ["Interval", "Timeout", "DeregisterCriticalServiceAfter", "TTL"];

function nanoseconds(value: Decoded | undefined): number {
  if (typeof value === "number" || typeof value === "bigint") return Number(value);
  const duration = typeof value === "string" ? parseDuration(value) : null;
  return duration !== null && duration.ok ? Math.round(duration.value * 1e6) : 0;
}

/** A JSON value as the wire carries it. */
function wired(value: Decoded): MsgpackValue {
  if (Array.isArray(value)) return (value as readonly Decoded[]).map(wired);
  if (value instanceof Map) return new Map([...(value as ReadonlyMap<string, Decoded>)].map(([name, item]) => [name, wired(item)] as const));
  const fields = struct(value);
  return fields === null ? (value as MsgpackValue) : new Map(Object.entries(fields).map(([name, item]) => [name, wired(item ?? null)] as const));
}

function addressOf(value: Decoded | undefined): { readonly address: string; readonly port: number } {
  const fields = struct(value) ?? {};
  return { address: text(fields, "Address"), port: integer(fields, "Port") };
}

export function struct(value: Decoded | undefined): DecodedStruct | null {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array) ? (value as DecodedStruct) : null;
}

export function text(fields: DecodedStruct, name: string): string {
  const value = fields[name];
  return typeof value === "string" ? value : "";
}

export function integer(fields: DecodedStruct, name: string): number {
  const value = fields[name];
  if (typeof value !== "number" && typeof value !== "bigint") return 0;
  // What is not exact any more equals no index, and is no port.
  return Math.max(-Number.MAX_SAFE_INTEGER, Math.min(Number(value), Number.MAX_SAFE_INTEGER));
}

export function textsOf(value: Decoded | undefined): readonly string[] | null {
  return Array.isArray(value) ? (value as readonly string[]) : null;
}

export function textMapOf(value: Decoded | undefined): TextMap | null {
  const fields = struct(value);
  return fields === null ? null : new Map(Object.entries(fields) as [string, string][]);
}
