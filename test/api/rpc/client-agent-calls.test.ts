/** The calls that only client agents make, against bytes of an original client and an original server. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { decodeArgs, decodeReply, encodeArgs, encodeReply } from "../../../src/api/rpc/codec.ts";
import type { NodeArgs, NodeWithServices, Queried } from "../../../src/api/rpc/types.ts";

const LIST_ARGS =
  "8daa416c6c6f775374616c65c3aa4461746163656e746572a477697265a646696c746572a0a64d617841676500ac4d6178517565727954696d6500b04d61785374616c654475" +
  "726174696f6ece77359400ad4d696e5175657279496e64657800ae4d757374526576616c6964617465c2a44e6f6465a27839b152657175697265436f6e73697374656e74c2ac" +
  "5374616c6549664572726f7200a5546f6b656ea0a85573654361636865c2";
const LIST_REPLY =
  "85b0436f6e73697374656e63794c6576656ca0a5496e6465780bab4b6e6f776e4c6561646572c3ab4c617374436f6e7461637400ac4e6f6465536572766963657382a44e6f64" +
  "6588a741646472657373a93132372e302e312e39ab437265617465496e6465780aaa4461746163656e746572a477697265a24944da002433333333333333332d636363632d34" +
  "6363632d386363632d303030303030303030303039a44d657461c0ab4d6f64696679496e6465780aa44e6f6465a27839af546167676564416464726573736573c0a853657276" +
  "69636573c0";
const UPDATE_ARGS =
  "85a5436f6f726484aa41646a7573746d656e74cb3f02f6dcaa9b5605a54572726f72cb3fdd7dc73577572ca6486569676874cb3ee4f8b588e368f1a356656398cbbf067a5846" +
  "fa49d0cbbf1fc242262ab0decb3ef392d08125b71dcb3f0375b1fa2b5865cb3ea257afeff3fb78cbbeba3c2f305f1019cbbf1302af42456928cb3f11b7f86c85679baa446174" +
  "6163656e746572a477697265a44e6f6465a27839a75365676d656e74a0a5546f6b656ea0";
const UPDATE_REPLY = "80";

const bytes = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex, "hex"));

function listArgs(): NodeArgs {
  const args = decodeArgs("Catalog.NodeServiceList", bytes(LIST_ARGS));
  assert.ok(args.ok);
  return args.value as NodeArgs;
}

test("a client asks for the services of its own node, and a stale answer will do", () => {
  const args = listArgs();
  assert.deepEqual([args.node, args.datacenter, args.options.allowStale, args.options.maxStaleMs], ["x9", "wire", true, 2000]);
});

test("the list of a node without services is, byte by byte, the original's", () => {
  const reply = decodeReply("Catalog.NodeServiceList", bytes(LIST_REPLY), listArgs());
  assert.ok(reply.ok);
  const { value } = reply.value as Queried<NodeWithServices | null>;
  assert.equal(value?.node.address, "127.0.1.9");
  assert.equal(Buffer.from(encodeReply("Catalog.NodeServiceList", reply.value)).toString("hex"), LIST_REPLY);
});

test("the list of a node nobody knows has no node", () => {
  const args = listArgs();
  const meta = { index: 5, lastContactMs: 0, knownLeader: true, consistency: "stale" } as const;
  const reply = decodeReply("Catalog.NodeServiceList", encodeReply("Catalog.NodeServiceList", { meta, value: null }), args);
  assert.deepEqual(reply, { ok: true, value: { meta, value: null } });
});

test("a coordinate is taken and answered with nothing", () => {
  const told = decodeArgs("Coordinate.Update", bytes(UPDATE_ARGS));
  assert.ok(told.ok && "coord" in told.value && told.value.coord !== null);
  assert.deepEqual([told.value.datacenter, told.value.node, told.value.segment, told.value.coord.vec.length, told.value.coord.height], ["wire", "x9", "", 8, 0.00001]);
  assert.equal(Buffer.from(encodeArgs("Coordinate.Update", told.value)).toString("hex"), UPDATE_ARGS);
  assert.equal(Buffer.from(encodeReply("Coordinate.Update", null)).toString("hex"), UPDATE_REPLY);
});
