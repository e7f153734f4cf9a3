/** Codecs, LZW, and a 20-event packet in and out in each of its four forms, on 256 distinct inputs each. */
import { assert } from "../../src/base/assert.ts";
import { EMPTY_BYTES } from "../../src/base/bytes.ts";
import type { Random } from "../../src/base/random.ts";
import { openReceived } from "../../src/io/lanes/packet-work.ts";
import { NodeSealer } from "../../src/io/node-sealer.ts";
import { decodePacketMessage, encodeAlive, encodeUser } from "../../src/wire/gossip-codec.ts";
import type { Alive } from "../../src/wire/gossip-messages.ts";
import { compressLzw, decompressLzw } from "../../src/wire/lzw.ts";
import { openPacket, packPlain, sealPacket, type SealOptions } from "../../src/wire/packet.ts";
import { RepeatFilter } from "../../src/wire/repeat-filter.ts";
import type { Sealer } from "../../src/wire/sealer.ts";
import { decodeSerfMessage, encodeUserEvent } from "../../src/wire/serf-codec.ts";
import { encodeTags } from "../../src/wire/serf-tags.ts";
import type { UserEventMessage } from "../../src/wire/serf-messages.ts";
import type { Kernel, PreparedKernel } from "../kernel.ts";

const INPUTS = 256;
const EVENTS_PER_PACKET = 20;
const INFLATED_MAX = 1 << 20;

const SENDER = { ip: "10.0.0.1", port: 7946 };

function alives(random: Random): Alive[] {
  return inputs((i) => ({
    kind: "alive",
    incarnation: random.below(70_000),
    node: `node-${i}.example`,
    addr: Uint8Array.of(10, 0, i >> 4, i),
    port: 7946,
    meta: encodeTags(new Map([["role", "web"], ["dc", `dc${i % 5}`]]), 5),
    versions: Uint8Array.of(1, 5, 2, 2, 5, 5),
  }));
}

function events(random: Random): UserEventMessage[] {
  return inputs((i) => ({
    kind: "userEvent",
    lamportTime: 1000 + i,
    name: `deploy-${i % 7}`,
    payload: Uint8Array.from({ length: 20 }, () => random.below(256)),
    coalesce: true,
  }));
}

/** The messages of one gossip packet: 20 events out of 256. */
function rounds(random: Random): Uint8Array[][] {
  const messages = events(random).map((event) => encodeUser(encodeUserEvent(event)));
  return inputs(() => Array.from({ length: EVENTS_PER_PACKET }, () => messages[random.below(INPUTS)] as Uint8Array));
}

function compounds(random: Random): Uint8Array[] {
  return rounds(random).map((messages) => packed(messages, false));
}

function packed(messages: readonly Uint8Array[], compress: boolean): Uint8Array {
  const plains = packPlain(messages, compress);
  assert(plains.length === 1);
  return plains[0] as Uint8Array;
}

/** How a packet is made: the four forms of DESIGN.md §10. All carry the CRC header that members put between each other. */
interface Form {
  readonly name: string;
  readonly compress: boolean;
  readonly encrypt: boolean;
}

const FORMS: readonly Form[] = [
  { name: "plain", compress: false, encrypt: false },
  { name: "LZW", compress: true, encrypt: false },
  { name: "AES", compress: false, encrypt: true },
  { name: "LZW + AES", compress: true, encrypt: true },
];

function sealOptions(random: Random, { encrypt }: Form): SealOptions {
  const key = Uint8Array.from({ length: 16 }, () => random.below(256));
  return { crc: true, label: EMPTY_BYTES, sealer: new NodeSealer(encrypt ? [key] : []), encryptionVersion: 1, verifyOutgoing: true };
}

function inputs<T>(make: (i: number) => T): T[] {
  return Array.from({ length: INPUTS }, (_, i) => make(i));
}

/** A kernel over inputs that `make` gives. */
function kernel<T>(name: string, make: (random: Random) => readonly T[], run: (input: T) => Uint8Array | number): Kernel {
  return {
    name: `wire: ${name}`,
    prepare(random): PreparedKernel {
      const made = make(random);
      return { inputCount: made.length, run: (i) => run(made[i] as T) };
    },
  };
}

/** The kernels of one form of packets. Nonces are random, so only lengths go into the hash of what is sealed. */
function formKernels(form: Form): Kernel[] {
  const { name, compress } = form;
  const sealed = (random: Random): { readonly packets: readonly Uint8Array[]; readonly seal: SealOptions } => {
    const seal = sealOptions(random, form);
    return { seal, packets: rounds(random).map((messages) => sealPacket(packed(messages, compress), seal)) };
  };
  return [
    {
      name: `wire: encode 20 events, ${name}`,
      prepare(random): PreparedKernel {
        const seal = sealOptions(random, form);
        const made = rounds(random);
        const run = (i: number): Uint8Array => sealPacket(packed(made[i] as Uint8Array[], compress), seal);
        return { inputCount: INPUTS, run: form.encrypt ? (i) => run(i).length : run };
      },
    },
    {
      name: `wire: decode 20 events, ${name}`,
      prepare(random): PreparedKernel {
        const { packets, seal } = sealed(random);
        return { inputCount: INPUTS, run: (i) => open(packets[i] as Uint8Array, seal.sealer) };
      },
    },
    {
      name: `wire: 20 repeated events, ${name}`,
      prepare(random): PreparedKernel {
        const { packets, seal } = sealed(random);
        const filter = new RepeatFilter({ low: 1, high: 2 }, 0);
        const format = { compress, label: EMPTY_BYTES, verifyIncoming: true, verifyOutgoing: true };
        const work = { sealer: seal.sealer, format, pool: 0, filter, shedGossip: false };
        const received = packets.map((bytes) => ({ from: SENDER, bytes }));
        for (const { low, high } of openReceived(received, 0, INPUTS, work).messages) filter.settle(low, high, 0);
        return {
          inputCount: INPUTS,
          run(i) {
            const { messages, repeats } = openReceived(received, i, i + 1, work);
            assert(messages.length === 0);
            return repeats;
          },
        };
      },
    },
  ];
}

function open(packet: Uint8Array, sealer: Sealer): Uint8Array {
  const { messages, drops } = openPacket(packet, { sealer, label: EMPTY_BYTES, verifyIncoming: true });
  assert(drops.length === 0 && messages.length === EVENTS_PER_PACKET);
  return messages[EVENTS_PER_PACKET - 1] as Uint8Array;
}

export const wireKernels: readonly Kernel[] = [
  kernel(
    "decode alive",
    (random) => alives(random).map(encodeAlive),
    (bytes) => {
      const decoded = decodePacketMessage(bytes);
      assert(decoded.ok && decoded.value.kind === "alive");
      return decoded.value.incarnation;
    },
  ),
  kernel("encode alive", alives, encodeAlive),
  kernel(
    "decode user event",
    (random) => events(random).map(encodeUserEvent),
    (bytes) => {
      const decoded = decodeSerfMessage(bytes);
      assert(decoded.ok && decoded.value.kind === "userEvent");
      return decoded.value.lamportTime;
    },
  ),
  kernel("encode user event", events, encodeUserEvent),
  kernel("compress 20 events", compounds, compressLzw),
  kernel(
    "decompress 20 events",
    (random) => compounds(random).map(compressLzw),
    (bytes) => {
      const inflated = decompressLzw(bytes, INFLATED_MAX);
      assert(inflated.ok);
      return inflated.value;
    },
  ),
  {
    name: "wire: seal a packed round for one target",
    prepare(random): PreparedKernel {
      const seal = sealOptions(random, { name: "AES", compress: false, encrypt: true });
      const made = compounds(random);
      return { inputCount: INPUTS, run: (i) => sealPacket(made[i] as Uint8Array, seal).length };
    },
  },
  ...FORMS.flatMap(formKernels),
];
