/**
 * `npm run bench -- [options] [word…]`: measures the kernels, one after another in this process, then loads running agents, ours and the original's in
 * turns. The machine and the seed come first. Kernels: operations per second, µs per operation, the spread of the samples, and a hash of the results.
 * Loads: median [min..max] of each figure for both programs, their ratio, and the bar it has to hold.
 */
import { writeFileSync } from "node:fs";
import { htmlPage } from "./html-page.ts";
import { describeMachine, machineLine } from "./machine.ts";
import type { Target } from "./load/agent.ts";
import { parseOptions, USAGE, type Options } from "./options.ts";
import type { Report } from "./report.ts";
import { KERNELS, measureKernel } from "./run-kernels.ts";
import { findPeer, runLoad, type LoadResult } from "./run-load.ts";
import { kernelTable, loadTable } from "./text-table.ts";

const NO_LOAD: LoadResult = { pinning: "", targets: [], rows: [], failures: [] };

// So that agents are ended too: they are when this process exits.
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(1));

function usageError(message: string): void {
  process.stderr.write(`${message}\n${USAGE}`);
  process.exitCode = 1;
}

/** On a terminal one line that changes, elsewhere nothing. */
function progress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
}

async function measureLoads(options: Options, peer: Target | null): Promise<LoadResult> {
  const result = await runLoad(options, peer, progress);
  progress("");
  process.stdout.write(`\n${result.targets.map(({ side, command, version }) => `${side}: ${command} (${version})\n`).join("")}`);
  if (peer === null) process.stdout.write(`peer: none, ${options.against} is not installed: only ours was measured\n`);
  process.stdout.write(`${result.pinning}\n\n${loadTable(result.rows)}`);
  for (const { group, error } of result.failures) process.stdout.write(`${group} failed: ${error}\n`);
  if (result.failures.length > 0) process.exitCode = 1;
  return result;
}

async function main(): Promise<void> {
  const options = parseOptions(process.argv.slice(2));
  if (!options.ok) return usageError(options.error);
  const { words, kernels: wanted, drivers, against, againstGiven, quick, seed, json, html } = options.value;
  const kernels = wanted ? KERNELS.filter(({ name }) => words.length === 0 || words.some((word) => name.includes(word))) : [];
  if (wanted && kernels.length === 0) return usageError(`no kernel is named like ${words.join(" or ")}`);
  const peer = drivers.length === 0 ? null : findPeer(against);
  if (drivers.length > 0 && peer === null && againstGiven) return usageError(`cannot run ${against}`);
  const machine = describeMachine();
  process.stdout.write(`seed ${seed}; ${machineLine(machine)}${quick ? "; quick: the spread means nothing" : ""}\n`);
  const kernelRows = kernels.map((kernel) => {
    progress(kernel.name);
    return measureKernel(kernel, seed, quick);
  });
  progress("");
  if (wanted) process.stdout.write(`\n${kernelTable(kernelRows)}`);
  const load = drivers.length === 0 ? NO_LOAD : await measureLoads(options.value, peer);
  const report: Report = { machine, seed, quick, ...load, kernels: kernelRows };
  if (json !== null) writeFileSync(json, `${JSON.stringify(report, null, 1)}\n`);
  if (html !== null) writeFileSync(html, htmlPage(report));
}

await main();
