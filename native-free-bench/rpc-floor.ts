#!/usr/bin/env node
/**
 * What any agent in Node pays at least: a program with Serf's command line that answers the RPC calls `members`, with one member, and `event`, and does nothing else. It knows
 * no other calls than a handshake, and takes each request as one piece, as clients with one call under way send it.
 * Beside an agent: `npm run bench -- --only rpc --members 1 --against dist/native-free-bench/rpc-floor.js`.
 */
import { createServer } from "node:net";
import { encodeMembers, SUCCESS_HEADER_BYTES_MAX, writeSuccessHeader } from "../src/wire/ipc-responses.ts";

const RPC_FLAG = "-rpc-addr=";
/** `{Command: …, Seq: …}` in msgpack, in that order: the command's length, its first letter and the number stand here. */
const COMMAND_LENGTH_AT = 9;
const COMMAND_AT = 10;
const SHORT_LENGTH = 0x1f;
const SEQ_NAME_BYTES = 4;
const UINT8 = 0xcc;
const UINT16 = 0xcd;
const FIXINT_MAX = 0x7f;

const MEMBERS = encodeMembers([{
  name: "bench", addr: Uint8Array.of(127, 0, 0, 1), port: 7946, tags: new Map(), status: "alive", protocolMin: 1, protocolMax: 5, protocolCur: 2, delegateMin: 2, delegateMax: 5, delegateCur: 4,
}]);
const NOTHING = new Uint8Array(0);

function seqAt(request: Buffer, at: number): number {
  const tag = request[at] as number;
  if (tag <= FIXINT_MAX) return tag;
  return tag === UINT8 ? request.readUInt8(at + 1) : tag === UINT16 ? request.readUInt16BE(at + 1) : request.readUInt32BE(at + 1);
}

function answerTo(request: Buffer): Uint8Array {
  const length = (request[COMMAND_LENGTH_AT] as number) & SHORT_LENGTH;
  const body = length === "members".length && request[COMMAND_AT] === "m".charCodeAt(0) ? MEMBERS : NOTHING;
  const answer = new Uint8Array(SUCCESS_HEADER_BYTES_MAX + body.length);
  answer.set(body, SUCCESS_HEADER_BYTES_MAX);
  return answer.subarray(writeSuccessHeader(answer, SUCCESS_HEADER_BYTES_MAX, seqAt(request, COMMAND_AT + length + SEQ_NAME_BYTES)));
}

function serve(address: string): void {
  createServer({ noDelay: true }, (socket) => {
    socket.on("data", (request) => socket.write(answerTo(request)));
    socket.on("error", () => undefined);
  }).listen(Number(address.slice(address.lastIndexOf(":") + 1)), address.slice(0, address.lastIndexOf(":")));
}

const [command, ...flags] = process.argv.slice(2);
const listen = flags.find((flag) => flag.startsWith(RPC_FLAG));
if (command === "version") process.stdout.write("rpc-floor, which does nothing\n");
else if (command === "agent" && listen !== undefined) serve(listen.slice(RPC_FLAG.length));
else {
  process.stderr.write(`usage: rpc-floor.js agent ${RPC_FLAG}IP:PORT\n`);
  process.exitCode = 2;
}
