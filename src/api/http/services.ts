/** Reads of the instances of a service: `/v1/catalog/service`, `/v1/health/service` and `checks` (reference: consul-agent §2.2, §2.3). */
import { parseBool } from "../../wire/go-numbers.ts";
import type { CheckedInstance, ServiceInstance } from "../../catalog/types.ts";
import type { HealthCheck } from "../../wire/fsm-commands.ts";
import type { QueryOptions, ServiceArgs } from "../rpc/types.ts";
import { refuse } from "./answers.ts";
import { readAnswer, readPlan } from "./catalog.ts";
import { cacheHeaders } from "./cached.ts";
import { EncodedRows } from "./encoded-rows.ts";
import { nodesArgsOf, type Parsed } from "./parsed.ts";
import { callServer } from "./rpc-plan.ts";
import { checkShape, instanceShape, serviceNodeShape } from "./shapes.ts";
import type { HttpPlan } from "./types.ts";

const SERVICE_NODES = new EncodedRows<readonly ServiceInstance[]>((rows) => rows.map(serviceNodeShape));
const INSTANCES = new EncodedRows<readonly CheckedInstance[]>((rows) => rows.map(instanceShape));
const PASSING = new EncodedRows<readonly CheckedInstance[]>((rows) => rows.filter(isPassing).map(instanceShape));
const CHECKS = new EncodedRows<readonly HealthCheck[]>((rows) => rows.map(checkShape));

function isPassing({ checks }: CheckedInstance): boolean {
  return checks.every(({ status }) => status === "passing");
}

const NO_TAGS: readonly string[] = [];

function argsOf(parsed: Parsed, options: QueryOptions): ServiceArgs {
  return { ...nodesArgsOf(parsed, options), service: parsed.rest, tags: parsed.query.has("tag") ? parsed.query.all("tag") : NO_TAGS, address: "" };
}

export function handleCatalogService(parsed: Parsed): HttpPlan {
  return readPlan(parsed, (options) => {
    if (parsed.rest === "") return refuse(400, "Missing service name");
    return callServer("Catalog.ServiceNodes", argsOf(parsed, options), (outcome) => readAnswer(parsed, outcome, SERVICE_NODES, cacheHeaders(parsed)));
  });
}

export function handleHealthService(parsed: Parsed): HttpPlan {
  return readPlan(parsed, (options) => {
    if (parsed.rest === "") return refuse(400, "Missing service name");
    const passing = passingOnly(parsed);
    if (passing === null) return refuse(400, "Invalid value for ?passing");
    return callServer("Health.ServiceNodes", argsOf(parsed, options), (outcome) => readAnswer(parsed, outcome, passing ? PASSING : INSTANCES, cacheHeaders(parsed)));
  });
}

/** Null when it is neither. */
function passingOnly({ query }: Parsed): boolean | null {
  if (!query.has("passing")) return false;
  const given = query.get("passing");
  const value = parseBool(given === "" ? "true" : given);
  return value.ok ? value.value : null;
}

export function handleServiceChecks(parsed: Parsed): HttpPlan {
  return readPlan(parsed, (options) => {
    if (parsed.rest === "") return refuse(400, "Missing service name");
    return callServer("Health.ServiceChecks", { ...argsOf(parsed, options), tags: [] }, (outcome) => readAnswer(parsed, outcome, CHECKS));
  });
}
