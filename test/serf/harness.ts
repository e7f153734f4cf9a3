/** A few pools on a tiny virtual network: packets and streams arrive after a millisecond, in order, unless a test says otherwise. */
import type { Endpoint } from "../../src/base/endpoint.ts";
import { SeededRandom } from "../../src/base/random.ts";
import { Pool } from "../../src/serf/pool.ts";
import type { PoolConfig, PoolEffect, PoolInput, SerfEvent } from "../../src/serf/types.ts";
import { MemberRecords } from "../../src/swim/member-records.ts";
import { PROFILES } from "../../src/swim/profiles.ts";
import type { Matcher } from "../../src/wire/matcher.ts";

const LATENCY_MS = 1;

/** Good enough for the expressions of these tests; the real one is RE2 and lives in `io`. */
export const testMatcher: Matcher = {
  compile(expr) {
    try {
      const compiled = new RegExp(expr, "u");
      return (text) => compiled.test(text);
    } catch {
      return null;
    }
  },
};

export function poolConfig(name: string, ip: string, changes: Partial<PoolConfig> = {}): PoolConfig {
  return {
    name,
    advertise: { ip, port: 7946 },
    bindPort: 7946,
    protocol: 5,
    tags: new Map(),
    profile: PROFILES.local,
    packetOverheadBytes: () => 0,
    encrypted: () => false,
    logLevel: "debug",
    broadcastTimeoutMs: 5000,
    leavePropagateDelayMs: 1000,
    reapIntervalMs: 15_000,
    reconnectIntervalMs: 30_000,
    reconnectTimeoutMs: 24 * 3600_000,
    tombstoneTimeoutMs: 24 * 3600_000,
    recentIntentTimeoutMs: 300_000,
    queueCheckIntervalMs: 30_000,
    queueDepthWarning: 128,
    queueDepthMax: 4096,
    eventBufferSize: 512,
    queryBufferSize: 512,
    queryTimeoutMult: 16,
    queryResponseSizeMax: 1024,
    querySizeMax: 1024,
    userEventSizeMax: 512,
    coordinates: true,
    resolveConflicts: true,
    coalesceMembers: null,
    coalesceUserEvents: null,
    restored: null,
    snapshot: false,
    rejoinAfterLeave: false,
    ...changes,
  };
}

type Reply = Extract<PoolEffect, { readonly kind: "reply" }>;

/** One pool with everything it has said. */
export class Host {
  readonly config: PoolConfig;
  readonly pool: Pool;
  readonly effects: PoolEffect[] = [];
  keys: string[] = [];
  isCut = false;
  lastStream = 0;
  readonly peers = new Map<number, { readonly host: Host; readonly stream: number }>();

  constructor(config: PoolConfig, seed: number, nowMs: number, records: MemberRecords) {
    this.config = config;
    this.pool = new Pool(config, new SeededRandom(seed), testMatcher, nowMs, this.effects, records);
  }

  get events(): SerfEvent[] {
    return this.effects.flatMap((effect) => (effect.kind === "event" ? [effect.event] : []));
  }

  get userEvents(): string[] {
    return this.events.flatMap((event) => (event.kind === "user" ? [event.name] : []));
  }

  get memberEvents(): string[] {
    return this.events.flatMap((event) => (event.kind === "members" ? event.members.map((member) => `${event.type} ${member.name}`) : []));
  }

  get logs(): string[] {
    return this.effects.flatMap((effect) => (effect.kind === "log" ? [`[${effect.level}] ${effect.text}`] : []));
  }

  reply(request: number): Reply | undefined {
    return this.effects.find((effect): effect is Reply => effect.kind === "reply" && effect.request === request);
  }

  /** Name and status of every member, sorted. */
  get view(): string[] {
    return this.pool.members().map(({ name, status }) => `${name} ${status}`).sort();
  }
}

export class Net {
  nowMs = 0;
  readonly hosts: Host[] = [];
  readonly #queue: { readonly atMs: number; readonly order: number; readonly run: () => void }[] = [];
  readonly #records = new MemberRecords();
  #order = 0;
  #lastRequest = 0;
  /** Packets for which this is true are lost. */
  loses: (from: Host, to: Host, message: Uint8Array) => boolean = () => false;
  /** Dials for which this is true are never answered. */
  isDark: (from: Host, to: Host) => boolean = () => false;

  start(name: string, changes: Partial<PoolConfig> = {}): Host {
    const ip = `10.0.0.${this.hosts.length + 1}`;
    const host = new Host(poolConfig(name, ip, changes), this.hosts.length + 1, this.nowMs, this.#records);
    this.hosts.push(host);
    this.#run(host, 0);
    return host;
  }

  /** Applies a command and returns its request number. */
  command(host: Host, input: Record<string, unknown> & { readonly kind: string }): number {
    this.#lastRequest += 1;
    this.step(host, { ...input, request: this.#lastRequest } as unknown as PoolInput);
    return this.#lastRequest;
  }

  join(host: Host, ...others: Host[]): number {
    const targets = others.map(({ config }) => ({ name: "", to: config.advertise }));
    return this.command(host, { kind: "join", targets, ignoreOld: false, errors: [] });
  }

  step(host: Host, input: PoolInput): void {
    const start = host.effects.length;
    host.pool.step(input, this.nowMs, host.effects);
    this.#run(host, start);
  }

  /** Lets virtual time pass. */
  advance(ms: number): void {
    const endMs = this.nowMs + ms;
    for (;;) {
      const wakes = this.hosts.filter((host) => !host.isCut).map((host) => host.pool.wakeAtMs);
      const atMs = Math.min(...wakes, this.#queue[0]?.atMs ?? Infinity);
      if (atMs > endMs) break;
      this.nowMs = Math.max(this.nowMs, atMs);
      while ((this.#queue[0]?.atMs ?? Infinity) <= this.nowMs) this.#queue.shift()?.run();
      for (const host of this.hosts) if (!host.isCut && host.pool.wakeAtMs <= this.nowMs) this.step(host, { kind: "wake" });
    }
    this.nowMs = endMs;
  }

  /** Lets time pass until the condition holds; fails after `limitMs`. */
  until(condition: () => boolean, limitMs: number): void {
    const endMs = this.nowMs + limitMs;
    while (!condition()) {
      if (this.nowMs >= endMs) throw new Error(`not reached within ${limitMs} virtual ms`);
      this.advance(10);
    }
  }

  #later(run: () => void): void {
    this.#order += 1;
    this.#queue.push({ atMs: this.nowMs + LATENCY_MS, order: this.#order, run });
  }

  #find({ ip, port }: Endpoint): Host | undefined {
    return this.hosts.find(({ config, isCut }) => !isCut && config.advertise.ip === ip && config.advertise.port === port);
  }

  #run(host: Host, start: number): void {
    for (const effect of host.effects.slice(start)) {
      if (host.isCut) return;
      switch (effect.kind) {
        case "packet":
          for (const to of effect.to) this.#packet(host, to, effect.messages);
          break;
        case "dial":
          this.#dial(host, effect.stream, effect.to);
          break;
        case "streamSend":
          this.#send(host, effect.stream, effect.bytes);
          break;
        case "keyring": {
          const keys = host.keys;
          this.#later(() => this.step(host, { kind: "keyringDone", token: effect.token, error: "", keys }));
          break;
        }
        default:
          break;
      }
    }
  }

  #packet(from: Host, endpoint: Endpoint, messages: readonly Uint8Array[]): void {
    const to = this.#find(endpoint);
    if (to === undefined) return;
    for (const bytes of messages) {
      if (this.loses(from, to, bytes)) continue;
      this.#later(() => {
        if (!to.isCut) this.step(to, { kind: "message", from: from.config.advertise, bytes });
      });
    }
  }

  #dial(from: Host, stream: number, endpoint: Endpoint): void {
    const to = this.#find(endpoint);
    if (to === undefined || this.isDark(from, to)) {
      this.#later(() => this.step(from, { kind: "streamFailed", stream, error: "connection refused" }));
      return;
    }
    to.lastStream -= 1;
    from.peers.set(stream, { host: to, stream: to.lastStream });
    to.peers.set(to.lastStream, { host: from, stream });
    this.#later(() => this.step(from, { kind: "streamOpened", stream }));
  }

  #send(from: Host, stream: number, bytes: Uint8Array): void {
    const peer = from.peers.get(stream);
    if (peer === undefined) return;
    this.#later(() => {
      if (!peer.host.isCut) this.step(peer.host, { kind: "streamMessage", stream: peer.stream, from: from.config.advertise, bytes });
    });
  }
}

/** `count` pools that all know each other. */
export function cluster(count: number, changes: Partial<PoolConfig> = {}): { readonly net: Net; readonly hosts: readonly Host[] } {
  const net = new Net();
  const hosts = Array.from({ length: count }, (_, i) => net.start(`n${i + 1}`, changes));
  const [first, ...rest] = hosts as [Host, ...Host[]];
  for (const host of rest) net.join(host, first);
  net.until(() => hosts.every((host) => host.view.filter((line) => line.endsWith(" alive")).length === count), 20_000);
  return { net, hosts };
}

/** Parameters of a query that asks everybody and wants no acks. */
export const PLAIN_QUERY = { filterNodes: [], filterTags: new Map(), requestAck: false, relayFactor: 0, timeoutMs: 0 };
