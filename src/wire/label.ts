/** memberlist's label header (0.3.0 and later; reference: serf-protocol §2.6): type 244, length, label, then the packet or stream. */
import { EMPTY_BYTES } from "../base/bytes.ts";
import { fail, ok, type Result } from "../base/result.ts";
import { utf8Length } from "../base/utf8.ts";
import { MessageType } from "./gossip-messages.ts";

export const LABEL_BYTES_MAX = 255;
export const LABEL_TRUNCATED = "cannot decode label; packet has been truncated";
export const LABEL_EMPTY = "label header cannot be empty when present";

/** Why `label` cannot be configured, as memberlist says it; null when it can. */
export function labelError(label: string): string | null {
  return utf8Length(label) > LABEL_BYTES_MAX ? `label ${JSON.stringify(label)} is too long` : null;
}

/** `payload` behind a label header; unchanged when the label is empty. The label has at most 255 bytes (`labelError`). */
export function addLabel(label: Uint8Array, payload: Uint8Array): Uint8Array {
  if (label.length === 0) return payload;
  const labelled = new Uint8Array(2 + label.length + payload.length);
  labelled[0] = MessageType.hasLabel;
  labelled[1] = label.length;
  labelled.set(label, 2);
  labelled.set(payload, 2 + label.length);
  return labelled;
}

export interface Labelled {
  /** Empty when there was no header. */
  readonly label: Uint8Array;
  readonly rest: Uint8Array;
}

/** Takes a label header off a datagram; both parts are views. */
export function removeLabel(packet: Uint8Array): Result<Labelled> {
  if (packet[0] !== MessageType.hasLabel) return ok({ label: EMPTY_BYTES, rest: packet });
  const length = packet[1];
  if (length === undefined) return fail(LABEL_TRUNCATED);
  if (length === 0) return fail(LABEL_EMPTY);
  if (packet.length < 2 + length) return fail(LABEL_TRUNCATED);
  return ok({ label: packet.subarray(2, 2 + length), rest: packet.subarray(2 + length) });
}
