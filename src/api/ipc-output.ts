/**
 * What one step of a session sends: headers and small bodies are written behind each other into one piece, large bodies go as they are and
 * may be shared by many connections. One piece is one system call, and no object per answer.
 */
import type { IpcEffect, IpcEvent } from "./ipc-types.ts";
import type { IpcSeq } from "../wire/ipc-messages.ts";
import { writeResponseHeader, writeUserEvent } from "../wire/ipc-responses.ts";
import { Writer } from "../wire/msgpack.ts";

/** From here on a body is a piece of its own: copying it would cost more than a second piece in the system call. */
export const PIECE_BYTES_MIN = 16_384;

export class IpcOutput {
  readonly #writer = new Writer("rpc");
  #out: IpcEffect[] = [];
  #sent = 0;

  /** Bytes sent since `begin`. */
  get sent(): number {
    return this.#sent;
  }

  /** Starts a step, whose effects are appended to `out`. */
  begin(out: IpcEffect[]): void {
    this.#out = out;
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
    this.#out.push({ kind: "send", bytes });
  }

  /** The body of a user event. */
  userEvent(event: Extract<IpcEvent, { readonly kind: "user" }>): void {
    const before = this.#writer.length;
    writeUserEvent(this.#writer, event);
    this.#sent += this.#writer.length - before;
  }

  /** An effect that keeps its place between what was sent before and after it. */
  effect(effect: IpcEffect): void {
    this.#cut();
    this.#out.push(effect);
  }

  /** Ends the step. */
  end(): void {
    this.#cut();
    this.#out = NOWHERE;
  }

  #cut(): void {
    if (this.#writer.length > 0) this.#out.push({ kind: "send", bytes: this.#writer.finish() });
  }
}

/** Keeps no array of a caller alive between two steps. */
const NOWHERE: IpcEffect[] = [];
