/**
 * What goes from one shard of a simulation to the others, and what comes from them: datagrams, and segments of streams, each with the virtual time of its
 * arrival. Bytes of a message that many pass on go over once, and then its number only, until nobody in the sender's shard holds it any more. Everything
 * is written in the order in which it happened, so that runs do not depend on which shard is faster.
 */
import { assert } from "../../base/assert.ts";
import { resized } from "../../base/column.ts";
import { EMPTY_BYTES } from "../../base/bytes.ts";
import { Datagram } from "../datagram.ts";
import type { Host } from "../host.ts";
import type { SharedMessage, SharedMessages } from "../shared-messages.ts";
import { Survey } from "../survey.ts";
import type { CrossingStream, Segment } from "../streams.ts";
import { shardsByNode, type ShardPlace } from "./place.ts";
import { messagesOf, readState, writeState } from "./state-words.ts";
import type { WordRing } from "./word-ring.ts";
import { WordReader, WordWriter } from "./words.ts";

/** What a simulation does with what comes. */
export interface CrossingWorld {
  readonly hosts: readonly Host[];
  arriveDatagram(shard: number, atUs: number, target: number, datagram: Datagram): void;
  arriveSegment(shard: number, atUs: number, stream: CrossingStream, to: Host, segment: Segment): void;
}

/** `datagram` is followed by a `copy` for each of its targets. */
const RecordKind = { define: 0, release: 1, datagram: 2, copy: 3, segment: 4 } as const;
const SegmentCode = { syn: 0, synAck: 1, fin: 2, reset: 3, data: 4, state: 5 } as const;
/** In place of a message's number: its bytes follow. */
const NO_NUMBER = -1;

const NUMBERS_FIRST = 1024;

/** The way to one other shard, and from it. */
class Lane {
  readonly shard: number;
  readonly out = new WordWriter();
  readonly outRing: WordRing;
  readonly inRing: WordRing;
  readonly reader = new WordReader();
  /** By number at the other shard: 1 + the number here of what it has told; 0 for what it has not. */
  #numbers = new Uint32Array(NUMBERS_FIRST);
  /** What the last `datagram` in each direction was. */
  sent: Datagram | null = null;
  received: Datagram | null = null;
  #written = 0;

  constructor(shard: number, outRing: WordRing, inRing: WordRing) {
    this.shard = shard;
    this.outRing = outRing;
    this.inRing = inRing;
  }

  /** What a number of the other shard stands for. */
  numberOf(number: number): number {
    const own = (this.#numbers[number] ?? 0) - 1;
    assert(own >= 0, "the other shard has not told this message");
    return own;
  }

  told(number: number, own: number): void {
    this.#numbers = longEnough(this.#numbers, number);
    this.#numbers[number] = 1 + own;
  }

  takenBack(number: number): void {
    this.#numbers[number] = 0;
  }

  /** Hands over what has been written; false when some of it has to wait for the reader. */
  flush(): boolean {
    const { out } = this;
    if (out.length === 0) return true;
    this.#written += this.outRing.write(out.words.subarray(this.#written, out.length));
    if (this.#written < out.length) return false;
    out.clear();
    this.#written = 0;
    return true;
  }
}

export class Crossing {
  readonly place: ShardPlace;
  readonly #messages: SharedMessages;
  readonly #shards: Uint8Array;
  readonly #lanes: (Lane | null)[] = [];
  #world: CrossingWorld | null = null;
  /** By number of a message here: a bit for each shard that has been told it. */
  #told = new Uint32Array(NUMBERS_FIRST);
  /** `records.made` when all shards had the same slots and variants; what came later may differ. */
  #recordsMade = -1;

  /** `ringOf`: the ring from one shard to another. */
  constructor(place: ShardPlace, messages: SharedMessages, ringOf: (from: number, to: number) => WordRing) {
    this.place = place;
    this.#messages = messages;
    this.#shards = shardsByNode(place);
    for (let other = 0; other < place.count; other += 1) {
      this.#lanes.push(other === place.index ? null : new Lane(other, ringOf(place.index, other), ringOf(other, place.index)));
    }
    messages.onUnheld = (number) => this.#unheld(number);
  }

  attach(world: CrossingWorld): void {
    this.#world = world;
  }

  /** All shards have the same slots and variants now. */
  seal(): void {
    this.#recordsMade = this.#messages.records.made;
  }

  isElsewhere(node: number): boolean {
    return this.#shards[node] !== this.place.index;
  }

  /** Hands over what has been sent; false when some of it has to wait. */
  flush(): boolean {
    let isAll = true;
    for (const lane of this.#lanes) if (lane !== null && !lane.flush()) isAll = false;
    return isAll;
  }

  /** Takes in what has come. */
  receive(): void {
    for (const lane of this.#lanes) {
      if (lane === null) continue;
      const { reader } = lane;
      lane.inRing.readInto(reader);
      for (let kind = reader.next(); kind >= 0; kind = reader.next()) {
        this.#take(lane, kind);
        reader.done();
      }
    }
  }

  sendDatagram(datagram: Datagram, target: number, atUs: number): void {
    const lane = this.#laneTo(target);
    const { out } = lane;
    if (lane.sent !== datagram) this.#writeDatagram(lane, datagram);
    out.begin();
    out.put(target);
    out.putNumber(atUs);
    out.end(RecordKind.copy);
  }

  #writeDatagram(lane: Lane, datagram: Datagram): void {
    const { out } = lane;
    const { messages, from, size, hashA, hashB } = datagram;
    lane.sent = datagram;
    for (let i = 0; i < messages.length; i += 1) this.#tell(lane, datagram.numberAt(i));
    out.begin();
    out.put(from);
    out.put(size);
    out.put(hashA);
    out.put(hashB);
    out.put(messages.length);
    for (let i = 0; i < messages.length; i += 1) {
      const number = datagram.numberAt(i);
      if (this.#isTold(lane, number)) out.put(number);
      else {
        out.put(NO_NUMBER);
        out.putBytes(messages[i] as Uint8Array);
      }
    }
    out.end(RecordKind.datagram);
  }

  sendSegment(stream: CrossingStream, to: Host, segment: Segment, atUs: number): void {
    const lane = this.#laneTo(to.index);
    const { out } = lane;
    const state = segment.kind === "data" ? segment.state : null;
    const isByReference = state !== null && this.#messages.records.made === this.#recordsMade;
    if (isByReference) messagesOf(state, (number) => this.#tell(lane, number));
    out.begin();
    out.put(stream.dialer);
    out.put(stream.id);
    out.put(to.index);
    out.putNumber(atUs);
    if (segment.kind === "reset") {
      out.put(SegmentCode.reset);
      out.putText(segment.error);
    } else if (segment.kind !== "data") out.put(SegmentCode[segment.kind]);
    else if (isByReference) {
      out.put(SegmentCode.state);
      writeState(out, state, (number) => this.#isTold(lane, number));
    } else {
      out.put(SegmentCode.data);
      out.putBytes(state === null ? segment.bytes : state.encode());
    }
    out.end(RecordKind.segment);
    state?.free(); // The other shard has one of its own.
  }

  #laneTo(node: number): Lane {
    const lane = this.#lanes[this.#shards[node] as number];
    assert(lane !== null && lane !== undefined, "this node is here");
    return lane;
  }

  /** Tells a message, unless that shard has been told. One that nobody here holds for itself goes as bytes: nothing would ever take it back. */
  #tell(lane: Lane, number: number): void {
    if (number < 0 || this.#isTold(lane, number) || !this.#messages.isHeldHere(number)) return;
    this.#told = longEnough(this.#told, number);
    this.#told[number] = (this.#told[number] as number) | (1 << lane.shard);
    const { out } = lane;
    out.begin();
    out.put(number);
    out.putBytes(this.#messages.at(number).bytes);
    out.end(RecordKind.define);
  }

  #isTold(lane: Lane, number: number): boolean {
    return number >= 0 && (((this.#told[number] ?? 0) >>> lane.shard) & 1) === 1;
  }

  #unheld(number: number): void {
    if ((this.#told[number] ?? 0) === 0) return;
    for (const lane of this.#lanes) {
      if (lane === null || !this.#isTold(lane, number)) continue;
      lane.out.begin();
      lane.out.put(number);
      lane.out.end(RecordKind.release);
    }
    this.#told[number] = 0;
  }

  #take(lane: Lane, kind: number): void {
    const { reader } = lane;
    switch (kind) {
      case RecordKind.define: {
        const number = reader.word();
        lane.told(number, this.#messages.holdForShard(reader.bytes()));
        return;
      }
      case RecordKind.release: {
        const number = reader.word();
        this.#messages.releaseForShard(lane.numberOf(number));
        lane.takenBack(number);
        return;
      }
      case RecordKind.datagram:
        lane.received = this.#readDatagram(lane);
        return;
      case RecordKind.copy: {
        const target = reader.word();
        this.#there.arriveDatagram(lane.shard, reader.number(), target, lane.received as Datagram);
        return;
      }
      case RecordKind.segment:
        return this.#takeSegment(lane);
    }
  }

  get #there(): CrossingWorld {
    assert(this.#world !== null, "nothing comes before there is a world");
    return this.#world;
  }

  #readDatagram(lane: Lane): Datagram {
    const { reader } = lane;
    const from = reader.word();
    const size = reader.word();
    const hashA = reader.word();
    const hashB = reader.word();
    const count = reader.word();
    const held = new Array<number>(count);
    const messages = new Array<Uint8Array>(count);
    let isAnyHeld = false;
    for (let i = 0; i < count; i += 1) {
      const number = reader.word();
      const own = number === NO_NUMBER ? NO_NUMBER : lane.numberOf(number);
      held[i] = own;
      messages[i] = own === NO_NUMBER ? reader.bytes() : this.#messages.bytesAt(own);
      isAnyHeld ||= own !== NO_NUMBER;
    }
    const survey = new Survey();
    survey.size = size;
    survey.hashA = hashA;
    survey.hashB = hashB;
    if (isAnyHeld) this.#messages.surveyHeld(held, survey);
    return new Datagram(from, messages, null, this.#messages, survey);
  }

  #takeSegment(lane: Lane): void {
    const { reader } = lane;
    const stream = { dialer: reader.word(), id: reader.word() };
    const to = this.#there.hosts[reader.word()] as Host;
    const atUs = reader.number();
    this.#there.arriveSegment(lane.shard, atUs, stream, to, this.#readSegment(lane));
  }

  #readSegment(lane: Lane): Segment {
    const { reader } = lane;
    const code = reader.word();
    switch (code) {
      case SegmentCode.syn:
        return { kind: "syn", bytes: null };
      case SegmentCode.synAck:
        return { kind: "synAck", bytes: null };
      case SegmentCode.fin:
        return { kind: "fin", bytes: null };
      case SegmentCode.reset:
        return { kind: "reset", bytes: null, error: reader.text() };
      case SegmentCode.data:
        return { kind: "data", bytes: reader.bytes(), state: null };
      default:
        assert(code === SegmentCode.state, "no such segment");
        return { kind: "data", bytes: EMPTY_BYTES, state: readState(reader, this.#messages, (number): SharedMessage => this.#messages.at(lane.numberOf(number))) };
    }
  }
}

/** The column itself, or a longer copy of it that has a place for `number`. */
function longEnough(column: Uint32Array<ArrayBuffer>, number: number): Uint32Array<ArrayBuffer> {
  return number < column.length ? column : (resized(column, 2 * number) as Uint32Array<ArrayBuffer>);
}
