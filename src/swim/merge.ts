/** Full state of push/pulls (serf-protocol §5): what we send, and how a peer's is merged. */
import { EMPTY_BYTES } from "../base/bytes.ts";
import { fail, ok, type Result } from "../base/result.ts";
import { NodeStateCode, type PushPull, type PushPullNode } from "../wire/gossip-messages.ts";
import type { Core } from "./core.ts";
import { StateCode } from "./member-table.ts";
import { memberOf, type AliveClaim, type Membership } from "./membership.ts";
import type { SwimEffect, SwimMember } from "./types.ts";

const BYTE_MAX = 255;
/** States as numbered on the wire are ours less one. */
export const WIRE_STATE_OFFSET = StateCode.alive - NodeStateCode.alive;
// Places in the version bytes.
const PROTOCOL = { min: 0, max: 1, current: 2, name: "protocol" } as const;
const DELEGATE = { min: 3, max: 4, current: 5, name: "delegate protocol" } as const;

/** Our full state as a push/pull has it. */
export function localState({ table, delegate }: Core, join: boolean): Omit<PushPull, "kind"> {
  const nodes: PushPullNode[] = [];
  for (let row = 0; row < table.size; row += 1) {
    const slot = table.slotAt(row);
    const { name, addr, endpoint, meta, versions } = table.record(slot);
    nodes.push({ name, addr, port: endpoint.port, meta, incarnation: table.incarnation(slot), state: table.state(slot) - WIRE_STATE_OFFSET, versions });
  }
  return { join, nodes, userState: delegate.localState(join) };
}

/** Why a peer's state cannot be merged, or null. */
export function checkRemoteState(core: Core, remote: PushPull): string | null {
  const problem = checkVersions(core, remote.nodes);
  if (problem !== null || !remote.join) return problem;
  return core.delegate.vetoMerge(() => membersOf(remote.nodes, core));
}

/** Merges a peer's state; nothing is merged when it fails. */
export function mergeRemoteState(core: Core, membership: Membership, remote: PushPull, nowMs: number, out: SwimEffect[]): Result<null> {
  const problem = checkRemoteState(core, remote);
  if (problem !== null) return fail(problem);
  for (const node of remote.nodes) mergeNode(core, membership, node, nowMs, out);
  if (remote.userState !== null && remote.userState.length > 0) core.delegate.mergeRemoteState(remote.userState, remote.join, nowMs, out);
  return ok(null);
}

/** What a peer says of its members, not taken over. */
export function membersOf(nodes: readonly PushPullNode[], { config }: Core): SwimMember[] {
  return nodes.map((node) => memberOf(claimOf(node, config.bindPort)));
}

export function mergeNode(core: Core, membership: Membership, node: PushPullNode, nowMs: number, out: SwimEffect[]): void {
  const { name, incarnation } = node;
  switch (node.state) {
    case NodeStateCode.alive:
      membership.alive(claimOf(node, core.config.bindPort), false, 0, nowMs, out);
      return;
    case NodeStateCode.left:
      membership.dead({ node: name, incarnation, from: name }, 0, nowMs, out);
      return;
    default:
      // The peer may be wrong: a suspicion gives the member its chance to refute.
      membership.suspect({ node: name, incarnation, from: core.config.name }, nowMs, out);
  }
}

/** A received port 0 stands for our own. */
function claimOf({ name, incarnation, addr, port, meta, versions }: PushPullNode, bindPort: number): AliveClaim {
  return { node: name, incarnation, addr, port: port === 0 ? bindPort : port, meta, versions };
}

interface Range {
  low: number;
  high: number;
}

/** Every member, theirs and ours, must speak a version that every living one understands. The error names the first that does not. */
function checkVersions({ table }: Core, remote: readonly PushPullNode[]): string | null {
  const protocol: Range = { low: 0, high: BYTE_MAX };
  const delegate: Range = { low: 0, high: BYTE_MAX };
  const narrow = (versions: Uint8Array): void => {
    protocol.low = Math.max(protocol.low, versions[PROTOCOL.min] ?? 0);
    protocol.high = Math.min(protocol.high, versions[PROTOCOL.max] ?? 0);
    delegate.low = Math.max(delegate.low, versions[DELEGATE.min] ?? 0);
    delegate.high = Math.min(delegate.high, versions[DELEGATE.max] ?? 0);
  };
  for (const { state, versions } of remote) if (state === NodeStateCode.alive && versions.length > 0) narrow(versions);
  for (let row = 0; row < table.size; row += 1) {
    const slot = table.slotAt(row);
    if (table.state(slot) === StateCode.alive) narrow(table.record(slot).versions);
  }
  for (const { name, versions } of remote) {
    const problem = incompatible(name, versions, protocol, delegate);
    if (problem !== null) return problem;
  }
  for (let row = 0; row < table.size; row += 1) {
    const { name, versions } = table.record(table.slotAt(row));
    const problem = incompatible(name, versions, protocol, delegate);
    if (problem !== null) return problem;
  }
  return null;
}

function incompatible(name: string, versions: Uint8Array = EMPTY_BYTES, protocol: Range, delegate: Range): string | null {
  return outside(name, versions, PROTOCOL, protocol) ?? outside(name, versions, DELEGATE, delegate);
}

function outside(name: string, versions: Uint8Array, kind: typeof PROTOCOL | typeof DELEGATE, { low, high }: Range): string | null {
  const current = versions[kind.current] ?? 0;
  return current < low || current > high ? `Node '${name}' ${kind.name} version (${current}) is incompatible: [${low}, ${high}]` : null;
}
