/** Values that are made once per turn of the event loop: whoever asks in the same turn gets the same, and nobody gets an older one. */
export class TurnMemo<V> {
  readonly #values = new Map<string, V>();

  get(key: string, make: () => V): V {
    let value = this.#values.get(key);
    if (value === undefined) {
      if (this.#values.size === 0) setImmediate(() => this.#values.clear());
      value = make();
      this.#values.set(key, value);
    }
    return value;
  }
}
