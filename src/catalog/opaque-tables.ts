/**
 * Rows of tables that have no structure here yet (prepared queries, intentions, certificates …): records of a snapshot, kept as they came and written
 * back unchanged, in the order in which they came.
 */
import type { Tables } from "./tables.ts";
import { opaquePrefix } from "./snapshot-order.ts";

/** Decimal digits of a row's number, so that numbers sort as texts. */
const NUMBER_DIGITS = 12;

export class OpaqueTables {
  readonly #tables: Tables;

  constructor(tables: Tables) {
    this.#tables = tables;
  }

  /** Appends a row of a snapshot: `body` is what stands behind the type byte. */
  restore(type: number, body: Uint8Array): void {
    const { opaque } = this.#tables.maps;
    opaque.set(`${opaquePrefix(type)}${String(opaque.size).padStart(NUMBER_DIGITS, "0")}`, { type, body });
  }
}
