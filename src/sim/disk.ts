/**
 * The snapshot file of one simulated node: lines as the node gave them, each ended by LF once it is whole. What was flushed survives
 * anything; the rest survives a killed process, or is cut off at some byte when the machine went down. While the disk is stalled, writes wait in
 * the process and end with it.
 */
import type { Random } from "../base/random.ts";

export class SnapshotDisk {
  #lines: string[] = [];
  /** Lines at the front that a flush has made safe. */
  #safeCount = 0;
  /** Beginning of a line that was being written when the machine stopped; it has no LF. */
  #torn = "";

  /** Writes that wait for the end of a stall; null while there is none. */
  #waiting: (() => void)[] | null = null;

  stall(): void {
    this.#waiting ??= [];
  }

  /** The stall is over: what waited is written. */
  resume(): void {
    const waiting = this.#waiting ?? [];
    this.#waiting = null;
    for (const write of waiting) write();
  }

  /** The process is gone, and with it what it had not written. */
  dropWaiting(): void {
    if (this.#waiting !== null) this.#waiting = [];
  }

  get lineCount(): number {
    return this.#lines.length;
  }

  append(lines: readonly string[], flush: boolean): void {
    if (this.#waiting !== null) {
      const kept = [...lines];
      this.#waiting.push(() => this.append(kept, flush));
      return;
    }
    if (this.#torn !== "") {
      // Whoever appends to a torn file continues the torn line: the reader sees one strange line, as on a real disk.
      this.#lines.push(this.#torn + (lines[0] ?? ""));
      this.#torn = "";
      this.#lines.push(...lines.slice(1));
    } else this.#lines.push(...lines);
    if (flush) this.#safeCount = this.#lines.length;
  }

  replace(lines: readonly string[]): void {
    if (this.#waiting !== null) {
      const kept = [...lines];
      this.#waiting.push(() => this.replace(kept));
      return;
    }
    this.#lines = [...lines];
    this.#safeCount = lines.length;
    this.#torn = "";
  }

  /** The machine lost power: of the lines not flushed a random part is gone, the first of them may be torn. */
  losePower(random: Random): void {
    const kept = this.#safeCount + random.below(this.#lines.length - this.#safeCount + 1);
    const cut = this.#lines[kept];
    this.#lines.length = kept;
    if (cut !== undefined && cut.length > 0) this.#torn = cut.slice(0, random.below(cut.length));
    this.#safeCount = kept;
  }

  /** Somebody deleted the file, stalled disk or not. */
  erase(): void {
    this.#lines = [];
    this.#safeCount = 0;
    this.#torn = "";
  }

  /** The file as bytes would read: whole lines end in LF, a torn one does not. */
  get text(): string {
    return this.#lines.map((line) => `${line}\n`).join("") + this.#torn;
  }
}
