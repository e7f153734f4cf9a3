/** Replays one transcript and tells how many of its steps were answered as recorded. */
import { difference, type Answer } from "./compare.ts";
import { startAgents } from "./agents.ts";
import { capture, sendStep, type Captures } from "./request.ts";
import type { HttpStep, Transcript } from "./types.ts";

export interface Tally {
  readonly passed: number;
  readonly failed: readonly string[];
  readonly later: number;
}

/** Steps that belong to features of later versions. */
export interface Later {
  readonly http?: readonly string[];
}

/** The same transcript on another loopback address of the same length, so that it meets nobody who uses the first. */
export function movedTo(ip: string, transcript: Transcript): Transcript {
  const moved = JSON.parse(JSON.stringify(transcript).replaceAll("127.0.0.1", ip)) as Transcript;
  const agents = (moved.setup.agents ?? []).map((agent) => ({ ...agent, argv: [...agent.argv, `-bind=${ip}`, `-client=${ip}`] }));
  return { ...moved, setup: { ...moved.setup, agents } };
}

export async function runTranscript(transcript: Transcript, later: Later, peer: string | null): Promise<Tally> {
  const agents = await startAgents(transcript.setup, peer);
  const patterns = (later.http ?? []).map((pattern) => new RegExp(pattern));
  const captures: Captures = new Map();
  const waiting = new Map<string, { readonly at: number; readonly step: HttpStep; readonly answer: Promise<Answer> }>();
  const failed: string[] = [];
  let passed = 0;
  let apart = 0;
  const judge = (at: number, step: HttpStep, answer: Answer): void => {
    capture(step, answer, captures);
    if (patterns.some((pattern) => pattern.test(step.path.split("?")[0] as string))) {
      apart += 1;
      return;
    }
    const differs = difference(step, answer);
    if (differs === null) passed += 1;
    else failed.push(`${transcript.scenario} ${at} ${step.method} ${step.path}: ${differs}`);
  };
  try {
    for (const [at, step] of transcript.steps.entries()) {
      if (step.kind === "sleep") await new Promise((resolve) => setTimeout(resolve, step.seconds * 1000));
      else if (step.kind === "join") {
        const awaited = waiting.get(step.background);
        waiting.delete(step.background);
        if (awaited !== undefined) judge(awaited.at, awaited.step, await awaited.answer);
      } else if (step.kind === "http") {
        const answer = sendStep(step, step.host ?? agents.http, captures);
        if (step.background === undefined) judge(at, step, await answer);
        else waiting.set(step.background, { at, step, answer });
      } else if (step.kind !== "note") apart += 1;
    }
    for (const { at, step, answer } of waiting.values()) judge(at, step, await answer);
  } finally {
    await agents.stop();
  }
  return { passed, failed, later: apart };
}
