/** What a peer may say of the length of a header, of arguments and of a reply: more is refused as soon as it is said, not when it has come. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { concatBytes } from "../../src/base/bytes.ts";
import { ARGUMENTS_BYTES_MAX, encodeRpcReply, encodeRpcRequest, REPLY_BYTES_MAX, RpcReplyStream, RpcRequestStream } from "../../src/wire/server-rpc.ts";

const HEADER_BYTES_MAX = 64 * 1024;

/** The beginning of a text of so many bytes. */
function textHead(byteLength: number): Uint8Array {
  const head = new Uint8Array(5);
  head[0] = 0xdb;
  new DataView(head.buffer).setUint32(1, byteLength);
  return head;
}

const REQUEST_HEAD = encodeRpcRequest({ seq: 1, method: "KVS.Apply", body: new Uint8Array(0) })[0] as Uint8Array;
const REPLY_HEAD = encodeRpcReply({ seq: 1, method: "KVS.Apply", error: "", body: new Uint8Array(0) })[0] as Uint8Array;

test("arguments and replies up to the bound are waited for, longer ones are refused", () => {
  for (const [stream, head, max] of [[RpcRequestStream, REQUEST_HEAD, ARGUMENTS_BYTES_MAX], [RpcReplyStream, REPLY_HEAD, REPLY_BYTES_MAX]] as const) {
    for (const [byteLength, expected] of [[max - 5, "short"], [max - 4, "large"], [0xffff_ffff, "large"]] as const) {
      const reader = new stream();
      reader.append(concatBytes([head, textHead(byteLength)]));
      assert.equal(reader.next(), expected, `${byteLength}`);
      assert.ok(reader.size < 100);
    }
  }
});

test("a header is bounded too, also one of many small things", () => {
  for (const [byteLength, expected] of [[HEADER_BYTES_MAX - 100, "short"], [HEADER_BYTES_MAX, "large"]] as const) {
    const reader = new RpcRequestStream();
    // {"Seq": <text …
    reader.append(concatBytes([Uint8Array.of(0x81, 0xa3, 0x53, 0x65, 0x71), textHead(byteLength)]));
    assert.equal(reader.next(), expected, `${byteLength}`);
  }
  const nested = new RpcRequestStream();
  let verdict: unknown = "short";
  let sent = 0;
  for (; verdict === "short" && sent < 4 * HEADER_BYTES_MAX; sent += 1024) {
    nested.append(new Uint8Array(1024).fill(0x91));
    verdict = nested.next();
  }
  assert.equal(verdict, "large");
  assert.ok(sent <= HEADER_BYTES_MAX + 1024);
});
