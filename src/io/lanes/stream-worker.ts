/** The worker's side of the stream lane: whole stream messages are sealed and opened here, one per task. */
import { move } from "piscina";
import { assertNever } from "../../base/assert.ts";
import { encodeStream, StreamReader } from "../../wire/stream.ts";
import { NodeSealer } from "../node-sealer.ts";
import type { KeyList } from "../keyring.ts";
import type { PacketFormat } from "./packet-lane.ts";

interface TaskFormat {
  readonly format: PacketFormat;
  /** The ring at the time of the task. */
  readonly keys: KeyList;
}

export type StreamTask = TaskFormat &
  (
    | { readonly kind: "seal"; readonly message: Uint8Array; readonly initiator: boolean }
    /** `bytes`: what `StreamReader.deferred` left over. */
    | { readonly kind: "open"; readonly bytes: Uint8Array }
  );

/** The bytes, or why there are none; `answer`: the peer is told. */
export type StreamResult = Uint8Array | { readonly error: string; readonly answer: boolean };

/** Entry of the piscina task. The bytes of its result are moved, not copied. */
export function runStreamTask(task: StreamTask): unknown {
  const result = work(task);
  if (!(result instanceof Uint8Array)) return result;
  // Memory of Node's own pool cannot be moved.
  return move(result.byteLength === result.buffer.byteLength ? result : new Uint8Array(result));
}

function work(task: StreamTask): StreamResult {
  const { format, keys } = task;
  const sealer = new NodeSealer(keys);
  switch (task.kind) {
    case "seal":
      return encodeStream(task.message, { ...format, sealer, initiator: task.initiator, encryptionVersion: 1 });
    case "open": {
      const reader = new StreamReader({ sealer, label: format.label, acceptor: false, verifyIncoming: format.verifyIncoming });
      const [message] = reader.push(task.bytes);
      return message ?? reader.failure ?? { error: "message ends too early", answer: false };
    }
    default:
      return assertNever(task);
  }
}
