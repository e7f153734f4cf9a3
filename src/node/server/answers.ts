/** Calls that this server answers itself: reads from its state, writes through its log, and questions about Raft (reference: consul-agent §6.4). */
import { OVERLOADED } from "../../api/rpc/errors.ts";
import { compileFilter } from "../../api/filter/evaluate.ts";
import type { AnyRead } from "../../api/rpc/read-procedure.ts";
import { readProcedure } from "../../api/rpc/reads.ts";
import { prepareDeregister, prepareRegister } from "../../api/rpc/register.ts";
import { sessionIdError } from "../../api/rpc/session-id.ts";
import type { ClusterHealth, CoordinateArgs, DatacenterCoordinates, QueryMeta, QueryOptions, RpcArgs, RpcMethod, RpcMethods, RpcOutcome, RpcReply } from "../../api/rpc/types.ts";
import { boolOutcome, nilOutcome, prepareKv, prepareSession, prepareTxn, sessionOutcome, txnOutcome, type Prepared } from "../../api/rpc/writes.ts";
import type { ApplyResult, StateMachine } from "../../catalog/types.ts";
import type { RaftReply, RaftStatus } from "../../raft/types.ts";
import { encodeAutopilotRequest, type AutopilotSettings } from "../../wire/autopilot-command.ts";
import type { Session } from "../../wire/fsm-commands.ts";
import { encodeDeregisterRequest, encodeKvRequest, encodeRegisterRequest, encodeSessionRequest, encodeTxnRequest } from "../../wire/fsm-codec.ts";
import { ORIGIN } from "./coordinates.ts";
import { formatDuration } from "../../wire/go-duration.ts";
import type { BlockedReads } from "./blocked-reads.ts";
import { KeptReads } from "./kept-reads.ts";
import type { Proposals } from "./proposals.ts";
import type { CallId, ServerConfig, ServerMember } from "./types.ts";

/** What the answers need of the server. */
export interface AnswerHost {
  readonly config: ServerConfig;
  readonly state: StateMachine;
  readonly proposals: Proposals;
  readonly blocked: BlockedReads;
  readonly members: ReadonlyMap<string, ServerMember>;
  readonly isLeader: boolean;
  readonly knownLeader: boolean;
  status(nowMs: number): RaftStatus;
  canReadLocally(nowMs: number): boolean;
  /** ms since the leader was heard of; 0 on the leader. */
  lastContactMs(nowMs: number): number;
  newUuid(): string;
  sessionTouched(session: Session, nowMs: number): void;
  /** Asks a quorum whether we lead; `done` gets the reply, in order with what is applied. */
  readIndex(done: (reply: RaftReply, nowMs: number) => void): void;
  removeServer(id: string, done: (reply: RaftReply) => void): void;
  autopilotSettings(): AutopilotSettings;
  clusterHealth(nowMs: number): ClusterHealth;
  /** Null, or why it is refused. */
  coordinateTold(told: CoordinateArgs, nowMs: number): string | null;
  /** Nothing was done with this call: it looks for the leader again. */
  again(call: CallId, method: RpcMethod, args: RpcArgs, sinceMs: number): void;
  reply(call: CallId, outcome: RpcOutcome): void;
}

export class Answers {
  readonly #host: AnswerHost;
  /** Calls that wait for a quorum's word. */
  readonly #asking = new Set<CallId>();

  readonly #keptReads: KeptReads;

  constructor(host: AnswerHost) {
    this.#host = host;
    this.#keptReads = new KeptReads(host.state);
  }

  answer(call: CallId, method: RpcMethod, args: RpcArgs, nowMs: number): void {
    const read = readProcedure(method);
    if (read !== null) this.#read(call, method, read, args as RpcArgs & { readonly options: QueryOptions }, nowMs);
    else this.#other(call, method, args, nowMs);
  }

  #read(call: CallId, method: RpcMethod, read: AnyRead, args: RpcArgs & { readonly options: QueryOptions }, nowMs: number): void {
    const { options } = args;
    const filtered = this.#filtered(this.#kept(method, read), options.filter);
    if (typeof filtered === "string") {
      this.#fail(call, filtered);
      return;
    }
    const here = options.allowStale || (!options.requireConsistent && this.#host.canReadLocally(nowMs));
    if (here) {
      this.#runOrBlock(call, filtered, args, nowMs);
      return;
    }
    this.#askQuorum(call, method, args, nowMs, (thenMs) => this.#runOrBlock(call, filtered, args, thenMs));
  }

  #kept(method: RpcMethod, read: AnyRead): AnyRead {
    const { dependsOn } = read;
    if (dependsOn === undefined) return read;
    return { ...read, run: (reads, args) => this.#keptReads.read(questionOf(method, args as unknown as Readonly<Record<string, unknown>>), dependsOn(args), () => read.run(reads, args)) };
  }

  /** The read with its filter, which is understood once however often a blocked read runs; a text is what is wrong with it. */
  #filtered(read: AnyRead, filter: string): AnyRead | string {
    const rows = read.filter;
    if (filter === "" || rows === undefined) return read;
    const test = compileFilter<unknown>(filter, rows.shape, this.#host.config.compileExpression);
    if (!test.ok) return test.error;
    return {
      ...read,
      run: (reads, args) => {
        const found = read.run(reads, args);
        return typeof found === "string" ? found : { index: found.index, value: rows.keep(found.value, test.value) };
      },
    };
  }

  #askQuorum(call: CallId, method: RpcMethod, args: RpcArgs, nowMs: number, then: (thenMs: number) => void): void {
    this.#asking.add(call);
    this.#host.readIndex((reply, thenMs) => {
      // Whoever went away meanwhile must not be blocked for minutes.
      if (!this.#asking.delete(call)) return;
      if (reply.ok) then(thenMs);
      else this.#host.again(call, method, args, nowMs);
    });
  }

  cancel(call: CallId): void {
    this.#asking.delete(call);
  }

  #runOrBlock(call: CallId, read: AnyRead, args: RpcArgs & { readonly options: QueryOptions }, nowMs: number): void {
    const run = (force: boolean, atMs: number): boolean => {
      const result = read.run(this.#host.state, args);
      if (typeof result === "string") {
        this.#fail(call, result);
        return true;
      }
      if (!force && result.index <= args.options.minQueryIndex) return false;
      const meta = this.#meta(result.index, args.options, atMs);
      this.#host.reply(call, { ok: true, value: { meta, value: result.value } as RpcReply });
      return true;
    };
    if (run(args.options.minQueryIndex === 0, nowMs)) return;
    this.#host.blocked.block(call, read.interests(args), args.options.maxQueryTimeMs, nowMs, run);
  }

  #meta(index: number, options: QueryOptions, nowMs: number): QueryMeta {
    const consistency = options.allowStale ? "stale" : options.requireConsistent ? "consistent" : "leader";
    return { index, lastContactMs: this.#host.lastContactMs(nowMs), knownLeader: this.#host.knownLeader, consistency };
  }

  #other(call: CallId, method: RpcMethod, args: RpcArgs, nowMs: number): void {
    const { state } = this.#host;
    switch (method) {
      case "KVS.Apply": {
        const prepared = prepareKv(args as RpcMethods["KVS.Apply"]["args"], state, nowMs);
        this.#write(call, method, args, nowMs, prepared, encodeKvRequest, boolOutcome);
        return;
      }
      case "Session.Apply":
        this.#session(call, args as RpcMethods["Session.Apply"]["args"], nowMs);
        return;
      case "Session.Renew":
        this.#renew(call, args as RpcMethods["Session.Renew"]["args"], nowMs);
        return;
      case "Txn.Apply": {
        const prepared = prepareTxn(args as RpcMethods["Txn.Apply"]["args"], state, nowMs);
        this.#write(call, method, args, nowMs, prepared, encodeTxnRequest, txnOutcome);
        return;
      }
      case "Operator.AutopilotSetConfiguration": {
        const command = args as RpcMethods["Operator.AutopilotSetConfiguration"]["args"];
        this.#write(call, method, args, nowMs, { kind: "append", command }, encodeAutopilotRequest, boolOutcome);
        return;
      }
      case "Coordinate.Update": {
        const error = this.#host.coordinateTold(args as RpcMethods["Coordinate.Update"]["args"], nowMs);
        this.#host.reply(call, error === null ? { ok: true, value: null } : { ok: false, error });
        return;
      }
      case "Catalog.Register": {
        const prepared = prepareRegister(args as RpcMethods["Catalog.Register"]["args"]);
        this.#write(call, method, args, nowMs, prepared, encodeRegisterRequest, nilOutcome);
        return;
      }
      case "Catalog.Deregister": {
        const prepared = prepareDeregister(args as RpcMethods["Catalog.Deregister"]["args"]);
        this.#write(call, method, args, nowMs, prepared, encodeDeregisterRequest, nilOutcome);
        return;
      }
      default:
        this.#aboutRaft(call, method, args, nowMs);
    }
  }

  #write<Command, Reply extends RpcReply>(
    call: CallId, method: RpcMethod, args: RpcArgs, sinceMs: number,
    prepared: Prepared<Command, Reply>, encode: (command: Command) => Uint8Array,
    outcome: (result: ApplyResult) => { readonly ok: true; readonly value: Reply } | { readonly ok: false; readonly error: string },
  ): void {
    if (prepared.kind === "reply") {
      this.#host.reply(call, prepared.outcome);
      return;
    }
    this.#host.proposals.propose(encode(prepared.command), (result, reply) => {
      if (result !== null) this.#host.reply(call, outcome(result));
      else this.#notApplied(call, method, args, sinceMs, reply);
    });
  }

  #notApplied(call: CallId, method: RpcMethod, args: RpcArgs, sinceMs: number, reply: RaftReply): void {
    if (reply.ok) this.#fail(call, "the state was replaced by a snapshot before the result of this write was known");
    else if (reply.error === "notLeader" || reply.error === "transferring") this.#host.again(call, method, args, sinceMs);
    else if (reply.error === "overloaded") this.#fail(call, OVERLOADED);
    else this.#fail(call, reply.error === "leadershipLost" ? "leadership lost while committing log" : reply.text);
  }

  #session(call: CallId, args: RpcMethods["Session.Apply"]["args"], nowMs: number): void {
    const error = args.op === "destroy" && args.session.id !== "" ? sessionIdError(args.session.id) : null;
    if (error !== null) {
      this.#fail(call, error);
      return;
    }
    const prepared = prepareSession(args, () => this.#freeSessionId());
    this.#write(call, "Session.Apply", args, nowMs, prepared, encodeSessionRequest, (result) => {
      const outcome = sessionOutcome(result);
      const created = outcome.ok && args.op === "create" ? this.#host.state.session(outcome.value).value : null;
      if (created !== null) this.#host.sessionTouched(created, nowMs);
      return outcome;
    });
  }

  #freeSessionId(): string {
    for (;;) {
      const id = this.#host.newUuid();
      if (this.#host.state.session(id).value === null) return id;
    }
  }

  #renew(call: CallId, args: RpcMethods["Session.Renew"]["args"], nowMs: number): void {
    const error = sessionIdError(args.sessionId);
    if (error !== null) {
      this.#fail(call, error);
      return;
    }
    // A new leader that has not applied everything yet would call living sessions lost.
    if (this.#host.canReadLocally(nowMs)) this.#renewHere(call, args, nowMs);
    else this.#askQuorum(call, "Session.Renew", args, nowMs, (thenMs) => this.#renewHere(call, args, thenMs));
  }

  #renewHere(call: CallId, args: RpcMethods["Session.Renew"]["args"], nowMs: number): void {
    const { index, value: session } = this.#host.state.session(args.sessionId);
    if (session !== null) this.#host.sessionTouched(session, nowMs);
    const value = session === null ? [] : [session];
    this.#host.reply(call, { ok: true, value: { meta: this.#meta(index, args.options, nowMs), value } });
  }

  #aboutRaft(call: CallId, method: RpcMethod, args: RpcArgs, nowMs: number): void {
    const status = this.#host.status(nowMs);
    switch (method) {
      case "Status.Leader":
        this.#host.reply(call, { ok: true, value: status.leader?.address ?? "" });
        return;
      case "Status.Peers":
        this.#host.reply(call, { ok: true, value: status.configuration.servers.map(({ address }) => address) });
        return;
      case "Status.RaftStats":
        this.#host.reply(call, { ok: true, value: { lastContact: contactText(status, this.#host.isLeader), lastTerm: status.lastTerm, lastIndex: status.lastIndex } });
        return;
      case "Catalog.ListDatacenters":
        this.#host.reply(call, { ok: true, value: [this.#host.config.datacenter] });
        return;
      case "Operator.RaftGetConfiguration":
        this.#host.reply(call, { ok: true, value: this.#configuration(status) });
        return;
      case "Coordinate.ListDatacenters":
        this.#host.reply(call, { ok: true, value: [this.#datacenterCoordinates()] });
        return;
      case "Operator.AutopilotGetConfiguration":
        this.#host.reply(call, { ok: true, value: this.#host.autopilotSettings() });
        return;
      case "Operator.ServerHealth":
        this.#host.reply(call, { ok: true, value: this.#host.clusterHealth(nowMs) });
        return;
      case "Operator.RaftRemovePeerByID":
      case "Operator.RaftRemovePeerByAddress":
        this.#removePeer(call, args as { readonly id?: string; readonly address?: string }, status);
        return;
      default:
        this.#host.reply(call, { ok: true, value: null });
    }
  }

  /** Servers are what other datacenters see of this one; a server that has told no coordinate yet stands at the origin. */
  #datacenterCoordinates(): DatacenterCoordinates {
    const { config, members, state } = this.#host;
    const servers = [...members.values()].filter(({ server, status }) => server !== null && status === "alive").sort((a, b) => (a.name < b.name ? -1 : 1));
    const coordinates = servers.map(({ name }) => state.nodeCoordinates(name).value.find(({ segment }) => segment === "") ?? { node: name, segment: "", coord: ORIGIN });
    return { datacenter: config.datacenter, areaId: "wan", coordinates };
  }

  #configuration(status: RaftStatus): RpcMethods["Operator.RaftGetConfiguration"]["reply"] {
    const names = new Map([...this.#host.members.values()].map(({ id, name }) => [id, name] as const));
    const servers = status.configuration.servers.map(({ id, address, suffrage }) => ({
      id, address, node: names.get(id) ?? "(unknown)", leader: status.leader?.id === id, protocolVersion: "3", voter: suffrage === "voter",
    }));
    // The original's index is always 0 here.
    return { servers, index: 0 };
  }

  #removePeer(call: CallId, asked: { readonly id?: string; readonly address?: string }, status: RaftStatus): void {
    const found = status.configuration.servers.find(({ id, address }) => (asked.id !== undefined ? id === asked.id : address === asked.address));
    if (found === undefined) {
      const what = asked.id !== undefined ? `id ${JSON.stringify(asked.id)}` : `address ${JSON.stringify(asked.address)}`;
      this.#fail(call, `${what} was not found in the Raft configuration`);
      return;
    }
    this.#host.removeServer(found.id, (reply) => {
      this.#host.reply(call, reply.ok ? { ok: true, value: null } : { ok: false, error: reply.text });
    });
  }

  #fail(call: CallId, error: string): void {
    this.#host.reply(call, { ok: false, error });
  }
}

/** What is asked, without how it is to be answered. */
function questionOf(method: RpcMethod, args: Readonly<Record<string, unknown>>): string {
  let question: string = method;
  for (const name in args) {
    const value = args[name];
    if (name === "options") continue;
    // Lists and maps of texts; a text may hold anything but ends here.
    if (typeof value === "string") question += `\n${name} ${value.length} ${value}`;
    else if (value instanceof Map) {
      if (value.size > 0) question += `\n${name} ${JSON.stringify([...(value as ReadonlyMap<string, string>)])}`;
    } else if (!Array.isArray(value) || value.length > 0) question += `\n${name} ${JSON.stringify(value)}`;
  }
  return question;
}

function contactText(status: RaftStatus, isLeader: boolean): string {
  if (isLeader) return "0";
  return status.lastContactMs === null ? "never" : formatDuration(status.lastContactMs);
}
