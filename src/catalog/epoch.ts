/**
 * Who may write a tree node in place: a node belongs to the epoch in which it was made, and only nodes of the current epoch are written; others are
 * copied first. A snapshot, or the start of a transaction, ends an epoch, so that everything reachable at that moment stays as it is.
 */
export class Epoch {
  current = 1;

  /** What is reachable now will never be written again. */
  end(): void {
    this.current += 1;
  }
}
