/** In which order the tables stand in a snapshot (agent reference §7.3). */
import { FSM_TYPE } from "../wire/fsm-commands.ts";

/** Types of rows that are kept as they came, by where they stand; types nobody knows yet stand behind all others. */
export const OPAQUE_BEFORE_SESSIONS: readonly number[] = [FSM_TYPE.coordinateBatchUpdate];

export const OPAQUE_BEFORE_KV: readonly number[] = [
  FSM_TYPE.acl,
  FSM_TYPE.aclBootstrap,
  FSM_TYPE.aclTokenSet,
  FSM_TYPE.aclPolicySet,
  FSM_TYPE.aclRoleSet,
  FSM_TYPE.aclBindingRuleSet,
  FSM_TYPE.aclAuthMethodSet,
];

const OPAQUE_LAST: readonly number[] = [
  FSM_TYPE.preparedQuery,
  FSM_TYPE.autopilot,
  FSM_TYPE.intention,
  FSM_TYPE.connectCa,
  FSM_TYPE.connectCaProviderState,
  FSM_TYPE.connectCaConfig,
  FSM_TYPE.configEntry,
  FSM_TYPE.federationState,
];

const STRUCTURED: ReadonlySet<number> = new Set([FSM_TYPE.register, FSM_TYPE.session, FSM_TYPE.kvs, FSM_TYPE.tombstone, FSM_TYPE.index, FSM_TYPE.chunkingState]);

/** All types of opaque rows behind the tombstones. */
export const OPAQUE_AFTER_TOMBSTONES: readonly number[] = [
  ...OPAQUE_LAST,
  ...Array.from({ length: 256 }, (_, type) => type).filter(
    (type) => ![...OPAQUE_BEFORE_SESSIONS, ...OPAQUE_BEFORE_KV, ...OPAQUE_LAST].includes(type) && !STRUCTURED.has(type),
  ),
];

/** First part of the key of an opaque row. */
export function opaquePrefix(type: number): string {
  return String.fromCharCode(type);
}
