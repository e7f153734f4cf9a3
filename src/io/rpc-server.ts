/** The agent's RPC port: drives one `IpcSession` per connection with a socket, the agent, and the log. */
import { createServer, type AddressInfo, type Server, type Socket } from "node:net";
import type { AnswerFrame } from "../api/answer-frame.ts";
import { MembersAnswer } from "../api/ipc-members.ts";
import { IpcOutput } from "../api/ipc-output.ts";
import { IpcSession } from "../api/ipc-session.ts";
import type { IpcAnswer, IpcCall, IpcEffect, IpcInput, IpcRecordInput, IpcView } from "../api/ipc-types.ts";
import { AssertionError } from "../base/assert.ts";
import { EMPTY_BYTES } from "../base/bytes.ts";
import { formatEndpoint, type Endpoint } from "../base/endpoint.ts";
import { holdWall, monotonicMs, releaseWall } from "./clock.ts";
import { CrowdMember, CrowdRests, restFor } from "./crowd-rests.ts";
import { listenErrorText } from "./go-errors.ts";
import { optimizeAsUsual } from "./late-optimizing.ts";
import { parseLogLevel, type LogHub, type LogSubscription } from "./log-hub.ts";
import { ACCEPT_BACKLOG } from "./network.ts";
import { Re2Matcher, syntaxError } from "./matcher.ts";
import type { MetricSink, SerfAgentApi, Unsubscribe } from "./serf-agent-api.ts";
import { SharedReads } from "./shared-reads.ts";
import { TurnBudget } from "./turn-budget.ts";

/**
 * Connections at once. Beyond it the oldest one that has not shaken hands (and authenticated) makes room; with none of those the new one is
 * closed at once. Both are counted.
 */
export const RPC_CONNECTIONS_MAX = 1024;
/** Bytes that may wait in a socket's buffer before its session is told to stop sending. */
export const RPC_SOCKET_BUFFER_BYTES = 262_144;
/** A connection on which nothing was heard for so long is asked by TCP whether its client still lives: clients vanish without a word. */
const KEEP_ALIVE_MS = 30_000;
/** Reads of clients after which their requests are worth optimizing, also in the first minute of an agent: more than who joins a cluster and looks at it. */
const BUSY_READS = 1000;
/** After the last answer, how long a client may take to close its side. */
const CLOSE_GRACE_MS = 1000;

export interface RpcServerOptions {
  readonly agent: SerfAgentApi;
  readonly listen: Endpoint;
  /** "" for none. */
  readonly authKey: string;
  readonly logs: LogHub;
  /** What `stats` answers; default: the agent's. */
  readonly stats?: () => ReadonlyMap<string, ReadonlyMap<string, string>>;
  /** Runs after `leave` was answered; default: `agent.shutdown()`. */
  readonly onLeave?: () => void;
  readonly metrics?: MetricSink;
}

export interface RpcServer {
  /** Where it listens; the port is the real one when 0 was asked for. */
  readonly address: Endpoint;
  readonly connectionCount: number;
  /** Closes the port and all connections. Idempotent. */
  close(): Promise<void>;
}

/** Rejects with Go's text (`listen tcp 127.0.0.1:7373: bind: address already in use`) when the port cannot be had. */
export async function startRpcServer(options: RpcServerOptions): Promise<RpcServer> {
  const connections = new Set<Connection>();
  const shared = sharedBy(options);
  const server = createServer({ pauseOnConnect: true, highWaterMark: RPC_SOCKET_BUFFER_BYTES, noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_MS }, (socket) => {
    if (connections.size >= RPC_CONNECTIONS_MAX && !evictStranger(connections, options)) {
      options.metrics?.count("agent.ipc.refused", 1);
      socket.destroy();
      return;
    }
    options.metrics?.count("agent.ipc.accept", 1);
    const from = formatEndpoint({ ip: socket.remoteAddress ?? "", port: socket.remotePort ?? 0 });
    options.logs.write("info", `agent.ipc: Accepted client: ${from}`);
    const connection = new Connection(socket, shared, () => connections.delete(connection));
    connections.add(connection);
  });
  await listen(server, options.listen);
  // Such as EMFILE while accepting: the port stays open for when there is room again.
  server.on("error", (error) => options.logs.write("err", `agent.ipc: Failed to accept client: ${error.message}`));
  const { address, port } = server.address() as AddressInfo;
  return {
    address: { ip: address, port },
    get connectionCount() {
      return connections.size;
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const connection of connections) connection.close();
      }),
  };
}

/** Closes the oldest connection that has not said who it is; false when there is none. */
function evictStranger(connections: ReadonlySet<Connection>, { metrics }: RpcServerOptions): boolean {
  for (const connection of connections) {
    if (connection.trusted) continue;
    metrics?.count("agent.ipc.evicted", 1);
    connection.destroy();
    return true;
  }
  return false;
}

function listen(server: Server, endpoint: Endpoint): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (error) => reject(new Error(listenErrorText("tcp", formatEndpoint(endpoint), error), { cause: error })));
    server.listen({ host: endpoint.ip, port: endpoint.port, backlog: ACCEPT_BACKLOG }, () => {
      server.removeAllListeners("error");
      resolve();
    });
  });
}

function viewOf({ agent, stats, metrics }: RpcServerOptions): IpcView {
  const matcher = new Re2Matcher();
  return {
    fire(name, payload, coalesce) {
      const error = agent.fireUserEvent(name, payload, coalesce);
      if (error !== null) metrics?.count("agent.ipc.command", 1);
      return error;
    },
    members: () => agent.members(),
    tags: () => agent.self().tags,
    stats: stats ?? (() => agent.stats()),
    coordinate: (node) => agent.coordinate(node),
    compile: (expr) => matcher.compile(expr) ?? { error: syntaxError(expr) },
  };
}

const FLUSH: IpcInput = { kind: "flush" };
const RESUME: IpcInput = { kind: "resume" };
const BLOCKED: IpcInput = { kind: "blocked" };

/** What all connections of a server share. */
interface Shared {
  readonly options: RpcServerOptions;
  readonly members: MembersAnswer;
  readonly view: IpcView;
  readonly budget: TurnBudget;
  /** Of connections that have nothing to write: there is one for each step inside steps. */
  readonly outputs: IpcOutput[];
  readonly buffers: LastBuffer;
  readonly reading: SharedReads;
  readonly rests: CrowdRests;
  reads: number;
}

function sharedBy(options: RpcServerOptions): Shared {
  return { options, members: new MembersAnswer(), view: viewOf(options), budget: new TurnBudget(monotonicMs), outputs: [], buffers: new LastBuffer(), reading: new SharedReads(), rests: new CrowdRests({ soon: (next) => void setImmediate(next), rest: restFor }), reads: 0 };
}

/** `write` makes a buffer of other bytes each time; answers mostly lie where the last one did. */
class LastBuffer {
  #bytes: Uint8Array = EMPTY_BYTES;
  #buffer: Buffer = Buffer.alloc(0);

  of(bytes: Uint8Array): Buffer {
    if (bytes !== this.#bytes) {
      this.#bytes = bytes;
      this.#buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    }
    return this.#buffer;
  }
}

class Connection {
  readonly #socket: Socket;
  readonly #shared: Shared;
  readonly #options: RpcServerOptions;
  readonly #session: IpcSession;
  readonly #budget: TurnBudget;
  readonly #member = new CrowdMember();
  /** Inputs that wait for a turn with budget left, in their order. */
  readonly #deferred: IpcInput[] = [];
  readonly #onClosed: () => void;
  readonly #queries = new Map<number, Unsubscribe>();
  #events: Unsubscribe | null = null;
  #logs: LogSubscription | null = null;
  /** Of the step that is running. There may be steps inside it: a log line that an effect writes may come back to our own monitor. */
  #output: IpcOutput | null = null;
  #scheduled = false;
  #flushing = false; // A flush is due at the end of this turn.
  #closed = false;

  constructor(accepted: Socket, shared: Shared, onClosed: () => void) {
    const { options, members, view, budget } = shared;
    this.#shared = shared;
    this.#options = options;
    this.#budget = budget;
    this.#onClosed = onClosed;
    this.#session = new IpcSession({ authKey: options.authKey }, view, members);
    const socket = shared.reading.read(accepted, RPC_SOCKET_BUFFER_BYTES, (bytes) => {
      shared.reads += 1;
      if (shared.reads === BUSY_READS) optimizeAsUsual();
      this.#step({ kind: "data", bytes });
    });
    this.#socket = socket;
    socket.on("drain", () => this.#step(RESUME));
    socket.on("error", () => undefined); // "close" follows; a client that vanished is nobody's error.
    socket.on("close", () => this.#release());
  }

  get trusted(): boolean {
    return this.#session.trusted;
  }

  /** Closes at once. */
  destroy(): void {
    this.#release();
    this.#socket.destroy();
  }

  /** Sends what waits for the end of this turn, then closes. */
  close(): void {
    if (this.#flushing || this.#deferred.length > 0) this.#flush(monotonicMs());
    this.#socket.end(() => this.#socket.destroy());
    setTimeout(() => this.#socket.destroy(), CLOSE_GRACE_MS).unref();
  }

  /** Now, or once the turns have budget again. Steps inside steps belong to the outer one. */
  #step(input: IpcInput): void {
    if (this.#closed) return;
    if (this.#output !== null) return this.#stepNow(input, monotonicMs());
    // Records are not made to wait: their queues are short and what overflows is lost. What came before them goes first.
    if (input.kind !== "flush" && (this.#deferred.length > 0 || this.#budget.spent)) return this.#defer(input);
    const startedAtMs = this.#budget.begin();
    const holds = holdWall(startedAtMs);
    try {
      if (input.kind === "flush") this.#flush(startedAtMs);
      else this.#stepNow(input, startedAtMs);
    } finally {
      if (holds) releaseWall();
    }
    this.#budget.end(startedAtMs);
  }

  #defer(input: IpcInput): void {
    // Bytes that were read are good for this turn only.
    this.#deferred.push(input.kind === "data" ? { kind: "data", bytes: Uint8Array.from(input.bytes) } : input);
    if (this.#deferred.length === 1) this.#budget.defer(() => this.#stepDeferred());
    else this.#socket.pause(); // Only who sends more before its answer is not read: most do not, and to stop and go on is two system calls.
  }

  #stepDeferred(): void {
    const input = this.#deferred.shift();
    if (input === undefined || this.#closed) return;
    this.#stepNow(input, monotonicMs());
    if (this.#deferred.length === 0) return;
    if (this.#deferred.length > 1) this.#socket.pause();
    this.#budget.defer(() => this.#stepDeferred());
  }

  #flush(nowMs: number): void {
    // Not what these defer in their turn: a long pipeline must not be served in one go.
    for (const input of this.#deferred.splice(0)) this.#stepNow(input, nowMs);
    this.#stepNow(FLUSH, nowMs);
  }

  #stepNow(input: IpcInput, nowMs: number): void {
    if (this.#closed) return;
    const outer = this.#output;
    const output = outer ?? this.#shared.outputs.pop() ?? new IpcOutput();
    this.#output = output;
    this.#apply(input, nowMs, output);
    if (outer !== null) return;
    this.#output = null;
    this.#afterStep(output, nowMs);
    this.#shared.outputs.push(output);
  }

  #apply(input: IpcInput, nowMs: number, output: IpcOutput): void {
    const first = output.effects.length; // Before it are those of the step that this one is inside of.
    this.#session.step(input, nowMs, output);
    this.#runAll(first, output);
  }

  #runAll(first: number, { effects }: IpcOutput): void {
    for (let i = first; i < effects.length; i += 1) this.#run(effects[i] as IpcEffect);
    while (effects.length > first) effects.pop();
  }

  /** Records of one turn leave together: a system call for each would cost more than all the rest. */
  #offer(input: IpcRecordInput): void {
    if (this.#closed) return;
    if (this.#session.offer(input)) this.#step(FLUSH);
    else if (!this.#flushing) {
      this.#flushing = true;
      setImmediate(() => {
        this.#flushing = false;
        this.#step(FLUSH);
      });
    }
  }

  /** Writes what has gathered, then tells the session how the socket stands. */
  #afterStep(output: IpcOutput, nowMs: number): void {
    const open = output.isEmpty ? !this.#socket.writableNeedDrain : this.#write(output, nowMs);
    if (this.#session.closed) {
      this.#release();
      this.close();
      return;
    }
    if (!open) this.#session.step(BLOCKED, 0, output);
    else if (this.#session.more && !this.#scheduled) {
      this.#scheduled = true;
      // Other sockets get their turn between two parts of a long pipeline.
      setImmediate(() => {
        this.#scheduled = false;
        this.#step(RESUME);
      });
    }
    if (this.#session.reading === this.#socket.isPaused()) {
      if (this.#session.reading) this.#socket.resume();
      else this.#socket.pause();
    }
  }

  /** False when the socket's buffer is full. */
  #write(output: IpcOutput, nowMs: number): boolean {
    const socket = this.#socket;
    const only = output.only;
    let open = true;
    if (only !== null) open = socket.write(this.#shared.buffers.of(only));
    else {
      socket.cork();
      for (const bytes of output.pieces) open = socket.write(bytes);
      socket.uncork();
    }
    this.#shared.rests.given(this.#member, only === null ? 0 : only.length, nowMs);
    // Nearly always the kernel takes all at once.
    if (socket.writableLength === 0) output.taken();
    else this.#keep(output.leave());
    return open;
  }

  /** Frames come back once the kernel has taken what was written so far; who writes a few bytes late is told in no other way. */
  #keep(lent: readonly AnswerFrame[]): void {
    if (lent.length === 0) return;
    this.#socket.write(EMPTY_BYTES, () => {
      for (const frame of lent) frame.giveBack();
    });
  }

  #run(effect: IpcEffect): void {
    switch (effect.kind) {
      case "call":
        this.#options.metrics?.count("agent.ipc.command", 1);
        void this.#answer(effect.call);
        return;
      case "watchEvents":
        this.#events?.();
        this.#events = effect.on ? this.#options.agent.subscribe((event) => this.#offer({ kind: "event", event })) : null;
        return;
      case "watchLogs":
        return this.#watchLogs(effect.level);
      case "logLine":
        this.#options.logs.write(effect.level, effect.text);
        return;
      case "dropped":
        this.#options.metrics?.count("agent.ipc.dropped", effect.count);
        this.#options.logs.write("warn", `agent.ipc: Dropped ${effect.count} records of ${effect.stream} ${effect.seq}: the client reads too slowly`);
        return;
      case "shutdown":
        (this.#options.onLeave ?? (() => void this.#options.agent.shutdown()))();
        return;
      case "close":
        return; // Done after the output is written.
    }
  }

  #watchLogs(level: string | null): void {
    this.#logs?.close();
    this.#logs = null;
    const parsed = level === null ? null : parseLogLevel(level);
    if (parsed !== null) this.#logs = this.#options.logs.subscribe(parsed, (line) => this.#offer({ kind: "log", line }), { replay: true });
  }

  async #answer(call: IpcCall): Promise<void> {
    let answer: IpcAnswer;
    try {
      answer = await this.#ask(call);
    } catch (error) {
      if (error instanceof AssertionError) throw error; // A bug of ours must end the process, not one request.
      answer = { error: error instanceof Error ? error.message : String(error) };
    }
    this.#step({ kind: "answer", answer });
  }

  async #ask(call: IpcCall): Promise<IpcAnswer> {
    const { agent } = this.#options;
    switch (call.kind) {
      case "event":
        await agent.userEvent(call.name, call.payload, call.coalesce);
        break;
      case "forceLeave":
        await agent.forceLeave(call.node, call.prune);
        break;
      case "join":
        return agent.join(call.addresses, call.replay);
      case "setTags":
        await agent.setTags(call.tags);
        break;
      case "query": {
        let done = false;
        const cancel = await agent.query(call.name, call.payload, call, (record) => {
          done ||= record.kind === "done";
          if (done) this.#queries.delete(call.query);
          this.#offer({ kind: "queryRecord", query: call.query, record });
        });
        if (this.#closed) cancel();
        else if (!done) this.#queries.set(call.query, cancel);
        break;
      }
      case "respond":
        await agent.respond(call.token, call.payload);
        break;
      case "keys":
        return agent.keys(call.operation, call.key);
      case "leave":
        await agent.leave();
        break;
    }
    return { error: "" };
  }

  /** Ends everything that could call us again. */
  #release(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#events?.();
    this.#logs?.close();
    for (const cancel of this.#queries.values()) cancel();
    this.#queries.clear();
    this.#onClosed();
    this.#socket.resume(); // So that the end of the other side is noticed; what still arrives is ignored.
  }
}
