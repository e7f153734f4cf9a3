/**
 * Random choice of members without allocation in proportion to the cluster. A few draws usually suffice; when eligible members
 * are rare (or the cluster small) one pass over all of them fills the rest, so that everybody eligible can be found: the original's
 * blind draws missed a helper in 2.6 % of the indirect probes of three-node clusters.
 */
import type { Core } from "./core.ts";
import { StateCode } from "./member-table.ts";

/** For whom we choose. `gossip`: living members and the recently dead; `alive`: only those that are alive. */
export type PickKind = "gossip" | "alive";

/** Draws per wanted member before one pass over all members is cheaper. */
const DRAWS_PER_PICK = 4;

/** The first draws of one choice. */
const drawn: number[] = [];

/** Fills `into` with up to `wanted` distinct slots, never our own or `except`, each eligible one equally likely. */
export function pickMembers(core: Core, kind: PickKind, wanted: number, except: number, nowMs: number, into: number[]): void {
  const { table, random } = core;
  while (into.length > 0) into.pop(); // Setting the length leaves optimised code.
  const size = table.size;
  if (size > wanted * DRAWS_PER_PICK) {
    // All that will be drawn in any case, before any of them is looked at: in a large cluster each is a miss of the processor's caches, which then come together.
    while (drawn.length < wanted) drawn.push(table.slotAt(random.below(size)));
    for (let draw = 0; draw < wanted * DRAWS_PER_PICK && into.length < wanted; draw += 1) {
      const slot = draw < wanted ? (drawn[draw] as number) : table.slotAt(random.below(size));
      if (!into.includes(slot) && isEligible(core, kind, slot, except, nowMs)) into.push(slot);
    }
    while (drawn.length > 0) drawn.pop();
  }
  if (into.length < wanted) fillByScan(core, kind, wanted, except, nowMs, into);
}

/** Reservoir sampling over the members not chosen yet. */
function fillByScan(core: Core, kind: PickKind, wanted: number, except: number, nowMs: number, into: number[]): void {
  const { table, random } = core;
  const fixed = into.length;
  let seen = 0;
  for (let row = 0; row < table.size; row += 1) {
    const slot = table.slotAt(row);
    if (!isEligible(core, kind, slot, except, nowMs) || isChosen(into, fixed, slot)) continue;
    seen += 1;
    if (into.length < wanted) {
      into.push(slot);
      continue;
    }
    const place = random.below(seen);
    if (place < wanted - fixed) into[fixed + place] = slot;
  }
}

function isChosen(slots: readonly number[], count: number, slot: number): boolean {
  for (let i = 0; i < count; i += 1) if (slots[i] === slot) return true;
  return false;
}

function isEligible({ table, config, records, selfSlot }: Core, kind: PickKind, slot: number, except: number, nowMs: number): boolean {
  if (slot === selfSlot || slot === except) return false;
  const state = table.areAllAlive ? StateCode.alive : table.state(slot);
  const isGossipee = state === StateCode.suspect || (state === StateCode.dead && nowMs - table.goneAtMs(slot) <= config.profile.gossipToTheDeadMs);
  if (state !== StateCode.alive && !(kind === "gossip" && isGossipee)) return false;
  // A peer may announce a member without a usable address: known, but nothing can be sent there.
  return records.areAllReachable || table.record(slot).endpoint.ip !== "";
}
