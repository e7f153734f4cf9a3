/** What the parts of the SWIM machine share. Inside this folder effects are plain `SwimEffect`s; `swim.ts` widens them to the caller's. */
import type { Random } from "../base/random.ts";
import { ipToBytes, type Endpoint } from "../base/endpoint.ts";
import type { Awareness } from "./awareness.ts";
import type { BroadcastQueue } from "./broadcast-queue.ts";
import { isInside } from "./cidr.ts";
import type { MemberRecords } from "./member-records.ts";
import type { MemberTable } from "./member-table.ts";
import type { LogLevel, SwimConfig, SwimDelegate, SwimEffect } from "./types.ts";

export type Delegate = SwimDelegate<SwimEffect>;

export interface Core {
  readonly config: SwimConfig;
  readonly random: Random;
  readonly delegate: Delegate;
  readonly records: MemberRecords;
  readonly table: MemberTable;
  readonly awareness: Awareness;
  readonly broadcasts: BroadcastQueue;
  /** Our advertised address as bytes. */
  readonly selfAddr: Uint8Array;
  /** Our slot in the table; -1 until we have entered ourselves. */
  selfSlot: number;
  /** We have said goodbye: nothing brings us back. */
  left: boolean;
  /** Last sequence number given to a probe or relay. */
  seq: number;
}

const SEQ_MAX = 0xffff_ffff;

/** The next sequence number; one counter for probes and relays, first 1, wrapping in 32 bits. */
export function nextSeq(core: Core): number {
  core.seq = core.seq >= SEQ_MAX ? 1 : core.seq + 1;
  return core.seq;
}

const LEVELS: Readonly<Record<LogLevel, number>> = { trace: 0, debug: 1, info: 2, warn: 3, err: 4 };

/** Whether a line of that level is wanted; ask before building an expensive text. */
export function logs(core: Core, level: LogLevel): boolean {
  return LEVELS[level] >= LEVELS[core.config.logLevel];
}

/** Appends a log line in the original's words; the prefix is added here. */
export function log(core: Core, level: LogLevel, text: string, out: SwimEffect[]): void {
  if (logs(core, level)) out.push({ kind: "log", level, text: `memberlist: ${text}` });
}

type Count = Extract<SwimEffect, { readonly kind: "count" }>;

/** One effect for each counter: names are constants of the program, and a storm of joins counts hundreds of millions of times. */
const counts = new Map<string, Count>();

export function count(name: string, out: SwimEffect[]): void {
  out.push(countOf(name));
}

/** The effect that adds one to a counter. */
export function countOf(name: string): Count {
  let effect = counts.get(name);
  if (effect === undefined) {
    effect = { kind: "count", name, delta: 1 };
    counts.set(name, effect);
  }
  return effect;
}

/** Whether a member may be at `addr`. */
export function isAllowedAddr({ config }: Core, addr: Uint8Array): boolean {
  return config.allowedNetworks === undefined || isInside(addr, config.allowedNetworks);
}

/** Whether packets and streams from there are heard. */
export function isAllowedFrom({ config }: Core, from: Endpoint): boolean {
  if (config.allowedNetworks === undefined) return true;
  const addr = ipToBytes(from.ip);
  return addr !== null && isInside(addr, config.allowedNetworks);
}
