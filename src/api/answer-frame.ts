/**
 * The answer to a question that is asked again and again: its body is encoded once, with room in front of it for the header of whoever asks, so that
 * both leave as one piece of memory and nothing is copied. The room holds one header at a time: it is lent until the kernel has taken the bytes.
 */
import type { IpcSeq } from "../wire/ipc-messages.ts";
import { SUCCESS_HEADER_BYTES_MAX, writeSuccessHeader } from "../wire/ipc-responses.ts";

export class AnswerFrame {
  readonly #bytes: Uint8Array;
  /** Header and body by where the header begins: few lengths of numbers are in use at a time. */
  readonly #whole: (Uint8Array | undefined)[] = [];
  /** Never changes, also while header and body are lent. */
  readonly body: Uint8Array;
  #lent = false;

  /** `bytes` has `SUCCESS_HEADER_BYTES_MAX` of room in front of the body and belongs to the frame. */
  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.body = bytes.subarray(SUCCESS_HEADER_BYTES_MAX);
  }

  /** Header and body of the answer to request `seq`, to be given back once written; null while the last one has not been given back. */
  lend(seq: IpcSeq): Uint8Array | null {
    if (this.#lent) return null;
    this.#lent = true;
    const start = writeSuccessHeader(this.#bytes, SUCCESS_HEADER_BYTES_MAX, seq);
    const known = this.#whole[start];
    if (known !== undefined) return known;
    const whole = this.#bytes.subarray(start);
    this.#whole[start] = whole;
    return whole;
  }

  giveBack(): void {
    this.#lent = false;
  }
}
