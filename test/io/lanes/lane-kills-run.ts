/** `node dist/test/io/lanes/lane-kills-run.js [seconds]`: a lane is killed every second under load, for a minute by default (issue 4, B5). */
import { killLanes } from "./lane-kills.ts";

const report = await killLanes({ kills: Infinity, intervalMs: 1000, forMs: 1000 * Number(process.argv[2] ?? 60) });
process.stdout.write(`${JSON.stringify({ ...report, metrics: Object.fromEntries(report.metrics) })}\n`);
process.exitCode = report.memberEvents.length === 0 ? 0 : 1;
