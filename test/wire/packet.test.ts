import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { EMPTY_BYTES, concatBytes, fromHex, toHex } from "../../src/base/bytes.ts";
import { SeededRandom } from "../../src/base/random.ts";
import { encodeUtf8 } from "../../src/base/utf8.ts";
import { NodeSealer } from "../../src/io/node-sealer.ts";
import { encodeCompress, wrapCompressed } from "../../src/wire/compress.ts";
import { encodeNack, encodeUser } from "../../src/wire/gossip-codec.ts";
import { MessageType } from "../../src/wire/gossip-messages.ts";
import { addLabel, LABEL_BYTES_MAX, labelError } from "../../src/wire/label.ts";
import { compressLzw } from "../../src/wire/lzw.ts";
import {
  COMPOUND_PARTS_MAX,
  PACKET_BYTES_MAX,
  PACKET_INFLATED_BYTES_MAX,
  PACKET_MESSAGES_MAX,
  PACKET_NESTING_MAX,
  addCrc,
  encodeCompound,
  openPacket,
  packPacket,
  packPlain,
  sealPacket,
  visitPacket,
} from "../../src/wire/packet.ts";

const plain = new NodeSealer([]);
const sealed = new NodeSealer([new Uint8Array(16).fill(1), new Uint8Array(32).fill(2)]);
const open = { sealer: plain, label: EMPTY_BYTES, verifyIncoming: true };
const user = (text: string): Uint8Array => encodeUser(encodeUtf8(text));
const hex = (messages: readonly Uint8Array[]): string[] => messages.map(toHex);

test("what is packed comes back, with every combination of layers", () => {
  const layers = fc.record({
    compress: fc.boolean(),
    crc: fc.boolean(),
    label: fc.constantFrom(EMPTY_BYTES, encodeUtf8("blue")),
    sealer: fc.constantFrom(plain, sealed),
    encryptionVersion: fc.constantFrom(0 as const, 1 as const),
  });
  fc.assert(
    fc.property(layers, fc.array(fc.string({ maxLength: 60 }).map(user), { minLength: 1, maxLength: 300 }), (options, messages) => {
      const packets = packPacket(messages, { ...options, verifyOutgoing: true });
      assert.equal(packets.length, Math.ceil(messages.length / COMPOUND_PARTS_MAX));
      const opened = packets.map((packet) => openPacket(packet, { sealer: options.sealer, label: options.label, verifyIncoming: true }));
      assert.deepEqual(opened.flatMap(({ messages: part }) => hex(part)), hex(messages));
      assert.deepEqual(opened.flatMap(({ drops }) => drops), []);
    }),
    { numRuns: 150 },
  );
});

test("more than 127 messages travel in several packets", () => {
  for (const [count, sizes] of [[1, [1]], [127, [127]], [128, [127, 1]], [255, [127, 127, 1]], [300, [127, 127, 46]]] as const) {
    const messages = Array.from({ length: count }, (_, i) => user(`event ${i}`));
    const plains = packPlain(messages, false);
    assert.deepEqual(plains.map((one) => openPacket(one, open).messages.length), sizes);
    assert.deepEqual(plains.flatMap((one) => hex(openPacket(one, open).messages)), hex(messages));
  }
  assert.deepEqual(packPlain([], true), []);
});

test("compressed only when that is smaller", () => {
  assert.equal(packPlain([user("abc")], true)[0]?.[0], MessageType.user);
  const repetitive = packPlain([user("abc".repeat(100))], true)[0] as Uint8Array;
  assert.equal(repetitive[0], MessageType.compress);
  assert.ok(repetitive.length < 300);
});

test("one plaintext, sealed for each target with a nonce of its own", () => {
  const [one] = packPlain([user("a"), user("b")], false) as [Uint8Array];
  const options = { crc: false, label: EMPTY_BYTES, sealer: sealed, encryptionVersion: 1, verifyOutgoing: true } as const;
  const packets = [sealPacket(one, options), sealPacket(one, options)].map(toHex);
  assert.notEqual(packets[0], packets[1]);
  assert.equal(toHex(sealPacket(one, { ...options, verifyOutgoing: false })), toHex(one));
});

test("layers that do not fit drop the whole packet, each with its reason", () => {
  const message = user("x");
  const blue = encodeUtf8("blue");
  const packet = packPacket([message], { compress: false, crc: true, label: blue, sealer: sealed, encryptionVersion: 1, verifyOutgoing: true })[0] as Uint8Array;
  const flipped = Uint8Array.from(packet);
  flipped[packet.length - 1] = (flipped[packet.length - 1] as number) ^ 1;
  const options = { sealer: sealed, label: blue, verifyIncoming: true };
  assert.deepEqual(hex(openPacket(packet, options).messages), hex([message]));
  assert.deepEqual(openPacket(flipped, options), { messages: [], drops: ["decrypt"] });
  assert.deepEqual(openPacket(packet, { ...options, label: EMPTY_BYTES }).drops, ["label"]);
  assert.deepEqual(openPacket(message, options).drops, ["label"]);
  assert.deepEqual(openPacket(addLabel(blue, message), options).drops, ["decrypt"]);
  assert.deepEqual(hex(openPacket(addLabel(blue, message), { ...options, verifyIncoming: false }).messages), hex([message]));
  const wrongCrc = addCrc(message, plain);
  wrongCrc[1] = (wrongCrc[1] as number) ^ 1;
  assert.deepEqual(openPacket(wrongCrc, open), { messages: [], drops: ["crc"] });
  // In the clear into a pool that migrates to keys it is looked at as ever; behind a tag that was right it is not.
  assert.deepEqual(openPacket(addLabel(blue, wrongCrc), { ...options, verifyIncoming: false }), { messages: [], drops: ["crc"] });
  const sealedWrong = addLabel(blue, sealed.seal(wrongCrc, blue, 1));
  assert.deepEqual(hex(openPacket(sealedWrong, options).messages), hex([message]));
  assert.deepEqual(openPacket(new Uint8Array(PACKET_BYTES_MAX + 1), open).drops, ["oversized"]);
  assert.deepEqual(openPacket(EMPTY_BYTES, open).drops, ["empty"]);
  assert.deepEqual(openPacket(fromHex("f400"), open).drops, ["label"]);
});

test("a CRC is looked for once, outside", () => {
  const inner = addCrc(user("x"), plain);
  assert.deepEqual(hex(openPacket(addCrc(inner, plain), open).messages), hex([inner]));
  assert.deepEqual(hex(openPacket(encodeCompound([inner]), open).messages), hex([inner]));
  // Too short to be a header: left as it is.
  assert.deepEqual(hex(openPacket(fromHex("0c0000"), open).messages), ["0c0000"]);
});

test("nested compounds and compressed parts are flattened in order", () => {
  const [a, b, c, d] = ["a", "b", "c", "d"].map(user) as [Uint8Array, Uint8Array, Uint8Array, Uint8Array];
  const packet = encodeCompound([a, encodeCompound([b, encodeCompress(encodeCompound([c]))]), encodeCompress(d)]);
  assert.deepEqual(openPacket(packet, open).drops, []);
  assert.deepEqual(hex(openPacket(packet, open).messages), hex([a, b, c, d]));
});

test("what is inflated stays as it is: beside, inside and after other compressed parts, and when other packets are opened", () => {
  const texts = Array.from({ length: 12 }, (_, i) => `${i}`.repeat(40 + i));
  const [a, b, c, d, e, f, ...others] = texts.map(user) as [Uint8Array, Uint8Array, Uint8Array, Uint8Array, Uint8Array, Uint8Array, ...Uint8Array[]];
  const inner = encodeCompound([b, encodeCompress(encodeCompound([c, encodeCompress(d), c])), wrapCompressed(Uint8Array.of(0xff)), e]);
  const opened = openPacket(encodeCompound([encodeCompress(a), encodeCompress(inner), encodeCompress(f)]), open);
  for (const other of others) openPacket(encodeCompress(other), open);
  assert.deepEqual(hex(opened.messages), hex([a, b, c, d, c, e, f]));
  assert.deepEqual(opened.drops, ["compress"]);
});

test("what nobody wants is not copied; what is wanted stays", () => {
  const messages = Array.from({ length: 20 }, (_, i) => user(`event ${i}`.padEnd(60)));
  const packet = encodeCompress(encodeCompound(messages));
  const memory = new Set<ArrayBufferLike>();
  const kept: Uint8Array[] = [];
  const visit = (wanted: boolean): void =>
    visitPacket(packet, open, {
      wants: (bytes) => {
        memory.add(bytes.buffer);
        return wanted;
      },
      message: (message) => kept.push(message),
      drop: (reason) => assert.fail(reason),
    });
  visit(false);
  visit(false);
  assert.equal(memory.size, 1, "the decompressor's own memory");
  visit(true);
  visit(false);
  assert.deepEqual(hex(kept), hex(messages));
  assert.equal(kept.some(({ buffer }) => memory.has(buffer)), false);
});

test("a compress message in any other form than the usual one is read too", () => {
  const message = user("an event that is long enough to be worth it".repeat(3));
  const usual = encodeCompress(message);
  const buf = usual.subarray(15);
  const arrayForm = concatBytes([Uint8Array.of(MessageType.compress, 0x92, 0, 0xda, buf.length >> 8, buf.length), buf]);
  const binForm = concatBytes([usual.subarray(0, 12), Uint8Array.of(0xc5, buf.length >> 8, buf.length), buf]);
  for (const form of [usual, arrayForm, binForm]) assert.deepEqual(hex(openPacket(form, open).messages), hex([message]));
  for (const broken of [usual.subarray(0, 14), usual.subarray(0, 12), usual.subarray(0, -1), usual.subarray(0, 1)]) {
    assert.deepEqual(openPacket(broken, open), { messages: [], drops: ["compress"] });
  }
  const unknown = usual.slice();
  unknown[7] = 1;
  assert.deepEqual(openPacket(unknown, open), { messages: [], drops: ["compress"] });
});

test("truncated compounds keep their earlier parts", () => {
  const parts = ["a", "bb", "ccc"].map(user);
  const compound = encodeCompound(parts);
  for (let length = 0; length < compound.length; length += 1) {
    const { messages, drops } = openPacket(compound.subarray(0, length), open);
    assert.deepEqual(hex(messages), hex(parts.slice(0, messages.length)));
    assert.deepEqual(drops, length === 0 ? ["empty"] : length < 8 ? ["compound"] : ["truncated"], `${length}`);
  }
  assert.deepEqual(openPacket(concatBytes([compound, Uint8Array.of(1, 2)]), open).drops, []);
});

test("255 parts are read, though we send at most 127", () => {
  const nack = encodeNack({ seq: 1 });
  const head = Uint8Array.of(MessageType.compound, 255, ...Array.from({ length: 255 }, () => [0, nack.length]).flat());
  assert.equal(openPacket(concatBytes([head, ...new Array<Uint8Array>(255).fill(nack)]), open).messages.length, 255);
});

test("nesting is bounded", () => {
  let packet = user("x");
  for (let depth = 0; depth < PACKET_NESTING_MAX; depth += 1) packet = encodeCompound([packet]);
  assert.equal(openPacket(packet, open).messages.length, 1);
  const tooDeep = openPacket(encodeCompound([user("before"), packet]), open);
  assert.deepEqual([hex(tooDeep.messages), tooDeep.drops], [hex([user("before")]), ["nestedTooDeep"]]);
});

test("inflation is bounded for all parts of a packet together, and stops there", () => {
  const big = user("x".repeat(PACKET_INFLATED_BYTES_MAX - 1));
  assert.equal(openPacket(encodeCompress(big), open).messages.length, 1);
  const tooBig = encodeCompress(user("x".repeat(PACKET_INFLATED_BYTES_MAX)));
  assert.deepEqual(hex(openPacket(tooBig, open).messages), []);
  assert.deepEqual(openPacket(tooBig, open).drops, ["inflatedTooLarge"]);

  const half = encodeCompress(user("x".repeat(PACKET_INFLATED_BYTES_MAX / 2 + 10)));
  const before = user("before");
  const { messages, drops } = openPacket(encodeCompound([before, half, half, user("after")]), open);
  assert.deepEqual([messages.length, drops], [2, ["inflatedTooLarge"]]);
});

test("a part that is empty once inflated is dropped and counted, and its neighbours are kept (memberlist#369)", () => {
  const nothing = encodeCompress(EMPTY_BYTES);
  assert.deepEqual(openPacket(nothing, open), { messages: [], drops: ["empty"] });
  const { messages, drops } = openPacket(encodeCompound([user("before"), nothing, user("after")]), open);
  assert.deepEqual([hex(messages), drops], [hex([user("before"), user("after")]), ["empty"]]);
});

test("a label has at most 255 bytes, whatever its characters; the longest one is read back", () => {
  const longest = "é".repeat(127) + "x";
  assert.equal(labelError(longest), null);
  assert.equal(labelError(`${longest}x`), `label ${JSON.stringify(`${longest}x`)} is too long`);
  const label = encodeUtf8(longest);
  assert.equal(label.length, LABEL_BYTES_MAX);
  assert.deepEqual(hex(openPacket(addLabel(label, user("x")), { ...open, label }).messages), hex([user("x")]));
});

test("broken compressed parts use up the packet's budget", () => {
  const cut = wrapCompressed(compressLzw(new Uint8Array(PACKET_INFLATED_BYTES_MAX / 2)).subarray(0, -2));
  const { messages, drops } = openPacket(encodeCompound([...new Array<Uint8Array>(20).fill(cut), user("after")]), open);
  assert.deepEqual(messages.length, 0);
  assert.ok(drops.length <= 9, drops.join());
  assert.equal(drops.at(-1), "inflatedTooLarge");
});

test("the number of messages is bounded, also of empty ones", () => {
  const nested = (part: Uint8Array): Uint8Array => encodeCompound(new Array<Uint8Array>(127).fill(encodeCompound(new Array<Uint8Array>(127).fill(part))));
  const full = openPacket(nested(Uint8Array.of(8)), open);
  assert.equal(full.messages.length, PACKET_MESSAGES_MAX);
  assert.deepEqual(full.drops, ["tooManyMessages"]);
  const empty = openPacket(nested(EMPTY_BYTES), open);
  assert.equal(empty.messages.length, 0);
  assert.ok(empty.drops.length < 1500);
  assert.equal(empty.drops.at(-1), "tooManyMessages");
});

test("random bytes never throw", () => {
  const random = new SeededRandom(1);
  for (let i = 0; i < 2000; i += 1) {
    const bytes = Uint8Array.from({ length: random.below(60) }, () => random.below(256));
    bytes[0] = [7, 9, 12, 244][i % 4] as number;
    openPacket(bytes, open);
  }
});
