/** Clients that look for what must not be: a cluster that does right shows them nothing, and each mistake is seen. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { eventually } from "../support/eventually.ts";
import type { Answer } from "./failover-cluster.ts";
import { RegisterClients, type Asked } from "./register-clients.ts";

const ENOUGH_OPERATIONS = 600;
const ENOUGH_LOCKS = 6;
const DEADLINE_MS = 60_000;

type Mistake = "none" | "stale reads" | "lost writes" | "blind swaps" | "refused swaps are done" | "everybody gets the lock";

interface Pair {
  readonly value: string;
  readonly version: number;
}

/** Keys in memory, asked as a server is. Every fifth write, read or swap goes wrong. */
class Registers implements Asked {
  readonly members: Asked["members"] = [{ name: "n", ip: "", clientIp: "", index: 0, child: null }];
  readonly #mistake: Mistake;
  readonly #pairs = new Map<string, Pair>();
  readonly #before = new Map<string, Pair>();
  #index = 0;
  #asked = 0;
  #sessions = 0;
  #holder = "";

  constructor(mistake: Mistake) {
    this.#mistake = mistake;
  }

  async ask(_: unknown, method: string, path: string, body = ""): Promise<Answer> {
    // Others come between a client's read and its write.
    await new Promise(setImmediate);
    this.#asked += 1;
    const errs = this.#asked % 5 === 0;
    if (path === "/v1/txn") return this.#transact(JSON.parse(body), errs);
    if (path === "/v1/session/create") return { status: 200, body: JSON.stringify({ ID: String((this.#sessions += 1)) }) };
    if (path.startsWith("/v1/kv/lock")) return { status: 200, body: String(this.#lock(path)) };
    if (method === "GET") return this.#read(path, errs && this.#mistake === "stale reads");
    return { status: 200, body: "true" };
  }

  #read(path: string, stale: boolean): Answer {
    const key = path.slice("/v1/kv/".length).replace("?consistent", "");
    const pair = stale && path.endsWith("?consistent") ? this.#before.get(key) : this.#pairs.get(key);
    return pair === undefined ? { status: 404, body: "" } : { status: 200, body: JSON.stringify([{ Value: pair.value, ModifyIndex: pair.version }]) };
  }

  #transact([{ KV: { Verb: verb, Index: index, Key: key, Value: value } }]: [{ KV: { Verb: string; Index?: number; Key: string; Value: string } }], errs: boolean): Answer {
    const is = this.#pairs.get(key)?.version ?? 0;
    const refused = verb === "cas" && index !== is && !(this.#mistake === "blind swaps");
    if (refused && !(errs && this.#mistake === "refused swaps are done")) return { status: 409, body: "" };
    this.#index += 1;
    const before = this.#pairs.get(key);
    if (before !== undefined) this.#before.set(key, before);
    if (!(errs && this.#mistake === "lost writes")) this.#pairs.set(key, { value, version: this.#index });
    return refused ? { status: 409, body: "" } : { status: 200, body: JSON.stringify({ Results: [{ KV: { ModifyIndex: this.#index } }] }) };
  }

  #lock(path: string): boolean {
    const [, verb, session = ""] = /(acquire|release)=(.*)$/.exec(path) ?? [];
    if (verb === "acquire" && (this.#holder === "" || this.#mistake === "everybody gets the lock")) this.#holder = session;
    else if (verb === "release" && this.#holder === session) this.#holder = "";
    return verb === "release" || this.#holder === session;
  }
}

async function violationsOf(mistake: Mistake): Promise<readonly string[]> {
  const clients = new RegisterClients(new Registers(mistake), 1, 0);
  clients.start();
  const { counts } = clients;
  await eventually("enough was asked", DEADLINE_MS, async () => (counts.reads + counts.writes + counts.swaps >= ENOUGH_OPERATIONS && counts.locks >= ENOUGH_LOCKS ? null : JSON.stringify(counts)));
  await clients.stop();
  return clients.violations;
}

const SEEN: readonly (readonly [Mistake, RegExp])[] = [
  ["stale reads", /a consistent read of key \d saw version \d+, but \d+ was known/],
  ["lost writes", /read of key \d saw version \d+, but \d+ was known/],
  ["blind swaps", /register \d was swapped from version \d+ to \d+, but version \d+ was written between them/],
  ["refused swaps are done", /register \d shows \d+, which was refused/],
  ["everybody gets the lock", /session \d+ got the lock \d+ ms before \d+ gave it back/],
];

test("a history without mistakes shows none", async () => {
  assert.deepEqual(await violationsOf("none"), []);
});

for (const [mistake, words] of SEEN) {
  test(`${mistake}: seen`, async () => {
    const violations = await violationsOf(mistake);
    assert.ok(violations.some((violation) => words.test(violation)), violations.slice(0, 5).join("\n"));
  });
}
