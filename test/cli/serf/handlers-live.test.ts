import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { SerfClient } from "../../../src/client/serf-client.ts";
import { eventually } from "../../support/eventually.ts";
import { SerfAgent } from "../../support/serf-agent.ts";
import { tempDir } from "../../support/temp-dir.ts";

const EVENTS = 100;
const DEADLINE_MS = 60_000;

test("handlers that sleep, flood, die or leave processes behind hold up neither the others nor the node", async (t) => {
  const dir = tempDir(t);
  const file = join(dir, "payloads");
  const read = (): string[] => {
    try {
      return readFileSync(file, "utf8").split("\n").slice(0, -1);
    } catch {
      return [];
    }
  };
  const agent = new SerfAgent({
    program: "muster",
    name: "busy",
    args: [
      "-event-handler=user:seq=sleep 10",
      "-event-handler=user:seq=head -c 2000000 /dev/zero",
      "-event-handler=user:seq=kill -9 $$",
      "-event-handler=user:seq=sleep 10 > /dev/null &",
      `-event-handler=user:seq=cat >> ${file}`,
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
  await eventually("all events", DEADLINE_MS, () => (read().length >= EVENTS ? null : `${read().length} of ${EVENTS}`), () => agent.child.describe());
  assert.deepEqual(read(), payloads);
  assert.throws(() => readFileSync(join(dir, "pwned")), { code: "ENOENT" });
  assert.match(agent.child.output, /\[ERR\] agent: Error invoking script 'kill -9 \$\$': signal: killed/);
  assert.equal((await client.members()).length, 1);
  assert.equal((await agent.child.stop("SIGINT")).code, 0);
});
