/**
 * Does the server ever make others wait? Keys are filled in; then writers at a steady rate, a thousand watchers of keys that change once a second, and snapshots of
 * it all run together. Prints how late the server's event loop was, beside that of an idle process at the same time (what the machine itself makes late), and
 * whether the leader changed; then how long a restart takes until the first write.
 * `node dist/test/load/kv-pauses.js [--keys 100000] [--rate 17000] [--watchers 1000] [--seconds 20] [--bind 127.0.0.77]`
 */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { fill, Watchers, Writers, type Target } from "./kv-clients.ts";
import type { LoopDelays } from "./loop-probe.ts";

const { values } = parseArgs({
  options: {
    keys: { type: "string", default: "100000" },
    rate: { type: "string", default: "17000" },
    connections: { type: "string", default: "256" },
    watchers: { type: "string", default: "1000" },
    seconds: { type: "string", default: "20" },
    bind: { type: "string", default: "127.0.0.77" },
  },
});
const MAIN = fileURLToPath(new URL("../../src/main.js", import.meta.url));
const PROBE = fileURLToPath(new URL("./loop-probe.js", import.meta.url));
const READY_MS_MAX = 120_000;
const dir = mkdtempSync(join(tmpdir(), "muster-pauses-"));
const target: Target = { ip: values.bind, port: 8500 };
const config = join(dir, "config.json");
writeFileSync(config, JSON.stringify({
  server: true, bootstrap_expect: 1, node_name: "pauses", data_dir: join(dir, "data"), bind_addr: values.bind, client_addr: values.bind, log_level: "info",
  limits: { http_max_conns_per_client: 4096 }, raft_snapshot_interval: "5s", raft_snapshot_threshold: 8192,
}));

const STDIO: ["ignore", "pipe", "inherit", "ipc"] = ["ignore", "pipe", "inherit", "ipc"];

interface Server {
  readonly child: ChildProcess;
  readonly startedMs: number;
  text: string;
}

function start(): Server {
  const startedMs = performance.now();
  const child = spawn(process.execPath, ["--import", PROBE, MAIN, "consul", "agent", `-config-file=${config}`], { stdio: STDIO });
  const server: Server = { child, startedMs, text: "" };
  child.stdout?.on("data", (piece: Buffer) => (server.text += piece.toString()));
  return server;
}

/** ms from its start to its first acknowledged write. */
async function firstWriteMs({ startedMs }: Server): Promise<number> {
  for (;;) {
    try {
      const answer = await fetch(`http://${target.ip}:${target.port}/v1/kv/first`, { method: "PUT", body: "x" });
      if (answer.status === 200) return Math.round(performance.now() - startedMs);
    } catch {
      // Not listening yet.
    }
    if (performance.now() - startedMs > READY_MS_MAX) throw new Error("no write in time");
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

async function delays(child: ChildProcess): Promise<LoopDelays> {
  child.send("end");
  return ((await once(child, "message")) as [LoopDelays])[0];
}

function residentMib({ child }: Server): number {
  return Math.round(Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, "utf8"))?.[1] ?? 0) / 1024);
}

async function end({ child }: Server, signal: NodeJS.Signals): Promise<void> {
  child.kill(signal);
  if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
}

const elections = (text: string): number => text.split("entering leader state").length - 1;
const snapshots = (): readonly string[] => readdirSync(join(dir, "data", "raft", "snapshots"));

let server = start();
const idle = spawn(process.execPath, ["--import", PROBE, "-e", "setInterval(() => {}, 1000)"], { stdio: STDIO });
try {
  const firstMs = await firstWriteMs(server);
  await fill(target, Number(values.keys));
  const filledMib = residentMib(server);
  const watchers = await Watchers.start(target, Number(values.watchers));
  const writers = await Writers.start(target, Number(values.connections), Number(values.rate));
  await new Promise((resolve) => setTimeout(resolve, 2000));
  const before = snapshots();
  server.child.send("begin");
  idle.send("begin");
  await new Promise((resolve) => setTimeout(resolve, Number(values.seconds) * 1000));
  const loop = await delays(server.child);
  const machine = await delays(idle);
  const taken = snapshots().filter((name) => !before.includes(name)).length;
  const writes = writers.stop();
  const watches = watchers.stop();
  const print = (what: string, value: unknown): void => void process.stdout.write(`${what.padEnd(18)}${JSON.stringify(value)}\n`);
  print("server's loop", loop);
  print("idle process", machine);
  print("writes", writes);
  print("watchers", watches);
  print("snapshots left", taken);
  print("elections", elections(server.text));
  print("first write", { freshMs: firstMs });
  print("resident MiB", { filled: filledMib, loaded: residentMib(server) });
  for (const signal of ["SIGTERM", "SIGKILL"] as const) {
    await end(server, signal);
    server = start();
    print(`after ${signal}`, { firstWriteMs: await firstWriteMs(server), residentMib: residentMib(server) });
  }
} finally {
  idle.kill();
  await end(server, "SIGKILL");
  rmSync(dir, { recursive: true, force: true });
}
