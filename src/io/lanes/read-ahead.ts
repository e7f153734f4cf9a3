/**
 * Reads of long ranges of the log, in pieces: while main applies one piece, the worker reads the next. After a restart that
 * is how long it takes until the state is back.
 */
import type { LogEntry } from "../../wire/raft-messages.ts";

/** Pieces read and not asked for yet: one for the state machine and some for followers that catch up. */
const AHEAD_MAX = 4;

/** Answers with a batch of entries; rejects when the log has ended. */
export type ReadPiece = (from: number, to: number, bytesMax: number) => Promise<ArrayBuffer>;

interface Ahead {
  readonly from: number;
  readonly bytesMax: number;
  readonly piece: Promise<ArrayBuffer>;
}

export class ReadAhead {
  readonly #readPiece: ReadPiece;
  readonly #decode: (piece: ArrayBuffer) => LogEntry[];
  #aheads: Ahead[] = [];
  #stopped = false;

  constructor(readPiece: ReadPiece, decode: (piece: ArrayBuffer) => LogEntry[]) {
    this.#readPiece = readPiece;
    this.#decode = decode;
  }

  /** As `LogStore.read`. */
  async read(from: number, to: number, bytesMax: number): Promise<readonly LogEntry[]> {
    const ahead = this.#take(from, bytesMax);
    let entries = ahead === null ? [] : this.#decode(await ahead.piece);
    // What was not there when it was read ahead may be by now.
    if (entries.length === 0) entries = this.#decode(await this.#readPiece(from, to, bytesMax));
    if (entries.length > to - from + 1) entries.length = to - from + 1;
    const last = entries.at(-1)?.index ?? to;
    if (last < to) this.begin(last + 1, to, bytesMax);
    return entries;
  }

  /** Reads what will be asked for soon. */
  begin(from: number, to: number, bytesMax: number): void {
    if (this.#stopped) return;
    const piece = this.#readPiece(from, to, bytesMax);
    piece.catch(() => undefined); // Told to whoever asks for it.
    this.#aheads.push({ from, bytesMax, piece });
    if (this.#aheads.length > AHEAD_MAX) this.#aheads.shift();
  }

  #take(from: number, bytesMax: number): Ahead | null {
    const at = this.#aheads.findIndex((ahead) => ahead.from === from && ahead.bytesMax <= bytesMax);
    return at < 0 ? null : (this.#aheads.splice(at, 1)[0] as Ahead);
  }

  /**
   * Entries are about to be replaced: what was read of them must not be given out later, nor what the worker reads before it has replaced them. For good, because that
   * is rare, and a start that has to be quick is over by then.
   */
  stop(): void {
    this.#stopped = true;
    this.#aheads = [];
  }
}
