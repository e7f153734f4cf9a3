/** A virtual network of Swim machines for tests: seeded, datagrams with latency and loss, streams without sockets. Small on purpose; `src/sim` is the real one. */
import { toHex } from "../../src/base/bytes.ts";
import { formatEndpoint, type Endpoint } from "../../src/base/endpoint.ts";
import { SeededRandom } from "../../src/base/random.ts";
import { MemberRecords, type MemberRecord } from "../../src/swim/member-records.ts";
import { Repeat } from "../../src/swim/messages.ts";
import { PROFILES } from "../../src/swim/profiles.ts";
import { Swim } from "../../src/swim/swim.ts";
import { encodeUser } from "../../src/wire/gossip-codec.ts";
import type { SwimConfig, SwimDelegate, SwimEffect, SwimInput, SwimMember, SwimProfile } from "../../src/swim/types.ts";

export const SERF_VERSIONS = Uint8Array.of(1, 5, 2, 2, 5, 5);

/** A delegate that records what it is told and has nothing to say. */
export class RecordingDelegate implements SwimDelegate<SwimEffect> {
  readonly seen: string[] = [];
  waiting: Uint8Array[] = [];
  memberJoined({ name }: Pick<SwimMember, "name">): void {
    this.seen.push(`joined ${name}`);
  }
  memberLeft({ name, state }: SwimMember): void {
    this.seen.push(`${state} ${name}`);
  }
  memberUpdated({ name }: SwimMember): void {
    this.seen.push(`updated ${name}`);
  }
  memberConflict(existing: SwimMember, other: SwimMember): void {
    this.seen.push(`conflict ${existing.name} ${formatEndpoint(existing)} ${formatEndpoint(other)}`);
  }
  userMessage(message: Uint8Array, start: 0 | 1): boolean {
    this.seen.push(`user ${toHex(message.subarray(start))}`);
    return false;
  }
  knownEvent(): void {
    throw new Error("nothing is shared here");
  }
  judgeRepeat(): Repeat {
    return Repeat.no;
  }
  takeBroadcasts(overhead: number, limit: number, _targets: number, into: Uint8Array[]): number {
    let free = limit;
    for (let [next] = this.waiting; next !== undefined && next.length + 1 + overhead <= free; [next] = this.waiting) {
      free -= next.length + 1 + overhead;
      into.push(encodeUser(next));
      this.waiting.shift();
    }
    return limit - free;
  }
  hasBroadcasts(): boolean {
    return this.waiting.length > 0;
  }
  localState(): Uint8Array | null {
    return null;
  }
  mergeRemoteState(): void {}
  sharedState(): null {
    return null;
  }
  mergeSharedState(): void {}
  vetoMerge(): string | null {
    return null;
  }
  ackPayload(): Uint8Array | null {
    return null;
  }
  pingCompleted({ name }: MemberRecord, rttMs: number, payload: Uint8Array | null): void {
    this.seen.push(`rtt ${name} ${rttMs}${payload === null ? "" : ` payload=${toHex(payload)}`}`);
  }
}

export function swimConfig(name: string, advertise: Endpoint, profile: SwimProfile = PROFILES.lan): SwimConfig {
  return { name, advertise, bindPort: 7946, versions: SERF_VERSIONS, meta: Uint8Array.of(1, 2), profile, packetOverheadBytes: () => 0, logLevel: "info" };
}

export interface FakeNode {
  readonly name: string;
  readonly endpoint: Endpoint;
  readonly swim: Swim<SwimEffect>;
  readonly delegate: RecordingDelegate;
  readonly replies: Extract<SwimEffect, { kind: "reply" }>[];
  readonly logs: string[];
  down: boolean;
  pausedUntilMs: number;
}

interface Delivery {
  readonly atMs: number;
  readonly order: number;
  readonly to: FakeNode;
  readonly input: SwimInput;
}

export class FakeNetwork {
  readonly nodes: FakeNode[] = [];
  readonly random: SeededRandom;
  readonly records = new MemberRecords();
  readonly #byEndpoint = new Map<string, FakeNode>();
  readonly #streams = new Map<string, { readonly peer: FakeNode; readonly stream: number }>();
  #queue: Delivery[] = [];
  #order = 0;
  #accepted = 0;
  nowMs = 0;
  packets = 0;
  /** Lost datagrams per thousand. */
  lossPermille = 0;
  /** Datagrams that never arrive. */
  cut: (from: FakeNode, to: FakeNode) => boolean = () => false;

  constructor(seed: number) {
    this.random = new SeededRandom(seed);
  }

  add(name: string, profile: SwimProfile = PROFILES.lan): FakeNode {
    const endpoint = { ip: `10.0.${this.nodes.length >> 8}.${this.nodes.length & 255}`, port: 7946 };
    const out: SwimEffect[] = [];
    const delegate = new RecordingDelegate();
    const swim = new Swim<SwimEffect>(swimConfig(name, endpoint, profile), this.random.fork(), delegate, this.nowMs, out, this.records);
    const node: FakeNode = { name, endpoint, swim, delegate, replies: [], logs: [], down: false, pausedUntilMs: 0 };
    this.nodes.push(node);
    this.#byEndpoint.set(formatEndpoint(endpoint), node);
    this.#apply(node, out);
    return node;
  }

  step(node: FakeNode, input: SwimInput): void {
    const out: SwimEffect[] = [];
    node.swim.step(input, this.nowMs, out);
    this.#apply(node, out);
  }

  /** Runs until `untilMs`, or until `stop` says so after a step. */
  run(untilMs: number, stop: () => boolean = () => false): void {
    for (;;) {
      let due: FakeNode | null = null;
      let atMs = untilMs;
      for (const node of this.nodes) {
        const wakeMs = Math.max(this.nowMs, node.swim.wakeAtMs, node.pausedUntilMs);
        if (!node.down && wakeMs < atMs) {
          due = node;
          atMs = wakeMs;
        }
      }
      const next = this.#queue[0];
      if (next !== undefined && next.atMs <= atMs && next.atMs <= untilMs) {
        this.#queue.shift();
        this.nowMs = Math.max(this.nowMs, next.atMs);
        if (next.to.down) continue;
        if (next.to.pausedUntilMs > this.nowMs) this.#deliver(next.to, next.input, next.to.pausedUntilMs + 1);
        else this.step(next.to, next.input);
      } else if (due !== null) {
        this.nowMs = atMs;
        this.step(due, { kind: "wake" });
        if (due.swim.wakeAtMs <= this.nowMs) throw new Error(`${due.name} wants to wake in the past: ${due.swim.wakeAtMs} <= ${this.nowMs}`);
      } else {
        this.nowMs = untilMs;
        return;
      }
      if (stop()) return;
    }
  }

  join(node: FakeNode, target: FakeNode, request = 1): void {
    this.step(node, { kind: "join", request, targets: [{ name: "", to: target.endpoint }] });
  }

  #deliver(to: FakeNode, input: SwimInput, atMs: number): void {
    this.#order += 1;
    const delivery = { atMs, order: this.#order, to, input };
    let i = this.#queue.length;
    while (i > 0 && (this.#queue[i - 1] as Delivery).atMs > atMs) i -= 1;
    this.#queue.splice(i, 0, delivery);
  }

  #apply(node: FakeNode, out: readonly SwimEffect[]): void {
    for (const effect of out) {
      switch (effect.kind) {
        case "packet":
          for (const to of effect.to) {
            this.packets += 1;
            const peer = this.#byEndpoint.get(formatEndpoint(to));
            if (peer === undefined || this.cut(node, peer) || this.random.below(1000) < this.lossPermille) continue;
            for (const bytes of effect.messages) this.#deliver(peer, { kind: "message", from: node.endpoint, bytes }, this.nowMs + 1);
          }
          break;
        case "dial": {
          const peer = this.#byEndpoint.get(formatEndpoint(effect.to));
          if (peer === undefined || peer.down) {
            this.#deliver(node, { kind: "streamFailed", stream: effect.stream, error: `dial tcp ${formatEndpoint(effect.to)}: connect: connection refused` }, this.nowMs + 1);
            break;
          }
          this.#accepted -= 1;
          this.#streams.set(`${node.name} ${effect.stream}`, { peer, stream: this.#accepted });
          this.#streams.set(`${peer.name} ${this.#accepted}`, { peer: node, stream: effect.stream });
          this.#deliver(node, { kind: "streamOpened", stream: effect.stream }, this.nowMs + 1);
          break;
        }
        case "streamSend": {
          const end = this.#streams.get(`${node.name} ${effect.stream}`);
          if (end !== undefined) this.#deliver(end.peer, { kind: "streamMessage", stream: end.stream, from: node.endpoint, bytes: effect.bytes }, this.nowMs + 1);
          break;
        }
        case "streamClose":
          this.#streams.delete(`${node.name} ${effect.stream}`);
          break;
        case "reply":
          node.replies.push(effect);
          break;
        case "log":
          node.logs.push(`${effect.level} ${effect.text}`);
          break;
        case "count":
          break;
      }
    }
  }
}
