/**
 * What the steps of a session in one turn send, and what else is to be done for it. Headers and small bodies are written behind each other into
 * memory that is used again once the kernel has taken it; large bodies go as they are and may be shared by many connections. One piece is one system call.
 */
import type { AnswerFrame } from "./answer-frame.ts";
import type { IpcEffect, IpcEvent } from "./ipc-types.ts";
import type { IpcSeq } from "../wire/ipc-messages.ts";
import { writeResponseHeader, writeUserEvent } from "../wire/ipc-responses.ts";
import { Writer } from "../wire/msgpack.ts";

/** From here on a body is a piece of its own: copying it would cost more than a second piece in the system call. */
export const PIECE_BYTES_MIN = 16_384;

export class IpcOutput {
  /** In the order to run them; what is sent leaves after the last of them has begun. The driver empties it. */
  readonly effects: IpcEffect[] = [];
  readonly #writer = new Writer("rpc");
  /** Behind them comes what the writer holds. */
  #pieces: Uint8Array[] = [];
  #lent: AnswerFrame[] = [];
  #sent = 0;

  /** Bytes sent since `begin`. */
  get sent(): number {
    return this.#sent;
  }

  get isEmpty(): boolean {
    return this.#pieces.length === 0 && this.#writer.length === 0;
  }

  /** Starts a step. */
  begin(): void {
    this.#sent = 0;
  }

  header(seq: IpcSeq, error: string): void {
    const before = this.#writer.length;
    writeResponseHeader(this.#writer, seq, error);
    this.#sent += this.#writer.length - before;
  }

  /** Encoded bytes, which must not change afterwards. */
  bytes(bytes: Uint8Array): void {
    this.#sent += bytes.length;
    if (bytes.length < PIECE_BYTES_MIN) {
      this.#writer.raw(bytes);
      return;
    }
    this.#cut();
    this.#pieces.push(bytes);
  }

  /** The answer of a frame to request `seq`, in one piece when nothing goes before it. */
  answer(seq: IpcSeq, frame: AnswerFrame): void {
    const whole = this.isEmpty ? frame.lend(seq) : null;
    if (whole === null) {
      this.header(seq, "");
      this.bytes(frame.body);
      return;
    }
    this.#sent += whole.length;
    this.#pieces.push(whole);
    this.#lent.push(frame);
  }

  /** The body of a user event. */
  userEvent(event: Extract<IpcEvent, { readonly kind: "user" }>): void {
    const before = this.#writer.length;
    writeUserEvent(this.#writer, event);
    this.#sent += this.#writer.length - before;
  }

  effect(effect: IpcEffect): void {
    this.effects.push(effect);
  }

  /** All that was sent, when it is one piece: good until the next call. */
  get only(): Uint8Array | null {
    if (this.#pieces.length === 0) return this.#writer.written;
    return this.#pieces.length === 1 && this.#writer.length === 0 ? (this.#pieces[0] as Uint8Array) : null;
  }

  /** All that was sent, piece by piece, of which nothing changes before `taken`. */
  get pieces(): readonly Uint8Array[] {
    this.#cut();
    return this.#pieces;
  }

  /** The kernel has taken all pieces: their memory is used again. */
  taken(): void {
    this.#writer.clear();
    while (this.#pieces.length > 0) this.#pieces.pop();
    while (this.#lent.length > 0) (this.#lent.pop() as AnswerFrame).giveBack();
  }

  /** The pieces stay in use; the frames to give back when they no longer are. */
  leave(): readonly AnswerFrame[] {
    this.#writer.keep();
    const lent = this.#lent;
    this.#pieces = [];
    this.#lent = [];
    return lent;
  }

  #cut(): void {
    if (this.#writer.length > 0) this.#pieces.push(this.#writer.finish());
  }
}
