/** Checks that repeat the health of something else: a service of this agent with its node, or the node alone (reference: consul-agent §2.1). */
import { cutOutput } from "./output.ts";
import type { HealthCheck } from "../../wire/fsm-commands.ts";
import type { LocalCheck } from "../../api/http/local-agent.ts";

const ALIAS = "alias";

export function aliasStatus({ check, plan }: LocalCheck, all: readonly HealthCheck[]): { readonly status: string; readonly output: string } {
  // Looking at itself or at others of its kind, an alias would never recover.
  const watched = all.filter((other) => other.checkId !== check.checkId && other.type !== ALIAS && (other.serviceId === "" || other.serviceId === plan.aliasService));
  const failing = watched.find(({ status }) => status === "critical") ?? watched.find(({ status }) => status === "warning");
  if (failing !== undefined) return { status: failing.status, output: cutOutput(`Aliased check ${JSON.stringify(failing.name)} failing: ${failing.output}`, plan.outputBytesMax) };
  return { status: "passing", output: watched.length === 0 ? "No checks found." : "All checks passing." };
}
