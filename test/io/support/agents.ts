/** Agents on loopback for the tests of `io`, and waiting for what they do. */
import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import { LogHub } from "../../../src/io/log-hub.ts";
import { Metrics } from "../../../src/io/metrics.ts";
import { SerfAgent } from "../../../src/io/serf-agent.ts";
import type { SerfAgentOptions } from "../../../src/io/serf-agent-api.ts";
import type { SerfEvent } from "../../../src/serf/types.ts";

/** Far beyond what anything here takes: only a failure reaches it. */
const DEADLINE_MS = 20_000;

export interface TestAgent {
  readonly agent: SerfAgent;
  readonly address: string;
  readonly log: LogHub;
  readonly metrics: Metrics;
  readonly events: SerfEvent[];
}

export function testOptions(name: string, ip: string, more: Partial<SerfAgentOptions> = {}): SerfAgentOptions {
  return {
    name,
    bind: { ip, port: 0 },
    advertise: { ip: "", port: 0 },
    profile: "local",
    protocol: 5,
    tags: new Map(),
    tagsFile: "",
    keys: [],
    keyringFile: "",
    snapshotPath: "",
    rejoinAfterLeave: false,
    compression: true,
    coordinates: true,
    resolveConflicts: true,
    coalesce: false,
    logLevel: "info",
    broadcastTimeoutMs: 5000,
    reconnectIntervalMs: 30_000,
    reconnectTimeoutMs: 86_400_000,
    tombstoneTimeoutMs: 86_400_000,
    querySizeMax: 1024,
    queryResponseSizeMax: 1024,
    userEventSizeMax: 512,
    log: new LogHub(),
    ...more,
  };
}

/** An agent that is shut down at the end of the test. */
export async function startAgent(t: TestContext, name: string, ip: string, more: Partial<SerfAgentOptions> = {}): Promise<TestAgent> {
  const log = new LogHub();
  const metrics = new Metrics();
  const agent = await SerfAgent.start(testOptions(name, ip, { log, metrics, ...more }));
  t.after(() => agent.shutdown());
  const events: SerfEvent[] = [];
  agent.subscribe((event) => events.push(event));
  return { agent, address: `${agent.bind.ip}:${agent.bind.port}`, log, metrics, events };
}

/** Resolves with the first event that fits, past ones included. */
export async function eventOf(t: TestAgent, fits: (event: SerfEvent) => boolean, what: string): Promise<SerfEvent> {
  const past = t.events.find(fits);
  if (past !== undefined) return past;
  return within(
    new Promise((resolve) => {
      const close = t.agent.subscribe((event) => {
        if (!fits(event)) return;
        close();
        resolve(event);
      });
    }),
    what,
  );
}

export function memberEvent(type: string, name: string): (event: SerfEvent) => boolean {
  return (event) => event.kind === "members" && event.type === type && event.members.some((member) => member.name === name);
}

/** Resolves once a log line contains the text, past ones included. */
export function logged(t: { readonly log: LogHub }, text: string): Promise<string> {
  return within(
    new Promise((resolve) => {
      t.log.subscribe(
        "trace",
        (line) => {
          if (line.includes(text)) resolve(line);
        },
        { replay: true },
      );
    }),
    `log line with "${text}"`,
  );
}

/** The promise, or a failed assertion after the deadline. */
export async function within<T>(promise: Promise<T>, what: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new assert.AssertionError({ message: `not within ${DEADLINE_MS} ms: ${what}` })), DEADLINE_MS);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
