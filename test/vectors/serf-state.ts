/** serf-state: Lamport clocks, the user-event ring, member status under intents. */
import assert from "node:assert/strict";
import { encodeUtf8 } from "../../src/base/utf8.ts";
import { EventRing } from "../../src/serf/event-ring.ts";
import { LamportClock } from "../../src/serf/lamport-clock.ts";
import { Membership, type MembershipHost } from "../../src/serf/membership.ts";
import { Reporter } from "../../src/serf/reporter.ts";
import type { PoolEffect } from "../../src/serf/types.ts";
import { MemberRecords } from "../../src/swim/member-records.ts";
import { attempt, fieldsOf } from "./compare.ts";
import type { Report } from "./registry.ts";

interface ClockStep {
  readonly op: string;
  readonly value: number;
  readonly timeAfter: number;
}

interface EventStep {
  readonly ltime: number;
  readonly name: string;
  readonly payload: string;
  readonly accepted: boolean;
  readonly clockAfter: number;
}

interface MemberStep {
  readonly op: string;
  readonly node: string;
  readonly ltime: number;
  readonly status: string;
  readonly statusLTime: number;
  readonly bufferedIntent: string;
  readonly bufferedIntentLTime: number;
  readonly clock: number;
  readonly rebroadcast?: boolean;
}

interface Recording {
  readonly lamport: readonly (readonly ClockStep[])[];
  readonly userEvents: readonly { readonly bufferSize: number; readonly minTime: number; readonly steps: readonly EventStep[] }[];
  readonly members: readonly { readonly self: string; readonly steps: readonly MemberStep[] }[];
}

export function checkSerfState(data: unknown, report: Report): void {
  const { lamport, userEvents, members } = fieldsOf<Recording>(data, ["lamport", "userEvents", "members"], report);
  for (const [i, steps] of (lamport ?? []).entries()) checkClock(`lamport ${i}`, steps, report);
  for (const [i, run] of (userEvents ?? []).entries()) {
    const ring = new EventRing(run.bufferSize);
    ring.raiseMinTime(run.minTime);
    const clock = new LamportClock();
    clock.increment();
    for (const [j, { ltime, name, payload, accepted, clockAfter }] of run.steps.entries()) {
      attempt(`userEvents ${i} step ${j}`, report, () => {
        assert.equal(ring.witness(clock, ltime, name, encodeUtf8(payload)) === "new", accepted);
        assert.equal(clock.time, clockAfter);
      });
    }
  }
  for (const [i, { self, steps }] of (members ?? []).entries()) checkMembers(`members ${i}`, self, steps, report);
}

function checkClock(name: string, steps: readonly ClockStep[], report: Report): void {
  const clock = new LamportClock();
  for (const [i, { op, value, timeAfter }] of steps.entries()) {
    attempt(`${name} step ${i}`, report, () => {
      if (op === "inc") clock.increment();
      else if (op === "wit") clock.witness(value);
      else assert.fail(`unknown operation ${op}`);
      assert.equal(clock.time, timeAfter);
    });
  }
}

const HOUR_MS = 3600_000;

function checkMembers(name: string, self: string, steps: readonly MemberStep[], report: Report): void {
  const out: PoolEffect[] = [];
  const prunes: string[] = [];
  const host: MembershipHost = {
    memberEvent: () => {},
    isRunning: () => true,
    broadcastJoin: () => {},
    tellLeave: () => {},
    forgotten: () => {},
    prune: (pruned) => prunes.push(pruned),
  };
  const config = { name: self, recentIntentTimeoutMs: HOUR_MS, reconnectTimeoutMs: HOUR_MS, tombstoneTimeoutMs: HOUR_MS, pruneDelayMs: 0 };
  const membership = new Membership(config, host, new Reporter("err"), new MemberRecords());
  membership.clock.increment();

  for (const [i, step] of steps.entries()) {
    attempt(`${name} step ${i} ${step.op} ${step.node}`, report, () => {
      const rebroadcast = apply(membership, step, out);
      // The original waits before it prunes a live member; the recording shows the state after the wait.
      for (const pruned of prunes.splice(0)) membership.pruneDue(pruned, 0, out);
      const row = membership.table.find(step.node);
      const intent = membership.bufferedIntent(step.node);
      const seen = {
        status: row === undefined ? "(absent)" : membership.table.status(row),
        statusLTime: row === undefined ? 0 : membership.table.statusTime(row),
        bufferedIntent: intent?.type ?? "",
        bufferedIntentLTime: intent?.lamportTime ?? 0,
        clock: membership.clock.time,
        rebroadcast,
      };
      const { status, statusLTime, bufferedIntent, bufferedIntentLTime, clock } = step;
      assert.deepEqual(seen, { status, statusLTime, bufferedIntent, bufferedIntentLTime, clock, rebroadcast: step.rebroadcast });
    });
  }
}

/** Applies one step; what it says about passing the message on, if it is a message. */
function apply(membership: Membership, { op, node, ltime }: MemberStep, out: PoolEffect[]): boolean | undefined {
  const info = { name: node, addr: Uint8Array.of(127, 0, 0, 1), ip: "127.0.0.1", port: 7946, meta: new Uint8Array(0), versions: new Uint8Array(6) };
  switch (op) {
    case "memberJoin":
      membership.joined(info, 0, out);
      return undefined;
    case "memberLeave":
      membership.gone(node, 0, out);
      return undefined;
    case "memberUpdate":
      membership.updated(info, 0, out);
      return undefined;
    case "joinIntent":
      return membership.joinIntent(ltime, node, 0);
    case "leaveIntent":
      return membership.leaveIntent(ltime, node, false, 0, out);
    case "leaveIntentPrune":
      return membership.leaveIntent(ltime, node, true, 0, out);
    default:
      assert.fail(`unknown operation ${op}`);
  }
}
