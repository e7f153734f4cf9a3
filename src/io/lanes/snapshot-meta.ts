/** `meta.json` of a snapshot, as the original writes it (reference: consul-agent §7.3). */
import { fail, ok, type Result } from "../../base/result.ts";
import type { SnapshotMeta } from "../../raft/types.ts";
import type { RaftServer, Suffrage } from "../../wire/raft-messages.ts";
import { encodeValue } from "../../wire/msgpack.ts";

/** The layout of meta.json and of its list of peers. Frozen. */
const SNAPSHOT_VERSION = 1;
const suffrages: readonly Suffrage[] = ["voter", "nonvoter", "staging"];

export interface SnapshotFileMeta extends SnapshotMeta {
  /** CRC-64 of the state, 8 bytes. */
  readonly crc: Uint8Array;
}

/** Names sort by age within one term and index only; `olderFirst` gives the order. */
export function snapshotId(term: number, index: number, nowMs: number): string {
  return `${term}-${index}-${nowMs}`;
}

/** Term, index and time of an id; null when it is none. */
export function parseSnapshotId(id: string): readonly [term: number, index: number, ms: number] | null {
  const parts = id.split("-").map(Number);
  const [term = Number.NaN, index = Number.NaN, ms = Number.NaN] = parts;
  return parts.length === 3 && [term, index, ms].every((part) => Number.isSafeInteger(part) && part >= 0) ? [term, index, ms] : null;
}

export function olderFirst(a: string, b: string): number {
  const left = parseSnapshotId(a) ?? [0, 0, 0];
  const right = parseSnapshotId(b) ?? [0, 0, 0];
  return left[0] - right[0] || left[1] - right[1] || left[2] - right[2];
}

export function encodeSnapshotMeta({ id, index, term, configuration, configurationIndex, size, crc }: SnapshotFileMeta): string {
  const voters = configuration.servers.filter((server) => server.suffrage === "voter").map((server) => server.address);
  const meta = {
    Version: SNAPSHOT_VERSION,
    ID: id,
    Index: index,
    Term: term,
    Peers: Buffer.from(encodeValue(voters, "gossip")).toString("base64"),
    Configuration: { Servers: configuration.servers.map((server) => ({ Suffrage: suffrages.indexOf(server.suffrage), ID: server.id, Address: server.address })) },
    ConfigurationIndex: configurationIndex,
    Size: size,
    CRC: Buffer.from(crc).toString("base64"),
  };
  return `${JSON.stringify(meta)}\n`;
}

export function decodeSnapshotMeta(text: string): Result<SnapshotFileMeta> {
  let meta: unknown;
  try {
    meta = JSON.parse(text);
  } catch (error) {
    return fail(error instanceof Error ? error.message : String(error));
  }
  if (typeof meta !== "object" || meta === null) return fail("no JSON object");
  const { Version, ID, Index, Term, Configuration, ConfigurationIndex, Size, CRC } = meta as Record<string, unknown>;
  if (Version !== SNAPSHOT_VERSION) return fail(`version ${String(Version)} of meta.json`);
  const servers = decodeServers((Configuration as { Servers?: unknown } | null)?.Servers);
  const crc = typeof CRC === "string" ? Buffer.from(CRC, "base64") : Buffer.alloc(0);
  if (typeof ID !== "string" || servers === null || crc.length !== 8) return fail("a member of meta.json is missing or of the wrong kind");
  if (!isCount(Index) || !isCount(Term) || !isCount(ConfigurationIndex) || !isCount(Size)) return fail("a number of meta.json is missing or wrong");
  return ok({ id: ID, index: Index, term: Term, configuration: { servers }, configurationIndex: ConfigurationIndex, size: Size, crc });
}

function decodeServers(list: unknown): readonly RaftServer[] | null {
  if (!Array.isArray(list)) return null;
  const servers: RaftServer[] = [];
  for (const item of list as readonly unknown[]) {
    const { Suffrage: suffrageNumber, ID, Address } = (item ?? {}) as Record<string, unknown>;
    const suffrage = suffrages[suffrageNumber as number];
    if (suffrage === undefined || typeof ID !== "string" || typeof Address !== "string") return null;
    servers.push({ id: ID, address: Address, suffrage });
  }
  return servers;
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
