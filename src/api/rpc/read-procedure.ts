/** What a procedure that only reads is made of. */
import type { CatalogReads, Indexed, Interest } from "../../catalog/types.ts";
import type { StructShape } from "../filter/evaluate.ts";
import type { Queried, QueryOptions, RpcMethod, RpcMethods } from "./types.ts";

type QueriedMethod = { readonly [M in RpcMethod]: RpcMethods[M]["reply"] extends Queried<infer _> ? M : never }[RpcMethod];
export type ReplyValue<M extends QueriedMethod> = RpcMethods[M]["reply"] extends { readonly value: infer V } ? V : never;

export interface ReadProcedure<M extends QueriedMethod> {
  /** A text is the error of a malformed request. Lists are complete arrays: the state may change right after. */
  readonly run: (reads: CatalogReads, args: RpcMethods[M]["args"]) => Indexed<ReplyValue<M>> | string;
  readonly interests: (args: RpcMethods[M]["args"]) => readonly Interest[];
  /** How `?filter=` applies; undefined where it is ignored. */
  readonly filter?: RowFilter<ReplyValue<M>>;
  /** All that the result depends on, as long as it is not empty; undefined where results are not kept. */
  readonly dependsOn?: (args: RpcMethods[M]["args"]) => readonly Interest[];
}

/** What rows a filter looks at, and the value that is left of a value. */
export interface RowFilter<Value> {
  readonly shape: StructShape;
  readonly keep: (value: Value, test: (row: unknown) => boolean) => Value;
}

/** The same with the types erased, for the table of procedures. */
export interface AnyRead {
  readonly run: (reads: CatalogReads, args: { readonly options: QueryOptions }) => Indexed<unknown> | string;
  readonly interests: (args: { readonly options: QueryOptions }) => readonly Interest[];
  readonly filter?: RowFilter<unknown>;
  readonly dependsOn?: (args: { readonly options: QueryOptions }) => readonly Interest[];
}

export function rowsOf<Row>(shape: StructShape): RowFilter<readonly Row[]> {
  return { shape, keep: (rows, test) => rows.filter(test) };
}
