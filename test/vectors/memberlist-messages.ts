/** memberlist-messages: fields to bytes and back, for every message, node states and stream headers. */
import { strict as assert } from "node:assert";
import { toHex } from "../../src/base/bytes.ts";
import { decodeStreamMessage, encodePushPull, encodeStreamUser, readPushPullHead, readUserHead } from "../../src/wire/gossip-codec.ts";
import { Reader } from "../../src/wire/msgpack.ts";
import { attempt, fieldsOf } from "./compare.ts";
import { checkDecoded, checkNodeState, encodeFields } from "./gossip-fields.ts";
import type { Report } from "./registry.ts";
import { asNumber, hexBytes, type Fields } from "./values.ts";

interface Case {
  readonly name: string;
  readonly type: number;
  readonly fields: Fields;
  readonly hex: string;
}
interface Recording {
  readonly messages: readonly Case[];
  readonly pushNodeStates: readonly Case[];
  readonly streamHeaders: readonly Case[];
}

export function checkMemberlistMessages(data: unknown, report: Report): void {
  const { messages, pushNodeStates, streamHeaders } = fieldsOf<Recording>(data, ["messages", "pushNodeStates", "streamHeaders"], report);
  for (const { name, type, fields, hex } of messages ?? []) {
    attempt(`decode ${name}`, report, () => {
      assert.equal(hexBytes(hex)[0], type);
      checkDecoded(hexBytes(hex), type, fields);
    });
    attempt(`encode ${name}`, report, () => assert.equal(toHex(encodeFields(type, fields)), hex));
  }
  for (const { name, fields, hex } of pushNodeStates ?? []) attempt(name, report, () => checkNodeState(hex, hexBytes(hex), fields));
  for (const { name, type, fields, hex } of streamHeaders ?? []) {
    attempt(`${name} ${JSON.stringify(fields)}`, report, () => checkStreamHeader(type, fields, hexBytes(hex)));
  }
}

/** Our encoders write whole messages: the header must be their beginning. */
function checkStreamHeader(type: number, fields: Fields, bytes: Uint8Array): void {
  const reader = new Reader(bytes, 1);
  assert.equal(bytes[0], type);
  if (type === 8) {
    const length = readUserHead(reader);
    assert.deepEqual({ UserMsgLen: length }, fields);
    const message = encodeStreamUser(new Uint8Array(length));
    assert.equal(toHex(message.subarray(0, bytes.length)), toHex(bytes));
    assert.equal(message.length, bytes.length + length);
  } else {
    assert.equal(type, 6, "unknown stream header");
    const { join, nodes, userStateLength } = readPushPullHead(reader);
    assert.deepEqual({ Join: join, Nodes: nodes, UserStateLen: userStateLength }, fields);
    const empty = { name: "", addr: new Uint8Array(0), port: 0, meta: new Uint8Array(0), incarnation: 0, state: 0, versions: new Uint8Array(0) };
    const userState = userStateLength === 0 ? null : new Uint8Array(asNumber(fields["UserStateLen"]));
    const message = encodePushPull({ join, nodes: new Array(nodes).fill(empty), userState });
    assert.equal(toHex(message.subarray(0, bytes.length)), toHex(bytes));
    assert.equal(decodeStreamMessage(message).ok, true);
  }
  assert.equal(reader.failed, false);
  assert.equal(reader.left, 0);
}
