import assert from "node:assert/strict";
import { test } from "node:test";
import { SeededRandom } from "../../src/base/random.ts";
import { AdoptedMembers } from "../../src/swim/adopted-members.ts";
import { MemberRecords } from "../../src/swim/member-records.ts";
import { MEMBERS_MAX, META_BYTES_KEPT_MAX, NAME_LENGTH_MAX } from "../../src/swim/membership.ts";
import { OwnMessages, type KnownMessage, type Sharing } from "../../src/swim/messages.ts";
import { RELAYS_MAX } from "../../src/swim/relays.ts";
import { Swim } from "../../src/swim/swim.ts";
import type { SwimEffect } from "../../src/swim/types.ts";
import { encodeAlive, encodeIndirectPing } from "../../src/wire/gossip-codec.ts";
import { RecordingDelegate, SERF_VERSIONS, swimConfig } from "./fake-network.ts";

const FROM = { ip: "10.0.0.9", port: 7946 };
const ADDR_BYTES = 16;
const VERSIONS_BYTES = 16;

class Rig {
  readonly out: SwimEffect[] = [];
  readonly delegate = new RecordingDelegate();
  readonly swim: Swim<SwimEffect>;

  constructor(records = new MemberRecords()) {
    this.swim = new Swim<SwimEffect>(swimConfig("self", { ip: "10.0.0.1", port: 7946 }), new SeededRandom(1), this.delegate, 1000, this.out, records);
  }

  /** Gives a message to the node; how often it then counted `counter`. */
  packet(bytes: Uint8Array, counter: string, nowMs = 1000): number {
    this.out.length = 0;
    this.swim.step({ kind: "message", from: FROM, bytes }, nowMs, this.out);
    return this.out.filter((effect) => effect.kind === "count" && effect.name === counter).length;
  }
}

function alive(changes: { readonly node?: string; readonly incarnation?: number; readonly meta?: Uint8Array; readonly addr?: Uint8Array; readonly versions?: Uint8Array }): Uint8Array {
  return encodeAlive({ node: "other", incarnation: 1, addr: Uint8Array.of(10, 0, 0, 2), port: 7946, meta: new Uint8Array(0), versions: SERF_VERSIONS, ...changes });
}

test("a member's name, metadata, address and version bytes are kept up to their limits; one more, and the message is dropped and counted", () => {
  const versions = (length: number): Uint8Array => {
    const bytes = new Uint8Array(length);
    bytes.set(SERF_VERSIONS);
    return bytes;
  };
  const address = Uint8Array.from([...new Array<number>(10).fill(0), 255, 255, 10, 0, 0, 2]);
  const atLimit = [
    alive({ node: "n".repeat(NAME_LENGTH_MAX) }),
    alive({ node: "meta", meta: new Uint8Array(META_BYTES_KEPT_MAX) }),
    alive({ node: "addr", addr: address }),
    alive({ node: "versions", versions: versions(VERSIONS_BYTES) }),
  ];
  const rig = new Rig();
  for (const message of atLimit) assert.equal(rig.packet(message, "memberlist.drop.alive"), 0);
  assert.equal(rig.swim.nodeCount, 1 + atLimit.length);
  const beyond = [
    alive({ node: "n".repeat(NAME_LENGTH_MAX + 1) }),
    alive({ node: "meta 2", meta: new Uint8Array(META_BYTES_KEPT_MAX + 1) }),
    alive({ node: "addr 2", addr: new Uint8Array(ADDR_BYTES + 1) }),
    alive({ node: "versions 2", versions: versions(VERSIONS_BYTES + 1) }),
  ];
  for (const message of beyond) assert.equal(rig.packet(message, "memberlist.drop.alive"), 1);
  assert.equal(rig.swim.nodeCount, 1 + atLimit.length);
});

test("pings on behalf of others are bounded; one more is dropped and counted, and there is room again once they have ended", () => {
  const rig = new Rig();
  const request = (seq: number): Uint8Array =>
    encodeIndirectPing({ seq, target: Uint8Array.of(10, 0, 0, 7), port: 7946, node: "seven", nack: false, sourceAddr: Uint8Array.of(10, 0, 0, 9), sourcePort: 7946, sourceNode: "nine" });
  for (let seq = 1; seq <= RELAYS_MAX; seq += 1) assert.equal(rig.packet(request(seq), "memberlist.drop.indirectPing"), 0);
  assert.equal(rig.packet(request(1), "memberlist.drop.indirectPing"), 1);
  const later = 2000; // The timeout of a probe is 500 ms.
  rig.swim.step({ kind: "wake" }, later, rig.out);
  assert.equal(rig.packet(request(2), "memberlist.drop.indirectPing", later), 0);
});

/** Messages of a process with one node. */
class SharedByOne extends OwnMessages implements Sharing {
  at(): KnownMessage {
    throw new Error("nobody else asks");
  }

  holdAlive(): KnownMessage {
    throw new Error("nobody else asks");
  }

  aliveNumber(): number {
    return -1;
  }

  survey(): null {
    return null;
  }
}

test("members are bounded; who comes beyond is dropped and counted and leaves nothing behind, those who are known are heard", () => {
  const free = 16; // Slots for those whom the messages below name.
  const records = new MemberRecords(new SharedByOne(), MEMBERS_MAX + free);
  const rig = new Rig(records);
  const piece = 1 << 16;
  // All but ourselves and two more. Shared records tell a table of members whose names nobody asks for: a million for a few megabytes.
  for (let slot = free; slot < MEMBERS_MAX + free - 3; slot += piece) {
    const length = Math.min(piece, MEMBERS_MAX + free - 3 - slot);
    rig.swim.adopt(new AdoptedMembers(Array.from({ length }, (_, i) => ({ slot: slot + i, variant: 0, incarnation: 1 }))));
  }
  assert.equal(rig.swim.nodeCount, MEMBERS_MAX - 2);
  for (const node of ["last but one", "last"]) assert.equal(rig.packet(alive({ node }), "memberlist.drop.members"), 0);
  assert.equal(rig.swim.nodeCount, MEMBERS_MAX);
  const capacity = records.capacity;
  for (let i = 0; i < 1000; i += 1) assert.equal(rig.packet(alive({ node: `stranger ${i}` }), "memberlist.drop.members"), 1);
  assert.equal(rig.swim.nodeCount, MEMBERS_MAX);
  assert.equal(records.capacity, capacity);
  assert.equal(records.slotOf("stranger 0"), -1);
  assert.deepEqual(rig.delegate.seen.filter((line) => line.startsWith("joined")), ["joined self", "joined last but one", "joined last"]);
  assert.equal(rig.packet(alive({ node: "last", incarnation: 2, meta: Uint8Array.of(1) }), "memberlist.msg.alive"), 1);
  assert.ok(rig.delegate.seen.includes("updated last"));
});
