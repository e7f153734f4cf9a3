/** Servers with their real cores on one clock that only the test moves: instant disks, and a network whose every connection the test can cut. */
import assert from "node:assert/strict";
import { compileExpression } from "../../../src/io/matcher.ts";
import { SeededRandom } from "../../../src/base/random.ts";
import type { QueryOptions, RpcMethod, RpcMethods, RpcOutcome } from "../../../src/api/rpc/types.ts";
import { createStateMachine } from "../../../src/catalog/state-machine.ts";
import type { StateMachine } from "../../../src/catalog/types.ts";
import { Server } from "../../../src/node/server/server.ts";
import type { AutopilotConfig, CallId, ServerConfig, ServerEffect, ServerInput, ServerMember } from "../../../src/node/server/types.ts";
import { Raft } from "../../../src/raft/raft.ts";
import type { AfterDurable, RaftConfig } from "../../../src/raft/types.ts";
import { EMPTY_START } from "../../raft/support.ts";

export const HOLD_MS = 7000;
export const AUTOPILOT: AutopilotConfig = { cleanupDeadServers: true, lastContactThresholdMs: 200, maxTrailingLogs: 250, minQuorum: 0, serverStabilizationMs: 10_000 };
export const READ: QueryOptions = { allowStale: false, filter: "", maxQueryTimeMs: 0, maxStaleMs: 0, minQueryIndex: 0, requireConsistent: false };
const STEPS_MAX = 200_000;

export function idOf(name: string): string {
  return `00000000-0000-0000-0000-0000000000${name.charCodeAt(0).toString(16)}`;
}

export function ipOf(name: string): string {
  return `127.0.50.${name.charCodeAt(0)}`;
}

export function addressOf(name: string): string {
  return `${ipOf(name)}:8300`;
}

export function memberOf(name: string, status: ServerMember["status"] = "alive", expect = 0): ServerMember {
  const server = { port: 8300, expect, nonVoter: false, raftVersion: "3", version: "1.8.7", protocolCur: 2, protocolMin: 1, protocolMax: 3 };
  return { name, id: idOf(name), ip: ipOf(name), status, server };
}

export function clientOf(name: string, status: ServerMember["status"] = "alive"): ServerMember {
  return { ...memberOf(name, status), server: null };
}

function raftConfig(name: string): RaftConfig {
  return {
    id: idOf(name),
    address: addressOf(name),
    timing: { heartbeatTimeoutMs: 1000, electionTimeoutMs: 1000, leaderLeaseTimeoutMs: 500, commitTimeoutMs: 50, snapshotIntervalMs: 30_000 },
    limits: {
      maxAppendEntries: 64, maxAppendBytes: 1 << 20, maxInFlight: 128, trailingLogs: 10_000, snapshotThreshold: 100_000,
      tailBytesMax: 1 << 20, uncommittedBytesMax: 1 << 20, applyingBytesMax: 1 << 20,
    },
    preVote: true,
    protocolVersion: 3,
  };
}

export interface Call {
  readonly server: string;
  readonly id: CallId;
  /** Every reply that came: exactly one is right. */
  readonly replies: RpcOutcome[];
  answeredMs: number;
}

export const COORDINATE_PERIOD_MS = 5000;
export const EPOCH_OFFSET_MS = 1_700_000_000_000;

interface Options {
  readonly expect?: number;
  readonly autopilot?: Partial<AutopilotConfig>;
  readonly holdMs?: number;
}

export class Node {
  readonly name: string;
  readonly server: Server;
  readonly state: StateMachine;
  readonly effects: ServerEffect[] = [];
  /** Calls at the leader on our behalf, by their id here. */
  readonly forwards = new Map<CallId, { readonly to: string; readonly there: Call }>();
  stopped = false;

  constructor(name: string, config: ServerConfig, seed: number) {
    this.name = name;
    this.state = createStateMachine();
    this.server = new Server(config, new Raft(raftConfig(name), EMPTY_START, new SeededRandom(seed)), this.state, new SeededRandom(seed + 1000));
  }
}

export class Bench {
  nowMs = 1000;
  readonly nodes = new Map<string, Node>();
  /** Names of servers that nobody reaches. */
  readonly cut = new Set<string>();
  /** Names of servers whose Raft messages are lost, while calls go through. */
  readonly cutRaft = new Set<string>();
  /** Names of servers that take calls and never answer. */
  readonly lost = new Set<string>();
  #next = 1;
  readonly #calls = new Map<CallId, Call>();
  readonly #inputs: { readonly node: Node; readonly input: ServerInput }[] = [];
  #busy = false;

  add(name: string, { expect = 0, autopilot = {}, holdMs = HOLD_MS }: Options = {}): Node {
    const config: ServerConfig = {
      nodeName: name, nodeId: idOf(name), datacenter: "dc1", address: addressOf(name), bootstrapExpect: expect, rpcHoldTimeoutMs: holdMs,
      autopilot: { ...AUTOPILOT, ...autopilot }, logLevel: "trace", coordinatePeriodMs: COORDINATE_PERIOD_MS, epochOffsetMs: EPOCH_OFFSET_MS, compileExpression,
    };
    const node = new Node(name, config, name.charCodeAt(0));
    this.nodes.set(name, node);
    this.give(node, { kind: "wake" });
    return node;
  }

  /** One server that leads a cluster of its own. */
  static alone(options: Options = {}): { readonly bench: Bench; readonly node: Node } {
    const bench = new Bench();
    const node = bench.add("a", { expect: 1, ...options });
    bench.give(node, { kind: "member", member: memberOf("a", "alive", 1) });
    bench.advance(5000);
    assert.ok(node.server.isLeader);
    return { bench, node };
  }

  /** Three servers that found each other, and who leads them. */
  static three(options: Options = {}): { readonly bench: Bench; readonly leader: Node; readonly followers: readonly [Node, Node] } {
    const bench = new Bench();
    for (const name of ["a", "b", "c"]) bench.add(name, { expect: 3, ...options });
    for (const node of bench.nodes.values()) for (const name of ["a", "b", "c"]) bench.give(node, { kind: "member", member: memberOf(name, "alive", 3) });
    bench.advance(10_000);
    const leader = bench.leader();
    const followers = [...bench.nodes.values()].filter((node) => node !== leader);
    return { bench, leader, followers: followers as [Node, Node] };
  }

  leader(): Node {
    const leaders = [...this.nodes.values()].filter(({ name, server }) => server.isLeader && !this.cut.has(name));
    assert.equal(leaders.length, 1, "one leader");
    return leaders[0] as Node;
  }

  /** Inputs that effects bring in wait for their turn. */
  give(to: Node, given: ServerInput): void {
    this.#inputs.push({ node: to, input: given });
    if (this.#busy) return;
    this.#busy = true;
    for (let next = this.#inputs.shift(); next !== undefined; next = this.#inputs.shift()) {
      const { node, input } = next;
      if (node.stopped) continue;
      const out: ServerEffect[] = [];
      node.server.step(input, this.nowMs, out);
      node.server.flush(this.nowMs, out);
      for (const effect of out) this.#effect(node, effect);
    }
    this.#busy = false;
  }

  call<M extends RpcMethod>(node: Node, method: M, args: RpcMethods[M]["args"]): Call {
    const call: Call = { server: node.name, id: this.#next, replies: [], answeredMs: 0 };
    this.#next += 1;
    this.#calls.set(call.id, call);
    this.give(node, { kind: "call", call: call.id, method, args });
    return call;
  }

  cancel(call: Call): void {
    this.give(this.nodes.get(call.server) as Node, { kind: "cancel", call: call.id });
  }

  /** Runs every deadline up to `ms` from now, in order. */
  advance(ms: number): void {
    const end = this.nowMs + ms;
    for (let steps = 0; ; steps += 1) {
      assert.ok(steps < STEPS_MAX, "deadlines come to an end");
      const due = [...this.nodes.values()].filter(({ stopped }) => !stopped).sort((a, b) => a.server.wakeAtMs - b.server.wakeAtMs)[0];
      if (due === undefined || due.server.wakeAtMs > end) break;
      this.nowMs = Math.max(this.nowMs, due.server.wakeAtMs);
      this.give(due, { kind: "wake" });
    }
    this.nowMs = end;
  }

  /** The process is gone: connections to it break, and so do calls on them. */
  kill(node: Node): void {
    node.stopped = true;
    this.isolate(node);
  }

  isolate(node: Node): void {
    this.cut.add(node.name);
    for (const other of this.nodes.values()) {
      for (const [call, { to }] of other.forwards) {
        if (to !== node.name && other !== node) continue;
        other.forwards.delete(call);
        this.give(other, { kind: "forwarded", call, outcome: { ok: false, error: "EOF" } });
      }
    }
  }

  #reaches(from: Node, to: Node | undefined): to is Node {
    return to !== undefined && !to.stopped && !this.cut.has(from.name) && !this.cut.has(to.name);
  }

  #at(address: string): Node | undefined {
    return [...this.nodes.values()].find(({ name }) => addressOf(name) === address);
  }

  #effect(node: Node, effect: ServerEffect): void {
    node.effects.push(effect);
    switch (effect.kind) {
      case "append":
        for (const after of effect.afterDurable) this.#network(node, after);
        this.give(node, { kind: "raft", input: { kind: "durable", seq: effect.seq } });
        return;
      case "send":
      case "answer":
        this.#network(node, effect);
        return;
      case "dialCheck": {
        const reached = this.#reaches(node, this.#at(effect.to.address));
        this.give(node, { kind: "raft", input: { kind: "dialed", call: effect.call, outcome: reached ? "connected" : "refused" } });
        return;
      }
      case "reply": {
        const call = this.#calls.get(effect.call);
        call?.replies.push(effect.outcome);
        if (call !== undefined) call.answeredMs = this.nowMs;
        this.#forwarded(effect.call, effect.outcome);
        return;
      }
      case "forward": {
        const to = this.#at(effect.to.address);
        if (this.lost.has(to?.name ?? "")) return;
        if (!this.#reaches(node, to)) this.give(node, { kind: "forwarded", call: effect.call, outcome: { ok: false, error: "dial tcp: connection refused" } });
        else {
          const id = this.#next;
          node.forwards.set(effect.call, { to: to.name, there: { server: to.name, id, replies: [], answeredMs: 0 } });
          this.call(to, effect.method, effect.args);
        }
        return;
      }
      case "forgetForward":
      case "abandonForward":
        node.forwards.delete(effect.call);
        return;
      case "askPeers":
        for (const { name } of effect.servers) {
          const to = this.nodes.get(name);
          const peers = this.#reaches(node, to) ? to.server.status(this.nowMs).configuration.servers.map(({ address }) => address) : null;
          this.give(node, { kind: "peers", name, peers });
        }
        return;
      case "fatal":
        node.stopped = true;
        return;
      default:
    }
  }

  #forwarded(there: CallId, outcome: RpcOutcome): void {
    for (const node of this.nodes.values()) {
      for (const [call, forward] of node.forwards) {
        if (forward.there.id !== there) continue;
        node.forwards.delete(call);
        this.give(node, { kind: "forwarded", call, outcome });
      }
    }
  }

  readonly #asked = new Map<number, { readonly from: Node; readonly call: number }>();

  #network(node: Node, effect: AfterDurable): void {
    if (effect.kind === "answer") {
      const asked = this.#asked.get(effect.call);
      this.#asked.delete(effect.call);
      if (asked === undefined) return;
      const input = effect.message === null || !this.#reaches(node, asked.from)
        ? ({ kind: "failed", call: asked.call, failure: "error", error: effect.error } as const)
        : ({ kind: "response", call: asked.call, message: effect.message } as const);
      this.give(asked.from, { kind: "raft", input });
      return;
    }
    const to = this.#at(effect.to.address);
    if (!this.#reaches(node, to) || this.cutRaft.has(node.name) || this.cutRaft.has(to.name)) {
      this.give(node, { kind: "raft", input: { kind: "failed", call: effect.call, failure: "refused", error: "connection refused" } });
      return;
    }
    const call = this.#next;
    this.#next += 1;
    this.#asked.set(call, { from: node, call: effect.call });
    this.give(to, { kind: "raft", input: { kind: "request", call, connection: node.name.charCodeAt(0), message: effect.message } });
  }
}

export function valueOf(call: Call): unknown {
  assert.equal(call.replies.length, 1, "exactly one reply");
  const [outcome] = call.replies;
  assert.ok(outcome?.ok === true, outcome?.ok === false ? outcome.error : "");
  return outcome.value;
}

export function errorOf(call: Call): string {
  assert.equal(call.replies.length, 1, "exactly one reply");
  const [outcome] = call.replies;
  assert.ok(outcome?.ok === false, "an error");
  return outcome.error;
}

export function putArgs(key: string, value: string): RpcMethods["KVS.Apply"]["args"] {
  const bytes = Uint8Array.from(value, (char) => char.charCodeAt(0));
  return { datacenter: "dc1", op: "set", token: "", entry: { key, value: bytes, flags: 0, session: "", lockIndex: 0, createIndex: 0, modifyIndex: 0 } };
}

export function getArgs(key: string, options: Partial<QueryOptions> = {}): RpcMethods["KVS.Get"]["args"] {
  return { datacenter: "dc1", key, options: { ...READ, ...options } };
}

export function sessionArgs(session: Partial<RpcMethods["Session.Apply"]["args"]["session"]>, op: "create" | "destroy" = "create"): RpcMethods["Session.Apply"]["args"] {
  return {
    datacenter: "dc1", op, token: "",
    session: { id: "", name: "", node: "a", lockDelay: 0, behavior: "", ttl: "", nodeChecks: ["serfHealth"], serviceChecks: null, checks: null, createIndex: 0, modifyIndex: 0, ...session },
  };
}

