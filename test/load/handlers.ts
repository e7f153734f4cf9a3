/**
 * Event handlers must not touch gossip (issue 3, bar B4): an agent whose handlers sleep, flood, die and leave processes behind gets a thousand events, while a prober pings
 * it every 5 ms from outside; once as it is, and once inside a program that holds 1 GB. Prints a JSON report; exit 1 when a p99.9 is above 50 ms, a ping was lost, or a
 * handler did not get all events in their order.
 *
 *   node dist/test/load/handlers.js [--events 1000] [--seconds 60] [--megabytes 0,1000] [--network 127.0.26]
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { SerfClient } from "../../src/client/serf-client.ts";
import { Child } from "../support/child.ts";
import { projectPath } from "../support/project-root.ts";
import { eventually } from "../support/eventually.ts";
import { cpuMs, LOAD_KEY, machineLine, runLoadProgram } from "./load-agents.ts";
import type { ProbeReport } from "./prober.ts";

const PROBER_P999_MS_MAX = 50;
const START_DEADLINE_MS = 60_000;
/** After the probing; what is missing then is reported. */
const HANDLERS_DEADLINE_MS = 60_000;
/** What the handlers that write down their events do besides. */
const KINDS = { plain: "true", flood: "head -c 200000 /dev/zero", die: "kill -9 $$", fork: "sleep 2 > /dev/null 2>&1 &" };

const { values } = parseArgs({ options: { events: { type: "string" }, seconds: { type: "string" }, megabytes: { type: "string" }, network: { type: "string" } } });
const events = Number(values.events ?? 1000);
const seconds = Number(values.seconds ?? 60);
const network = values.network ?? "127.0.26";

const reports = [];
for (const megabytes of (values.megabytes ?? "0,1000").split(",")) reports.push(await play(Number(megabytes)));
process.stdout.write(`${JSON.stringify({ machine: machineLine(), events, reports }, null, 2)}\n`);
if (reports.some(({ probe, inOrder }) => probe.p999Ms > PROBER_P999_MS_MAX || probe.lost > 0 || Object.values(inOrder).some((count) => count !== events))) process.exitCode = 1;

async function play(megabytes: number) {
  const dir = mkdtempSync(join(tmpdir(), "muster-handlers-"));
  const ip = `${network}.1`;
  const handlers = Object.entries(KINDS).map(([kind, command]) => `-event-handler=user:seq=cat >> ${dir}/${kind}; ${command}`);
  const args = ["-node=target", `-bind=${ip}`, `-rpc-addr=${ip}:7373`, "-log-level=warn", `-encrypt=${LOAD_KEY}`, "-event-handler=user:seq=sleep 10", ...handlers];
  const agent = new Child("heavy agent", [process.execPath, "--expose-gc", "--max-old-space-size=4096", projectPath("dist/test/load/heavy-agent.js"), String(megabytes), ...args]);
  try {
    await agent.waitFor("it held its memory", (output) => output.includes("HEAVY"), START_DEADLINE_MS);
    const cpuBefore = cpuMs(agent.pid);
    const probing = runLoadProgram<ProbeReport>("prober", [ip, `${network}.21`, "target", String(seconds), LOAD_KEY], 1000 * seconds + 30_000);
    const client = await SerfClient.connect({ address: `${ip}:7373` });
    for (let i = 0; i < events; i += 1) await client.userEvent("seq", Buffer.from(String(i)), { coalesce: false });
    const probe = await probing;
    client.close();
    const counts = () => Object.fromEntries(Object.keys(KINDS).map((kind) => [kind, countInOrder(join(dir, kind))]));
    await eventually("all events at all handlers", HANDLERS_DEADLINE_MS, () => (Object.values(counts()).every((count) => count >= events) ? null : JSON.stringify(counts()))).catch(() => undefined);
    const memory = /^HEAVY (.*)$/m.exec(agent.output)?.[1];
    return { memory, probe, cpuMs: cpuMs(agent.pid) - cpuBefore, inOrder: counts() };
  } finally {
    await agent.stop("SIGKILL");
    rmSync(dir, { recursive: true });
  }
}

/** How many events a handler wrote down before the first that was out of order. */
function countInOrder(file: string): number {
  const lines = readFileSync(file, "utf8").split("\n").slice(0, -1);
  const wrong = lines.findIndex((line, i) => line !== String(i));
  return wrong < 0 ? lines.length : wrong;
}
