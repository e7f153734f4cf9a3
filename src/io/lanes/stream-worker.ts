/** The worker's side of the stream lane: whole stream messages are sealed and opened here, one per task. */
import { move, transferableSymbol, valueSymbol } from "piscina";
import { assertNever } from "../../base/assert.ts";
import { keepScratch } from "../../wire/lzw.ts";
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

/** What goes back: the result and the task's own bytes, which nobody reads any more. */
export interface StreamTaskDone {
  readonly result: StreamResult;
  readonly spent: Uint8Array;
}

/**
 * What this thread keeps for inflating and compressing: enough for some thousand members. Made anew with each task it would be garbage that V8 collects late, since
 * such a task makes few objects: 30 MB of it, measured with push/pulls of 60 kB.
 */
const SCRATCH_BYTES = 1024 * 1024;

/** Entry of the piscina task. All large memory leaves the thread with the answer, moved and not copied: the main thread collects its garbage more often. */
export function runStreamTask(task: StreamTask): unknown {
  keepScratch(SCRATCH_BYTES);
  const spent = task.kind === "seal" ? task.message : task.bytes;
  const made = work(task);
  // Memory of Node's own pool, or of the task, cannot be moved.
  const isOwn = made instanceof Uint8Array && made.byteLength === made.buffer.byteLength && made.buffer !== spent.buffer;
  const result = made instanceof Uint8Array && !isOwn ? new Uint8Array(made) : made;
  const moved = result instanceof Uint8Array ? [result.buffer, spent.buffer] : [spent.buffer];
  return move({ [transferableSymbol]: moved, [valueSymbol]: { result, spent } satisfies StreamTaskDone });
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
