/** Clients of the Raft simulation: they write, read in both ways and in bulk, follow the leader, and note what they saw. */
import { chance, type SeededRandom } from "../../base/random.ts";
import type { RaftReply } from "../../raft/types.ts";
import { catalogCommand } from "./catalog-commands.ts";
import { KEYS, putCommand } from "./kv.ts";
import { RaftHistory } from "./raft-history.ts";
import { demand, nodeOf } from "./raft-safety.ts";
import { DRIFT_PPM_MAX, type RaftServer } from "./raft-server.ts";
import type { RaftSimulation } from "./raft-simulation.ts";

const CLIENTS = 4;
const THINK_MIN_US = 100_000;
const THINK_SPREAD_US = 2_500_000;
const CONTEST_OPERATIONS = 60;
const CONTEST_US = 1_500_000;
const BULK_MAX = 120;
const PADDING_MAX = 200;
/** Between the moment a clock shows the end of a lease and the moment the answer is looked at here. */
const STALE_SLACK_US = 1000;

export class RaftClients {
  readonly history = new RaftHistory(KEYS);
  readonly #sim: RaftSimulation;
  readonly #random: SeededRandom;
  #value = 0;
  #leader = 0;
  acknowledged = 0;
  /** When the last write was acknowledged, in µs. */
  lastAckUs = 0;

  constructor(sim: RaftSimulation, random: SeededRandom) {
    this.#sim = sim;
    this.#random = random;
    for (let client = 0; client < CLIENTS; client += 1) this.#think();
  }

  /** Somebody was elected. Where there are two who believe to lead, clients of both are in a hurry: that is when somebody could see something old. */
  elected(server: RaftServer): void {
    const term = server.raft?.status(0).term ?? 0;
    if (chance(this.#random, 1, 4)) this.#bulk(server.node);
    if (!this.#olderLeaders(term).some(() => true)) return;
    for (let i = 0; i < CONTEST_OPERATIONS; i += 1) this.#sim.at(this.#sim.nowUs + this.#random.below(CONTEST_US), () => this.#contestOne(server, term));
  }

  #contestOne(elected: RaftServer, term: number): void {
    const key = this.#random.below(2);
    if (chance(this.#random, 1, 3)) return this.#write(elected.node, key);
    for (const server of this.#olderLeaders(term)) {
      if (server.pausedUntilUs > this.#sim.nowUs) continue;
      if (chance(this.#random, 1, 2)) this.#consistentRead(server.node, key);
      else this.#defaultRead(server, key);
    }
  }

  #olderLeaders(term: number): readonly RaftServer[] {
    return this.#sim.servers.filter(({ raft }) => {
      const status = raft?.status(0);
      return status?.role === "leader" && status.term < term;
    });
  }

  #think(): void {
    this.#sim.at(this.#sim.nowUs + THINK_MIN_US + this.#random.below(THINK_SPREAD_US), () => {
      this.#act();
      this.#think();
    });
  }

  #act(): void {
    const random = this.#random;
    // Mostly the leader as far as known, sometimes anybody: a deposed leader must meet clients, too.
    const node = chance(random, 3, 4) ? this.#leader : random.below(this.#sim.servers.length);
    const server = this.#sim.server(node);
    if (server.raft === null || server.pausedUntilUs > this.#sim.nowUs) {
      this.#leader = random.below(this.#sim.servers.length);
      return;
    }
    const key = random.below(KEYS);
    const what = random.below(100);
    if (what < 45) this.#write(node, key);
    else if (what < 65) this.#consistentRead(node, key);
    else if (what < 97) this.#defaultRead(server, key);
    else this.#bulk(node);
  }

  #nextValue(): number {
    this.#value += 1;
    return this.#value;
  }

  #write(node: number, key: number): void {
    const begun = this.history.begin(key, this.#sim.nowUs);
    const value = this.#nextValue();
    this.#sim.propose(node, [putCommand(key, value)], (reply, server) => {
      if (!this.#took(reply, server)) return;
      this.history.wrote(begun, reply.index, value, this.#sim.nowUs);
      this.#noteAck(reply.index);
    });
  }

  #noteAck(index: number): void {
    this.#sim.safety.acknowledged(index);
    this.acknowledged += 1;
    this.lastAckUs = this.#sim.nowUs;
  }

  /** Many proposals at once, which nobody reads individually: they fill batches, memory and the log. */
  #bulk(node: number): void {
    const count = 1 + this.#random.below(BULK_MAX);
    const { committedIndex } = this.#sim.safety;
    const commands = Array.from({ length: count }, () => {
      const value = this.#nextValue();
      return chance(this.#random, 1, 2) ? putCommand(KEYS - 1, value, this.#random.below(PADDING_MAX)) : catalogCommand(this.#random, committedIndex, value);
    });
    this.#sim.propose(node, commands, (reply, server) => {
      if (this.#took(reply, server)) this.#noteAck(reply.index);
    });
  }

  #consistentRead(node: number, key: number): void {
    const begun = this.history.begin(key, this.#sim.nowUs);
    this.#sim.command(node, (request) => ({ kind: "readIndex", request }), (reply, server) => {
      if (!this.#took(reply, server)) return;
      demand(server.kv.index >= reply.index, () => `reads: ${server.id} answers at ${reply.index} with the state of ${server.kv.index}`);
      this.history.read(begun, server.kv.register(key), this.#sim.nowUs, 0, "consistent");
    });
  }

  #defaultRead(server: RaftServer, key: number): void {
    const { raft, clock } = server;
    const nowUs = this.#sim.nowUs;
    if (raft === null || !raft.canReadLocally(clock.localMs(nowUs))) {
      const leader = raft?.status(clock.localMs(nowUs)).leader ?? null;
      this.#leader = leader === null ? this.#random.below(this.#sim.servers.length) : nodeOf(leader.id);
      return;
    }
    const status = raft.status(clock.localMs(nowUs));
    this.#sim.safety.lease(server, nowUs);
    const begun = this.history.begin(key, nowUs);
    const leaseUs = this.#sim.timing.leaderLeaseTimeoutMs * 1000 * (1 + (2 * DRIFT_PPM_MAX) / 1e6) + STALE_SLACK_US;
    this.history.read(begun, server.kv.register(key), nowUs, this.#sim.safety.isDeposed(status.term) ? leaseUs : 0, "default");
  }

  #took(reply: RaftReply, server: RaftServer): reply is Extract<RaftReply, { ok: true }> {
    if (reply.ok) {
      this.#leader = server.node;
      return true;
    }
    const leader = server.raft?.status(0).leader ?? null;
    this.#leader = leader === null ? this.#random.below(this.#sim.servers.length) : nodeOf(leader.id);
    return false;
  }
}
