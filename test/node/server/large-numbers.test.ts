/** Numbers beyond what is exact: clients may send any, and none may become a command that cannot be applied, which would stop every server for good. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { decodeArgs, encodeArgs } from "../../../src/api/rpc/codec.ts";
import type { RpcMethod, RpcMethods } from "../../../src/api/rpc/types.ts";
import { Bench, putArgs, READ, sessionArgs, valueOf } from "./bench.ts";

const LARGE = [2 ** 53, 2 ** 63, 2 ** 64 - 2048];

test("indexes and ports of any size are applied, and match nothing", () => {
  const { bench, node } = Bench.alone();
  for (const large of LARGE) {
    const put = putArgs("k", "v");
    const send = <M extends RpcMethod>(method: M, args: RpcMethods[M]["args"]): unknown => {
      // Also as another server or a client agent sends it.
      const remote = decodeArgs(method, encodeArgs(method, args));
      assert.ok(remote.ok, `${method} ${large}`);
      valueOf(bench.call(node, method, remote.value as RpcMethods[M]["args"]));
      return valueOf(bench.call(node, method, args));
    };
    assert.equal(send("KVS.Apply", { ...put, op: "cas", entry: { ...put.entry, modifyIndex: large, createIndex: large, lockIndex: large } }), false);
    assert.equal(send("KVS.Apply", { ...put, op: "delete-cas", entry: { ...put.entry, key: "there", modifyIndex: large } }), true);
    send("Txn.Apply", { datacenter: "dc1", token: "", ops: [{ kind: "kv", verb: "cas", entry: { ...put.entry, modifyIndex: large } }] });
    send("Session.Apply", { ...sessionArgs({}), session: { ...sessionArgs({}).session, createIndex: large, lockDelay: large } });
    send("Catalog.Register", {
      datacenter: "dc1", id: "", node: "n", address: "1.1.1.1", taggedAddresses: null, nodeMeta: null, check: null, checks: null, skipNodeUpdate: false, token: "",
      createIndex: large, modifyIndex: large,
      service: {
        kind: "", id: "s", service: "s", tags: null, address: "", taggedAddresses: new Map([["lan", { address: "x", port: large }]]), meta: null, port: large,
        weights: { passing: large, warning: -large }, enableTagOverride: false, locallyRegisteredAsSidecar: false, proxy: undefined, connect: undefined, createIndex: large, modifyIndex: large,
      },
    });
    const settings = valueOf(bench.call(node, "Operator.AutopilotGetConfiguration", { datacenter: "dc1", options: READ })) as RpcMethods["Operator.AutopilotGetConfiguration"]["reply"];
    assert.equal(send("Operator.AutopilotSetConfiguration", { datacenter: "dc1", config: { ...settings, modifyIndex: large, maxTrailingLogs: large }, cas: true, token: "" }), false);
    assert.equal(node.stopped, false);
  }
  valueOf(bench.call(node, "KVS.Apply", putArgs("k", "v")));
  assert.ok(node.state.kvGet("k").value !== null);
});
