/** packets: compounds both ways, CRC, and the whole way from a plain message to a sealed packet and back. */
import { strict as assert } from "node:assert";
import { EMPTY_BYTES, concatBytes, toHex } from "../../src/base/bytes.ts";
import { MessageType } from "../../src/wire/gossip-messages.ts";
import { addCrc, decodeCompound, encodeCompound, openPacket, packPlain, sealPacket } from "../../src/wire/packet.ts";
import { attempt, fieldsOf } from "./compare.ts";
import { sealerOf } from "./recorded-sealer.ts";
import type { Report } from "./registry.ts";
import { hexBytes, unwrap } from "./values.ts";

interface Recording {
  readonly compound: readonly { readonly name: string; readonly parts: readonly string[] | null; readonly hex: string }[];
  readonly compoundDecode: readonly { readonly name: string; readonly hex: string; readonly parts: readonly string[]; readonly truncated: number; readonly error?: string }[];
  readonly crc: readonly { readonly crc32: number; readonly payloadHex: string; readonly hex: string }[];
  readonly pipeline: readonly PipelineCase[];
}
interface PipelineCase {
  readonly plainHex: string;
  readonly compressed: boolean;
  readonly afterCompressHex: string;
  readonly crc: boolean;
  readonly afterCrcHex: string;
  readonly keyHex: string;
  readonly nonceHex: string;
  readonly packetHex: string;
}

export function checkPackets(data: unknown, report: Report): void {
  const { compound, compoundDecode, crc, pipeline } = fieldsOf<Recording>(data, ["compound", "compoundDecode", "crc", "pipeline"], report);
  for (const { name, parts, hex } of compound ?? []) {
    attempt(`compound ${name}`, report, () => {
      assert.equal(toHex(encodeCompound((parts ?? []).map(hexBytes))), hex);
      const { parts: ours, truncated } = unwrap(decodeCompound(hexBytes(hex)));
      assert.deepEqual({ parts: ours.map(toHex), truncated }, { parts: parts ?? [], truncated: 0 });
    });
  }
  for (const { name, hex, parts, truncated, error } of compoundDecode ?? []) {
    attempt(`compound decode ${name}`, report, () => {
      const decoded = decodeCompound(concatBytes([Uint8Array.of(MessageType.compound), hexBytes(hex)]));
      if (error === undefined) assert.deepEqual({ parts: unwrap(decoded).parts.map(toHex), truncated: unwrap(decoded).truncated }, { parts, truncated });
      else assert.deepEqual(decoded, { ok: false, error });
    });
  }
  for (const { crc32, payloadHex, hex } of crc ?? []) {
    attempt(`crc ${crc32}`, report, () => {
      const sealer = sealerOf([]);
      assert.equal(sealer.crc32(hexBytes(payloadHex)), crc32);
      assert.equal(toHex(addCrc(hexBytes(payloadHex), sealer)), hex);
    });
  }
  for (const [i, item] of (pipeline ?? []).entries()) attempt(`pipeline ${i}`, report, () => checkPipeline(item));
}

function checkPipeline(item: PipelineCase): void {
  const sealer = sealerOf([hexBytes(item.keyHex)], hexBytes(item.nonceHex));
  const plain = hexBytes(item.plainHex);
  const packed = packPlain([plain], true);
  if (item.compressed) assert.deepEqual(packed.map(toHex), [item.afterCompressHex]);
  else assert.deepEqual(packPlain([plain], false).map(toHex), [item.afterCompressHex]);
  const content = hexBytes(item.afterCompressHex);
  assert.equal(toHex(item.crc ? addCrc(content, sealer) : content), item.afterCrcHex);
  const options = { crc: item.crc, label: EMPTY_BYTES, sealer, encryptionVersion: 1, verifyOutgoing: true } as const;
  assert.equal(toHex(sealPacket(content, options)), item.packetHex);

  const opened = openPacket(hexBytes(item.packetHex), { sealer, label: EMPTY_BYTES, verifyIncoming: true });
  const direct = openPacket(plain, { sealer: sealerOf([]), label: EMPTY_BYTES, verifyIncoming: true });
  assert.deepEqual(opened.drops, []);
  assert.deepEqual(opened.messages.map(toHex), direct.messages.map(toHex));
}
