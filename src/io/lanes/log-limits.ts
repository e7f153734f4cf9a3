/** Bounds that main and the log worker share. */

/** One commit takes at most this: a larger one makes the first of its entries wait without making the last ones quicker. */
export const COMMIT_ENTRIES_MAX = 256;
export const COMMIT_BYTES_MAX = 1 << 20;

/** Complete snapshots kept; the older one is for the case that the newer is found damaged. */
export const SNAPSHOTS_KEPT = 2;
/** Bytes of state in one piece of a snapshot, both ways. */
export const SNAPSHOT_PIECE_BYTES_MAX = 1 << 20;
