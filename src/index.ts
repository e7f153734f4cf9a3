/** The public API: a cluster node inside a Node program. The client library for running agents is `muster/client`. */
import { SerfNode, type SerfNodeOptions } from "./io/serf-node.ts";

export { OptionsError, SerfNode } from "./io/serf-node.ts";
export type { QueryOptions, ReceivedQuery, ReceivedUserEvent, SerfNodeEvents, SerfNodeOptions } from "./io/serf-node.ts";
export { SerfError } from "./io/serf-agent-api.ts";
export type { MetricSink, QueryRecord } from "./io/serf-agent-api.ts";
export type { Member, MemberEventType, MemberStatus } from "./serf/types.ts";
export type { LogLevel } from "./swim/types.ts";

/**
 * Starts a Serf node and joins it to a cluster: a full member beside real Serf agents. Rejects with an `OptionsError`
 * (`ERR_MUSTER_OPTIONS`) or a `SerfError` (`ERR_MUSTER_SERF`); nothing stays open then.
 */
export function startSerf(options: SerfNodeOptions = {}): Promise<SerfNode> {
  return SerfNode.start(options);
}
