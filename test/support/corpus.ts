/** One valid message of each kind, from which fuzzers make invalid ones. */
import { encodeUtf8 } from "../../src/base/utf8.ts";
import * as gossip from "../../src/wire/gossip-codec.ts";
import type { IpcRequest } from "../../src/wire/ipc-requests.ts";
import * as serf from "../../src/wire/serf-codec.ts";
import * as serfCoordinate from "../../src/wire/serf-coordinate.ts";
import * as serfTags from "../../src/wire/serf-tags.ts";

/** `name` and `addr`: the node that most messages are about, or meant for. All addresses are `addr`, so that answers go nowhere else. */
export function corpus(name: string, addr: Uint8Array) {
  const versions = Uint8Array.of(1, 5, 2, 2, 5, 5);
  const meta = serfTags.encodeTags(new Map([["role", "web"], ["datacenter", "east"]]), 5);
  const source = { sourceAddr: addr, sourcePort: 7946, sourceNode: "node-b" };
  const coordinate = serfCoordinate.encodeCoordinate({ vec: [0, 1, -2, 3.5, 0, 0, 0, 0], error: 1.5, adjustment: 0, height: 1e-5 });
  const filters = [serf.encodeFilter({ kind: "nodes", nodes: [name, "node-b"] }), serf.encodeFilter({ kind: "tag", tag: "role", expr: "^web" })];
  const event = serf.encodeUserEvent({ lamportTime: 300, name: "deploy", payload: encodeUtf8("v1.2.3"), coalesce: true });
  const response = serf.encodeQueryResponse({ lamportTime: 7, id: 99, from: name, flags: 1, payload: encodeUtf8("up 3 days") });

  const origin = { addr, port: 7946, sourceNode: name };
  const serfMessages = [
    serf.encodeLeave({ lamportTime: 5, node: name, prune: true }),
    serf.encodeJoin({ lamportTime: 70_000, node: "node-b" }),
    event,
    serf.encodeQuery({
      ...origin,
      lamportTime: 9,
      id: 1234567,
      filters,
      flags: 1,
      relayFactor: 2,
      timeoutMs: 15_000,
      name: "uptime",
      payload: encodeUtf8("x"),
    }),
    response,
    serf.encodeRelay({ destAddr: addr, destPort: 7946, destName: "node-c", message: response }),
  ];
  const packetMessages = [
    gossip.encodePing({ seq: 42, node: name, ...source }),
    gossip.encodeIndirectPing({ seq: 43, target: addr, port: 7946, node: "node-c", nack: true, ...source }),
    gossip.encodeAck({ seq: 42, payload: coordinate }),
    gossip.encodeNack({ seq: 44 }),
    gossip.encodeSuspect({ incarnation: 3, node: name, from: "node-b" }),
    gossip.encodeDead({ incarnation: 70_000, node: name, from: name }),
    gossip.encodeAlive({ incarnation: 3, node: name, addr, port: 7946, meta, versions }),
    gossip.encodeAlive({ incarnation: 1, node: "node-b", addr, port: 7946, meta, versions }),
    ...serfMessages.map(gossip.encodeUser),
  ];
  const state = serf.encodeSerfPushPull({
    lamportTime: 12,
    statusTimes: new Map([[name, 3], ["node-b", 9]]),
    leftMembers: ["node-b"],
    eventTime: 4,
    events: [null, null, { lamportTime: 2, events: [{ name: "deploy", payload: encodeUtf8("v1") }, { name: "x", payload: null }] }, null],
    queryTime: 3,
  });
  const node = { name, addr, port: 7946, meta, incarnation: 1, state: 0, versions };
  const streamMessages = [
    packetMessages[0] as Uint8Array,
    packetMessages[2] as Uint8Array,
    gossip.encodeErr("something is wrong"),
    gossip.encodeStreamUser(event),
    gossip.encodePushPull({ join: true, nodes: [node, { ...node, name: "node-b", state: 2 }], userState: state }),
  ];
  return { addr, meta, coordinate, filters, serfMessages, packetMessages, state, streamMessages };
}

/** Requests of every RPC command but `leave`, which ends the agent, and `join`, which looks names up. */
export function rpcCorpus(name: string): readonly IpcRequest[] {
  const payload = encodeUtf8("payload");
  return [
    { command: "handshake", version: 1 },
    { command: "auth", authKey: "token" },
    { command: "event", name: "deploy", payload, coalesce: true },
    { command: "force-leave", node: "node-b", prune: true },
    { command: "members" },
    { command: "members-filtered", name: "node-.*", status: "alive", tags: new Map([["role", "(a+)+$"]]) },
    { command: "tags", tags: new Map([["role", "web"]]), deleteTags: ["gone"] },
    { command: "stream", type: "user:deploy,query" },
    { command: "monitor", logLevel: "DEBUG" },
    { command: "stop", stop: 3 },
    { command: "query", name: "uptime", payload, filterNodes: [name], filterTags: new Map([["role", "^web"]]), requestAck: true, relayFactor: 1, timeoutMs: 50 },
    { command: "respond", id: 1, payload },
    { command: "install-key", key: "ZmFrZWZha2VmYWtlZmFrZQ==" },
    { command: "remove-key", key: "ZmFrZWZha2VmYWtlZmFrZQ==" },
    { command: "list-keys" },
    { command: "stats" },
    { command: "get-coordinate", node: name },
  ];
}
