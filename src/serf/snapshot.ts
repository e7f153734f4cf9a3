/**
 * The snapshot file (reference: serf-protocol §10.4): text lines from which a restarted node learns whom it knew and where its clocks
 * stood. The writer only produces lines; the driver owns the file.
 */
import { formatEndpoint } from "../base/endpoint.ts";
import { decodeUtf8, utf8Length } from "../base/utf8.ts";
import { LAMPORT_TIME_MAX } from "./lamport-clock.ts";
import type { RestoredSnapshot, SerfEvent } from "./types.ts";

/** Below this size a file is never compacted. */
export const SNAPSHOT_COMPACT_MIN_BYTES = 128 * 1024;
/** Expected bytes of one alive member; a file twice the size of all of them is compacted. */
const BYTES_PER_NODE = 128;
const COMPACT_THRESHOLD = 2;

const U64_MAX = (1n << 64n) - 1n;

/** What a file says. Clocks are unsigned 64-bit numbers. */
export interface SnapshotContent {
  /** Node name to `ip:port`. */
  readonly alive: ReadonlyMap<string, string>;
  readonly clock: bigint;
  readonly eventClock: bigint;
  readonly queryClock: bigint;
  /** Lines that were not understood and skipped; at most `UNKNOWN_LINES_KEPT` of them are listed. */
  readonly unknownLines: readonly string[];
}

/** A file of garbage must not fill the log. */
export const UNKNOWN_LINES_KEPT = 16;

/** Reads a file. Later lines win; a last line without LF was torn and is ignored; lines that nobody understands are skipped. */
export function readSnapshot(file: Uint8Array, rejoinAfterLeave: boolean): SnapshotContent {
  const alive = new Map<string, string>();
  const clocks = { "clock: ": 0n, "event-clock: ": 0n, "query-clock: ": 0n };
  const unknownLines: string[] = [];

  const apply = (line: string): boolean => {
    if (line.startsWith("alive: ")) {
      const rest = line.slice("alive: ".length);
      const space = rest.lastIndexOf(" ");
      if (space < 0) return false;
      alive.set(rest.slice(0, space), rest.slice(space + 1));
    } else if (line.startsWith("not-alive: ")) alive.delete(line.slice("not-alive: ".length));
    else if (line.startsWith("coordinate: ") || line.startsWith("#")) return true;
    else if (line === "leave") {
      if (rejoinAfterLeave) return true;
      alive.clear();
      clocks["clock: "] = 0n;
      clocks["event-clock: "] = 0n;
      clocks["query-clock: "] = 0n;
    } else {
      for (const prefix of ["clock: ", "event-clock: ", "query-clock: "] as const) {
        if (!line.startsWith(prefix)) continue;
        const value = parseU64(line.slice(prefix.length));
        if (value === null) return false;
        clocks[prefix] = value;
        return true;
      }
      return false;
    }
    return true;
  };

  let start = 0;
  for (let end = file.indexOf(0x0a); end >= 0; end = file.indexOf(0x0a, start)) {
    const line = decodeUtf8(file, start, end);
    if (!apply(line) && unknownLines.length < UNKNOWN_LINES_KEPT) unknownLines.push(line);
    start = end + 1;
  }
  return { alive, clock: clocks["clock: "], eventClock: clocks["event-clock: "], queryClock: clocks["query-clock: "], unknownLines };
}

function parseU64(text: string): bigint | null {
  if (!/^[0-9]{1,40}$/.test(text)) return null;
  const value = BigInt(text);
  return value <= U64_MAX ? value : null;
}

/** What a pool needs of a snapshot file. Clocks beyond the range of exact numbers (only damage makes them) are cut off. */
export function replaySnapshot(file: Uint8Array, rejoinAfterLeave: boolean): RestoredSnapshot {
  const content = readSnapshot(file, rejoinAfterLeave);
  const bounded = (clock: bigint): number => Math.min(Number(clock), LAMPORT_TIME_MAX - 1);
  return {
    alive: [...content.alive].map(([name, addr]) => ({ name, addr })),
    clock: bounded(content.clock),
    eventClock: bounded(content.eventClock),
    queryClock: bounded(content.queryClock),
    fileBytes: file.length,
    unknownLines: content.unknownLines,
  };
}

export interface SnapshotWriterConfig {
  readonly rejoinAfterLeave: boolean;
  readonly compactMinBytes: number;
}

/** Lines to append since the last `take`, or the whole new file. */
export type SnapshotChange =
  | { readonly kind: "append"; readonly lines: readonly string[]; readonly flush: boolean }
  | { readonly kind: "compact"; readonly lines: readonly string[]; readonly flush: boolean };

/** Turns events and clock readings into snapshot lines and knows when the file has grown enough to be rewritten. */
export class SnapshotWriter {
  readonly #config: SnapshotWriterConfig;
  readonly #alive = new Map<string, string>();
  #clock = 0;
  #eventClock = 0;
  #queryClock = 0;
  #sizeBytes = 0;
  #left = false;
  #lines: string[] = [];
  #compacted = false;
  #flush = false;

  constructor(config: SnapshotWriterConfig, restored: RestoredSnapshot | null) {
    this.#config = config;
    if (restored === null) return;
    this.#sizeBytes = restored.fileBytes;
    for (const { name, addr } of restored.alive) this.#alive.set(name, addr);
    this.#clock = restored.clock;
    this.#eventClock = restored.eventClock;
    this.#queryClock = restored.queryClock;
  }

  /** Notes a Serf event. `clockTime` is the time of the member clock. After a leave nothing but clocks is recorded. */
  event(event: SerfEvent, clockTime: number): void {
    if (this.#left) return;
    switch (event.kind) {
      case "members":
        this.#memberEvent(event, clockTime);
        return;
      case "user":
        if (event.lamportTime <= this.#eventClock) return;
        this.#eventClock = event.lamportTime;
        this.#append(`event-clock: ${event.lamportTime}`);
        return;
      case "query":
        this.query(event.lamportTime);
    }
  }

  /** Notes a query, internal ones included. */
  query(lamportTime: number): void {
    if (this.#left || lamportTime <= this.#queryClock) return;
    this.#queryClock = lamportTime;
    this.#append(`query-clock: ${lamportTime}`);
  }

  #memberEvent({ type, members }: Extract<SerfEvent, { readonly kind: "members" }>, clockTime: number): void {
    for (const { name: rawName, ip, port } of members) {
      const name = rawName.replaceAll("\n", " "); // A line feed inside a name would forge lines of its own.
      if (type === "member-join") {
        const addr = formatEndpoint({ ip, port });
        this.#alive.set(name, addr);
        this.#append(`alive: ${name} ${addr}`);
      } else if (type === "member-leave" || type === "member-failed") {
        this.#alive.delete(name);
        this.#append(`not-alive: ${name}`);
      }
    }
    this.clock(clockTime);
  }

  /** Notes the member clock, of which one less has been seen on the wire. Called after member events and every 500 ms. */
  clock(clockTime: number): void {
    const seen = clockTime - 1;
    if (seen <= this.#clock) return;
    this.#clock = seen;
    this.#append(`clock: ${seen}`);
  }

  leave(): void {
    this.#left = true;
    if (!this.#config.rejoinAfterLeave) this.#alive.clear();
    this.#append("leave");
    this.#flush = true;
  }

  /** Asks that the next change is written through. */
  flush(): void {
    this.#flush = true;
  }

  /** What has come up since the last call; null when nothing has. */
  take(): SnapshotChange | null {
    if (this.#lines.length === 0 && !this.#flush && !this.#compacted) return null;
    const change: SnapshotChange = { kind: this.#compacted ? "compact" : "append", lines: this.#lines, flush: this.#flush };
    this.#lines = [];
    this.#compacted = false;
    this.#flush = false;
    return change;
  }

  #append(line: string): void {
    this.#lines.push(line);
    this.#sizeBytes += utf8Length(line) + 1;
    const limit = Math.max(this.#config.compactMinBytes, COMPACT_THRESHOLD * BYTES_PER_NODE * this.#alive.size);
    if (this.#sizeBytes > limit) this.#compact();
  }

  #compact(): void {
    const lines = [...this.#alive].map(([name, addr]) => `alive: ${name} ${addr}`);
    lines.push(`clock: ${this.#clock}`, `event-clock: ${this.#eventClock}`, `query-clock: ${this.#queryClock}`);
    if (this.#left) lines.push("leave");
    this.#lines = lines;
    this.#compacted = true;
    this.#sizeBytes = 0;
    for (const line of lines) this.#sizeBytes += utf8Length(line) + 1;
  }
}
