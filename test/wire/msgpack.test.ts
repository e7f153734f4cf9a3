import assert from "node:assert/strict";
import { test } from "node:test";
import { Decoder, Encoder } from "@msgpack/msgpack";
import fc from "fast-check";
import { concatBytes, fromHex, toHex } from "../../src/base/bytes.ts";
import { Float64, MSGPACK_DEPTH_MAX, Reader, Schema, Writer, decodeValue, encodeValue, structLength, type Encodable, type MsgpackValue } from "../../src/wire/msgpack.ts";

const runs = { numRuns: 300 };

/** Values in the form in which our decoder gives them. */
const { value: values } = fc.letrec<{ value: MsgpackValue }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    fc.constant(null),
    fc.boolean(),
    fc.maxSafeInteger(),
    fc.integer({ min: -40_000, max: 80_000 }),
    fc.bigInt(-(2n ** 63n), -(2n ** 53n)),
    fc.bigInt(2n ** 53n, 2n ** 64n - 1n),
    fc.string({ unit: "binary", maxLength: 300 }),
    fc.uint8Array({ maxLength: 300 }),
    fc.double().map((value) => new Float64(value)),
    fc.array(tie("value"), { maxLength: 20 }),
    fc.array(fc.tuple(fc.string({ maxLength: 40 }), tie("value")), { maxLength: 20 }).map((pairs) => new Map(pairs)),
  ),
}));

/** What the oracle says for the same bytes: 64-bit integers as bigint, maps as objects. */
const oracle = { decoder: new Decoder({ useBigInt64: true }), encoder: new Encoder({ useBigInt64: false }) };

function asOracle(value: MsgpackValue): unknown {
  if (value instanceof Float64) return value.value;
  if (value instanceof Uint8Array) return Uint8Array.from(value);
  if (Array.isArray(value)) return value.map((item: MsgpackValue) => asOracle(item));
  if (value instanceof Map) {
    const object: Record<string, unknown> = {};
    for (const [key, item] of value) Object.defineProperty(object, key, { value: asOracle(item), enumerable: true, configurable: true, writable: true });
    return object;
  }
  if (typeof value === "number" && (value >= 2 ** 32 || value < -(2 ** 31))) return BigInt(value);
  return value;
}

function hasProtoKey(value: MsgpackValue): boolean {
  if (value instanceof Map) return value.has("__proto__") || [...value.values()].some((item: MsgpackValue) => hasProtoKey(item));
  return Array.isArray(value) && value.some((item: MsgpackValue) => hasProtoKey(item));
}

test("values come back, and an independent decoder reads the same", () => {
  fc.assert(
    fc.property(values, (value) => {
      const bytes = encodeValue(value, "rpc");
      const reader = new Reader(bytes);
      assert.deepEqual(decodeValue(reader), value);
      assert.equal(reader.failed, false);
      assert.equal(reader.left, 0);
      if (!hasProtoKey(value)) assert.deepEqual(oracle.decoder.decode(bytes), asOracle(value));
    }),
    runs,
  );
});

test("what an independent encoder writes is read", () => {
  fc.assert(
    fc.property(fc.oneof(fc.maxSafeInteger(), fc.string(), fc.array(fc.integer()), fc.dictionary(fc.string().filter((key) => key !== "__proto__"), fc.boolean())), (value) => {
      const decoded = decodeValue(new Reader(oracle.encoder.encode(value)));
      // The oracle has no 64-bit integers in this mode: it writes large ones as doubles.
      const plain = decoded instanceof Float64 ? decoded.value : decoded instanceof Map ? Object.fromEntries(decoded) : decoded;
      assert.deepEqual(plain, typeof value === "object" && !Array.isArray(value) ? { ...value } : value);
    }),
    runs,
  );
});

test("the gossip profile writes neither str8 nor bin", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 70_000, size: "max" }), (bytes) => {
      const encoded = new Writer("gossip").bytes(bytes).finish();
      const first = encoded[0] as number;
      assert.ok((first >= 0xa0 && first <= 0xbf) || first === 0xda || first === 0xdb);
      assert.deepEqual(new Reader(encoded).bytes() ?? new Uint8Array(0), bytes);
    }),
    { numRuns: 50 },
  );
});

test("at every split the reader asks for more, and never calls it malformed", () => {
  fc.assert(
    fc.property(values, (value) => {
      const bytes = encodeValue(value, "rpc");
      for (let length = 0; length < bytes.length; length += 1) {
        const reader = new Reader(bytes.subarray(0, length));
        decodeValue(reader);
        assert.deepEqual([reader.failed, reader.short], [true, true], `split at ${length} of ${toHex(bytes)}`);
        const skipper = new Reader(bytes.subarray(0, length));
        skipper.skip(0);
        assert.deepEqual([skipper.failed, skipper.short], [true, true]);
      }
    }),
    { numRuns: 60 },
  );
});

test("objects that follow each other are read one by one", () => {
  const bytes = concatBytes([encodeValue({ Command: "stats", Seq: 1 }, "rpc"), encodeValue([1, 2], "rpc")]);
  const reader = new Reader(bytes);
  assert.deepEqual(decodeValue(reader), new Map<string, MsgpackValue>([["Command", "stats"], ["Seq", 1]]));
  assert.deepEqual(decodeValue(reader), [1, 2]);
  assert.equal(reader.left, 0);
});

test("skip steps over exactly one value of any kind, extensions included", () => {
  fc.assert(
    fc.property(values, (value) => {
      const bytes = encodeValue(value, "rpc");
      const reader = new Reader(concatBytes([bytes, Uint8Array.of(0x2a)]));
      reader.skip(0);
      assert.equal(reader.failed, false);
      assert.equal(reader.at, bytes.length);
    }),
    runs,
  );
  for (const hex of ["d401aa", "d501aabb", "d601aabbccdd", `d701${"aa".repeat(8)}`, `d801${"aa".repeat(16)}`, "c70301aabbcc", "c8000101aa", "c90000000101aa", "c70001"]) {
    const reader = new Reader(fromHex(`${hex}2a`));
    reader.skip(0);
    assert.equal(reader.at, hex.length / 2, hex);
    assert.equal(reader.integer(), 42);
  }
  const never = new Reader(fromHex("c1"));
  never.skip(0);
  assert.deepEqual([never.failed, never.short], [true, false]);
});

test("containers nest to the limit and not beyond", () => {
  for (const [head, name] of [["91", "arrays"], ["81a16b", "maps"]] as const) {
    for (const [depth, fine] of [[MSGPACK_DEPTH_MAX, true], [MSGPACK_DEPTH_MAX + 1, false], [100_000, false]] as const) {
      const bytes = fromHex(`${head.repeat(depth)}c0`);
      const reader = new Reader(bytes);
      decodeValue(reader);
      assert.equal(reader.failed, !fine, `${depth} ${name}`);
      assert.equal(reader.short, false);
      const skipper = new Reader(bytes);
      skipper.skip(0);
      assert.equal(skipper.failed, !fine, `${depth} ${name}, skipped`);
    }
  }
});

test("a forged length is refused before anything is allocated for it", () => {
  const readers: readonly [string, (reader: Reader) => unknown][] = [
    ["dfffffffff", (reader) => reader.value()],
    ["ddffffffff", (reader) => reader.value()],
    ["ddffffffff", (reader) => reader.bytes()],
    ["c6ffffffff", (reader) => reader.bytes()],
    ["c6ffffffff", (reader) => reader.bytesView()],
    ["dbffffffff", (reader) => reader.text()],
    ["dfffffffff", (reader) => reader.mapHead()],
    ["ddffffffff", (reader) => reader.arrayHead()],
    ["ddffffffff", (reader) => structLength(reader.structHead())],
    ["c9ffffffff01", (reader) => reader.skip()],
  ];
  for (const [hex, read] of readers) {
    const reader = new Reader(fromHex(`${hex}${"c0".repeat(50)}`));
    const result = read(reader);
    assert.ok(result === null || result === "" || result === 0 || result === undefined, hex);
    assert.deepEqual([reader.failed, reader.short], [true, true], hex);
  }
});

test("after a failure everything reads as a zero value and stays failed", () => {
  const reader = new Reader(fromHex("c1010203"));
  assert.equal(reader.integer(), 0);
  assert.equal(reader.failed, true);
  assert.equal(reader.short, false);
  assert.deepEqual(
    [reader.integer(), reader.text(), reader.bytes(), reader.bool(), reader.float(), reader.value(), reader.raw(1), reader.mapHead(), reader.arrayHead()],
    [0, "", null, false, 0, null, null, 0, 0],
  );
  assert.equal(reader.short, false);
  reader.reset(fromHex("07"));
  assert.deepEqual([reader.integer(), reader.failed], [7, false]);
});

test("a byte string is a copy, a view only where asked for", () => {
  const bytes = encodeValue(Uint8Array.of(1, 2, 3), "rpc");
  const copy = new Reader(bytes).bytes();
  const view = new Reader(bytes).bytesView();
  bytes.fill(9);
  assert.deepEqual([copy, view], [Uint8Array.of(1, 2, 3), Uint8Array.of(9, 9, 9)]);
});

test("floats take any number, integers refuse floats", () => {
  for (const [hex, expected] of [["cb3ff8000000000000", 1.5], ["ca3fc00000", 1.5], ["05", 5], ["ff", -1], ["cd0100", 256], ["c0", 0]] as const) {
    assert.equal(new Reader(fromHex(hex)).float(), expected);
  }
  const reader = new Reader(fromHex("cb3ff8000000000000"));
  reader.integer();
  assert.equal(reader.failed, true);
});

test("interned text: any name gives itself, however many come between", () => {
  const name = (i: number): string => `node-${i}-${"é".repeat(i % 9)}`;
  for (let i = 0; i < 5000; i += 1) {
    const text = name(i % 3000);
    assert.equal(new Reader(encodeValue(text, "gossip")).text(), text);
  }
  // Bytes that are not UTF-8 come back as they were.
  const raw = Uint8Array.of(0xa3, 0xff, 0x80, 0x41);
  assert.equal(toHex(new Writer("gossip").text(new Reader(raw).text()).finish()), toHex(raw));
});

test("a struct's key order is the wire order, its index the declaration order", () => {
  const schema = new Schema("Zeta", "Alpha");
  const reader = new Reader(encodeValue({ Alpha: 1, Beta: 2, Zeta: 3 }, "gossip"));
  const head = reader.structHead();
  const seen: [number, number][] = [];
  for (let i = 0; i < structLength(head); i += 1) seen.push([reader.field(schema, head, i), reader.integer()]);
  assert.deepEqual(seen, [[1, 1], [-1, 2], [0, 3]]);
});

test("fields are found in whatever order a writer puts them, the next writer's order being another one, under keys of any form and beside unknown ones", () => {
  const schema = new Schema("Name", "Payload", "Coalesce");
  const longKey = (name: string): Uint8Array => concatBytes([Uint8Array.of(0xd9, name.length), new TextEncoder().encode(name)]);
  const shortKey = (name: string): Uint8Array => encodeValue(name, "rpc");
  const orders = [[0, 1, 2], [2, 0, 1], [1, 2, 0], [2, 1, 0], [0, -1, 1, 2], [0, 0, 2]];
  for (const key of [shortKey, longKey, shortKey]) {
    for (const order of [...orders, ...orders]) {
      const parts = order.map((field) => concatBytes([key(["Name", "Payload", "Coalesce"][field] ?? "Names"), Uint8Array.of(order.indexOf(field))]));
      const reader = new Reader(concatBytes([Uint8Array.of(0x80 | order.length), ...parts]));
      const head = reader.structHead();
      const found = order.map((_, i) => {
        const field = reader.field(schema, head, i);
        assert.equal(reader.uint(9), order.indexOf(field));
        return field;
      });
      assert.deepEqual([found, reader.failed, reader.left], [order, false, 0]);
    }
  }
});

test("a writer that grew large does not keep the memory, and writes on", () => {
  const writer = new Writer("gossip");
  assert.equal(writer.bytes(new Uint8Array(3_000_000)).finish().length, 3_000_005);
  assert.equal(toHex(writer.int(-1).finish()), "ff");
});

test("plain objects and lists encode in their own order", () => {
  const value: Encodable = { Seq: 1, Error: "", List: [true, null, new Float64(1)], Bytes: Uint8Array.of(1) };
  assert.equal(toHex(encodeValue(value, "rpc")), "84a353657101a54572726f72a0a44c69737493c3c0cb3ff0000000000000a54279746573c40101");
});
