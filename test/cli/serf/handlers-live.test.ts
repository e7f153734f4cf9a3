import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { SerfClient } from "../../../src/client/serf-client.ts";
import { eventually } from "../../support/eventually.ts";
import { SerfAgent } from "../../support/serf-agent.ts";
import { tempDir } from "../../support/temp-dir.ts";

/** `test/load/handlers.ts` does it with a thousand, and measures gossip meanwhile. */
const EVENTS = 200;
/** Two processes or more are started for each of them. */
const DEADLINE_MS = 180_000;
/** What handlers that write down what they get do besides; 100,000 bytes are a dozen times what is kept. */
const KINDS = { plain: "true", flood: "head -c 100000 /dev/zero", die: "kill -9 $$", fork: "sleep 10 > /dev/null 2>&1 &" };

test("handlers that sleep, flood, die or leave processes behind get every event in order, and hold up neither the others nor the node", async (t) => {
  const dir = tempDir(t);
  const read = (kind: string): string[] => {
    try {
      return readFileSync(join(dir, kind), "utf8").split("\n").slice(0, -1);
    } catch {
      return [];
    }
  };
  const agent = new SerfAgent({
    program: "muster",
    name: "busy",
    args: [
      "-event-handler=user:seq=sleep 10",
      ...Object.entries(KINDS).map(([kind, command]) => `-event-handler=user:seq=cat >> ${dir}/${kind}; ${command}`),
      "-event-handler=query:echo=sleep 0.1; cat",
    ],
  });
  t.after(() => agent.child.stop("SIGKILL"));
  await agent.started();
  const client = await SerfClient.connect({ address: agent.rpcAddr });
  t.after(() => client.close());
  const payloads = Array.from({ length: EVENTS }, (_, i) => `$(touch ${dir}/pwned) \`touch ${dir}/pwned\` "; touch ${dir}/pwned #${i}`);
  for (const payload of payloads) await client.userEvent("seq", Buffer.from(payload), { coalesce: false });
  const answers: string[] = [];
  for await (const record of await client.query("echo", Buffer.from("hello"), { timeoutMs: 20_000 })) {
    if (record.kind !== "response") continue;
    answers.push(Buffer.from(record.payload ?? []).toString());
    break;
  }
  assert.deepEqual(answers, ["hello\n"]);
  for (const kind of Object.keys(KINDS)) {
    await eventually(`all events at ${kind}`, DEADLINE_MS, () => (read(kind).length >= EVENTS ? null : `${read(kind).length} of ${EVENTS}`), () => agent.child.describe());
    assert.deepEqual(read(kind), payloads);
  }
  assert.throws(() => readFileSync(join(dir, "pwned")), { code: "ENOENT" });
  assert.match(agent.child.output, /\[ERR\] agent: Error invoking script 'cat >> .*\/die; kill -9 \$\$': signal: killed/);
  assert.equal((await client.members()).length, 1);
  assert.equal((await agent.child.stop("SIGINT")).code, 0);
});
