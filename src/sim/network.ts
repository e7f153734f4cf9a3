/**
 * The simulated network: who can reach whom now, and what a transmission suffers. It decides, the simulation schedules: `transit`
 * answers with a delay or with a loss. All chances are ratios in parts per million and all times whole µs, drawn from one seeded source.
 */
import type { Endpoint } from "../base/endpoint.ts";
import type { Random } from "../base/random.ts";

export interface NetworkConfig {
  /** Delay of a link: uniform in [min, max], drawn anew for each transmission, so that datagrams overtake each other. */
  readonly delayUsMin: number;
  readonly delayUsMax: number;
  /** A part of the transmissions takes up to this much longer: the long tail of real networks. */
  readonly tailPpm: number;
  readonly tailUs: number;
  readonly lossPpm: number;
  readonly duplicatePpm: number;
  /** Bytes a node can send per second; 0 is unlimited. */
  readonly bandwidthBytesPerSecond: number;
  /** Data centres: node i stands in number i mod `zones`; what crosses from one to another takes `zoneDelayUs` longer, each way. */
  readonly zones: number;
  readonly zoneDelayUs: number;
}

/** A quiet local network: 0.2 to 1 ms, nothing lost. */
export const QUIET_NETWORK: NetworkConfig = {
  delayUsMin: 200,
  delayUsMax: 1_000,
  tailPpm: 0,
  tailUs: 0,
  lossPpm: 0,
  duplicatePpm: 0,
  bandwidthBytesPerSecond: 0,
  zones: 1,
  zoneDelayUs: 0,
};

/** Datagrams wait at most this long for a slow uplink; beyond it the sender's socket drops them. */
const UPLINK_BACKLOG_US_MAX = 200_000;

const MILLION = 1_000_000;

/** A fault on the links from some nodes to some others, in that direction only. */
export interface LinkRule {
  /** Index of a node to 1 when the rule speaks of it. */
  readonly from: Uint8Array;
  readonly to: Uint8Array;
  /** Parts per million lost in addition; a million cuts the link. */
  readonly lossPpm: number;
  readonly delayUs: number;
}

export class Network {
  #config: NetworkConfig;
  readonly #random: Random;
  #rules: readonly LinkRule[] = [];
  /** When each node's uplink is free again, in µs. */
  readonly #uplinkFreeUs: Float64Array;

  constructor(config: NetworkConfig, nodeCount: number, random: Random) {
    this.#config = config;
    this.#random = random;
    this.#uplinkFreeUs = new Float64Array(nodeCount);
  }

  get config(): NetworkConfig {
    return this.#config;
  }

  /** Replaces the conditions of every link; what is under way is not touched. */
  configure(config: NetworkConfig): void {
    this.#config = config;
  }

  addRule(rule: LinkRule): void {
    this.#rules = [...this.#rules, rule];
  }

  removeRule(rule: LinkRule): void {
    this.#rules = this.#rules.filter((other) => other !== rule);
  }

  /** Some link suffers from a rule now. */
  get isDisturbed(): boolean {
    return this.#rules.length > 0;
  }

  /**
   * Time from now until a transmission of `bytes` arrives, in µs, or -1 when it is lost. Takes its place on the sender's uplink.
   * `patient`: the sender waits however long its uplink is busy (TCP); else the datagram is lost when the wait is too long.
   */
  transit(from: number, to: number, bytes: number, nowUs: number, patient: boolean): number {
    const { delayUsMin, delayUsMax, tailPpm, tailUs, lossPpm, bandwidthBytesPerSecond, zones, zoneDelayUs } = this.#config;
    const waitUs = bandwidthBytesPerSecond === 0 || from === to ? 0 : this.#occupyUplink(from, bytes, nowUs, patient);
    if (waitUs < 0) return -1;
    if (from === to) return waitUs + 20; // Loopback: neither lost nor cut, and hardly delayed.
    if (lossPpm > 0 && this.#random.below(MILLION) < lossPpm) return -1;
    let delayUs = waitUs + delayUsMin + this.#random.below(delayUsMax - delayUsMin + 1);
    if (tailPpm > 0 && this.#random.below(MILLION) < tailPpm) delayUs += this.#random.below(tailUs + 1);
    if (zones > 1 && from % zones !== to % zones) delayUs += zoneDelayUs;
    for (const rule of this.#rules) {
      if (rule.from[from] !== 1 || rule.to[to] !== 1) continue;
      if (rule.lossPpm >= MILLION || this.#random.below(MILLION) < rule.lossPpm) return -1;
      delayUs += rule.delayUs;
    }
    return delayUs;
  }

  /** Whether a datagram that got through arrives a second time. */
  isDuplicated(): boolean {
    const { duplicatePpm } = this.#config;
    return duplicatePpm > 0 && this.#random.below(MILLION) < duplicatePpm;
  }

  #occupyUplink(from: number, bytes: number, nowUs: number, patient: boolean): number {
    const startUs = Math.max(nowUs, this.#uplinkFreeUs[from] as number);
    if (!patient && startUs - nowUs > UPLINK_BACKLOG_US_MAX) return -1;
    const endUs = startUs + Math.ceil((bytes * MILLION) / this.#config.bandwidthBytesPerSecond);
    this.#uplinkFreeUs[from] = endUs;
    return endUs - nowUs;
  }
}

/** Simulated hosts have addresses 10.x.y.z, made from the node's index, and all listen on one port. */
export const SIM_PORT = 7946;

export function endpointOf(index: number): Endpoint {
  return { ip: `10.${(index >> 16) & 0xff}.${(index >> 8) & 0xff}.${index & 0xff}`, port: SIM_PORT };
}

/** The node that owns an address, or -1. */
export function indexOfEndpoint({ ip, port }: Endpoint, nodeCount: number): number {
  if (port !== SIM_PORT || !ip.startsWith("10.")) return -1;
  let index = 0;
  let part = 0;
  for (let i = 3; i < ip.length; i += 1) {
    const code = ip.charCodeAt(i);
    if (code === 0x2e) {
      index = index * 256 + part;
      part = 0;
    } else part = part * 10 + code - 0x30;
  }
  index = index * 256 + part;
  return index < nodeCount ? index : -1;
}
