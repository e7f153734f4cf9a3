/**
 * Writes answers. Most are short ASCII texts and leave as one string in one write: through `end(body)` node:http would check and join the headers one by one,
 * cork the socket and hand the kernel head and body apart, which costs as much as the request's way through the server. The string takes the place of the
 * rendered head that every response keeps; where there is none (another Node), or the answer is none of the plain kind, node:http's own methods do it.
 */
import { STATUS_CODES, type IncomingMessage, type ServerResponse } from "node:http";
import type { Writable } from "node:stream";
import { createGzip, gzip, gzipSync } from "node:zlib";
import type { HttpAnswer } from "../api/http/types.ts";

/** Go's server tells the length of what fits its buffer, and sends larger bodies in chunks. */
const KNOWN_LENGTH_MAX = 2048;
/** Longer texts are not joined with their head: the copy would cost more than the second piece. */
const JOINED_LENGTH_MAX = 64 * 1024;

/** Longer bodies are compressed by a thread of the pool: 1 MiB takes main 20 ms. */
export const GZIP_AT_ONCE_MAX = 32 * 1024;

/** Runs work now or in a later turn; it returns how much it was, in bytes. */
export type Turns = (work: () => number) => void;

/** `turns`: where the pieces of a long answer share the time with others. */
export function send(request: IncomingMessage, response: ServerResponse, answer: HttpAnswer, turns: Turns = (work) => void work()): void {
  if (response.destroyed) return;
  const { body } = answer;
  if (answer.more !== undefined) sendLong(request, response, answer, answer.more, turns);
  else if (body.length === 0 || !acceptsGzip(request)) {
    if (!sendPlain(request, response, answer)) sendAny(request, response, answer, null);
  } else if (body.length <= GZIP_AT_ONCE_MAX) sendAny(request, response, answer, gzipSync(body));
  else {
    gzip(body, (error, zipped) => {
      if (!response.destroyed) sendAny(request, response, answer, error === null ? zipped : null);
    });
  }
}

/** The part of node:http's response that is used here beyond its types. */
interface RenderedHead {
  _header?: string | null;
}

const ASCII = /^[\0-\x7f]*$/;
/** What may stand in a header, of what we send: visible ASCII and blanks. */
const HEADER = /^[ -~]*$/;

/** False, and nothing done, when the answer is none of the plain kind. */
function sendPlain(request: IncomingMessage, response: ServerResponse & RenderedHead, { status, headers, body, close }: HttpAnswer): boolean {
  if (typeof body !== "string" || body.length > JOINED_LENGTH_MAX || close === true || response._header !== null) return false;
  if (!response.shouldKeepAlive || request.httpVersionMinor !== 1 || request.method === "HEAD" || status < 200 || status === 204 || status === 304) return false;
  let head = statusLine(status);
  for (const [name, value] of headers) {
    if (name === "Content-Length" || !HEADER.test(value)) return false;
    head += `${name}: ${value}\r\n`;
  }
  if (!ASCII.test(body)) return false;
  response.statusCode = status;
  if (body.length <= KNOWN_LENGTH_MAX) response._header = `${head}Content-Length: ${body.length}\r\nDate: ${dateText()}\r\n\r\n${body}`;
  else response._header = `${head}Date: ${dateText()}\r\nTransfer-Encoding: chunked\r\n\r\n${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`;
  response.end();
  return true;
}

const statusLines = new Map<number, string>();

function statusLine(status: number): string {
  let line = statusLines.get(status);
  if (line === undefined) {
    line = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? "unknown"}\r\n`;
    statusLines.set(status, line);
  }
  return line;
}

let dateSecond = 0;
let date = "";

/** Of the present second; written anew once a second. */
function dateText(): string {
  const second = Math.floor(Date.now() / 1000);
  if (second !== dateSecond) {
    dateSecond = second;
    date = new Date(second * 1000).toUTCString();
  }
  return date;
}

function sendAny(request: IncomingMessage, response: ServerResponse, answer: HttpAnswer, zipped: Uint8Array | null): void {
  // Go says nothing about connections that stay open; neither do we.
  response.removeHeader("Connection");
  const headers: string[] = [];
  // A length in the answer is that of the plain body.
  for (const [name, value] of answer.headers) if (zipped === null || name !== "Content-Length") headers.push(name, value);
  const body = zipped ?? answer.body;
  if (zipped !== null) headers.push("Content-Encoding", "gzip");
  if (answer.close === true) headers.push("Connection", "close");
  const length = typeof body === "string" ? Buffer.byteLength(body) : body.length;
  if (length <= KNOWN_LENGTH_MAX && !headers.includes("Content-Length")) headers.push("Content-Length", String(length));
  response.writeHead(answer.status, headers);
  response.end(request.method === "HEAD" ? undefined : body);
}

/** A piece in a turn, and none before the client has taken those before it. What is compressed is compressed by a thread of the pool. */
function sendLong(request: IncomingMessage, response: ServerResponse, { status, headers, body }: HttpAnswer, more: Iterator<string, void>, turns: Turns): void {
  const compressed = acceptsGzip(request);
  response.removeHeader("Connection");
  response.writeHead(status, [...headers.flat(), ...(compressed ? ["Content-Encoding", "gzip"] : [])]);
  if (request.method === "HEAD") {
    response.end();
    return;
  }
  const out: Writable = compressed ? createGzip() : response;
  if (out !== response) out.pipe(response);
  const next = (): number => {
    if (response.destroyed) return 0;
    const piece = more.next();
    if (piece.done === true) {
      out.end();
      return 0;
    }
    pass(piece.value);
    return piece.value.length;
  };
  const later = (): void => void setImmediate(() => turns(next));
  const pass = (piece: string | Uint8Array): void => {
    if (out.write(piece)) later();
    else out.once("drain", later);
  };
  pass(body);
}

/** As Go's server answers what it does not take for HTTP: without a length, and the connection ends. */
export function sendUnframed({ socket }: IncomingMessage, { status, headers, body }: HttpAnswer): void {
  const lines = headers.map(([name, value]) => `${name}: ${value}\r\n`).join("");
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ""}\r\n${lines}Connection: close\r\n\r\n${String(body)}`);
}

/** Any size is compressed when asked for, as the original does. */
function acceptsGzip(request: IncomingMessage): boolean {
  const accepted = request.headers["accept-encoding"];
  return typeof accepted === "string" && /(^|[ ,])gzip($|[ ,;])/.test(accepted) && !/gzip *; *q=0(\.0*)?($|[ ,])/.test(accepted);
}
