/** `/v1/internal/ui`: what the original's user interface asks for (reference: consul-agent §2.10). */
import type { CheckedInstance } from "../../catalog/types.ts";
import { orderKey } from "../../catalog/order-key.ts";
import type { HealthCheck, NodeService } from "../../wire/fsm-commands.ts";
import type { NodeInfo } from "../rpc/types.ts";
import { jsonAnswer, refuse, textAnswer } from "./answers.ts";
import type { Json } from "./json.ts";
import { datacenterOf, nodesArgsOf, type Parsed } from "./parsed.ts";
import { FAILED_META, metaHeaders, readOptions } from "./read-options.ts";
import { callServer } from "./rpc-plan.ts";
import { checkShape, serviceShape } from "./shapes.ts";
import type { HttpPlan } from "./types.ts";

/** Tags are null here where there are none. */
function serviceForUi(service: NodeService): Json {
  return { ...(serviceShape(service) as Readonly<Record<string, Json>>), Tags: tagsOrNull(service.tags) };
}

function checkForUi(check: HealthCheck): Json {
  return { ...(checkShape(check) as Readonly<Record<string, Json>>), ServiceTags: tagsOrNull(check.serviceTags) };
}

function tagsOrNull(tags: readonly string[] | null): Json {
  return tags === null || tags.length === 0 ? null : tags;
}

function infoShape({ node, services, checks }: NodeInfo): Json {
  return {
    ID: node.id, Node: node.node, Address: node.address, TaggedAddresses: node.taggedAddresses, Meta: node.meta, Services: services.map(serviceForUi), Checks: checks.map(checkForUi),
  };
}

export function handleUiNodes(parsed: Parsed): HttpPlan {
  const read = readOptions(parsed.request, parsed.query);
  if (!read.ok) return refuse(400, read.error);
  return callServer("Internal.NodeDump", nodesArgsOf(parsed, read.options), (outcome) => {
    if (!outcome.ok) return textAnswer(500, outcome.error, metaHeaders(FAILED_META));
    return jsonAnswer(outcome.value.value.map(infoShape), parsed.pretty, metaHeaders(outcome.value.meta));
  });
}

export function handleUiNode(parsed: Parsed): HttpPlan {
  const read = readOptions(parsed.request, parsed.query);
  if (!read.ok) return refuse(400, read.error);
  if (parsed.rest === "") return refuse(400, "Missing node name");
  return callServer("Internal.NodeInfo", { datacenter: datacenterOf(parsed), node: parsed.rest, options: read.options }, (outcome) => {
    if (!outcome.ok) return textAnswer(500, outcome.error, metaHeaders(FAILED_META));
    const [info] = outcome.value.value;
    return info === undefined ? textAnswer(404, "") : jsonAnswer(infoShape(info), parsed.pretty, metaHeaders(outcome.value.meta));
  });
}

export function handleUiServices(parsed: Parsed): HttpPlan {
  const read = readOptions(parsed.request, parsed.query);
  if (!read.ok) return refuse(400, read.error);
  return callServer("Internal.ServiceDump", nodesArgsOf(parsed, read.options), (outcome) => {
    if (!outcome.ok) return textAnswer(500, outcome.error, metaHeaders(FAILED_META));
    return jsonAnswer(summaries(outcome.value.value), parsed.pretty, metaHeaders(outcome.value.meta));
  });
}

/** One row a service: a check of a node counts once, however many instances are on it. */
function summaries(instances: readonly CheckedInstance[]): Json {
  const services = new Map<string, CheckedInstance[]>();
  for (const instance of instances) {
    const known = services.get(instance.service.service);
    if (known === undefined) services.set(instance.service.service, [instance]);
    else known.push(instance);
  }
  return [...services].sort(([a], [b]) => (orderKey(a) < orderKey(b) ? -1 : 1)).map(([name, rows]) => summary(name, rows));
}

function summary(name: string, rows: readonly CheckedInstance[]): Json {
  const tags = [...new Set(rows.flatMap(({ service }) => service.tags ?? []))];
  const sources = [...new Set(rows.map(({ service }) => service.meta?.get("external-source") ?? "").filter((source) => source !== ""))];
  const checks = new Map(rows.flatMap((row) => row.checks.map((check) => [`${check.node}\0${check.checkId}`, check.status] as const)));
  const count = (...statuses: readonly string[]): number => [...checks.values()].filter((status) => statuses.includes(status)).length;
  return {
    Kind: rows[0]?.service.kind === "" ? undefined : rows[0]?.service.kind,
    Name: name,
    Tags: tagsOrNull(tags),
    Nodes: [...new Set(rows.map(({ node }) => node.node))],
    InstanceCount: rows.length,
    ChecksPassing: count("passing"),
    ChecksWarning: count("warning"),
    ChecksCritical: count("critical"),
    ExternalSources: sources.length === 0 ? null : sources,
    GatewayConfig: {},
  };
}
