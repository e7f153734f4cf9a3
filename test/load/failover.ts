/**
 * Loses leaders: three servers, 64 writers, kill -9 of the leader again and again. Prints the time to the first acknowledged write after each kill, and looks at the
 * end for every write that was acknowledged. `node dist/test/load/failover.js [--kills N] [--multiplier M] [--peer PROGRAM] [--ip 127.0.95.0]`.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, openSync, rmSync, writeFileSync } from "node:fs";
import { Agent, request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const MAIN = fileURLToPath(new URL("../../src/main.js", import.meta.url));
const WRITERS = 64;
/** A writer gives one write this long before it tries another server. */
const WRITE_MS_MAX = 30_000;
const READY_MS_MAX = 60_000;
/** Between a recovery and the next kill, so that writes of a calm cluster are among those that are checked. */
const CALM_MS = 500;

const { values } = parseArgs({
  options: {
    kills: { type: "string", default: "10" },
    multiplier: { type: "string", default: "5" },
    peer: { type: "string", default: "" },
    net: { type: "string", default: "127.0.95" },
  },
});

interface Member {
  readonly ip: string;
  readonly name: string;
  child: ChildProcess | null;
}

const work = mkdtempSync(join(tmpdir(), "muster-failover-"));
const members: Member[] = [1, 2, 3].map((i) => ({ ip: `${values.net}.${i}`, name: `server-${i}`, child: null }));
const connections = new Agent({ keepAlive: true, maxSockets: Infinity });
/** Key to the number last acknowledged for it. */
const acknowledged = new Map<string, number>();
let lastAckMs = 0;
let writes = 0;
let stopping = false;

function startMember(member: Member): void {
  const config = join(work, `${member.name}.json`);
  writeFileSync(config, JSON.stringify({
    node_name: member.name, server: true, bootstrap_expect: 3, data_dir: join(work, member.name), bind_addr: member.ip, client_addr: member.ip,
    retry_join: members.map(({ ip }) => ip), retry_interval: "1s", performance: { raft_multiplier: Number(values.multiplier) },
    // A server that was killed comes back a moment later: it need not prove itself for ten seconds first.
    autopilot: { cleanup_dead_servers: false }, limits: { http_max_conns_per_client: 1000 },
    ports: values.peer === "" ? {} : { dns: -1, grpc: -1, serf_wan: -1 },
  }));
  const log = openSync(join(work, `${member.name}.log`), "a");
  const [program, args] = values.peer === "" ? [process.execPath, [MAIN, "consul", "agent"]] : [values.peer, ["agent"]];
  member.child = spawn(program, [...args, `-config-file=${config}`], { stdio: ["ignore", log, log] });
}

function ask(ip: string, method: string, path: string, body: string, timeoutMs: number): Promise<{ readonly status: number; readonly body: string }> {
  return new Promise((resolve) => {
    const failed = (): void => resolve({ status: 0, body: "" });
    const asked = request({ host: ip, port: 8500, method, path, agent: connections, timeout: timeoutMs }, (response) => {
      let text = "";
      response.on("data", (piece: Buffer) => (text += piece.toString()));
      response.on("end", () => resolve({ status: response.statusCode ?? 0, body: text.trim() }));
      response.on("error", failed);
    });
    asked.on("timeout", () => asked.destroy());
    asked.on("error", failed);
    asked.end(body);
  });
}

async function pause(ms: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, ms));
}

/** Writes its own keys one after the other, at a server that answers. */
async function writer(id: number): Promise<void> {
  let server = id % members.length;
  for (let n = 1; !stopping; n += 1) {
    const key = `w/${id}/${n % 50}`;
    const { ip } = members[server] as Member;
    const answer = await ask(ip, "PUT", `/v1/kv/${key}`, String(n), WRITE_MS_MAX);
    if (answer.status === 200 && answer.body === "true") {
      acknowledged.set(key, n);
      lastAckMs = performance.now();
      writes += 1;
    } else {
      server = (server + 1) % members.length;
      await pause(10);
    }
  }
}

async function until(what: string, check: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + READY_MS_MAX;
  while (!(await check())) {
    if (performance.now() > deadline) throw new Error(`not within ${READY_MS_MAX / 1000} s: ${what}; logs in ${work}`);
    await pause(50);
  }
}

/** The leader that all three agree on. */
async function leader(): Promise<Member | null> {
  const said = await Promise.all(members.map(({ ip }) => ask(ip, "GET", "/v1/status/leader", "", 1000)));
  if (said.some(({ status, body }) => status !== 200 || body !== said[0]?.body || body === '""')) return null;
  return members.find(({ ip }) => said[0]?.body === `"${ip}:8300"`) ?? null;
}

/** All three are there, vote, and answer. */
async function calm(): Promise<boolean> {
  if ((await leader()) === null) return false;
  const { body } = await ask((members[0] as Member).ip, "GET", "/v1/operator/raft/configuration", "", 1000);
  try {
    const { Servers } = JSON.parse(body) as { readonly Servers: readonly { readonly Voter: boolean }[] };
    return Servers.length === members.length && Servers.every(({ Voter }) => Voter);
  } catch {
    return false;
  }
}

async function kill(): Promise<number> {
  let victim: Member | null = null;
  await until("a leader that all agree on", async () => (victim = await leader()) !== null);
  return killed(victim as unknown as Member);
}

async function killed(victim: Member): Promise<number> {
  if (victim.child === null) throw new Error(`${victim.name} is not running`);
  const ended = once(victim.child, "exit");
  const killedMs = performance.now();
  victim.child.kill("SIGKILL");
  await ended;
  // Acknowledgements that were on their way when it died are not new writes.
  const deadMs = performance.now();
  await until("a write after the kill", () => Promise.resolve(lastAckMs > deadMs));
  const firstMs = lastAckMs - killedMs;
  startMember(victim);
  return firstMs;
}

async function lost(): Promise<number> {
  const { ip } = members[0] as Member;
  let missing = 0;
  for (const [key, n] of acknowledged) {
    const { body } = await ask(ip, "GET", `/v1/kv/${key}?raw&consistent`, "", WRITE_MS_MAX);
    // A later write may have been done without being acknowledged; an earlier one may not be there instead.
    if (!(Number(body) >= n)) missing += 1;
  }
  return missing;
}

function percentile(sorted: readonly number[], p: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * p))] ?? NaN;
}

for (const member of members) startMember(member);
try {
  await until("three voters and a leader", calm);
  const writers = Array.from({ length: WRITERS }, (_, id) => writer(id));
  const times: number[] = [];
  for (let i = 0; i < Number(values.kills); i += 1) {
    await pause(CALM_MS);
    times.push(await kill());
    process.stderr.write(`kill ${i + 1}: first write after ${Math.round(times.at(-1) as number)} ms, ${writes} writes so far\n`);
    await until("three voters and a leader again", calm);
  }
  await pause(CALM_MS);
  stopping = true;
  await Promise.all(writers);
  const missing = await lost();
  const sorted = [...times].sort((a, b) => a - b);
  process.stdout.write(`${JSON.stringify({
    program: values.peer === "" ? "muster" : values.peer, multiplier: Number(values.multiplier), kills: times.length, writes, keys: acknowledged.size, lost: missing,
    firstWriteMs: { min: Math.round(sorted[0] ?? NaN), p50: Math.round(percentile(sorted, 0.5)), p90: Math.round(percentile(sorted, 0.9)), max: Math.round(sorted.at(-1) ?? NaN) },
  })}\n`);
  process.exitCode = missing > 0 ? 1 : 0;
} finally {
  stopping = true;
  for (const { child } of members) child?.kill("SIGKILL");
  connections.destroy();
  if (process.exitCode === 0 && process.env["KEEP"] === undefined) rmSync(work, { recursive: true, force: true });
}
process.exit();
