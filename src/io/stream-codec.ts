/** How the streams of a pool are framed: short messages at once, long ones in the stream lane. */
import { assert } from "../base/assert.ts";
import { encodeStream, StreamReader } from "../wire/stream.ts";
import type { PacketFormat } from "./lanes/packet-lane.ts";
import { OPEN_INLINE_BYTES_MAX, SEAL_INLINE_BYTES_MAX, type StreamLane } from "./lanes/stream-lane.ts";
import type { NodeSealer } from "./node-sealer.ts";
import type { StreamCodec } from "./streams.ts";

/** `lane`: null does everything on the calling thread. The keys are those of the sealer at the time of each message. */
export function streamCodec(format: PacketFormat, sealer: NodeSealer, lane: Pick<StreamLane, "run"> | null): StreamCodec {
  const { compress, label, verifyIncoming, verifyOutgoing } = format;
  const encode = (message: Uint8Array, initiator: boolean): Uint8Array => encodeStream(message, { compress, sealer, label, initiator, encryptionVersion: 1, verifyOutgoing });
  if (lane === null) return { encode, decoder: (initiated) => new StreamReader({ sealer, label, acceptor: !initiated, verifyIncoming }) };
  return {
    decoder: (initiated) => new StreamReader({ sealer, label, acceptor: !initiated, verifyIncoming, inlineBytesMax: OPEN_INLINE_BYTES_MAX }),
    open: (bytes) => lane.run({ kind: "open", bytes, format, keys: sealer.keys }),
    encode: (message, initiator) => {
      const costsTime = compress || (sealer.encrypts && verifyOutgoing);
      if (message.length <= SEAL_INLINE_BYTES_MAX || !costsTime) return encode(message, initiator);
      return lane.run({ kind: "seal", message, initiator, format, keys: sealer.keys }).then((sealed) => {
        assert(sealed instanceof Uint8Array, "a message of ours can be sealed");
        return sealed;
      });
    },
  };
}
