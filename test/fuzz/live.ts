/**
 * `node dist/test/fuzz/live.js [--count N] [--seed N] [--encrypt] [--workers N]`: mutated packets, streams and RPC frames into a running agent over its
 * sockets (issue 4, B6). A program, not a test: the whole run has a million inputs. Exit 1 when the agent ended, hung or grew.
 */
import { parseArgs } from "node:util";
import { fuzzLiveAgent } from "./live-agent.ts";

const { values } = parseArgs({
  options: { count: { type: "string" }, seed: { type: "string" }, encrypt: { type: "boolean" }, workers: { type: "string" } },
});
const report = await fuzzLiveAgent({
  count: Number(values.count ?? 1_000_000),
  seed: Number(values.seed ?? 1),
  encrypt: values.encrypt ?? false,
  packetWorkers: Number(values.workers ?? 0),
  settle: true,
  progress: (text) => process.stderr.write(`${text}\n`),
});
process.stdout.write(`${JSON.stringify(report)}\n`);
for (const problem of report.problems) process.stdout.write(`FAILED: ${problem}\n`);
process.exitCode = report.problems.length === 0 ? 0 : 1;
