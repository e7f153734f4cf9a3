/**
 * Keeps LMDB from ever meeting a full disk, which ends the process (its C code overruns a buffer while it formats the error). Two guards: a write is refused
 * while the file system has too little room, and the file always has a physically written piece behind LMDB's last page, so that a write
 * which passed the check still fits when another program takes the room in between. (It also makes commits cheaper: no growing file.)
 */
import { closeSync, fdatasync, fstatSync, openSync, statfsSync, writeSync } from "node:fs";
import { promisify } from "node:util";

const datasync = promisify(fdatasync);

/** Room that a write of some bytes may take: tree pages, overflow pages rounded up, the free list. */
export const SPACE_PER_BYTE = 8;
/** Room that must be left beyond that. */
export const SPACE_LEFT_BYTES = 16 << 20;
/** Written behind the last page: as much as the largest batch (1 MiB of entries) can need. */
export const RESERVE_BYTES = 8 << 20;
/** The reserve is filled up in steps of this, so that no sync takes long. */
const RESERVE_STEP_BYTES = 4 << 20;

export type FreeBytes = (path: string) => number;

/** What an unprivileged process may still write. */
function freeBytesOf(path: string): number {
  const { bavail, bsize } = statfsSync(path);
  return bavail * bsize;
}

export class LogSpace {
  readonly #path: string;
  readonly #freeBytes: FreeBytes;
  #filling = false;
  #sizeBytes = 0;

  constructor(path: string, freeBytes: FreeBytes = freeBytesOf) {
    this.#path = path;
    this.#freeBytes = freeBytes;
  }

  /** Why a write of `byteLength` bytes is refused; null when there is room. */
  refusal(byteLength: number): string | null {
    const free = this.#freeBytes(this.#path);
    const needed = byteLength * SPACE_PER_BYTE + SPACE_LEFT_BYTES;
    if (free >= needed) return null;
    return `no space left for the raft log: ${free} bytes free beside ${this.#path}, ${needed} needed`;
  }

  /**
   * Fills the reserve up to `usedBytes + RESERVE_BYTES` when it has become short, unless the disk is nearly full. Never rejects: without a reserve only the
   * check guards. To be called between two commits: the zeros are written at once, behind the end, so that LMDB cannot have grown there meanwhile.
   */
  async fill(usedBytes: number): Promise<void> {
    // The file never shrinks: what was there at the last look is there still.
    if (this.#filling || usedBytes + RESERVE_BYTES <= this.#sizeBytes) return;
    this.#filling = true;
    let fd: number | null = null;
    try {
      fd = openSync(this.#path, "r+");
      const { size } = fstatSync(fd);
      this.#sizeBytes = size;
      const missing = usedBytes + RESERVE_BYTES - size;
      if (missing > 0 && this.refusal(RESERVE_STEP_BYTES) === null) {
        const step = Math.max(missing, RESERVE_STEP_BYTES);
        writeSync(fd, new Uint8Array(step), 0, step, size);
        this.#sizeBytes = size + step;
        await datasync(fd); // Only now are the blocks ours: file systems allocate when they write back.
      }
    } catch {
      // Stated above.
    } finally {
      if (fd !== null) closeSync(fd);
      this.#filling = false;
    }
  }
}
