import assert from "node:assert/strict";
import { test } from "node:test";
import { MembersAnswer } from "../../src/api/ipc-members.ts";
import { IpcOutput } from "../../src/api/ipc-output.ts";
import { IpcSession, READ_AHEAD_BYTES, REQUEST_BYTES_MAX, STEP_BYTES_MAX, STEP_REQUESTS_MAX, UNTRUSTED_REQUEST_BYTES_MAX } from "../../src/api/ipc-session.ts";
import { PENDING_QUERIES_MAX, QUERIES_MAX, STREAM_QUEUE_MAX, STREAMS_MAX } from "../../src/api/ipc-streams.ts";
import type { IpcAnswer, IpcEffect, IpcEvent, IpcInput, IpcView } from "../../src/api/ipc-types.ts";
import { concatBytes } from "../../src/base/bytes.ts";
import type { IpcMember } from "../../src/wire/ipc-messages.ts";
import { encodeRequest, type IpcRequest } from "../../src/wire/ipc-requests.ts";
import { encodeValue, Reader, type Encodable } from "../../src/wire/msgpack.ts";
import { fakeMember } from "../support/fake-agent.ts";
import { fuzz } from "../support/fuzz.ts";

const rpc = (value: Encodable): Uint8Array => encodeValue(value, "rpc");
const HANDSHAKE = encodeRequest(1, { command: "handshake", version: 1 });

/** What a step did: all that it sent, then its effects. */
type Outcome = IpcEffect | { readonly kind: "send"; readonly bytes: Uint8Array };

/** A session with its agent's state, driven by hand. */
class Bench {
  nowMs = 0;
  members: readonly IpcMember[] = [fakeMember("a", { tags: { role: "web" } }), fakeMember("b", { status: "failed" })];
  compiled: string[] = [];
  /** What firing an event does at once; null: it takes longer. */
  onFire: (name: string) => string | null = () => null;
  readonly session: IpcSession;

  constructor(authKey = "") {
    const view: IpcView = {
      fire: (name) => this.onFire(name),
      members: () => this.members,
      tags: () => new Map([["role", "web"]]),
      stats: () => new Map([["agent", new Map([["name", "a"]])]]),
      coordinate: () => null,
      compile: (expr) => {
        this.compiled.push(expr);
        return expr.includes("(") ? { error: "error parsing regexp: missing closing )" } : (text) => new RegExp(expr).test(text);
      },
    };
    this.session = new IpcSession({ authKey }, view, new MembersAnswer());
  }

  step(input: IpcInput): Outcome[] {
    const out = new IpcOutput();
    this.session.step(input, this.nowMs, out);
    const bytes = concatBytes(out.pieces);
    return bytes.length === 0 ? out.effects : [{ kind: "send", bytes }, ...out.effects];
  }

  send(...bytes: readonly Uint8Array[]): Outcome[] {
    const memory = concatBytes(bytes);
    const outcomes = this.step({ kind: "data", bytes: memory });
    memory.fill(0xc1); // Never valid: the next read may write over it.
    return outcomes;
  }

  request(seq: number, request: IpcRequest): Outcome[] {
    return this.send(encodeRequest(seq, request));
  }

  answer(answer: IpcAnswer): Outcome[] {
    return this.step({ kind: "answer", answer });
  }
}

/** What was sent, as plain values. */
function sent(effects: readonly Outcome[]): unknown[] {
  const bytes = concatBytes(effects.flatMap((effect) => (effect.kind === "send" ? [effect.bytes] : [])));
  const reader = new Reader(bytes);
  const values: unknown[] = [];
  while (reader.left > 0) {
    const value = reader.value();
    assert.equal(reader.failed, false);
    values.push(value instanceof Map ? Object.fromEntries(value as Map<string, unknown>) : value);
  }
  return values;
}

const kinds = (effects: readonly Outcome[]): string[] => effects.map(({ kind }) => kind);
const userEvent = (name: string, size = 0): IpcEvent => ({ kind: "user", lamportTime: 1, name, payload: new Uint8Array(size), coalesce: false });
const query: IpcRequest = { command: "query", name: "q", payload: null, filterNodes: null, filterTags: null, requestAck: true, relayFactor: 0, timeoutMs: 1500 };

function shaken(authKey = ""): Bench {
  const bench = new Bench(authKey);
  assert.deepEqual(sent(bench.send(HANDSHAKE)), [{ Error: "", Seq: 1 }]);
  return bench;
}

test("handshake: nothing goes before it, only version 1 is spoken, a second one is refused", () => {
  const first = new Bench();
  const effects = first.request(7, { command: "members" });
  assert.deepEqual(sent(effects), [{ Error: "Handshake required", Seq: 7 }]);
  assert.equal(effects.at(-1)?.kind, "close");
  assert.deepEqual(first.send(HANDSHAKE), [], "a closed session is deaf");

  const second = new Bench();
  assert.deepEqual(sent(second.request(1, { command: "handshake", version: 2 })), [{ Error: "Unsupported IPC version", Seq: 1 }]);
  assert.deepEqual(sent(second.send(HANDSHAKE)), [{ Error: "", Seq: 1 }]);
  assert.deepEqual(sent(second.send(HANDSHAKE)), [{ Error: "Handshake already performed", Seq: 1 }]);
});

test("unknown commands and what is no msgpack end the connection; the reason is logged", () => {
  const unknown = shaken().send(rpc({ Command: "frobnicate", Seq: 2 }));
  assert.deepEqual(sent(unknown), [{ Error: "Unsupported command", Seq: 2 }]);
  assert.deepEqual(unknown.slice(-2), [{ kind: "logLine", level: "err", text: "agent.ipc: Failed to evaluate request: command 'frobnicate' not recognized" }, { kind: "close" }]);
  for (const bytes of [[0xc1], [0xa1, 0x61], [0x81, 0x01, 0x02]]) assert.equal(kinds(shaken().send(Uint8Array.from(bytes))).join(), "logLine,close");
  // "toString" and the like are no commands either.
  assert.deepEqual(sent(shaken().send(rpc({ Command: "toString", Seq: 2 }))), [{ Error: "Unsupported command", Seq: 2 }]);
  assert.equal(kinds(shaken().send(rpc({ Command: "event", Seq: 2 }), rpc({ Name: 5 }))).join(), "logLine,close", "a body of the wrong type");
});

test("a request may arrive byte by byte, and several at once", () => {
  const bench = new Bench();
  const all = concatBytes([HANDSHAKE, encodeRequest(2, { command: "members" }), encodeRequest(3, { command: "get-coordinate", node: "x" })]);
  const effects = [...all].flatMap((byte) => bench.send(Uint8Array.of(byte)));
  const again = new Bench().send(all);
  assert.deepEqual(sent(effects), sent(again));
  assert.equal(sent(effects).length, 5);
});

test("events: read at once or byte by byte, in every form, they are the same calls", () => {
  const body = { Name: "deploy", Payload: new Uint8Array(3), Coalesce: true };
  const forms: readonly (readonly [Encodable, Encodable])[] = [
    [{ Command: "event", Seq: 2 }, body],
    [{ Seq: 2, Command: "event" }, { Later: { versions: ["may", "say more"] }, ...body }],
    [["event", 2], [body.Name, body.Payload, body.Coalesce, "more"]],
    [{ Command: "event", Seq: 2 }, null],
    [{ Command: "event", Seq: 2 }, { Name: 5 }],
    [{ Command: ["event"], Seq: 2 }, body],
  ];
  for (const [header, request] of forms) {
    const bytes = concatBytes([rpc(header), rpc(request)]);
    const slow = shaken();
    const inPieces = [...bytes].flatMap((byte) => slow.send(Uint8Array.of(byte)));
    assert.deepEqual(shaken().send(bytes), inPieces);
    assert.equal(inPieces.length > 0, true);
  }
});

test("a header that is the last one with another number is taken as if it were the first: numbers of any form, in pieces, and what is no number", () => {
  const numbers: readonly Encodable[] = [3, 200, 70_000, 2 ** 40, 2n ** 63n, null, -1, "3", 1.5, new Map([["a", 1]])];
  for (const number of numbers) {
    const bytes = concatBytes([rpc({ Command: "stats", Seq: number }), rpc({ Command: "stats", Seq: 9 })]);
    for (const end of [...bytes.keys(), bytes.length]) {
      const again = shaken();
      again.request(2, { command: "stats" });
      const cut = [...again.send(bytes.subarray(0, end)), ...again.send(bytes.subarray(end))];
      assert.deepEqual(sent(cut), sent(shaken().send(bytes)), `number ${numbers.indexOf(number)} cut at ${end}`);
    }
  }
});

test("an event that is fired at once is answered in its step, and what came behind it follows", () => {
  const event = (seq: number, name = "x"): Uint8Array => encodeRequest(seq, { command: "event", name, payload: null, coalesce: false });
  const bench = shaken();
  bench.onFire = (name) => (name === "x" ? "" : name === "long" ? "too long" : null);
  assert.deepEqual(sent(bench.send(event(2), event(3, "long"), encodeRequest(4, { command: "stats" }))), [
    { Error: "", Seq: 2 },
    { Error: "too long", Seq: 3 },
    { Error: "", Seq: 4 },
    { agent: new Map([["name", "a"]]) },
  ]);
  assert.deepEqual(kinds(bench.send(event(5), event(6, "later"), event(7))), ["send", "call"], "one that takes longer holds up those behind it");
  assert.deepEqual(sent(bench.answer({ error: "" })), [{ Error: "", Seq: 6 }, { Error: "", Seq: 7 }]);

  // A client that does not read is served no further.
  bench.step({ kind: "blocked" });
  assert.deepEqual(bench.send(event(8)), []);
  assert.deepEqual(sent(bench.step({ kind: "resume" })), [{ Error: "", Seq: 8 }]);
});

test("an event behind what the agent has yet to do for the same client waits for it: its own stream shows it", () => {
  const bench = shaken();
  bench.onFire = () => assert.fail("fired before the stream was begun");
  const outcomes = bench.send(encodeRequest(2, { command: "stream", type: "user" }), encodeRequest(3, { command: "event", name: "x", payload: null, coalesce: false }));
  assert.deepEqual(kinds(outcomes), ["send", "watchEvents", "call"]);
  assert.deepEqual(sent(bench.answer({ error: "" })), [{ Error: "", Seq: 3 }]);
});

test("firing an event may step its own session and others: answers keep their order and their connection", () => {
  const event = (seq: number): Uint8Array => encodeRequest(seq, { command: "event", name: "x", payload: null, coalesce: false });
  const bench = shaken();
  const other = shaken();
  sent(bench.request(2, { command: "stream", type: "*" }));
  sent(other.request(3, { command: "stream", type: "*" }));
  let heard: unknown[] = [];
  const out = new IpcOutput();
  bench.onFire = () => {
    // As a full queue of records does it: within the step that is running, and behind what others write.
    bench.session.offer({ kind: "event", event: userEvent("x") });
    bench.session.step({ kind: "flush" }, 0, out);
    other.session.offer({ kind: "event", event: userEvent("x") });
    heard = sent(other.step({ kind: "flush" }));
    return "";
  };
  bench.session.step({ kind: "data", bytes: concatBytes([event(4), event(5)]) }, 0, out);
  assert.deepEqual(
    sent([{ kind: "send", bytes: concatBytes(out.pieces) }]).filter((value) => Object.hasOwn(value as object, "Seq")),
    [2, 4, 2, 5].map((seq) => ({ Error: "", Seq: seq })),
  );
  assert.deepEqual(heard[0], { Error: "", Seq: 3 });
  assert.equal(heard.length, 2);
});

test("authentication: wanted for everything, and the body of a refused request is read as the next header", () => {
  const bench = shaken("secret");
  const refused = bench.request(2, { command: "event", name: "x", payload: null, coalesce: true });
  // The body has neither Command nor Seq, so the last ones count again.
  assert.deepEqual(sent(refused), [{ Error: "Authentication required", Seq: 2 }, { Error: "Authentication required", Seq: 2 }]);
  assert.deepEqual(sent(bench.request(3, { command: "auth", authKey: "Secret" })), [{ Error: "Invalid authentication token", Seq: 3 }]);
  assert.deepEqual(sent(bench.request(4, { command: "auth", authKey: "secret" })), [{ Error: "", Seq: 4 }]);
  assert.equal(kinds(bench.request(5, { command: "event", name: "x", payload: null, coalesce: true })).join(), "call");
});

test("without a token, auth accepts only the empty one and is not needed", () => {
  const bench = shaken();
  assert.deepEqual(sent(bench.request(2, { command: "auth", authKey: "x" })), [{ Error: "Invalid authentication token", Seq: 2 }]);
  assert.equal(sent(bench.request(3, { command: "members" })).length, 2);
});

test("requests wait for the one before them", () => {
  const bench = shaken();
  const effects = bench.send(encodeRequest(2, { command: "join", existing: ["x"], replay: false }), encodeRequest(3, { command: "stats" }));
  assert.deepEqual(kinds(effects), ["call"]);
  assert.deepEqual(bench.send(encodeRequest(4, { command: "leave" })), []);
  const rest = bench.answer({ error: "no such host", nodes: 0 });
  // A join's count comes with an error, too.
  assert.deepEqual(sent(rest), [{ Error: "no such host", Seq: 2 }, { Num: 0 }, { Error: "", Seq: 3 }, { agent: new Map([["name", "a"]]) }]);
  assert.deepEqual(kinds(rest).slice(-2), ["logLine", "call"]);
  assert.deepEqual(kinds(bench.answer({ error: "" })), ["send", "shutdown"], "the agent stops after the answer to leave");
});

test("members: anchors are put around expressions, a bad one closes without an answer", () => {
  const bench = shaken();
  const filtered = sent(bench.request(2, { command: "members-filtered", name: "", status: "failed|left", tags: new Map([["none", ""]]) }));
  assert.deepEqual(bench.compiled, ["^$", "^failed|left$"]);
  assert.equal((filtered[1] as { Members: unknown[] }).Members.length, 1);
  const bad = bench.request(3, { command: "members-filtered", name: "(", status: "", tags: null });
  assert.deepEqual(bad, [
    { kind: "logLine", level: "err", text: "agent.ipc: Failed to evaluate request: Failed to compile regex: error parsing regexp: missing closing )" },
    { kind: "close" },
  ]);
});

test("members: encoded once for as long as nobody changes", () => {
  const answer = new MembersAnswer();
  const members = [fakeMember("a"), fakeMember("b")];
  const first = answer.all(members);
  assert.equal(answer.all([...members]), first, "the same members in another array");
  assert.notEqual(answer.all([...members, fakeMember("c")]), first);
});

test("tags: deletions come before settings", () => {
  const effects = shaken().request(2, { command: "tags", tags: new Map([["role", "db"], ["x", "1"]]), deleteTags: ["role", "gone"] });
  assert.deepEqual(effects, [{ kind: "call", call: { kind: "setTags", tags: new Map([["role", "db"], ["x", "1"]]) } }]);
});

test("streams: filters, the number that is taken, an unknown filter, stop of anything", () => {
  const bench = shaken();
  assert.deepEqual(kinds(bench.request(2, { command: "stream", type: "user:deploy,member-join" })), ["send", "watchEvents"]);
  assert.deepEqual(sent(bench.request(2, { command: "stream", type: "" })), [{ Error: "Stream with given sequence exists", Seq: 2 }]);
  assert.deepEqual(sent(bench.request(3, { command: "stream", type: "bogus" })), [{ Error: "Invalid event filter", Seq: 3 }]);
  assert.deepEqual(bench.step({ kind: "event", event: userEvent("other") }), []);
  assert.deepEqual(sent(bench.step({ kind: "event", event: userEvent("deploy") })).length, 2);
  assert.deepEqual(sent(bench.step({ kind: "event", event: { kind: "members", type: "member-join", members: bench.members } })).length, 2);
  assert.deepEqual(sent(bench.request(4, { command: "stop", stop: 99 })), [{ Error: "", Seq: 4 }]);
  assert.deepEqual(kinds(bench.request(5, { command: "stop", stop: 2 })), ["send", "watchEvents"]);
  assert.deepEqual(bench.step({ kind: "event", event: userEvent("deploy") }), []);
});

test("streams and queries of one connection have a limit", () => {
  const bench = shaken();
  for (let i = 0; i < STREAMS_MAX; i += 1) assert.deepEqual(sent(bench.request(10 + i, { command: "stream", type: "*" })), [{ Error: "", Seq: 10 + i }]);
  assert.match(JSON.stringify(sent(bench.request(9, { command: "stream", type: "*" }))), /Too many streams/);
  for (let i = 0; i < QUERIES_MAX; i += 1) {
    bench.request(1000 + i, query);
    bench.answer({ error: "" });
  }
  assert.match(JSON.stringify(sent(bench.request(9, query))), /Too many queries/);
});

test("a client that does not read loses records, which are counted, and nothing grows", () => {
  const bench = shaken();
  bench.request(2, { command: "stream", type: "*" });
  bench.step({ kind: "blocked" });
  for (let i = 0; i < STREAM_QUEUE_MAX + 100; i += 1) assert.deepEqual(bench.step({ kind: "event", event: userEvent(`e${i}`) }), []);
  assert.deepEqual(bench.request(3, { command: "members" }), [], "its requests wait, too");
  const effects: Outcome[] = bench.step({ kind: "resume" });
  while (bench.session.more) effects.push(...bench.step({ kind: "resume" }));
  assert.equal(sent(effects).length, 2 * STREAM_QUEUE_MAX + 2);
  assert.deepEqual(effects.filter(({ kind }) => kind === "dropped"), [{ kind: "dropped", stream: "stream", seq: 2, count: 100 }]);
});

test("waiting records are bounded in bytes", () => {
  const bench = shaken();
  bench.request(2, { command: "stream", type: "*" });
  bench.step({ kind: "blocked" });
  for (let i = 0; i < 20; i += 1) bench.step({ kind: "event", event: userEvent("big", 200_000) });
  const effects = bench.step({ kind: "resume" });
  while (bench.session.more) effects.push(...bench.step({ kind: "resume" }));
  assert.equal(sent(effects).length, 2 * 5, "1 MiB holds five of them");
});

test("one step serves a bounded number of requests and bytes", () => {
  const bench = shaken();
  const many = Array.from({ length: 1000 }, (_, i) => encodeRequest(i + 2, { command: "get-coordinate", node: "x" }));
  const first = bench.send(...many);
  assert.equal(sent(first).length, 2 * STEP_REQUESTS_MAX);
  assert.equal(bench.session.more, true);
  bench.members = Array.from({ length: 2000 }, (_, i) => fakeMember(`member-${i}`));
  while (bench.session.more) bench.step({ kind: "resume" });
  const large = bench.send(...Array.from({ length: 50 }, (_, i) => encodeRequest(i + 2, { command: "members" })));
  const bytes = large.reduce((sum, effect) => sum + (effect.kind === "send" ? effect.bytes.length : 0), 0);
  assert.ok(bytes >= STEP_BYTES_MAX && bytes < STEP_BYTES_MAX + 600_000, `${bytes}`);
  assert.equal(bench.session.more, true);
});

test("requests have a size limit, a small one before handshake and authentication", () => {
  const long = (bytes: number): Uint8Array => rpc({ Command: "x".repeat(bytes), Seq: 1 });
  assert.deepEqual(kinds(new Bench().send(long(UNTRUSTED_REQUEST_BYTES_MAX))), ["logLine", "close"]);
  assert.deepEqual(kinds(shaken("secret").send(long(UNTRUSTED_REQUEST_BYTES_MAX))), ["logLine", "close"]);
  assert.deepEqual(sent(shaken().send(long(UNTRUSTED_REQUEST_BYTES_MAX))), [{ Error: "Unsupported command", Seq: 1 }]);
  assert.deepEqual(kinds(shaken().send(long(REQUEST_BYTES_MAX))), ["logLine", "close"]);
  // A declared size is enough: nobody waits for 4 GiB to come.
  assert.deepEqual(kinds(shaken().send(Uint8Array.of(0xdb, 0xff, 0xff, 0xff, 0xff))), ["logLine", "close"]);
  assert.deepEqual(kinds(shaken().send(Uint8Array.of(0xdf, 0xff, 0xff, 0xff, 0xff))), ["logLine", "close"]);
});

test("reading stops while much input waits for a call, and starts again", () => {
  const bench = shaken();
  bench.request(2, { command: "leave" });
  assert.equal(bench.session.reading, true);
  bench.send(new Uint8Array(READ_AHEAD_BYTES).fill(0x80));
  assert.equal(bench.session.reading, false);
});

test("monitor: levels in any case, one at a time", () => {
  const bench = shaken();
  assert.deepEqual(sent(bench.request(2, { command: "monitor", logLevel: "nope" })), [{ Error: "Unknown log level: NOPE", Seq: 2 }]);
  assert.deepEqual(bench.request(3, { command: "monitor", logLevel: "debug" }).at(-1), { kind: "watchLogs", level: "DEBUG" });
  assert.deepEqual(sent(bench.step({ kind: "log", line: "a line" })), [{ Error: "", Seq: 3 }, { Log: "a line" }]);
  assert.deepEqual(sent(bench.request(4, { command: "monitor", logLevel: "INFO" })), [{ Error: "Monitor already exists", Seq: 4 }]);
  assert.deepEqual(bench.request(5, { command: "stop", stop: 3 })[1], { kind: "watchLogs", level: null });
});

test("query: records wait for the answer, none has an empty name, done is never lost", () => {
  const bench = shaken();
  const [effect] = bench.request(2, query);
  assert.ok(effect?.kind === "call" && effect.call.kind === "query" && effect.call.timeoutMs === 1500);
  const record = (from: string): IpcInput => ({ kind: "queryRecord", query: 1, record: { kind: "ack", from } });
  assert.deepEqual(bench.step(record("early")), []);
  assert.deepEqual(sent(bench.answer({ error: "" })), [{ Error: "", Seq: 2 }, { Error: "", Seq: 2 }, { From: "early", Payload: null, Type: "ack" }]);
  assert.deepEqual(bench.step(record("")), []);
  bench.step({ kind: "blocked" });
  for (let i = 0; i < 5000; i += 1) bench.step(record(`n${i}`));
  bench.step({ kind: "queryRecord", query: 1, record: { kind: "done" } });
  const effects = bench.step({ kind: "resume" });
  while (bench.session.more) effects.push(...bench.step({ kind: "resume" }));
  assert.deepEqual(sent(effects).at(-1), { From: "", Payload: null, Type: "done" });
  assert.deepEqual(bench.step(record("late")), []);
});

test("query: a refused one leaves nothing behind; internal names are refused here", () => {
  const bench = shaken();
  bench.request(2, query);
  assert.deepEqual(sent(bench.answer({ error: "query exceeds limit of 1024 bytes" })), [{ Error: "query exceeds limit of 1024 bytes", Seq: 2 }]);
  assert.deepEqual(bench.step({ kind: "queryRecord", query: 1, record: { kind: "done" } }), []);
  assert.deepEqual(sent(bench.request(3, { ...query, name: "_serf_list-keys" })), [{ Error: "Queries cannot contain the '_serf_' prefix", Seq: 3 }]);
  assert.deepEqual(kinds(bench.request(4, { ...query, name: "_serf_ping", payload: new Uint8Array(0) })), ["call"], "an empty payload is none");
  bench.answer({ error: "" });
  assert.deepEqual(sent(bench.request(5, { ...query, name: "_serf_ping", payload: Uint8Array.of(1) })), [{ Error: "Queries cannot contain the '_serf_' prefix", Seq: 5 }]);
});

test("respond: by the number on this connection, until the deadline, for a bounded number of queries", () => {
  const bench = shaken();
  bench.request(2, { command: "stream", type: "query" });
  const received = (token: number, deadlineMs: number): IpcInput => ({ kind: "event", event: { kind: "query", token, lamportTime: 1, name: "q", payload: null, deadlineMs } });
  assert.equal((sent(bench.step(received(70, 100)))[1] as { ID: number }).ID, 1);
  assert.equal((sent(bench.step(received(71, 100)))[1] as { ID: number }).ID, 2);
  const respond = (id: number): Outcome[] => bench.request(3, { command: "respond", id, payload: Uint8Array.of(9) });
  assert.deepEqual(respond(2), [{ kind: "call", call: { kind: "respond", token: 71, payload: Uint8Array.of(9) } }]);
  assert.deepEqual(sent(bench.answer({ error: "" })), [{ Error: "", Seq: 3 }]);
  assert.deepEqual(sent(respond(3)), [{ Error: "No pending queries matching ID", Seq: 3 }]);
  bench.nowMs = 101;
  assert.deepEqual(sent(respond(1)), [{ Error: "No pending queries matching ID", Seq: 3 }]);
  for (let i = 0; i < PENDING_QUERIES_MAX + 1; i += 1) bench.step(received(i, 1000));
  assert.deepEqual(sent(respond(3)), [{ Error: "No pending queries matching ID", Seq: 3 }], "the oldest was forgotten");
});

test("keys: the result comes with an error, too; only a listing has keys", () => {
  const bench = shaken();
  const result = { nodes: 2, responses: 2, failures: 1, messages: new Map([["b", "bad"]]), keys: new Map([["k", 1]]) };
  bench.request(2, { command: "use-key", key: "k" });
  assert.deepEqual(sent(bench.answer({ error: "1/2 nodes reported failure", result })), [
    { Error: "1/2 nodes reported failure", Seq: 2 },
    { Keys: null, Messages: new Map([["b", "bad"]]), NumErr: 1, NumNodes: 2, NumResp: 2 },
  ]);
  bench.request(3, { command: "list-keys" });
  assert.deepEqual((sent(bench.answer({ error: "", result }))[1] as { Keys: unknown }).Keys, new Map([["k", 1]]));
});

test("numbers of requests may have 64 bits", () => {
  const bench = shaken();
  const seq = 2n ** 64n - 1n;
  assert.deepEqual(sent(bench.send(rpc({ Command: "stop", Seq: seq }), rpc({ Stop: seq }))), [{ Error: "", Seq: seq }]);
});

test("whatever a client sends, the session neither throws nor grows", () => {
  const requests: IpcRequest[] = [{ command: "members" }, query, { command: "stream", type: "*" }, { command: "monitor", logLevel: "debug" }, { command: "respond", id: 1, payload: null }];
  const inputs = requests.map((request) => concatBytes([HANDSHAKE, encodeRequest(2, request), encodeRequest(3, { command: "stats" })]));
  fuzz(31, inputs, (bytes) => {
    const bench = new Bench();
    bench.send(bytes);
    bench.answer({ error: "" });
    bench.step({ kind: "event", event: userEvent("x") });
  });
});
