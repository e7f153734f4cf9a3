/** Real agents of ours, as an RPC recording needs them: its nodes with their tags, keys, token, and the handlers that answered its queries. */
import { formatEndpoint, type Endpoint } from "../../src/base/endpoint.ts";
import { LogHub } from "../../src/io/log-hub.ts";
import { startRpcServer, type RpcServer } from "../../src/io/rpc-server.ts";
import { SerfAgent } from "../../src/io/serf-agent.ts";
import { testOptions } from "../io/support/agents.ts";
import { eventually } from "../support/eventually.ts";
import { nextLoopbackIp } from "../support/loopback.ts";
import { isObject, recordedMessages, recordedRequests } from "./rpc-messages.ts";
import type { Session } from "./rpc-sessions.ts";

const START_DEADLINE_MS = 15_000;

export interface World {
  readonly rpc: Endpoint;
  readonly logs: LogHub;
  /** A recorded "ip:port" of a member as the same member's here; other addresses stay. */
  localAddress(recorded: string): string;
  close(): Promise<void>;
}

interface Node {
  readonly name: string;
  readonly tags: Readonly<Record<string, string>>;
  /** "ip:port" in the recording; "" when it never shows. */
  readonly address: string;
}

/** `Map` from "node query payload" to the payload of the answer, all as the recording writes them. */
type Answers = ReadonlyMap<string, string>;

export async function buildWorld(agent: string, sessions: readonly Session[]): Promise<World> {
  const nodes = nodesOf(agent, sessions);
  const keys = keysOf(sessions);
  const answers = answersOf(agent, sessions);
  const logs = new LogHub();
  const started: SerfAgent[] = [];
  for (const node of nodes) started.push(await startNode(node, keys, answers, started.length === 0 ? logs : new LogHub()));
  const [first, ...others] = started as [SerfAgent, ...SerfAgent[]];
  if (others.length > 0) await first.join(others.map(({ advertise }) => formatEndpoint(advertise)), false);
  await eventually("members and coordinates known everywhere", START_DEADLINE_MS, () => {
    for (const one of started) if (one.members().length < nodes.length) return `${one.name} knows ${one.members().length} of ${nodes.length}`;
    const unknown = nodes.filter(({ name }) => first.coordinate(name) === null);
    return unknown.length === 0 ? null : `no coordinate of ${unknown.map(({ name }) => name).join(" ")}`;
  });
  const handlers = handlersOf(sessions);
  const server: RpcServer = await startRpcServer({
    agent: first,
    listen: { ip: "127.0.0.1", port: 0 },
    authKey: tokenOf(sessions),
    logs,
    stats: () => first.stats().set("event_handlers", handlers),
    onLeave: () => void first.shutdown().then(() => server.close()),
  });
  const local = new Map(nodes.map(({ address }, i) => [address, formatEndpoint((started[i] as SerfAgent).advertise)]));
  return {
    rpc: server.address,
    logs,
    localAddress: (recorded) => local.get(recorded) ?? recorded,
    async close() {
      await server.close();
      await Promise.all(started.map((one) => one.shutdown()));
    },
  };
}

function nodesOf(agent: string, sessions: readonly Session[]): Node[] {
  const nodes = new Map<string, Node>([[agent, { name: agent, tags: {}, address: "" }]]);
  let count = 1;
  for (const { body } of sessions.flatMap(({ frames }) => recordedMessages(frames))) {
    if (!isObject(body)) continue;
    for (const member of Array.isArray(body["Members"]) ? (body["Members"] as readonly unknown[]) : []) {
      if (!isObject(member) || (nodes.get(String(member["Name"]))?.address ?? "") !== "") continue;
      const bytes = Buffer.from(String((member["Addr"] as { readonly $bin?: string }).$bin), "hex");
      const name = String(member["Name"]);
      nodes.set(name, { name, tags: member["Tags"] as Readonly<Record<string, string>>, address: `${bytes.join(".")}:${String(member["Port"])}` });
    }
    const named = [...Object.keys(isObject(body["Messages"]) ? body["Messages"] : {}), ...("Type" in body && body["From"] !== "" ? [String(body["From"])] : [])];
    for (const name of named) if (!nodes.has(name)) nodes.set(name, { name, tags: {}, address: "" });
    count = Math.max(count, Number(body["NumNodes"] ?? 0));
  }
  for (let i = nodes.size; i < count; i += 1) nodes.set(`unnamed-${i}`, { name: `unnamed-${i}`, tags: {}, address: "" });
  return [...nodes.values()];
}

/** The ring at the beginning: what the first successful listing shows. */
function keysOf(sessions: readonly Session[]): readonly Uint8Array[] {
  for (const { body } of sessions.flatMap(({ frames }) => recordedMessages(frames))) {
    if (isObject(body) && isObject(body["Keys"]) && body["NumErr"] === 0) return Object.keys(body["Keys"]).map((key) => new Uint8Array(Buffer.from(key, "base64")));
  }
  return [];
}

/** The token that was accepted, when one was needed. */
function tokenOf(sessions: readonly Session[]): string {
  for (const { frames } of sessions) {
    const accepted = new Set(recordedMessages(frames).filter(({ header }) => header["Error"] === "").map(({ header }) => header["Seq"]));
    for (const { command, seq, body } of recordedRequests(frames)) if (command === "auth" && accepted.has(seq) && body["AuthKey"] !== "") return String(body["AuthKey"]);
  }
  return "";
}

function handlersOf(sessions: readonly Session[]): Map<string, string> {
  for (const { body } of sessions.flatMap(({ frames }) => recordedMessages(frames))) {
    if (isObject(body) && isObject(body["event_handlers"])) return new Map(Object.entries(body["event_handlers"] as Readonly<Record<string, string>>));
  }
  return new Map();
}

/** Who answered what with what. What the client itself answered over RPC is not a handler's. */
function answersOf(agent: string, sessions: readonly Session[]): Answers {
  const answers = new Map<string, string>();
  for (const { frames } of sessions) {
    const requests = recordedRequests(frames);
    const byClient = new Set(requests.filter(({ command }) => command === "respond").map(({ body }) => JSON.stringify(body["Payload"])));
    for (const { header, body } of recordedMessages(frames)) {
      if (!isObject(body) || body["Type"] !== "response" || (body["From"] === agent && byClient.has(JSON.stringify(body["Payload"])))) continue;
      const query = requests.find(({ command, seq }) => command === "query" && seq === header["Seq"]);
      if (query !== undefined) answers.set(JSON.stringify([body["From"], query.body["Name"], query.body["Payload"]]), (body["Payload"] as { readonly $bin: string }).$bin);
    }
  }
  return answers;
}

async function startNode({ name, tags }: Node, keys: readonly Uint8Array[], answers: Answers, log: LogHub): Promise<SerfAgent> {
  const bind = { ip: nextLoopbackIp(), port: 7946 };
  const agent = await SerfAgent.start(testOptions(name, bind.ip, { bind, advertise: bind, tags: new Map(Object.entries(tags)), keys, coalesce: true, log }));
  agent.subscribe((event) => {
    if (event.kind !== "query") return;
    const payload = event.payload === null ? null : { $bin: Buffer.from(event.payload).toString("hex") };
    const answer = answers.get(JSON.stringify([name, event.name, payload]));
    if (answer !== undefined) void agent.respond(event.token, new Uint8Array(Buffer.from(answer, "hex")));
  });
  return agent;
}
