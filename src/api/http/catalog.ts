/** The catalog reads that show the cluster's own nodes: `/v1/catalog` and `/v1/health` (reference: consul-agent §2.2, §2.3). */
import { jsonAnswer, refuse, textAnswer } from "./answers.ts";
import { catalogHeaders, FAILED_META, readOptions, type ReadOptions } from "./read-options.ts";
import { callOrFail, callServer } from "./rpc-plan.ts";
import { checkShape, nodeShape, serviceShape } from "./shapes.ts";
import { datacenterOf, nodesArgsOf, type Parsed } from "./parsed.ts";
import type { Json } from "./json.ts";
import type { Outcome, Queried } from "../rpc/types.ts";
import type { HttpAnswer, HttpPlan } from "./types.ts";

export function handleDatacenters(parsed: Parsed): HttpPlan {
  return callOrFail("Catalog.ListDatacenters", { datacenter: datacenterOf(parsed) }, (names) => jsonAnswer(names, parsed.pretty));
}

export function handleNodes(parsed: Parsed): HttpPlan {
  return read(parsed, (options) =>
    callServer("Catalog.ListNodes", nodesArgsOf(parsed, options), (outcome) =>
      answer(parsed, outcome, (nodes) => nodes.map(nodeShape))));
}

export function handleServices(parsed: Parsed): HttpPlan {
  return read(parsed, (options) =>
    callServer("Catalog.ListServices", nodesArgsOf(parsed, options), (outcome) =>
      answer(parsed, outcome, (services) => services)));
}

export function handleNode(parsed: Parsed): HttpPlan {
  return read(parsed, (options) => {
    if (parsed.rest === "") return refuse(400, "Missing node name");
    return callServer("Catalog.NodeServices", { datacenter: datacenterOf(parsed), node: parsed.rest, options }, (outcome) =>
      answer(parsed, outcome, (found) => {
        if (found === null) return null;
        return { Node: nodeShape(found.node), Services: new Map(found.services.map((service) => [service.id, serviceShape(service)] as const)) };
      }));
  });
}

export function handleNodeChecks(parsed: Parsed): HttpPlan {
  return read(parsed, (options) => {
    if (parsed.rest === "") return refuse(400, "Missing node name");
    return callServer("Health.NodeChecks", { datacenter: datacenterOf(parsed), node: parsed.rest, options }, (outcome) =>
      answer(parsed, outcome, (checks) => checks.map(checkShape)));
  });
}

export function handleChecksInState(parsed: Parsed): HttpPlan {
  return read(parsed, (options) => {
    if (parsed.rest === "") return refuse(400, "Missing check state");
    const args = { ...nodesArgsOf(parsed, options), state: parsed.rest };
    return callServer("Health.ChecksInState", args, (outcome) => answer(parsed, outcome, (checks) => checks.map(checkShape)));
  });
}

function read(parsed: Parsed, plan: (options: (ReadOptions & { ok: true })["options"]) => HttpPlan): HttpPlan {
  const options = readOptions(parsed.request, parsed.query);
  return options.ok ? plan(options.options) : refuse(400, options.error);
}

/** Reads of the catalog carry their meta headers even when they fail. */
function answer<T>(parsed: Parsed, outcome: Outcome<Queried<T>>, shape: (value: T) => Json): HttpAnswer {
  if (!outcome.ok) return textAnswer(500, outcome.error, catalogHeaders(FAILED_META).slice(1));
  return jsonAnswer(shape(outcome.value.value), parsed.pretty, catalogHeaders(outcome.value.meta));
}
