/**
 * rpc-sessions: each recorded connection is played to our own agents. The world of a recording (nodes, tags, keys, token, who answers which query)
 * is read off its frames and built from real agents on loopback; what the agent answers must be what was recorded, but for what depends on
 * time, place and chance.
 */
import assert from "node:assert/strict";
import { canonical, type Frame } from "./rpc-frames.ts";
import { fieldsOf } from "./compare.ts";
import { playSession } from "./rpc-play.ts";
import { buildWorld, type World } from "./rpc-world.ts";
import type { Report } from "./registry.ts";
import { encodeTagged } from "./rpc-values.ts";
import { hexBytes } from "./values.ts";

export interface Session {
  readonly name: string;
  readonly agent: string;
  readonly frames: readonly Frame[];
}

export async function checkRpcSessions(data: unknown, report: Report): Promise<void> {
  const { sessions = [] } = fieldsOf<{ sessions: readonly Session[] }>(data, ["sessions"], report);
  // Agents of different recordings do not meet; those of one recording keep their state from session to session.
  const agents = [...new Set(sessions.map(({ agent }) => agent))];
  await Promise.all(agents.map((agent) => checkAgent(agent, sessions.filter((session) => session.agent === agent), report)));
}

async function checkAgent(agent: string, sessions: readonly Session[], report: Report): Promise<void> {
  let world: World | null = null;
  try {
    world = await buildWorld(agent, sessions);
    for (const session of sessions) {
      try {
        checkSession(session);
        await playSession(world, session);
        report(session.name, null);
      } catch (error) {
        report(session.name, error instanceof Error ? error.message : String(error));
      }
    }
  } catch (error) {
    for (const { name } of sessions) report(name, `no agents to play it to: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
  } finally {
    await world?.close();
  }
}

/** The recording is one we understand: every frame's bytes are the value beside them, in our encoding of it. */
function checkSession({ name, agent, frames, ...rest }: Session): void {
  assert.deepEqual(rest, {}, "parts of the session without a check");
  assert.ok(name !== "" && agent !== "");
  for (const { dir, hex, value, closed, incomplete, ...others } of frames) {
    assert.deepEqual(others, {}, "parts of a frame without a check");
    assert.ok(dir === "c2s" || dir === "s2c");
    if (closed === true || incomplete === true) continue;
    assert.equal(canonical(encodeTagged(value)), canonical(hexBytes(hex)), `bytes of ${JSON.stringify(value)}`);
  }
}
