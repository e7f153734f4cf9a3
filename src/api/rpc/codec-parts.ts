/** What the codecs of procedures are made of: fields by name, reads with their options and meta data, commands as they stand in the log. */
import type { Result } from "../../base/result.ts";
import { readCheck, readDirEntry, readSession, writeCheck, writeDirEntry, writeSession, writeTexts } from "../../wire/fsm-structs.ts";
import type { Rows } from "../../catalog/types.ts";
import type { Reader, Writer } from "../../wire/msgpack.ts";
import type { QueryMeta, QueryOptions, Queried, RpcMethod, RpcMethods } from "./types.ts";

export type Write = (w: Writer) => void;
export type Read = (r: Reader) => unknown;
export type Fields = Readonly<Record<string, Write>>;

export const text = (value: string): Write => (w) => void w.text(value);
export const bool = (value: boolean): Write => (w) => void w.bool(value);
export const int = (value: number): Write => (w) => void w.int(Math.round(value));
/** Unsigned indexes and signed durations of 64 bits: a client may ask for what a double holds only nearly, and the largest one must not wrap to 0. */
export const UINT64_MAX = 18_446_744_073_709_549_568;
export const INT64_MAX = 9_223_372_036_854_774_784;
export const uint64 = (value: number): Write => int(Math.min(UINT64_MAX, value));
export const duration = (ms: number): Write => int(Math.max(-INT64_MAX, Math.min(INT64_MAX, ms * NS_PER_MS)));
export const nil: Write = (w) => void w.nil();
export const texts = (value: readonly string[]): Write => (w) => writeTexts(w, value);
export const NS_PER_MS = 1e6;

export function list<T>(items: readonly T[], write: (w: Writer, item: T) => void): Write {
  return (w) => {
    w.arrayHead(items.length);
    for (const item of items) write(w, item);
  };
}

/** A struct: its fields sorted bytewise, as the original's encoder does. */
export function struct(w: Writer, fields: Fields): void {
  const names = Object.keys(fields).sort();
  w.mapHead(names.length);
  for (const name of names) {
    w.text(name);
    (fields[name] as Write)(w);
  }
}

/** Bytes of one piece of a long list, about: a tenth of a millisecond of work with small values. */
const LIST_PIECE_BYTES = 32 * 1024;

/** As `struct`, with a list under `name`, in pieces. The writer is free between them; what is listed must not change meanwhile. */
export function* structPieces<T>(w: Writer, fields: Fields, name: string, items: Rows<T>, write: (w: Writer, item: T) => void): Generator<Uint8Array, void> {
  const names = [...Object.keys(fields), name].sort();
  w.mapHead(names.length);
  for (const field of names) {
    w.text(field);
    if (field !== name) {
      (fields[field] as Write)(w);
      continue;
    }
    w.arrayHead(items.length);
    for (const item of items) {
      if (w.length >= LIST_PIECE_BYTES) yield w.finish();
      write(w, item);
    }
  }
  yield w.finish();
}

/** What a struct holds under the names asked for; others are skipped, missing ones stay undefined. */
export function readStruct(r: Reader, reads: Readonly<Record<string, Read>>): Record<string, unknown> {
  const found: Record<string, unknown> = {};
  for (let left = r.mapHead(); left > 0 && !r.failed; left -= 1) {
    const name = r.text();
    const read = Object.hasOwn(reads, name) ? reads[name] : undefined;
    if (read === undefined) r.skip();
    else found[name] = read(r);
  }
  return found;
}

export function readList<T>(read: (r: Reader) => T): (r: Reader) => T[] {
  return (r) => {
    const items: T[] = [];
    for (let left = r.arrayHead(); left > 0 && !r.failed; left -= 1) items.push(read(r));
    return items;
  };
}

export const readText: Read = (r) => r.text();
export const readBool: Read = (r) => r.bool();
export const readInteger: Read = (r) => r.integer();
export const readUint: Read = (r) => r.uint(Number.MAX_SAFE_INTEGER);

export function optionFields(options: QueryOptions): Fields {
  return {
    AllowStale: bool(options.allowStale), Filter: text(options.filter), MaxAge: int(0), MaxQueryTime: duration(options.maxQueryTimeMs),
    MaxStaleDuration: duration(options.maxStaleMs), MinQueryIndex: uint64(options.minQueryIndex), MustRevalidate: bool(false),
    RequireConsistent: bool(options.requireConsistent), StaleIfError: int(0), Token: text(""), UseCache: bool(false),
  };
}

export const OPTION_READS: Readonly<Record<string, Read>> = {
  AllowStale: readBool, Filter: readText, MaxQueryTime: readInteger, MaxStaleDuration: readInteger, MinQueryIndex: readInteger, RequireConsistent: readBool, Datacenter: readText,
};

export function optionsOf(found: Record<string, unknown>): QueryOptions {
  return {
    allowStale: found["AllowStale"] === true,
    filter: textOf(found, "Filter"),
    maxQueryTimeMs: numberOf(found, "MaxQueryTime") / NS_PER_MS,
    maxStaleMs: numberOf(found, "MaxStaleDuration") / NS_PER_MS,
    minQueryIndex: numberOf(found, "MinQueryIndex"),
    requireConsistent: found["RequireConsistent"] === true,
  };
}

export function textOf(found: Record<string, unknown>, name: string): string {
  const value = found[name];
  return typeof value === "string" ? value : "";
}

export function numberOf(found: Record<string, unknown>, name: string): number {
  const value = found[name];
  return typeof value === "number" ? value : 0;
}

export const SOURCE: Write = (w) => struct(w, { Datacenter: text(""), Ip: text(""), Node: text(""), Segment: text("") });
export const NO_OPTIONS: QueryOptions = { allowStale: false, filter: "", maxQueryTimeMs: 0, maxStaleMs: 0, minQueryIndex: 0, requireConsistent: false };

export function metaFields(meta: QueryMeta): Fields {
  return { ConsistencyLevel: text(""), Index: int(meta.index), KnownLeader: bool(meta.knownLeader), LastContact: duration(meta.lastContactMs) };
}

export const META_READS: Readonly<Record<string, Read>> = { Index: readUint, KnownLeader: readBool, LastContact: readInteger };

export function metaOf(found: Record<string, unknown>, options: QueryOptions): QueryMeta {
  return {
    index: numberOf(found, "Index"),
    knownLeader: found["KnownLeader"] === true,
    lastContactMs: numberOf(found, "LastContact") / NS_PER_MS,
    consistency: options.allowStale ? "stale" : options.requireConsistent ? "consistent" : "leader",
  };
}

export interface Codec<M extends RpcMethod> {
  readonly writeArgs: (w: Writer, args: RpcMethods[M]["args"]) => void;
  readonly readArgs: (r: Reader) => RpcMethods[M]["args"];
  readonly writeReply: (w: Writer, reply: RpcMethods[M]["reply"]) => void;
  /** `args`: those of the call. */
  readonly readReply: (r: Reader, args: RpcMethods[M]["args"]) => RpcMethods[M]["reply"];
}

/** Commands travel as they stand in the log, without the type byte. */
export function command<Request>(encode: (request: Request) => Uint8Array, decode: (data: Uint8Array) => Result<Request>): {
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

export class Malformed extends Error {}

export type QueriedMethod = { readonly [M in RpcMethod]: RpcMethods[M]["reply"] extends Queried<infer _> ? M : never }[RpcMethod];
export type ValueOf<M extends QueriedMethod> = RpcMethods[M]["reply"] extends Queried<infer V> ? V : never;

/** A read: further arguments by name, and a value under one name of the reply. */
export interface ReadSpec<M extends QueriedMethod> {
  readonly fields: (args: RpcMethods[M]["args"]) => Fields;
  readonly reads: Readonly<Record<string, Read>>;
  readonly take: (found: Record<string, unknown>) => Omit<RpcMethods[M]["args"], "datacenter" | "options">;
  readonly valueName: string;
  readonly writeValue: (w: Writer, value: ValueOf<M>) => void;
  readonly readValue: (r: Reader) => ValueOf<M>;
  readonly empty: ValueOf<M>;
}

export function read<M extends QueriedMethod>(spec: ReadSpec<M>): {
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

export const keyRead = {
  fields: ({ key }: { readonly key: string }): Fields => ({ Key: text(key) }),
  reads: { Key: readText },
  take: (found: Record<string, unknown>) => ({ key: textOf(found, "Key") }),
  valueName: "Entries",
  writeValue: (w: Writer, entries: RpcMethods["KVS.List"]["reply"]["value"]) => list([...entries], writeDirEntry)(w),
  readValue: readList(readDirEntry),
  empty: [],
} as const;

export const sessionRead = {
  fields: ({ sessionId }: { readonly sessionId: string }): Fields => ({ Session: text(sessionId), SessionID: text(sessionId) }),
  reads: { Session: readText, SessionID: readText },
  take: (found: Record<string, unknown>) => ({ sessionId: textOf(found, "SessionID") || textOf(found, "Session") }),
  valueName: "Sessions",
  writeValue: (w: Writer, sessions: RpcMethods["Session.Get"]["reply"]["value"]) => list(sessions, writeSession)(w),
  readValue: readList(readSession),
  empty: [],
} as const;

export const nodeArgs = {
  fields: ({ node }: { readonly node: string }): Fields => ({ Node: text(node) }),
  reads: { Node: readText },
  take: (found: Record<string, unknown>) => ({ node: textOf(found, "Node") }),
} as const;

export const nodesArgs = {
  fields: ({ datacenter, nodeMeta, near }: { readonly datacenter: string; readonly nodeMeta: ReadonlyMap<string, string>; readonly near: string }): Fields => ({
    NodeMetaFilters: writeMeta(nodeMeta), Source: near === "" ? SOURCE : (w) => struct(w, { Datacenter: text(datacenter), Ip: text(""), Node: text(near), Segment: text("") }),
  }),
  reads: { NodeMetaFilters: readMeta, Source: (r: Reader): string => textOf(readStruct(r, { Node: readText }), "Node") },
  take: (found: Record<string, unknown>) => ({
    nodeMeta: (found["NodeMetaFilters"] as ReadonlyMap<string, string> | undefined) ?? new Map<string, string>(),
    near: textOf(found, "Source"),
  }),
} as const;

export function writeMeta(meta: ReadonlyMap<string, string>): Write {
  if (meta.size === 0) return nil;
  return (w) => {
    w.mapHead(meta.size);
    for (const [key, value] of meta) w.text(key).text(value);
  };
}

export function readMeta(r: Reader): ReadonlyMap<string, string> {
  const meta = new Map<string, string>();
  for (let left = r.mapHead(); left > 0 && !r.failed; left -= 1) meta.set(r.text(), r.text());
  return meta;
}

export const checksReply = {
  valueName: "HealthChecks",
  writeValue: (w: Writer, checks: RpcMethods["Health.NodeChecks"]["reply"]["value"]) => list(checks, writeCheck)(w),
  readValue: readList(readCheck),
  empty: [],
} as const;

export const datacenterArgs = {
  writeArgs: (w: Writer, { datacenter }: { readonly datacenter: string }): void =>
    struct(w, { ...optionFields(NO_OPTIONS), Datacenter: text(datacenter), NodeMetaFilters: nil, Source: SOURCE }),
  readArgs: (r: Reader): { readonly datacenter: string } => ({ datacenter: textOf(readStruct(r, { Datacenter: readText }), "Datacenter") }),
} as const;

export const nothingReply = {
  writeReply: (w: Writer): void => struct(w, {}),
  readReply: (r: Reader): null => {
    r.skip();
    return null;
  },
} as const;
