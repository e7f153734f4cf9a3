/**
 * `/v1/operator/keyring` and `consul keyring`: the gossip keys of all members. The original asks its WAN and its LAN pool; here the servers of this datacenter
 * are all the WAN pool there is, and their answer is part of the LAN pool's.
 */
import type { AgentCall, AgentOutcome } from "../api/http/agent-calls.ts";
import type { Json } from "../api/http/json.ts";
import type { KeyResult } from "../serf/types.ts";
import type { ConsulAgent } from "./consul-agent.ts";
import { serverMember } from "./consul-members.ts";

type Keyring = Extract<AgentCall, { readonly kind: "keyring" }>;

/** What one pool answered. `error` says that not all nodes did as told, `messages` why. */
interface PoolAnswer {
  readonly wan: boolean;
  readonly error: string;
  readonly messages: ReadonlyMap<string, string>;
  readonly keysOf: readonly (readonly string[])[];
  readonly nodes: number;
}

export async function keyring(agent: ConsulAgent, { operation, key, localOnly }: Keyring): Promise<AgentOutcome> {
  const { options, lan } = agent;
  if (agent.server === null) return { ok: false, error: "keyring operations must run against a server node" };
  const { result, error } = await lan.keys(operation, key);
  const all: PoolAnswer = { wan: false, error, messages: result.messages, keysOf: [...result.keysOf.values()], nodes: result.nodes };
  const answers = localOnly ? [all] : [ofServers(agent, result, error), all];
  const errors = answers.flatMap((answer) => {
    if (answer.error === "") return [];
    const pool = answer.wan ? "WAN" : `${options.datacenter} (LAN)`;
    return [`${pool} error: ${answer.error}`, ...[...answer.messages].map(([node, message]) => `${node}: ${message}`)];
  });
  if (errors.length > 0) return { ok: false, error: multierror(errors) };
  return { ok: true, value: operation === "list" ? answers.map((answer) => poolJson(options.datacenter, answer)) : undefined };
}

/** The servers' part of an answer, named as in the WAN pool. */
function ofServers(agent: ConsulAgent, result: KeyResult, error: string): PoolAnswer {
  const { datacenter } = agent.options;
  const servers = agent.lan.members().filter((member) => member.status === "alive" && (serverMember(member, datacenter)?.server ?? null) !== null).map(({ name }) => name);
  const messages = new Map([...result.messages].filter(([node]) => servers.includes(node)).map(([node, message]) => [`${node}.${datacenter}`, message] as const));
  const agreed = servers.filter((name) => result.keysOf.has(name));
  // Nobody was asked: the request itself was wrong.
  const asked = result.nodes > 0;
  const failed = servers.length - agreed.length;
  const why = asked ? (failed > 0 ? `${failed}/${servers.length} nodes reported failure` : "") : error;
  return { wan: true, error: why, messages, keysOf: agreed.map((name) => result.keysOf.get(name) ?? []), nodes: servers.length };
}

function poolJson(datacenter: string, { wan, messages, keysOf, nodes }: PoolAnswer): Json {
  const keys = new Map<string, number>();
  const primaries = new Map<string, number>();
  for (const ring of keysOf) {
    for (const key of ring) keys.set(key, (keys.get(key) ?? 0) + 1);
    const [primary] = ring;
    if (primary !== undefined) primaries.set(primary, (primaries.get(primary) ?? 0) + 1);
  }
  return { WAN: wan, Datacenter: datacenter, Segment: "", Messages: messages.size === 0 ? undefined : messages, Keys: keys, PrimaryKeys: primaries, NumNodes: nodes };
}

/** As Go's multierror prints a list. */
function multierror(errors: readonly string[]): string {
  return `${errors.length} error${errors.length === 1 ? "" : "s"} occurred:\n${errors.map((error) => `\t* ${error}\n`).join("")}\n`;
}
