/** One run of a built-in scenario by its name: shared by the tests and `npm run sim`. */
import { prepare, type PlayOptions } from "../../src/cli/sim/play.ts";
import type { RunReport } from "../../src/sim/run-report.ts";
import type { ScenarioRun } from "../../src/sim/scenario-run.ts";
import { SCENARIOS } from "../../src/sim/scenarios.ts";

export interface RunChoice extends PlayOptions {
  readonly scenario: string;
  /** Null: as many as the scenario likes. */
  readonly nodes: number | null;
}

export function prepareScenario({ scenario, nodes, ...options }: RunChoice): ScenarioRun {
  const builtIn = SCENARIOS.get(scenario);
  if (builtIn === undefined) throw new Error(`there is no scenario ${scenario}`);
  return prepare(builtIn.build(nodes ?? builtIn.nodesDefault, options.seed), options);
}

export function runScenario(choice: RunChoice): RunReport {
  return prepareScenario(choice).run();
}
