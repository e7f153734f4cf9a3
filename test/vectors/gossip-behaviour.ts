/**
 * gossip-udp and gossip-tcp, the behaviour: the recorded requests go to Swim machines in the agents' places, and what these answer has the
 * shape of the recorded answers. Serf's part is a stand-in: acks carry some payload, push/pulls some user state.
 */
import { strict as assert } from "node:assert";
import { EMPTY_BYTES } from "../../src/base/bytes.ts";
import { formatEndpoint, ipToBytes, type Endpoint } from "../../src/base/endpoint.ts";
import { SeededRandom } from "../../src/base/random.ts";
import { PROFILES } from "../../src/swim/profiles.ts";
import { Swim } from "../../src/swim/swim.ts";
import type { SwimEffect, SwimInput } from "../../src/swim/types.ts";
import { decodePacketMessage, decodeStreamMessage, encodeAck, encodeErr, encodePushPull } from "../../src/wire/gossip-codec.ts";
import type { PacketMessage, StreamMessage } from "../../src/wire/gossip-messages.ts";
import { openPacket } from "../../src/wire/packet.ts";
import { StreamReader } from "../../src/wire/stream.ts";
import { RecordingDelegate, SERF_VERSIONS, swimConfig } from "../swim/fake-network.ts";
import { attempt } from "./compare.ts";
import { sealerOf } from "./recorded-sealer.ts";
import type { Report } from "./registry.ts";
import { asFields, asList, asText, hexBytes, unwrap, type Fields } from "./values.ts";

class SerfStandIn extends RecordingDelegate {
  override ackPayload(): Uint8Array {
    return Uint8Array.of(1);
  }
  override localState(): Uint8Array {
    return Uint8Array.of(2, 0x80);
  }
}

interface Sent {
  readonly at: string;
  readonly atMs: number;
  readonly message: PacketMessage;
}

/** An agent's machine, its clock, and what it has sent. */
class Agent {
  readonly endpoint: Endpoint;
  readonly swim: Swim<SwimEffect>;
  readonly sent: Sent[] = [];
  #peers: ReadonlyMap<string, Agent> = new Map();
  nowMs = 0;

  constructor(name: string, endpoint: Endpoint) {
    this.endpoint = endpoint;
    const config = { ...swimConfig(name, endpoint, PROFILES.local), bindPort: endpoint.port };
    this.swim = new Swim<SwimEffect>(config, new SeededRandom(1), new SerfStandIn(), 0, []);
  }

  meet(peers: ReadonlyMap<string, Agent>): void {
    this.#peers = peers;
  }

  /** Packets to other agents are delivered at once, all others are kept in `sent`. */
  step(input: SwimInput): SwimEffect[] {
    const out: SwimEffect[] = [];
    this.swim.step(input, this.nowMs, out);
    for (const effect of out) {
      if (effect.kind !== "packet") continue;
      for (const to of effect.to) {
        const at = formatEndpoint(to);
        const peer = this.#peers.get(at);
        for (const bytes of effect.messages) {
          if (peer === undefined) this.sent.push({ at, atMs: this.nowMs, message: unwrap(decodePacketMessage(bytes)) });
          else {
            peer.nowMs = Math.max(peer.nowMs, this.nowMs);
            peer.step({ kind: "message", from: this.endpoint, bytes });
          }
        }
      }
    }
    return out;
  }

  receive(packet: Uint8Array, from: Endpoint, keyHex: string | undefined): void {
    const sealer = sealerOf(keyHex === undefined ? [] : [hexBytes(keyHex)]);
    const { messages } = openPacket(packet, { sealer, label: EMPTY_BYTES, verifyIncoming: true });
    for (const bytes of messages) this.step({ kind: "message", from, bytes });
  }

  run(untilMs: number): void {
    while (this.swim.wakeAtMs <= untilMs) {
      this.nowMs = Math.max(this.nowMs, this.swim.wakeAtMs);
      this.step({ kind: "wake" });
    }
    this.nowMs = untilMs;
  }
}

function endpointOf(text: string): Endpoint {
  const colon = text.lastIndexOf(":");
  return { ip: text.slice(0, colon), port: Number(text.slice(colon + 1)) };
}

/** The messages of a recorded datagram, layers and compounds taken apart. */
function flatten(tree: Fields): readonly Fields[] {
  if ("inner" in tree) return flatten(asFields(tree["inner"]));
  return tree["type"] === "compound" ? asList(tree["parts"]).flatMap((part) => flatten(asFields(part))) : [tree];
}

/** What an answer must have in common with the recorded one; numbers that the agent chose itself are left out. */
function shapeOfRecorded(at: string, tree: Fields): string {
  const type = asText(tree["type"]);
  const { Node, SeqNo, Payload, SourceNode, SourcePort } = asFields(tree["fields"]);
  if (type === "ping") return `${at} ping ${String(Node)} from ${String(SourceNode)} port ${String(SourcePort)}`;
  return `${at} ${type} ${String(SeqNo)}${type === "ack" ? (Payload === null ? " empty" : " payload") : ""}`;
}

function shapeOfSent({ at, message }: Sent): string {
  if (message.kind === "ping") return `${at} ping ${message.node} from ${message.sourceNode} port ${message.sourcePort}`;
  if (message.kind === "ack") return `${at} ack ${message.seq} ${message.payload === null ? "empty" : "payload"}`;
  return `${at} ${message.kind} ${"seq" in message ? message.seq : ""}`;
}

interface UdpExchange {
  readonly agent: string;
  readonly from: string;
  readonly to: string;
  readonly name: string;
  readonly keyHex?: string;
  readonly sentHex: string;
  readonly waitedMs: number;
  readonly replies: readonly { readonly at: string; readonly decoded: Fields }[] | null;
}

interface FakeMember {
  readonly agent: string;
  readonly member: string;
  readonly membersAfterLeave: string;
  readonly packets: readonly { readonly decoded: Fields; readonly dir: string; readonly hex: string; readonly tMs: number }[];
}

export function replayGossipUdp(data: unknown, report: Report): void {
  const { exchanges = [], fakeMember } = data as { readonly exchanges?: readonly UdpExchange[]; readonly fakeMember?: FakeMember };
  const agents = new Map<string, Agent>();
  const keys = new Map<string, string>();
  for (const { agent, to, keyHex } of exchanges) {
    if (!agents.has(to)) agents.set(to, new Agent(agent, endpointOf(to)));
    // An exchange without the key is with an agent that has one nevertheless.
    if (keyHex !== undefined) keys.set(agent, keyHex);
  }
  for (const agent of agents.values()) agent.meet(agents);
  for (const { agent: agentName, from, to, name, sentHex, waitedMs, replies } of exchanges) {
    attempt(`behaviour: ${name}`, report, () => {
      const agent = agents.get(to) as Agent;
      agent.sent.length = 0;
      agent.receive(hexBytes(sentHex), endpointOf(from), keys.get(agentName));
      agent.run(agent.nowMs + waitedMs);
      // Which of the first answers still carry the agent's own alive depends on what was asked before.
      // The recorder listened at its own address only.
      const ours = agent.sent.filter(({ at, message }) => message.kind !== "alive" && endpointOf(at).ip === endpointOf(from).ip).map(shapeOfSent);
      const recorded = (replies ?? []).flatMap(({ at, decoded }) => flatten(decoded).filter(({ type }) => type !== "alive").map((part) => shapeOfRecorded(at, part)));
      assert.deepEqual(ours, recorded);
    });
  }
  if (fakeMember !== undefined) attempt("behaviour: fake member", report, () => replayFakeMember(fakeMember, exchanges));
}

/** The life of a hand-made member: it joins, is probed, accuses the agent, which refutes, and leaves. */
function replayFakeMember({ agent: agentName, member, membersAfterLeave, packets }: FakeMember, exchanges: readonly UdpExchange[]): void {
  const self = exchanges.find(({ agent }) => agent === agentName);
  assert.ok(self !== undefined, `no address of agent ${agentName}`);
  const from = endpointOf(self.from);
  const agent = new Agent(agentName, endpointOf(self.to));
  const state = { name: member, addr: ipToBytes(from.ip) ?? EMPTY_BYTES, port: from.port, meta: EMPTY_BYTES, incarnation: 1, state: 0, versions: SERF_VERSIONS };
  agent.step({ kind: "streamMessage", stream: -1, from, bytes: encodePushPull({ join: true, nodes: [state], userState: null }) });
  for (const { dir, hex, tMs, decoded } of packets) {
    runAnswering(agent, from, tMs);
    // Its acks name the recorded pings; ours have numbers of their own and are answered as they come.
    if (dir === "member->agent" && !flatten(decoded).some(({ type }) => type === "ack")) agent.receive(hexBytes(hex), from, undefined);
  }
  runAnswering(agent, from, agent.nowMs + 1000);
  const recorded = packets.filter(({ dir }) => dir === "agent->member").flatMap(({ decoded }) => flatten(decoded));
  const incarnations = (list: readonly { readonly node: unknown; readonly incarnation: unknown }[]): unknown[] => [
    ...new Set(list.filter(({ node }) => node === agentName).map(({ incarnation }) => incarnation)),
  ];
  const refuted = incarnations(recorded.filter(({ type }) => type === "alive").map(({ fields }) => ({ node: asFields(fields)["Node"], incarnation: asFields(fields)["Incarnation"] })));
  const ours = incarnations(agent.sent.flatMap(({ message }) => (message.kind === "alive" ? [message] : [])));
  for (const incarnation of refuted) assert.ok(ours.includes(incarnation), `no alive of incarnation ${String(incarnation)}: ${ours.join(" ")}`);
  if (recorded.some(({ type }) => type === "ping")) assert.ok(agent.sent.some(({ message }) => message.kind === "ping" && message.node === member));
  const { members } = JSON.parse(membersAfterLeave) as { readonly members: readonly { readonly name: string; readonly status: string }[] };
  for (const { name, status } of members) assert.equal(agent.swim.member(name)?.state, status, name);
}

/** Runs the agent while the member answers its pings. */
function runAnswering(agent: Agent, from: Endpoint, untilMs: number): void {
  while (agent.nowMs < untilMs) {
    const answered = agent.sent.length;
    agent.run(Math.min(untilMs, agent.nowMs + 10));
    for (const { message } of agent.sent.slice(answered)) {
      if (message.kind === "ping") agent.step({ kind: "message", from, bytes: encodeAck({ seq: message.seq, payload: null }) });
    }
  }
}

interface TcpExchange {
  readonly agent: string;
  readonly name: string;
  readonly keyHex?: string;
  readonly sentHex: string;
  readonly received: Fields | null;
  readonly agentClosed: boolean;
}

const FROM: Endpoint = { ip: "127.0.0.51", port: 40_000 };

export function replayGossipTcp(data: unknown, report: Report): void {
  const { exchanges = [] } = data as { readonly exchanges?: readonly TcpExchange[] };
  for (const { agent, name, keyHex, sentHex, received, agentClosed } of exchanges) {
    attempt(`behaviour: ${name}`, report, () => {
      const { answer, closed } = askByStream(agent, hexBytes(sentHex), keyHex);
      assert.equal(closed, agentClosed);
      if (received === null) assert.equal(answer, null);
      else compareAnswer(answer, flatten(received)[0] as Fields, agent);
    });
  }
}

/** Gives the bytes of a connection to a fresh agent, as a driver does. */
function askByStream(name: string, bytes: Uint8Array, keyHex: string | undefined): { answer: StreamMessage | null; closed: boolean } {
  const agent = new Agent(name, { ip: "127.0.0.41", port: 17_946 });
  const sealer = sealerOf(keyHex === undefined ? [] : [hexBytes(keyHex)]);
  const reader = new StreamReader({ sealer, label: EMPTY_BYTES, acceptor: true, verifyIncoming: true });
  const [message] = reader.push(bytes);
  if (message === undefined) {
    const { failure } = reader;
    return { answer: failure?.answer === true ? unwrap(decodeStreamMessage(encodeErr(failure.error))) : null, closed: failure !== null };
  }
  const out = agent.step({ kind: "streamMessage", stream: -1, from: FROM, bytes: message });
  const [sent, ...more] = out.filter((effect) => effect.kind === "streamSend");
  assert.deepEqual(more, []);
  return { answer: sent === undefined ? null : unwrap(decodeStreamMessage(sent.bytes)), closed: out.some(({ kind }) => kind === "streamClose") };
}

function compareAnswer(answer: StreamMessage | null, recorded: Fields, agent: string): void {
  assert.equal(answer?.kind, recorded["type"]);
  switch (answer?.kind) {
    case "ack": {
      const { SeqNo, Payload } = asFields(recorded["fields"]);
      assert.deepEqual([answer.seq, answer.payload], [SeqNo, Payload]);
      return;
    }
    case "err":
      assert.equal(answer.error, asFields(recorded["fields"])["Error"]);
      return;
    case "pushPull": {
      const { Join, UserStateLen } = asFields(recorded["header"]);
      assert.equal(answer.join, Join);
      assert.equal(answer.userState !== null, UserStateLen !== 0);
      const own = asList(recorded["nodes"]).map((node) => asFields(asFields(node)["fields"])).find(({ Name }) => Name === agent);
      const ours = answer.nodes.find(({ name }) => name === agent);
      // What else the agent knew came from earlier exchanges.
      assert.deepEqual([ours?.state, ours?.incarnation, answer.nodes.length], [own?.["State"], own?.["Incarnation"], 1]);
      return;
    }
    default:
      assert.fail("unexpected kind of answer");
  }
}
