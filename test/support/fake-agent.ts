import { ipFromBytes, ipToBytes, type Endpoint } from "../../src/base/endpoint.ts";
import { SerfError, type QueryRecord, type SerfAgentApi, type Unsubscribe } from "../../src/io/serf-agent-api.ts";
import type { KeyOperation, KeyResult, Member, MemberStatus, QueryParams, SerfEvent } from "../../src/serf/types.ts";
import type { WireCoordinate } from "../../src/wire/serf-messages.ts";

/** A member with Serf's usual versions. */
export function fakeMember(name: string, options: { readonly ip?: string; readonly port?: number; readonly status?: MemberStatus; readonly tags?: Readonly<Record<string, string>> } = {}): Member {
  const addr = ipToBytes(options.ip ?? "127.0.0.1") ?? new Uint8Array(4);
  return {
    name,
    addr,
    ip: ipFromBytes(addr),
    port: options.port ?? 7946,
    tags: new Map(Object.entries(options.tags ?? {})),
    status: options.status ?? "alive",
    protocolMin: 1,
    protocolMax: 5,
    protocolCur: 2,
    delegateMin: 2,
    delegateMax: 5,
    delegateCur: 5,
  };
}

const NO_KEYS: KeyResult = { nodes: 0, responses: 0, failures: 0, messages: new Map(), keys: new Map(), keysOf: new Map() };

/** An agent without a cluster, for tests of what stands in front of one: its state is set by the test, what it was asked to do is in `calls`. */
export class FakeAgent implements SerfAgentApi {
  readonly name: string;
  readonly bind: Endpoint = { ip: "127.0.0.1", port: 7946 };
  readonly advertise: Endpoint = this.bind;
  readonly stopped = new Promise<{ readonly reason: "shutdown" }>(() => undefined);
  readonly calls: { readonly name: string; readonly args: readonly unknown[] }[] = [];
  /** Commands that are refused, with the text. */
  readonly refusals = new Map<string, string>();
  /** Commands that are not answered before the test calls the function. */
  readonly held = new Map<string, Promise<void>>();
  memberList: readonly Member[];
  keyResult: KeyResult = NO_KEYS;
  onQuery: (record: (record: QueryRecord) => void) => void = (record) => record({ kind: "done" });
  readonly #listeners = new Set<(event: SerfEvent) => void>();

  constructor(members: readonly Member[] = [fakeMember("fake")]) {
    this.memberList = members;
    this.name = members[0]?.name ?? "fake";
  }

  get listenerCount(): number {
    return this.#listeners.size;
  }

  emit(event: SerfEvent): void {
    for (const listener of this.#listeners) listener(event);
  }

  members(): readonly Member[] {
    return this.memberList;
  }

  self(): Member {
    return this.memberList[0] as Member;
  }

  async join(addresses: readonly string[], replay: boolean): Promise<{ readonly nodes: number; readonly error: string }> {
    await this.held.get("join");
    this.calls.push({ name: "join", args: [addresses, replay] });
    const error = this.refusals.get("join") ?? "";
    return { nodes: error === "" ? addresses.length : 0, error };
  }

  leave(): Promise<void> {
    return this.#act("leave");
  }

  shutdown(): Promise<void> {
    return this.#act("shutdown");
  }

  forceLeave(node: string, prune: boolean): Promise<void> {
    return this.#act("forceLeave", node, prune);
  }

  userEvent(name: string, payload: Uint8Array | null, coalesce: boolean): Promise<void> {
    return this.#act("userEvent", name, payload, coalesce);
  }

  fireUserEvent(name: string, payload: Uint8Array | null, coalesce: boolean): string | null {
    if (this.held.has("userEvent")) return null;
    this.calls.push({ name: "userEvent", args: [name, payload, coalesce] });
    return this.refusals.get("userEvent") ?? "";
  }

  async query(name: string, payload: Uint8Array | null, params: QueryParams, onRecord: (record: QueryRecord) => void): Promise<Unsubscribe> {
    await this.#act("query", name, payload, params);
    this.onQuery(onRecord);
    return () => void this.calls.push({ name: "cancelQuery", args: [name] });
  }

  respond(token: number, payload: Uint8Array): Promise<void> {
    return this.#act("respond", token, payload);
  }

  setTags(tags: ReadonlyMap<string, string>): Promise<void> {
    return this.#act("setTags", tags);
  }

  async keys(operation: KeyOperation, key: string): Promise<{ readonly result: KeyResult; readonly error: string }> {
    this.calls.push({ name: "keys", args: [operation, key] });
    await Promise.resolve();
    return { result: this.keyResult, error: this.refusals.get("keys") ?? "" };
  }

  stats(): Map<string, Map<string, string>> {
    return new Map([["agent", new Map([["name", this.name]])]]);
  }

  coordinate(node: string): WireCoordinate | null {
    return node === this.name ? { vec: [0, 0, 0, 0, 0, 0, 0, 0], error: 1.5, adjustment: 0, height: 1e-5 } : null;
  }

  subscribe(listener: (event: SerfEvent) => void): Unsubscribe {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async #act(name: string, ...args: readonly unknown[]): Promise<void> {
    await this.held.get(name);
    this.calls.push({ name, args });
    const refusal = this.refusals.get(name);
    if (refusal !== undefined) throw new SerfError(refusal);
  }
}
