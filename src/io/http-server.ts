/**
 * The HTTP port: carries requests to `api/http` and its plans to the agent. Bounds: connections per client, bytes of a body, work per turn; when the event
 * loop is late, new requests are turned away first, since a slow API must never make the node look dead.
 */
import { createServer, STATUS_CODES, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { gzipSync } from "node:zlib";
import type { AgentCall, AgentOutcome } from "../api/http/agent-calls.ts";
import { planRequest } from "../api/http/front.ts";
import type { HttpAnswer, HttpContext, HttpPlan, HttpRequest } from "../api/http/types.ts";
import type { RpcArgs, RpcMethod, RpcOutcome } from "../api/rpc/types.ts";
import { formatEndpoint, type Endpoint } from "../base/endpoint.ts";
import { listenErrorText } from "./go-errors.ts";

/** What serves the plans. Each callback comes once, later than the call or at once, and never after `cancel`. */
export interface HttpBackend {
  readonly context: HttpContext;
  call(method: RpcMethod, args: RpcArgs, done: (outcome: RpcOutcome) => void): { cancel(): void };
  /** Never rejects. */
  agent(call: AgentCall): Promise<AgentOutcome>;
  /** How late the event loop is, in ms. */
  loopDelayMs(): number;
  count(name: string, delta: number): void;
  log(level: "debug" | "warn" | "err", text: string): void;
}

export interface HttpServerOptions {
  readonly listen: Endpoint;
  /** `limits.http_max_conns_per_client`. */
  readonly connectionsPerClientMax: number;
}

export interface HttpServer {
  readonly address: Endpoint;
  close(): Promise<void>;
}

/** Above this delay of the event loop new requests get 429. */
const OVERLOADED_MS = 50;
/** More than any body that a handler accepts, unless the configuration allows more: what is larger is refused while it still arrives. */
const BODY_BYTES_MAX = 2 * 1024 * 1024;
/** A client has this long to send its headers. */
const HEADERS_TIMEOUT_MS = 10_000;
/** Longer than any blocking query with its jitter: 10 min and 1/16 of them. */
const REQUEST_TIMEOUT_MS = 15 * 60_000;
const IDLE_TIMEOUT_MS = 120_000;
/** Go's server tells the length of what fits its buffer, and sends larger bodies in chunks. */
const KNOWN_LENGTH_MAX = 2048;

/** Rejects with Go's text when the port cannot be had. */
export async function startHttpServer(options: HttpServerOptions, backend: HttpBackend): Promise<HttpServer> {
  const server = createServer({ keepAliveTimeout: IDLE_TIMEOUT_MS, headersTimeout: HEADERS_TIMEOUT_MS, requestTimeout: REQUEST_TIMEOUT_MS, noDelay: true }, (request, response) => {
    serve(request, response, backend);
  });
  limitConnections(server, options.connectionsPerClientMax, backend);
  server.on("clientError", (_error, socket: Socket) => {
    if (socket.writable) socket.end("HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n400 Bad Request");
    else socket.destroy();
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error) => reject(new Error(listenErrorText("tcp", formatEndpoint(options.listen), error))));
    server.listen({ host: options.listen.ip, port: options.listen.port }, resolve);
  });
  const { port } = server.address() as AddressInfo;
  return {
    address: { ip: options.listen.ip, port },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function limitConnections(server: Server, max: number, backend: HttpBackend): void {
  const perClient = new Map<string, number>();
  server.on("connection", (socket) => {
    const ip = socket.remoteAddress ?? "";
    const open = (perClient.get(ip) ?? 0) + 1;
    if (open > max) {
      backend.count("rpc.http.refused", 1);
      socket.destroy();
      return;
    }
    perClient.set(ip, open);
    socket.once("close", () => {
      const left = (perClient.get(ip) ?? 1) - 1;
      if (left === 0) perClient.delete(ip);
      else perClient.set(ip, left);
    });
  });
}

function serve(request: IncomingMessage, response: ServerResponse, backend: HttpBackend): void {
  // Go says nothing about connections that stay open; neither do we.
  response.removeHeader("Connection");
  if (backend.loopDelayMs() > OVERLOADED_MS) {
    backend.count("rpc.http.overloaded", 1);
    request.resume();
    send(request, response, { status: 429, headers: [], body: "" });
    return;
  }
  if (request.headers["content-length"] === undefined && request.headers["transfer-encoding"] === undefined) {
    carryOut(request, response, NO_BODY, backend);
    return;
  }
  const bytesMax = Math.max(BODY_BYTES_MAX, backend.context.kvMaxValueBytes, backend.context.txnMaxBytes);
  readBody(request, bytesMax, (body) => {
    if (body === null) send(request, response, { status: 413, headers: [], body: `Request body too large, max size: ${bytesMax} bytes.`, close: true });
    else carryOut(request, response, body, backend);
  });
}

const NO_BODY = new Uint8Array();

/** `done` with null when the body is larger than anything we take; the rest is not read. Never called when the client goes away. */
function readBody(request: IncomingMessage, bytesMax: number, done: (body: Uint8Array | null) => void): void {
  if (Number(request.headers["content-length"] ?? 0) > bytesMax) {
    request.resume();
    done(null);
    return;
  }
  const pieces: Buffer[] = [];
  let length = 0;
  request.on("data", (piece: Buffer) => {
    length += piece.length;
    if (length > bytesMax) {
      request.removeAllListeners("data");
      request.removeAllListeners("end");
      request.resume();
      done(null);
      return;
    }
    pieces.push(piece);
  });
  request.on("end", () => done(pieces.length === 1 ? (pieces[0] as Buffer) : Buffer.concat(pieces)));
}

function carryOut(request: IncomingMessage, response: ServerResponse, body: Uint8Array, backend: HttpBackend): void {
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
    plan = planRequest(asked, backend.context);
  } catch (error) {
    // A fault of ours must cost one request, not the node.
    backend.log("err", `agent.http: ${asked.method} ${asked.rawPath}: ${String(error)}`);
    send(request, response, { status: 500, headers: [], body: "internal error" });
    return;
  }
  if (plan.kind === "answer") {
    if (plan.answer.unframed === true) sendUnframed(request, plan.answer);
    else send(request, response, plan.answer);
    return;
  }
  if (plan.kind === "agent") {
    const { answer } = plan;
    void backend.agent(plan.call).then((outcome) => send(request, response, answer(outcome)));
    return;
  }
  const { answer } = plan;
  let answered = false;
  const call = backend.call(plan.method, plan.args, (outcome) => {
    answered = true;
    send(request, response, answer(outcome));
  });
  if (!answered) {
    response.once("close", () => {
      if (!answered) call.cancel();
    });
  }
}

/** What a client that takes us for a proxy sends: "http://host/path" (RFC 7230 §5.3.2). */
function originForm(url: string): string {
  const absolute = /^https?:\/\/[^/?]*/i.exec(url);
  if (absolute === null) return url;
  const rest = url.slice(absolute[0].length);
  return rest.startsWith("/") ? rest : `/${rest}`;
}

function send(request: IncomingMessage, response: ServerResponse, answer: HttpAnswer): void {
  if (response.destroyed) return;
  const headers: string[] = [];
  let body = answer.body;
  const compressed = body.length > 0 && acceptsGzip(request);
  // A length in the answer is that of the plain body.
  for (const [name, value] of answer.headers) if (!compressed || name !== "Content-Length") headers.push(name, value);
  if (compressed) {
    body = gzipSync(body);
    headers.push("Content-Encoding", "gzip");
  }
  if (answer.close === true) headers.push("Connection", "close");
  const length = typeof body === "string" ? Buffer.byteLength(body) : body.length;
  if (length <= KNOWN_LENGTH_MAX && !headers.includes("Content-Length")) headers.push("Content-Length", String(length));
  response.writeHead(answer.status, headers);
  response.end(request.method === "HEAD" ? undefined : body);
}

/** As Go's server answers what it does not take for HTTP: without a length, and the connection ends. */
function sendUnframed({ socket }: IncomingMessage, { status, headers, body }: HttpAnswer): void {
  const lines = headers.map(([name, value]) => `${name}: ${value}\r\n`).join("");
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ""}\r\n${lines}Connection: close\r\n\r\n${String(body)}`);
}

/** Any size is compressed when asked for, as the original does. */
function acceptsGzip(request: IncomingMessage): boolean {
  const accepted = request.headers["accept-encoding"];
  return typeof accepted === "string" && /(^|[ ,])gzip($|[ ,;])/.test(accepted) && !/gzip *; *q=0(\.0*)?($|[ ,])/.test(accepted);
}
