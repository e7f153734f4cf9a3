/** Gossip packets that the drivers send: made of our own codecs, ahead of the measurement. */
import { assert } from "../../src/base/assert.ts";
import { EMPTY_BYTES } from "../../src/base/bytes.ts";
import type { Random } from "../../src/base/random.ts";
import { NodeSealer } from "../../src/io/node-sealer.ts";
import { encodeAlive, encodePing, encodeUser } from "../../src/wire/gossip-codec.ts";
import { packPlain, sealPacket, type SealOptions } from "../../src/wire/packet.ts";
import { encodeUserEvent } from "../../src/wire/serf-codec.ts";
import { encodeTags } from "../../src/wire/serf-tags.ts";

/** What lies around the messages of a packet. All have the CRC header that current members put in front. */
export const WRAPPINGS = ["plain", "lzw", "aes", "both"] as const;
export type Wrapping = (typeof WRAPPINGS)[number];

export const EVENTS_PER_PACKET = 20;
export const EVENT_PREFIX = "event-";
const PAYLOAD_BYTES = 24;
const SERIAL_DIGITS = 8;
const KEY_BYTES = 16;
const ALIVES_PER_PACKET = 8;
/** memberlist's protocol versions (min, max, current) and Serf's, as the original announces them. */
const VERSIONS = Uint8Array.of(1, 5, 2, 2, 5, 4);
const PROTOCOL = 5;

export function isEncrypted(wrapping: Wrapping): boolean {
  return wrapping === "aes" || wrapping === "both";
}

/** Makes packets of one kind. Every user event has another number in its name, every packet of events another Lamport time. */
export class PacketFactory {
  readonly wrapping: Wrapping;
  /** The agent's gossip key in base64; undefined in the clear. */
  readonly encryptKey: string | undefined;
  readonly sealer: NodeSealer;
  readonly #seal: SealOptions;
  readonly #payload: Uint8Array;
  #serial = 0;
  #lamportTime = 1;

  constructor(wrapping: Wrapping, random: Random) {
    this.wrapping = wrapping;
    const key = Uint8Array.from({ length: KEY_BYTES }, () => random.below(256));
    this.encryptKey = isEncrypted(wrapping) ? Buffer.from(key).toString("base64") : undefined;
    this.sealer = new NodeSealer(isEncrypted(wrapping) ? [key] : []);
    this.#seal = { crc: true, label: EMPTY_BYTES, sealer: this.sealer, encryptionVersion: 1, verifyOutgoing: true };
    this.#payload = Uint8Array.from({ length: PAYLOAD_BYTES }, () => 0x61 + random.below(26));
  }

  /** Events made so far; the next one gets this number. */
  get serial(): number {
    return this.#serial;
  }

  /** A compound of new events, not yet sealed. */
  events(): Uint8Array {
    const messages = Array.from({ length: EVENTS_PER_PACKET }, () => encodeUser(this.#event()));
    this.#lamportTime += 1;
    return only(packPlain(messages, this.wrapping === "lzw" || this.wrapping === "both"));
  }

  /** Sealed once more, with another nonce: no two packets that arrive are equal when there is a key. */
  seal(plain: Uint8Array): Uint8Array {
    return sealPacket(plain, this.#seal);
  }

  ping(seq: number, node: string): Uint8Array {
    return this.seal(encodePing({ seq, node, sourceAddr: null, sourcePort: 0, sourceNode: "" }));
  }

  #event(): Uint8Array {
    const name = EVENT_PREFIX + String(this.#serial).padStart(SERIAL_DIGITS, "0");
    this.#serial += 1;
    return encodeUserEvent({ lamportTime: this.#lamportTime, name, payload: this.#payload, coalesce: false });
  }
}

/** The number in an event's name; -1 of a name that is none of ours. */
export function serialOf(name: string): number {
  return name.startsWith(EVENT_PREFIX) ? Number(name.slice(EVENT_PREFIX.length)) : -1;
}

/** Packets that announce `count` members which all live at one endpoint. */
export function announcements(count: number, addr: Uint8Array, port: number): Uint8Array[] {
  const meta = encodeTags(new Map([["role", "web"], ["dc", "dc1"], ["version", "1.2.3"]]), PROTOCOL);
  const packets: Uint8Array[] = [];
  for (let first = 0; first < count; first += ALIVES_PER_PACKET) {
    const alives = Array.from({ length: Math.min(ALIVES_PER_PACKET, count - first) }, (_, i) =>
      encodeAlive({ incarnation: 1, node: `fake-${String(first + i).padStart(4, "0")}`, addr, port, meta, versions: VERSIONS }),
    );
    packets.push(only(packPlain(alives, false)));
  }
  return packets;
}

function only(plains: readonly Uint8Array[]): Uint8Array {
  assert(plains.length === 1, "the messages fit one packet");
  return plains[0] as Uint8Array;
}
