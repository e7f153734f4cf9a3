/**
 * Runs a text script against one Swim machine named `self` at 10.0.0.1:7946 and renders what it does. Each block is: comments, one
 * command, "----", the effects it must have ("-" for none). Before a command the machine is woken whenever it asks for it; `TIME run` does
 * only that, and `TIME wake` wakes it once at TIME however late that is. Gossip rounds are off unless `gossipIntervalMs` is given. The first block may be `profile NAME [field=value…]`. Random draws keep every order: probes follow the order of arrival.
 */
import assert from "node:assert/strict";
import { formatEndpoint, ipToBytes, type Endpoint } from "../../src/base/endpoint.ts";
import { fromHex, toHex } from "../../src/base/bytes.ts";
import { PROFILES } from "../../src/swim/profiles.ts";
import { Swim } from "../../src/swim/swim.ts";
import type { SwimEffect, SwimInput } from "../../src/swim/types.ts";
import * as codec from "../../src/wire/gossip-codec.ts";
import { RecordingDelegate, SERF_VERSIONS, swimConfig } from "./fake-network.ts";

const SELF: Endpoint = { ip: "10.0.0.1", port: 7946 };
const NO_GOSSIP_MS = 1e9;
const STATES = ["alive", "suspect", "dead", "left"];

/** Named fields and plain words of a command. */
class Args {
  readonly words: string[] = [];
  readonly fields = new Map<string, string>();

  constructor(parts: readonly string[]) {
    for (const part of parts) {
      const equals = part.indexOf("=");
      if (equals < 0) this.words.push(part);
      else this.fields.set(part.slice(0, equals), part.slice(equals + 1));
    }
  }

  text(name: string, otherwise = ""): string {
    return this.fields.get(name) ?? otherwise;
  }

  number(name: string, otherwise = 0): number {
    return Number(this.fields.get(name) ?? otherwise);
  }

  bytes(name: string, otherwise = ""): Uint8Array {
    return fromHex(this.text(name, otherwise));
  }

  has(word: string): boolean {
    return this.words.includes(word);
  }
}

export function runScript(text: string): string {
  let swim: Swim<SwimEffect> | null = null;
  let delegate = new RecordingDelegate();
  const out: SwimEffect[] = [];
  let clockMs = 0;
  const start = (profile: (typeof PROFILES)["lan"]): void => {
    delegate = new RecordingDelegate();
    swim = new Swim<SwimEffect>({ ...swimConfig("self", SELF, profile), logLevel: "debug" }, { below: (limit) => limit - 1 }, delegate, 0, out);
  };
  const flush = (): string[] => {
    const lines = [...delegate.seen.map((seen) => `event ${seen}`), ...out.flatMap(show)];
    delegate.seen.length = 0;
    out.length = 0;
    return lines;
  };
  const blocks = text.trimEnd().split("\n\n").map((block) => {
    const head = block.split("\n----")[0] ?? "";
    const [time = "", kind = "", ...rest] = (head.split("\n").at(-1) ?? "").split(" ");
    if (time === "profile") {
      const name = kind as keyof typeof PROFILES;
      start({ ...PROFILES[name], gossipIntervalMs: NO_GOSSIP_MS, ...Object.fromEntries([...new Args(rest).fields].map(([key, value]) => [key, value === "false" ? false : Number(value)])) });
      return `${head}\n----\n${flush().join("\n") || "-"}`;
    }
    if (swim === null) start({ ...PROFILES.lan, gossipIntervalMs: NO_GOSSIP_MS });
    const machine = swim as unknown as Swim<SwimEffect>;
    const nowMs = Number(time);
    const lines: string[] = [];
    assert(nowMs >= clockMs, `time goes back at ${head}`);
    // A command comes before a wake that is due at the same time.
    while (kind !== "wake" && machine.wakeAtMs < nowMs + (kind === "run" ? 1 : 0)) {
      const atMs = Math.max(clockMs, machine.wakeAtMs);
      clockMs = atMs;
      machine.step({ kind: "wake" }, atMs, out);
      lines.push(...flush().map((line) => `@${atMs} ${line}`));
    }
    clockMs = nowMs;
    if (kind === "run") lines.push(...flush());
    else if (kind === "members") lines.push(...machine.members().map(({ name, state, incarnation, meta, ip, port }) => `${name} ${state} inc=${incarnation} ${ip}:${port} meta=${toHex(meta)}`).sort());
    else if (kind === "numbers") lines.push(`health=${machine.healthScore} alive=${machine.aliveCount} nodes=${machine.nodeCount} queued=${machine.queuedBroadcasts}`);
    else if (kind === "waiting") delegate.waiting.push(new Uint8Array(new Args(rest).number("bytes")));
    else {
      machine.step(parse(kind, rest), nowMs, out);
      lines.push(...flush());
    }
    return `${head}\n----\n${lines.join("\n") || "-"}`;
  });
  return `${blocks.join("\n\n")}\n`;
}

function endpoint(text: string): Endpoint {
  const colon = text.lastIndexOf(":");
  return { ip: text.slice(0, colon), port: Number(text.slice(colon + 1)) };
}

/** Address of a node named by one letter: b is 10.0.0.2. */
function homeOf(node: string): Endpoint {
  return node === "self" ? SELF : { ip: `10.0.0.${node.charCodeAt(0) - 96}`, port: 7946 };
}

function addrOf(ip: string): Uint8Array {
  return ipToBytes(ip) ?? new Uint8Array(0);
}

function parse(kind: string, rest: readonly string[]): SwimInput {
  const args = new Args(rest);
  const from = args.fields.has("at") ? endpoint(args.text("at")) : { ip: "10.0.0.99", port: 7946 };
  const seq = args.number("seq");
  const node = args.text("node", args.words[0] ?? "");
  const incarnation = args.number("inc", 1);
  const source = args.fields.has("source")
    ? { sourceAddr: addrOf(endpoint(args.text("source")).ip), sourcePort: endpoint(args.text("source")).port, sourceNode: "source" }
    : { sourceAddr: null, sourcePort: 0, sourceNode: "" };
  const message = (bytes: Uint8Array): SwimInput => ({ kind: "message", from, bytes });
  const onStream = (bytes: Uint8Array): SwimInput => ({ kind: "streamMessage", stream: args.number("stream"), from, bytes });
  const versions = args.fields.has("versions") ? args.bytes("versions") : SERF_VERSIONS;
  switch (kind) {
    case "wake":
      return { kind };
    case "alive": {
      const { ip, port } = args.fields.has("addr") ? endpoint(args.text("addr")) : homeOf(node);
      return message(codec.encodeAlive({ node, incarnation, addr: addrOf(ip), port, meta: args.bytes("meta"), versions }));
    }
    case "suspect":
      return message(codec.encodeSuspect({ node, incarnation, from: args.text("from") }));
    case "dead":
      return message(codec.encodeDead({ node, incarnation, from: args.text("from") }));
    case "ping":
      return args.fields.has("stream") ? onStream(codec.encodePing({ seq, node, ...source })) : message(codec.encodePing({ seq, node, ...source }));
    case "indirectPing":
      return message(codec.encodeIndirectPing({ seq, node, nack: args.has("nack"), target: addrOf(homeOf(node).ip), port: args.number("port", 7946), ...source }));
    case "ack": {
      const bytes = codec.encodeAck({ seq, payload: args.fields.has("payload") ? args.bytes("payload") : null });
      return args.fields.has("stream") ? onStream(bytes) : message(bytes);
    }
    case "nack":
      return message(codec.encodeNack({ seq }));
    case "user":
      return args.fields.has("stream") ? onStream(codec.encodeStreamUser(args.bytes("bytes"))) : message(codec.encodeUser(args.bytes("bytes")));
    case "raw":
      return args.fields.has("stream") ? onStream(args.bytes("bytes")) : message(args.bytes("bytes"));
    case "streamOpened":
      return { kind, stream: args.number("stream") };
    case "streamFailed":
      return { kind, stream: args.number("stream"), error: args.words.join(" ") };
    case "err":
      return onStream(codec.encodeErr(args.words.join(" ")));
    case "pushPull": {
      // Nodes as NAME:INCARNATION:STATE.
      const nodes = args.words.filter((word) => word.includes(":")).map((word) => {
        const [name = "", inc = "", state = ""] = word.split(":");
        const { ip, port } = homeOf(name);
        return { name, addr: addrOf(ip), port, meta: new Uint8Array(0), incarnation: Number(inc), state: STATES.indexOf(state), versions };
      });
      return onStream(codec.encodePushPull({ join: args.has("join"), nodes, userState: args.fields.has("user") ? args.bytes("user") : null }));
    }
    case "join":
      return { kind, request: args.number("request"), targets: args.words.map((word) => ({ name: "", to: endpoint(word) })) };
    case "leave":
      return { kind, request: args.number("request"), timeoutMs: args.number("timeout", 5000) };
    case "updateMeta":
      return { kind, request: args.number("request"), meta: args.bytes("meta"), timeoutMs: args.number("timeout", 5000) };
    default:
      throw new Error(`unknown command: ${kind}`);
  }
}

function show(effect: SwimEffect): string[] {
  switch (effect.kind) {
    case "packet":
      return [`packet to=${effect.to.map(formatEndpoint).join(",")}${effect.crc ? " crc" : ""} ${effect.messages.map(showPacket).join(" | ")}`];
    case "dial":
      return [`dial stream=${effect.stream} to=${formatEndpoint(effect.to)} timeout=${effect.timeoutMs}`];
    case "streamSend":
      return [`streamSend stream=${effect.stream} ${showStream(effect.bytes)}`];
    case "streamClose":
      return [`streamClose stream=${effect.stream}`];
    case "log":
      return [`log ${effect.level} ${effect.text}`];
    case "count":
      return effect.name.startsWith("memberlist.drop") ? [`count ${effect.name}`] : [];
    case "reply":
      return [`reply request=${effect.request} ${effect.value.kind === "joined" ? `joined=${effect.value.nodes}` : "done"}${effect.errors.map((error) => ` error=${JSON.stringify(error)}`).join("")}`];
  }
}

function showPacket(bytes: Uint8Array): string {
  const decoded = codec.decodePacketMessage(bytes);
  if (!decoded.ok) return `undecodable ${decoded.error}`;
  const message = decoded.value;
  switch (message.kind) {
    case "ping":
      return `ping seq=${message.seq} node=${message.node}`;
    case "indirectPing":
      return `indirectPing seq=${message.seq} node=${message.node}${message.nack ? " nack" : ""}`;
    case "ack":
      return `ack seq=${message.seq}`;
    case "nack":
      return `nack seq=${message.seq}`;
    case "alive":
      return `alive ${message.node} inc=${message.incarnation}`;
    case "suspect":
    case "dead":
      return `${message.kind} ${message.node} inc=${message.incarnation} from=${message.from}`;
    case "user":
      return `user bytes=${message.payload.length}`;
  }
}

function showStream(bytes: Uint8Array): string {
  const decoded = codec.decodeStreamMessage(bytes);
  if (!decoded.ok) return `undecodable ${decoded.error}`;
  const message = decoded.value;
  switch (message.kind) {
    case "ping":
    case "ack":
      return showPacket(bytes);
    case "pushPull":
      return `pushPull${message.join ? " join" : ""} ${message.nodes.map(({ name, incarnation, state }) => `${name}:${incarnation}:${STATES[state]}`).join(" ")}`;
    default:
      return message.kind;
  }
}
