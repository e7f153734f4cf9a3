import assert from "node:assert/strict";
import { test } from "node:test";
import { EventHandlers, HANDLER_QUEUE_MAX, invalidHandler } from "../../src/io/event-handlers.ts";
import { Metrics } from "../../src/io/metrics.ts";
import { logText } from "../../src/io/serf-agent-api.ts";
import type { ScriptResult } from "../../src/io/spawner.ts";
import type { Member, SerfEvent } from "../../src/serf/types.ts";

const SELF: Member = {
  name: "n", addr: new Uint8Array([127, 0, 0, 1]), ip: "127.0.0.1", port: 7946, tags: new Map(), status: "alive",
  protocolMin: 1, protocolMax: 5, protocolCur: 2, delegateMin: 2, delegateMax: 5, delegateCur: 5,
};
const user = (name: string, lamportTime = 1): SerfEvent => ({ kind: "user", lamportTime, name, payload: null, coalesce: false });
const query = (name: string, token: number): SerfEvent => ({ kind: "query", token, lamportTime: 1, name, payload: null, sourceNode: "x", deadlineMs: 0 });

/** Handlers over a runner that ends scripts when the test says so. */
function setup(specs: readonly string[]) {
  const runs: { command: string; env: ReadonlyMap<string, string>; end: (result?: Partial<ScriptResult>) => Promise<void> }[] = [];
  const log: string[] = [];
  const answers: [number, string][] = [];
  const metrics = new Metrics();
  const handlers = new EventHandlers({
    runner: {
      run: (command, env) =>
        new Promise((resolve) => {
          runs.push({
            command,
            env,
            end: async (result = {}) => {
              resolve({ status: "", output: new Uint8Array(0), outputBytes: 0, ...result });
              await new Promise((done) => setImmediate(done));
            },
          });
        }),
    },
    log: { write: (level, text) => void log.push(`${level} ${logText(text)}`) },
    metrics,
    self: () => SELF,
    respond: async (token, payload) => {
      if (answers.some(([answered]) => answered === token)) throw new Error("failed to respond to key query: response already sent");
      answers.push([token, Buffer.from(payload).toString()]);
    },
  });
  handlers.setHandlers(specs);
  return { handlers, runs, log, answers, metrics };
}

test("events of one handler run one at a time in their order, and a slow handler does not hold another", async () => {
  const { handlers, runs } = setup(["user=slow", "user=quick"]);
  for (let i = 1; i <= 3; i += 1) handlers.handle(user("e", i));
  assert.deepEqual(runs.map(({ command }) => command), ["slow", "quick"]);
  await runs[1]?.end();
  await runs[2]?.end();
  await runs[3]?.end();
  assert.deepEqual(runs.map(({ command, env }) => command + env.get("SERF_USER_LTIME")), ["slow1", "quick1", "quick2", "quick3"]);
  await runs[0]?.end();
  assert.equal(runs[4]?.env.get("SERF_USER_LTIME"), "2");
});

test("an event that matches two filters of a handler runs it twice, one after the other", async () => {
  const { handlers, runs } = setup(["user,user:twice=h"]);
  handlers.handle(user("twice"));
  handlers.handle(user("once"));
  for (let i = 0; i < 3; i += 1) await runs[i]?.end();
  assert.deepEqual(runs.map(({ env }) => env.get("SERF_USER_EVENT")), ["twice", "twice", "once"]);
});

test("output answers a query; failure, no output and a second answer do not", async () => {
  const { handlers, runs, answers, log } = setup(["query=a", "query=b"]);
  const output = (text: string) => ({ output: Buffer.from(text), outputBytes: text.length });
  handlers.handle(query("q", 7));
  await runs[0]?.end(output("first\n"));
  await runs[1]?.end(output("second"));
  handlers.handle(query("q", 8));
  await runs[2]?.end({ ...output("never"), status: "exit status 3" });
  await runs[3]?.end();
  assert.deepEqual(answers, [[7, "first\n"]]);
  assert.deepEqual(log, [
    "debug agent: Event 'query' script output: first\n",
    "debug agent: Event 'query' script output: second",
    "warn agent: Failed to respond to query 'query: q': failed to respond to key query: response already sent",
    "debug agent: Event 'query' script output: never",
    "err agent: Error invoking script 'a': exit status 3",
    "debug agent: Event 'query' script output: ",
  ]);
});

test("the first handler in order answers, even when a later one is quicker; one that does not answer lets the next", async () => {
  const { handlers, runs, answers } = setup(["query=a", "query=b", "query=c"]);
  const output = (text: string) => ({ output: Buffer.from(text), outputBytes: text.length });
  handlers.handle(query("q", 7));
  handlers.handle(query("q", 8));
  await runs[2]?.end(output("c7"));
  await runs[1]?.end(output("b7"));
  assert.deepEqual(answers, []);
  assert.equal(runs.length, 5); // Both went on with the next event.
  await runs[0]?.end();
  assert.deepEqual(answers, [[7, "b7"]]);
});

test("a full queue drops and counts, says so once, and tells the number when it has room again", async () => {
  const { handlers, runs, log, metrics } = setup(["h"]);
  for (let i = 0; i < HANDLER_QUEUE_MAX + 6; i += 1) handlers.handle(user("e", i));
  assert.equal(metrics.counter("agent.event_handler.dropped"), 5); // One runs, and HANDLER_QUEUE_MAX wait.
  assert.equal(log.length, 1);
  for (let i = 0; i <= HANDLER_QUEUE_MAX; i += 1) await runs[i]?.end();
  assert.equal(runs.length, HANDLER_QUEUE_MAX + 1);
  assert.equal(runs.at(-1)?.env.get("SERF_USER_LTIME"), String(HANDLER_QUEUE_MAX));
  assert.deepEqual(log.filter((line) => line.startsWith("warn")), [
    `warn agent: Event handler 'h' is too slow, dropping events (${HANDLER_QUEUE_MAX} waiting)`,
    "warn agent: Event handler 'h' dropped 5 events",
  ]);
});

test("replacing the handlers keeps the queue of those that stay and finishes those that go", async () => {
  const { handlers, runs } = setup(["user=old", "user=both"]);
  handlers.handle(user("e", 1));
  handlers.handle(user("e", 2));
  handlers.setHandlers(["user=both", "user=new"]);
  handlers.handle(user("e", 3));
  for (let i = 0; i < runs.length; i += 1) await runs[i]?.end();
  const order = (command: string) => runs.filter((run) => run.command === command).map(({ env }) => env.get("SERF_USER_LTIME"));
  assert.deepEqual([order("old"), order("both"), order("new")], [["1", "2"], ["1", "2", "3"], ["3"]]);
});

test("large events count by their bytes", () => {
  const { handlers, metrics } = setup(["h"]);
  const event: SerfEvent = { kind: "user", lamportTime: 1, name: "e", payload: new Uint8Array(1024 * 1024), coalesce: false };
  for (let i = 0; i < 20; i += 1) handlers.handle(event);
  assert.equal(metrics.counter("agent.event_handler.dropped"), 4); // One runs, fifteen fit into 16 MiB with what else an event holds.
});

test("the first invalid filter is named", () => {
  assert.equal(invalidHandler(["user=a", "user:x,nope=bar.sh", "worse=y"]), "Event 'nope' invoking 'bar.sh'");
  assert.equal(invalidHandler(["a=b=c"]), "Event 'a' invoking 'b=c'");
  assert.equal(invalidHandler(["h.sh", "=h.sh", "query:q=x", ""]), "");
});
