/**
 * The HTTP port: carries requests to `api/http` and its plans to the agent. Bounds: connections per client and in all, requests under way on one, bytes of a head, of a body, of all
 * bodies and of answers that are not taken, work per turn; when the event loop is late, new requests are turned away first, since a slow API must never make the node look dead.
 */
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import type { AgentCall, AgentOutcome } from "../api/http/agent-calls.ts";
import { planRequest } from "../api/http/front.ts";
import type { HttpAnswer, HttpContext, HttpPlan, HttpRequest } from "../api/http/types.ts";
import type { RpcArgs, RpcMethod, RpcOutcome } from "../api/rpc/types.ts";
import { formatEndpoint, type Endpoint } from "../base/endpoint.ts";
import { listenErrorText } from "./go-errors.ts";
import { send, sendUnframed, type Turns } from "./http-answer.ts";
import { HELD_BYTES_MAX, HELD_FROM_BYTES, HttpConnections, type Waiting } from "./http-connections.ts";
import { Bodies, WholeRequest } from "./http-request.ts";
import { ACCEPT_BACKLOG } from "./network.ts";
import { monotonicMs } from "./clock.ts";
import { TurnBudget } from "./turn-budget.ts";
import { TurnShare } from "./turn-share.ts";

/** What serves the plans. Each callback comes once, later than the call or at once, and never after `cancel`. */
export interface HttpBackend {
  readonly context: HttpContext;
  call(method: RpcMethod, args: RpcArgs, done: (outcome: RpcOutcome) => void): { cancel(): void };
  /** A promise when it takes time; it never rejects. */
  agent(call: AgentCall): AgentOutcome | Promise<AgentOutcome>;
  /** How late the event loop is, in ms. */
  loopDelayMs(): number;
  count(name: string, delta: number): void;
  log(level: "debug" | "warn" | "err", text: string): void;
}

export interface HttpServerOptions {
  readonly listen: Endpoint;
  /** `limits.http_max_conns_per_client`. */
  readonly connectionsPerClientMax: number;
  /** In place of the constants, for tests. */
  readonly bodiesBytesMax?: number;
  readonly heldBytesMax?: number;
  /** In place of the clock. */
  readonly nowMs?: () => number;
}

export interface HttpServer {
  readonly address: Endpoint;
  close(): Promise<void>;
}

/** Above this delay of the event loop new requests get 429. */
export const OVERLOADED_MS = 50;
/** More than any body that a handler accepts, unless the configuration allows more: what is larger is refused while it still arrives. */
export const BODY_BYTES_MAX = 2 * 1024 * 1024;
/** Of the bodies of all clients that have not come to their end. */
export const BODIES_BYTES_MAX = 256 * 1024 * 1024;
/** Request line and headers. A filter of the greatest length, with every character escaped, is 24 KiB; the original takes 1 MiB, of every connection. */
export const HEAD_BYTES_MAX = 64 * 1024;
/** Answers written in one turn: about 2 ms of work. A long one counts once more for each so many bytes. */
const TURN_UNITS_MAX = 128;
const UNIT_BYTES = 4096;
/** Bytes of a piece of a long answer are still to be made. Measured: 25 µs for 1 KiB of keys with small values. */
const PIECE_FACTOR = 4;
/** A client has this long to send its headers. */
const HEADERS_TIMEOUT_MS = 10_000;
/** Longer than any blocking query with its jitter: 10 min and 1/16 of them. */
const REQUEST_TIMEOUT_MS = 15 * 60_000;

/** Rejects with Go's text when the port cannot be had. */
export async function startHttpServer(options: HttpServerOptions, backend: HttpBackend): Promise<HttpServer> {
  const settings = { IncomingMessage: WholeRequest, maxHeaderSize: HEAD_BYTES_MAX, keepAliveTimeout: 0, headersTimeout: HEADERS_TIMEOUT_MS, requestTimeout: REQUEST_TIMEOUT_MS, noDelay: true };
  const server = createServer(settings, (request, response) => new Exchange(request, response, port).begin());
  const connections = new HttpConnections(server, { perClient: options.connectionsPerClientMax }, backend.count.bind(backend));
  const answers = new TurnShare(TURN_UNITS_MAX);
  const pieces: Turns = (work) => answers.run(() => (PIECE_FACTOR * work()) / UNIT_BYTES);
  const port: Port = { backend, connections, bodies: new Bodies(options.bodiesBytesMax ?? BODIES_BYTES_MAX), heldBytesMax: options.heldBytesMax ?? HELD_BYTES_MAX, answers, pieces, local: new TurnBudget(options.nowMs ?? monotonicMs) };
  server.on("clientError", (error: NodeJS.ErrnoException, socket: Socket) => {
    if (!socket.writable) {
      socket.destroy();
      return;
    }
    const tooLarge = error.code === "HPE_HEADER_OVERFLOW";
    if (tooLarge) backend.count("rpc.http.head_too_large", 1);
    const status = tooLarge ? "431 Request Header Fields Too Large" : "400 Bad Request";
    socket.end(`HTTP/1.1 ${status}\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n${status}`);
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error) => reject(new Error(listenErrorText("tcp", formatEndpoint(options.listen), error))));
    server.listen({ host: options.listen.ip, port: options.listen.port, backlog: ACCEPT_BACKLOG }, resolve);
  });
  return {
    address: { ip: options.listen.ip, port: (server.address() as AddressInfo).port },
    close: () =>
      new Promise((resolve) => {
        connections.stop();
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

const NO_BODY = new Uint8Array();

/** What the exchanges of one port share. */
interface Port {
  readonly backend: HttpBackend;
  readonly connections: HttpConnections;
  readonly bodies: Bodies;
  readonly heldBytesMax: number;
  /** One commit, or one change that many watch, makes hundreds of answers ready at once. */
  readonly answers: TurnShare;
  /** The same share, for answers that are made piece by piece. */
  readonly pieces: Turns;
  /**
   * Of what asks for the agent's own services and checks: its answer is made as it is asked. A few hundred clients, each with a list of some ms, made turns of half a
   * second, and 429 in between to whoever came then.
   */
  readonly local: TurnBudget;
}

/** One request and its answer. */
class Exchange implements Waiting {
  readonly #request: WholeRequest;
  readonly #response: ServerResponse;
  readonly #socket: Socket;
  readonly #port: Port;
  #answered = false;
  #call: { cancel(): void } | null = null;

  constructor(request: WholeRequest, response: ServerResponse, port: Port) {
    this.#request = request;
    this.#response = response;
    this.#socket = request.socket;
    this.#port = port;
  }

  begin(): void {
    const request = this.#request;
    const { backend, bodies, connections, heldBytesMax } = this.#port;
    connections.asked(this.#socket, this);
    if (backend.loopDelayMs() > OVERLOADED_MS) this.#turnAway("rpc.http.overloaded");
    else if (connections.heldBytes > heldBytesMax) this.#turnAway("rpc.http.held");
    else if (request.headers["content-length"] === undefined && request.headers["transfer-encoding"] === undefined) this.#carryOut(NO_BODY);
    else {
      const bytesMax = Math.max(BODY_BYTES_MAX, backend.context.kvMaxValueBytes, backend.context.txnMaxBytes);
      request.gather(bytesMax, bodies, (body) => {
        if (body === "large") this.#send({ status: 413, headers: [], body: `Request body too large, max size: ${bytesMax} bytes.`, close: true });
        else if (body === "busy") this.#turnAway("rpc.http.bodies", true);
        else this.#carryOut(body);
      });
    }
  }

  #turnAway(counted: string, close = false): void {
    this.#port.backend.count(counted, 1);
    this.#send({ status: 429, headers: [], body: "", close });
  }

  #send(answer: HttpAnswer): void {
    if (this.#answered) return;
    this.#answered = true;
    const { connections } = this.#port;
    // A long answer is under way until it is sent.
    if (answer.more === undefined) connections.answered(this.#socket, this);
    else this.#response.once("finish", () => connections.answered(this.#socket, this));
    if (answer.unframed === true) sendUnframed(this.#request, answer);
    else send(this.#request, this.#response, answer, this.#port.pieces);
    if (answer.body.length >= HELD_FROM_BYTES && !this.#response.writableFinished) this.#response.once("finish", connections.hold(this.#socket, answer.body.length));
  }

  #carryOut(body: Uint8Array): void {
    const request = this.#request;
    const url = originForm(request.url ?? "/");
    const mark = url.indexOf("?");
    const asked: HttpRequest = {
      method: request.method ?? "GET",
      rawPath: mark < 0 ? url : url.slice(0, mark),
      rawQuery: mark < 0 ? "" : url.slice(mark + 1),
      headers: request.headers as Record<string, string | undefined>,
      body,
    };
    let plan: HttpPlan;
    try {
      plan = planRequest(asked, this.#port.backend.context);
    } catch (error) {
      this.#fault(error);
      return;
    }
    switch (plan.kind) {
      case "answer":
        this.#send(plan.answer);
        return;
      case "agent":
        this.#askAgent(plan.call, plan.answer);
        return;
      case "rpc": {
        const { answer } = plan;
        this.#call = this.#port.backend.call(plan.method, plan.args, (outcome) => this.#ready(answer, outcome));
      }
    }
  }

  #askAgent(call: AgentCall, answer: (outcome: AgentOutcome) => HttpAnswer): void {
    const { local } = this.#port;
    // The others are short, or made once for all of a turn.
    if (call.kind !== "local") this.#askNow(call, answer);
    else if (local.spent) local.defer(() => this.#askNow(call, answer));
    else local.run(() => this.#askNow(call, answer));
  }

  #askNow(call: AgentCall, answer: (outcome: AgentOutcome) => HttpAnswer): void {
    if (this.#answered) return; // The client has gone while it waited for its turn.
    const outcome = this.#port.backend.agent(call);
    if (outcome instanceof Promise) outcome.then((later) => this.#made(answer, later)).catch((error: unknown) => this.#fault(error));
    else this.#made(answer, outcome);
  }

  #ready(answer: (outcome: RpcOutcome) => HttpAnswer, outcome: RpcOutcome): void {
    this.#port.answers.run(() => (this.#answered ? 0 : 1 + this.#made(answer, outcome) / UNIT_BYTES));
  }

  /** Sends what the outcome is made into; gives the length of its body. */
  #made<Outcome>(answer: (outcome: Outcome) => HttpAnswer, outcome: Outcome): number {
    try {
      const ready = answer(outcome);
      // One change can wake thousands who watch the same large thing.
      if (ready.body.length >= HELD_FROM_BYTES && this.#port.connections.heldBytes > this.#port.heldBytesMax) this.#turnAway("rpc.http.held");
      else this.#send(ready);
      return ready.body.length;
    } catch (error) {
      this.#fault(error);
      return 0;
    }
  }

  /** A fault of ours must cost one request, not the node, whose step this may be a part of. */
  #fault(error: unknown): void {
    this.#port.backend.log("err", `agent.http: ${this.#request.method ?? "GET"} ${this.#request.url ?? "/"}: ${String(error)}`);
    this.#send({ status: 500, headers: [], body: "internal error" });
  }

  abandoned(): void {
    this.#answered = true;
    this.#request.giveUp();
    this.#call?.cancel();
  }
}

/** What a client that takes us for a proxy sends: "http://host/path" (RFC 7230 §5.3.2). */
function originForm(url: string): string {
  if (url.startsWith("/")) return url;
  const absolute = /^https?:\/\/[^/?]*/i.exec(url);
  if (absolute === null) return url;
  const rest = url.slice(absolute[0].length);
  return rest.startsWith("/") ? rest : `/${rest}`;
}
