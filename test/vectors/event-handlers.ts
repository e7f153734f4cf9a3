/**
 * event-handlers: what handlers of real agents were given. Each recorded invocation is turned back into an event and our own member record; our
 * handlers run them through the real spawner with the recorded specification, and the same script must see the same.
 */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { EventHandlers } from "../../src/io/event-handlers.ts";
import { Metrics } from "../../src/io/metrics.ts";
import { logText } from "../../src/io/serf-agent-api.ts";
import { Spawner } from "../../src/io/spawner.ts";
import { ipToBytes } from "../../src/base/endpoint.ts";
import type { Member, MemberEventType, SerfEvent } from "../../src/serf/types.ts";
import { eventually } from "../support/eventually.ts";
import { attempt, fieldsOf } from "./compare.ts";
import { readInvocations, splitTags, withSortedTags, writeHandlerScript, type Invocation } from "./handler-script.ts";
import type { Report } from "./registry.ts";

interface RecordedHandler {
  readonly agent: string;
  readonly handlerSpec: string;
  readonly invocations: readonly Invocation[];
}

const DEADLINE_MS = 60_000;

export async function checkEventHandlers(data: unknown, report: Report): Promise<void> {
  const { handlers = [] } = fieldsOf<{ handlers: readonly RecordedHandler[] }>(data, ["handlers"], report);
  for (const [index, handler] of handlers.entries()) await checkHandler(`${index} ${handler.agent} ${handler.handlerSpec}`, handler, report);
}

async function checkHandler(name: string, { agent, handlerSpec, invocations }: RecordedHandler, report: Report): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), "muster-handlers-"));
  writeHandlerScript(dir);
  // The recorded command names its files without a directory.
  const spec = /^(.*=)?node (h\.js) (\S+)$/.exec(handlerSpec);
  if (spec === null) {
    report(name, `the command of ${handlerSpec} is not known`);
    return;
  }
  const output = join(dir, spec[3] as string);
  const log: string[] = [];
  const spawner = new Spawner((reason) => log.push(reason));
  let self: Member | null = null;
  const handlers = new EventHandlers({
    runner: spawner,
    log: { write: (level, text) => void (level === "debug" || log.push(logText(text))) },
    metrics: new Metrics(),
    self: () => self ?? assert.fail("no event yet"),
    respond: () => Promise.resolve(),
  });
  handlers.setHandlers([`${spec[1] ?? ""}${process.execPath} ${join(dir, "h.js")} ${output}`]);
  try {
    // One after another: each has its own idea of who we are.
    for (const [i, invocation] of invocations.entries()) {
      self = selfOf(agent, invocation);
      handlers.handle(eventOf(invocation));
      await eventually(`invocation ${i}`, DEADLINE_MS, () => (readInvocations(output).length > i ? null : `${log.join("\n")} nothing written`));
    }
    const ours = readInvocations(output);
    for (const [i, invocation] of invocations.entries()) {
      attempt(`${name} #${i}`, report, () => assert.deepEqual(withSortedTags(ours[i] as Invocation), withSortedTags(invocation)));
    }
  } catch (error) {
    report(name, error instanceof Error ? error.message : String(error));
  } finally {
    spawner.stop();
    rmSync(dir, { recursive: true });
  }
}

/** Our own record: the tags are known by their variables only, which name the same variables again. */
function selfOf(agent: string, { env }: Invocation): Member {
  const tags = new Map(Object.entries(env).flatMap(([name, value]) => (name.startsWith("SERF_TAG_") ? [[name.slice("SERF_TAG_".length).toLowerCase(), value]] : [])) as [string, string][]);
  assert.equal(tags.get("role") ?? "", env["SERF_SELF_ROLE"]);
  return member(agent, "127.0.0.1", tags);
}

function eventOf({ env, stdinHex }: Invocation): SerfEvent {
  const type = env["SERF_EVENT"] ?? "";
  const input = Buffer.from(stdinHex, "hex");
  if (type === "user" || type === "query") {
    // The newline at the end is the agent's addition, or was there before: then it adds none.
    const payload = input.length === 0 ? null : input.subarray(0, input.length - 1);
    const common = { name: env[type === "user" ? "SERF_USER_EVENT" : "SERF_QUERY_NAME"] ?? "", payload };
    const lamportTime = Number(env[type === "user" ? "SERF_USER_LTIME" : "SERF_QUERY_LTIME"]);
    if (type === "user") return { kind: "user", lamportTime, coalesce: false, ...common };
    return { kind: "query", token: 1, lamportTime, sourceNode: "", deadlineMs: 0, ...common };
  }
  assert.match(type, /^member-(join|leave|failed|update|reap)$/, "unknown event");
  const members = input.toString().split("\n").slice(0, -1).map((line) => {
    const [name = "", ip = "", role = "", tagText = ""] = line.split("\t");
    const tags = new Map(splitTags(unescape(tagText)).map((tag) => [tag.slice(0, tag.indexOf("=")), tag.slice(tag.indexOf("=") + 1)] as const));
    assert.equal(tags.get("role") ?? "", unescape(role));
    return member(unescape(name), ip, tags);
  });
  return { kind: "members", type: type as MemberEventType, members };
}

function unescape(field: string): string {
  return field.replaceAll("\\t", "\t").replaceAll("\\n", "\n");
}

function member(name: string, ip: string, tags: ReadonlyMap<string, string>): Member {
  const versions = { protocolMin: 1, protocolMax: 5, protocolCur: 2, delegateMin: 2, delegateMax: 5, delegateCur: 5 };
  return { name, ip, addr: ipToBytes(ip) ?? assert.fail(`not an address: ${ip}`), port: 7946, tags, status: "alive", ...versions };
}
