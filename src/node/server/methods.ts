/** Procedures by what they need: nothing but this server, a state to read, or the leader. */
import { readProcedure } from "../../api/rpc/reads.ts";
import type { RpcMethod } from "../../api/rpc/types.ts";

export type MethodClass = "local" | "read" | "leader";

const LOCAL: ReadonlySet<RpcMethod> = new Set<RpcMethod>(["Status.Ping", "Status.Leader", "Status.Peers", "Status.RaftStats", "Catalog.ListDatacenters", "Coordinate.ListDatacenters"]);

const READ_OF_SERVER: ReadonlySet<RpcMethod> = new Set<RpcMethod>(["Operator.RaftGetConfiguration", "Operator.AutopilotGetConfiguration"]);

export function methodClass(method: RpcMethod): MethodClass {
  if (LOCAL.has(method)) return "local";
  return readProcedure(method) !== null || READ_OF_SERVER.has(method) ? "read" : "leader";
}
