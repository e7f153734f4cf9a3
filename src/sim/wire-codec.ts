/** The production codec of datagrams and streams, as the simulation sends its messages through it. */
import { EMPTY_BYTES } from "../base/bytes.ts";
import { openPacket, packPacket } from "../wire/packet.ts";
import type { Sealer } from "../wire/sealer.ts";
import { encodeStream, StreamReader } from "../wire/stream.ts";
import type { SimCodec } from "./sim-codec.ts";

export function wireCodec(sealer: Sealer, compress: boolean): SimCodec {
  const sealing = { sealer, compress, label: EMPTY_BYTES, encryptionVersion: 1, verifyOutgoing: true } as const;
  const opening = { sealer, label: EMPTY_BYTES, verifyIncoming: true } as const;
  return {
    encodePacket: (messages, crc) => packPacket(messages, { ...sealing, crc }),
    openPacket(packet) {
      const { messages, drops } = openPacket(packet, opening);
      return drops.length === 0 ? messages : null;
    },
    encodeStream: (message) => encodeStream(message, { ...sealing, initiator: true }),
    readStream(bytes, cutAt) {
      const reader = new StreamReader({ ...opening, acceptor: true });
      const read = [...reader.push(bytes.subarray(0, cutAt)), ...reader.push(bytes.subarray(cutAt))];
      return read.length === 1 && reader.failure === null ? (read[0] as Uint8Array) : null;
    },
  };
}
