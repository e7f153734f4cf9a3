/** label: the header of memberlist 0.3 and later, plain and with the label as additional authenticated data. */
import { strict as assert } from "node:assert";
import { toHex } from "../../src/base/bytes.ts";
import { decodeUtf8, encodeUtf8 } from "../../src/base/utf8.ts";
import { addLabel, labelError, removeLabel } from "../../src/wire/label.ts";
import { openPacket, sealPacket } from "../../src/wire/packet.ts";
import { attempt, fieldsOf } from "./compare.ts";
import { sealerOf } from "./recorded-sealer.ts";
import type { Report } from "./registry.ts";
import { hexBytes } from "./values.ts";

interface Recording {
  readonly add: readonly { readonly label: string; readonly payloadHex: string; readonly hex: string }[];
  readonly remove: readonly { readonly name: string; readonly hex: string; readonly label?: string; readonly restHex?: string; readonly error?: string }[];
  readonly encrypted: readonly { readonly label: string; readonly aadHex: string; readonly keyHex: string; readonly plainHex: string; readonly packetHex: string }[];
  readonly tooLongError: string;
}

export function checkLabel(data: unknown, report: Report): void {
  const { add, remove, encrypted, tooLongError } = fieldsOf<Recording>(data, ["add", "remove", "encrypted", "tooLongError"], report);
  for (const { label, payloadHex, hex } of add ?? []) {
    attempt(`add ${label}`, report, () => {
      assert.equal(labelError(label), null);
      assert.equal(toHex(addLabel(encodeUtf8(label), hexBytes(payloadHex))), hex);
    });
  }
  for (const { name, hex, label, restHex, error } of remove ?? []) {
    attempt(`remove ${name}`, report, () => {
      const removed = removeLabel(hexBytes(hex));
      const ours = removed.ok ? { label: decodeUtf8(removed.value.label), restHex: toHex(removed.value.rest) } : { error: removed.error };
      assert.deepEqual(ours, error === undefined ? { label, restHex } : { error });
    });
  }
  for (const item of encrypted ?? []) attempt(`encrypted ${item.label}`, report, () => checkEncrypted(item));
  attempt("too long", report, () => {
    const label = /^label "(.*)" is too long$/s.exec(tooLongError ?? "")?.[1] ?? "";
    assert.equal(labelError(label), tooLongError);
  });
}

function checkEncrypted({ label, aadHex, keyHex, plainHex, packetHex }: Recording["encrypted"][number]): void {
  const labelBytes = encodeUtf8(label);
  assert.equal(toHex(labelBytes), aadHex);
  const packet = hexBytes(packetHex);
  const nonceAt = 2 + labelBytes.length + 1;
  const sealer = sealerOf([hexBytes(keyHex)], packet.slice(nonceAt, nonceAt + 12));
  const version = packet[nonceAt - 1] === 0 ? 0 : 1;
  const options = { crc: false, label: labelBytes, sealer, encryptionVersion: version, verifyOutgoing: true } as const;
  assert.equal(toHex(sealPacket(hexBytes(plainHex), options)), packetHex);
  const { messages, drops } = openPacket(packet, { sealer, label: labelBytes, verifyIncoming: true });
  assert.deepEqual({ messages: messages.map(toHex), drops }, { messages: [plainHex], drops: [] });
  assert.deepEqual(openPacket(packet, { sealer, label: encodeUtf8("other"), verifyIncoming: true }).drops, ["label"]);
}
