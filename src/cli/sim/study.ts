/** `muster sim -study`: figures of the papers, measured in the simulator. */
import { writeFileSync } from "node:fs";
import { fail, ok, type Result } from "../../base/result.ts";
import type { Scenario } from "../../sim/scenario.ts";
import type { CliContext } from "../context.ts";
import { studyDetection } from "./study-detection.ts";
import { GRIDS, studyLifeguard } from "./study-lifeguard.ts";
import { detectionPage, detectionText, lifeguardPage, lifeguardText } from "./study-report.ts";

export const STUDIES = ["detection", "lifeguard"] as const;

export interface StudyChoice {
  readonly study: (typeof STUDIES)[number];
  readonly nodes: number;
  readonly profile: Scenario["profile"];
  readonly seed: number;
  readonly trials: number;
  readonly grid: keyof typeof GRIDS;
}

export interface StudyFlags {
  readonly study: string;
  readonly nodes?: number;
  readonly profile: Scenario["profile"] | null;
  readonly seed: number;
  readonly trials?: number;
  readonly grid?: string;
}

const TRIALS_MAX = 100_000;
const DETECTION = { nodes: 100, trials: 1_500 } as const;
/** The paper's number of members. */
const LIFEGUARD = { nodes: 128, trials: 1 } as const;

export function chooseStudy({ study, nodes, profile, seed, trials, grid }: StudyFlags): Result<StudyChoice> {
  const found = STUDIES.find((name) => name === study);
  if (found === undefined) return fail(`-study: "${study}" is none of ${STUDIES.join(", ")}`);
  if (trials !== undefined && (trials < 1 || trials > TRIALS_MAX)) return fail(`-trials: ${trials} is not from 1 to ${TRIALS_MAX}`);
  const choice = { seed, profile: profile ?? "lan", grid: "coarse" } as const;
  if (found === "detection") {
    if (grid !== undefined) return fail("-grid goes with -study=lifeguard only");
    return ok({ ...choice, study: found, nodes: nodes ?? DETECTION.nodes, trials: trials ?? DETECTION.trials });
  }
  if (profile !== null) return fail("-profile does not go with -study=lifeguard, which compares its own");
  const named = grid ?? "coarse";
  if (!isGrid(named)) return fail(`-grid: "${named}" is none of ${Object.keys(GRIDS).join(", ")}`);
  const most = Math.max(...GRIDS[named].stalled);
  const size = nodes ?? LIFEGUARD.nodes;
  if (size < 2 * most) return fail(`-nodes: ${size} is less than twice the ${most} members that this grid stalls`);
  return ok({ ...choice, study: found, nodes: size, trials: trials ?? LIFEGUARD.trials, grid: named });
}

function isGrid(name: string): name is keyof typeof GRIDS {
  return Object.hasOwn(GRIDS, name);
}

export function runStudy(context: CliContext, choice: StudyChoice, { json, report }: { readonly json: boolean; readonly report: string | null }): void {
  const tell = (text: string): void => context.err(`${choice.study}: ${text}`);
  if (choice.study === "detection") {
    const made = studyDetection(choice, tell);
    context.out(json ? JSON.stringify(made) : detectionText(made));
    if (report !== null) writeFileSync(report, detectionPage(made));
    return;
  }
  const made = studyLifeguard(choice, tell);
  context.out(json ? JSON.stringify(made) : lifeguardText(made));
  if (report !== null) writeFileSync(report, lifeguardPage(made));
}
