/**
 * Answers that many clients ask for are encoded once per change: the bytes of a result are kept as long as the result itself. Whether a result is the same is
 * the business of whoever gives it (`node/server/kept-reads.ts`).
 */
import { encodeUtf8 } from "../../base/utf8.ts";
import { writeJson, type Json } from "./json.ts";

export class EncodedRows<Rows> {
  readonly #shape: (rows: Rows) => Json;
  readonly #compact = new WeakMap<object, Uint8Array>();
  readonly #pretty = new WeakMap<object, Uint8Array>();

  constructor(shape: (rows: Rows) => Json) {
    this.#shape = shape;
  }

  encode(rows: Rows, pretty: boolean): Uint8Array {
    const kept = pretty ? this.#pretty : this.#compact;
    if (typeof rows !== "object" || rows === null) return encodeUtf8(writeJson(this.#shape(rows), pretty));
    let bytes = kept.get(rows);
    if (bytes === undefined) {
      bytes = encodeUtf8(writeJson(this.#shape(rows), pretty));
      kept.set(rows, bytes);
    }
    return bytes;
  }
}
