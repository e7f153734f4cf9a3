/** `/v1/agent/service…`, `/v1/agent/check…` and maintenance (reference: consul-agent §2.1). */
import { fnv64 } from "../../base/fnv64.ts";
import { goQuote } from "../../base/go-quote.ts";
import type { HealthCheck, NodeService } from "../../wire/fsm-commands.ts";
import { parseBool } from "../../wire/go-numbers.ts";
import { parseDuration } from "../../wire/go-duration.ts";
import { compileFilter } from "../filter/evaluate.ts";
import { CHECK_SHAPE, SERVICE_SHAPE } from "../filter/shapes.ts";
import { checkBody, isStatus, serviceBody } from "./agent-bodies.ts";
import { askAgent } from "./agent.ts";
import { jsonAnswer, refuse, textAnswer } from "./answers.ts";
import { decodeBody, GO_STRING, goStruct, type DecodedStruct } from "./go-decode.ts";
import { writeJson, type Json } from "./json.ts";
import { NO_PLAN, type LocalAgent, type LocalCheck } from "./local-agent.ts";
import type { Parsed } from "./parsed.ts";
import { text } from "./rows-in.ts";
import { agentServiceShape, checkShape } from "./shapes.ts";
import type { HttpAnswer, HttpPlan } from "./types.ts";

export function local(parsed: Parsed, run: (agent: LocalAgent) => Promise<HttpAnswer>): HttpPlan {
  return askAgent(parsed, { kind: "local", run });
}

const DONE = (): HttpAnswer => textAnswer(200, "");

// ---- Services

export function handleAgentServices(parsed: Parsed): HttpPlan {
  return local(parsed, async (agent) => {
    const test = compileFilter<NodeService>(parsed.query.get("filter"), SERVICE_SHAPE, agent.compileExpression);
    if (!test.ok) return textAnswer(500, test.error);
    const shown = [...agent.services()].filter(([, service]) => test.value(service)).map(([id, service]) => [id, agentServiceShape(service)] as const);
    return jsonAnswer(new Map(shown), parsed.pretty);
  });
}

/** How long a question with a hash waits, unless told; and at most. */
const HASH_WAIT_MS = 300_000;
const HASH_WAIT_MAX_MS = 600_000;

export function handleAgentService(parsed: Parsed): HttpPlan {
  const { query, rest } = parsed;
  const asked = query.get("hash");
  const wait = query.get("wait");
  const parsedWait = wait === "" ? null : parseDuration(wait);
  if (parsedWait !== null && !parsedWait.ok) return refuse(400, "Invalid wait time");
  const waitMs = Math.min(HASH_WAIT_MAX_MS, parsedWait === null || parsedWait.value <= 0 ? HASH_WAIT_MS : parsedWait.value);
  return local(parsed, async (agent) => {
    if (asked !== "" && hashOf(agent.service(rest)) === asked) await agent.changed(rest, waitMs);
    const service = agent.service(rest);
    if (service === null) return textAnswer(404, `unknown service ID: ${rest}`);
    const hash = hashOf(service);
    return jsonAnswer(agentServiceShape(service, hash), parsed.pretty, [["X-Consul-Contenthash", hash]]);
  });
}

/** Opaque to clients: only equality matters. */
function hashOf(service: NodeService | null): string {
  return service === null ? "" : fnv64(writeJson(agentServiceShape(service), false));
}

export function handleServiceRegister(parsed: Parsed): HttpPlan {
  const body = serviceBody(parsed.request.body, parsed.context.nodeName);
  if (!body.ok) return refuse(body.status, body.error);
  const replace = parsed.query.has("replace-existing-checks") && ["", "true"].includes(parsed.query.get("replace-existing-checks"));
  return local(parsed, async (agent) => {
    await agent.addService(body.value.service, body.value.checks, replace);
    return DONE();
  });
}

export function handleServiceDeregister(parsed: Parsed): HttpPlan {
  if (parsed.rest === "") return refuse(500, "ServiceID missing");
  return local(parsed, async (agent) => {
    await agent.removeService(parsed.rest);
    return DONE();
  });
}

// ---- Checks

export function handleAgentChecks(parsed: Parsed): HttpPlan {
  return local(parsed, async (agent) => {
    const test = compileFilter<HealthCheck>(parsed.query.get("filter"), CHECK_SHAPE, agent.compileExpression);
    if (!test.ok) return textAnswer(500, test.error);
    const shown = [...agent.checks()].filter(([, { check }]) => test.value(check)).map(([id, { check }]) => [id, checkShape(check)] as const);
    return jsonAnswer(new Map(shown), parsed.pretty);
  });
}

export function handleCheckRegister(parsed: Parsed): HttpPlan {
  const body = checkBody(parsed.request.body, parsed.context.nodeName);
  if (!body.ok) return refuse(body.status, body.error);
  return local(parsed, async (agent) => {
    const error = await agent.addCheck(body.value);
    return error === null ? DONE() : textAnswer(500, error);
  });
}

export function handleCheckDeregister(parsed: Parsed): HttpPlan {
  if (parsed.rest === "") return refuse(500, "CheckID missing");
  return local(parsed, async (agent) => {
    await agent.removeCheck(parsed.rest);
    return DONE();
  });
}

function update(parsed: Parsed, status: string, output: string): HttpPlan {
  return local(parsed, async (agent) =>
    (await agent.updateTtl(parsed.rest, status, output)) ? DONE() : textAnswer(500, `CheckID ${goQuote(parsed.rest)} does not have associated TTL`));
}

export const handleCheckPass = (parsed: Parsed): HttpPlan => update(parsed, "passing", parsed.query.get("note"));
export const handleCheckWarn = (parsed: Parsed): HttpPlan => update(parsed, "warning", parsed.query.get("note"));
export const handleCheckFail = (parsed: Parsed): HttpPlan => update(parsed, "critical", parsed.query.get("note"));

const CHECK_UPDATE = goStruct("agent.checkUpdate", { Status: GO_STRING, Output: GO_STRING }, true);

export function handleCheckUpdate(parsed: Parsed): HttpPlan {
  const decoded = decodeBody(parsed.request.body, CHECK_UPDATE);
  if (!decoded.ok) return refuse(400, `Request decode failed: ${decoded.error}`);
  const body = (decoded.value ?? {}) as DecodedStruct;
  const status = text(body, "Status");
  if (!isStatus(status, false)) return refuse(400, `Invalid check status: '${status}'`);
  return update(parsed, status, text(body, "Output"));
}

// ---- Maintenance

const NODE_MAINTENANCE = "_node_maintenance";
const SERVICE_MAINTENANCE = "_service_maintenance:";

/** The wanted state, or what is wrong with it. */
function enableOf({ query }: Parsed): boolean | HttpPlan {
  if (!query.has("enable")) return refuse(400, "Missing value for enable");
  const enable = parseBool(query.get("enable"));
  return enable.ok ? enable.value : refuse(400, `Invalid value for enable: ${goQuote(query.get("enable"))}`);
}

export function handleNodeMaintenance(parsed: Parsed): HttpPlan {
  const enable = enableOf(parsed);
  if (typeof enable !== "boolean") return enable;
  return local(parsed, (agent) => maintain(agent, enable, maintenanceCheck(parsed, NODE_MAINTENANCE, "Node Maintenance Mode", "node", null)));
}

export function handleServiceMaintenance(parsed: Parsed): HttpPlan {
  if (parsed.rest === "") return refuse(400, "Missing service ID");
  const enable = enableOf(parsed);
  if (typeof enable !== "boolean") return enable;
  return local(parsed, async (agent) => {
    const service = agent.service(parsed.rest);
    if (service === null) return textAnswer(404, `No service registered with ID ${goQuote(parsed.rest)}`);
    return maintain(agent, enable, maintenanceCheck(parsed, `${SERVICE_MAINTENANCE}${parsed.rest}`, "Service Maintenance Mode", "service", service));
  });
}

/** On again keeps the reason given first. */
async function maintain(agent: LocalAgent, enable: boolean, wanted: LocalCheck): Promise<HttpAnswer> {
  const id = wanted.check.checkId;
  if (!enable) await agent.removeCheck(id);
  else if (agent.check(id) === null) await agent.addCheck(wanted);
  return DONE();
}

function maintenanceCheck(parsed: Parsed, checkId: string, name: string, what: string, service: NodeService | null): LocalCheck {
  const reason = parsed.query.get("reason") || `Maintenance mode is enabled for this ${what}, but no reason was provided. This is a default message.`;
  return {
    check: {
      node: parsed.context.nodeName, checkId, name, status: "critical", notes: reason, output: "", serviceId: service?.id ?? "", serviceName: service?.service ?? "",
      serviceTags: service?.tags ?? null, type: "maintenance", definition: undefined, createIndex: 0, modifyIndex: 0,
    },
    plan: NO_PLAN,
  };
}

// ---- Health of services, for load balancers that look at the agent alone

interface ServiceHealth {
  readonly code: number;
  readonly status: string;
  readonly shown: Json;
}

const CODES: Readonly<Record<string, number>> = { passing: 200, warning: 429, critical: 503, maintenance: 503 };

function healthOf(agent: LocalAgent, service: NodeService): ServiceHealth {
  const checks = agent.checksOf(service.id);
  const status = checks.some(({ checkId }) => checkId === NODE_MAINTENANCE || checkId.startsWith(SERVICE_MAINTENANCE))
    ? "maintenance"
    : (["critical", "warning"].find((bad) => checks.some((check) => check.status === bad)) ?? "passing");
  return { code: CODES[status] ?? 503, status, shown: { AggregatedStatus: status, Service: agentServiceShape(service), Checks: checks.map(checkOfClient) } };
}

/** As the original's client library writes checks: every field of the definition, no type, tags null where there are none. */
function checkOfClient(check: HealthCheck): Json {
  const tags = check.serviceTags === null || check.serviceTags.length === 0 ? null : check.serviceTags;
  return {
    ...(checkShape(check) as Readonly<Record<string, Json>>), ServiceTags: tags, Type: "",
    Definition: { Interval: "0s", Timeout: "0s", DeregisterCriticalServiceAfter: "0s", HTTP: "", Header: null, Method: "", Body: "", TLSSkipVerify: false, TCP: "" },
  };
}

function wantsText({ query, request }: Parsed): boolean {
  return (request.headers["accept"] ?? "").startsWith("text/plain") || query.get("format") === "text";
}

function plainText(status: number, body: string): HttpAnswer {
  return { status, headers: [["Content-Type", "text/plain"], ["Vary", "Accept-Encoding"], ["X-Consul-Reason", body]], body };
}

export function handleServiceHealthById(parsed: Parsed): HttpPlan {
  if (parsed.rest === "") return refuse(500, "Bad request: Missing serviceID");
  return local(parsed, async (agent) => {
    const service = agent.service(parsed.rest);
    if (service === null) {
      const reason = `ServiceId ${parsed.rest} not found`;
      return jsonAnswer(wantsText(parsed) ? reason : { AggregatedStatus: "critical", Service: null, Checks: null }, parsed.pretty, [["X-Consul-Reason", reason]], 404);
    }
    const { code, status, shown } = healthOf(agent, service);
    return wantsText(parsed) ? plainText(code, status) : jsonAnswer(shown, parsed.pretty, [["X-Consul-Reason", status]], code);
  });
}

export function handleServiceHealthByName(parsed: Parsed): HttpPlan {
  if (parsed.rest === "") return refuse(500, "Bad request: Missing service Name");
  return local(parsed, async (agent) => {
    const found = [...agent.services().values()].filter(({ service }) => service === parsed.rest).map((service) => healthOf(agent, service));
    const none: ServiceHealth = { code: 404, status: `ServiceName ${parsed.rest} Not Found`, shown: null };
    const { code, status } = found.reduce((worst, one) => (worst.code === 404 || one.code > worst.code ? one : worst), none);
    return wantsText(parsed) ? plainText(code, status) : jsonAnswer(found.map(({ shown }) => shown), parsed.pretty, [["X-Consul-Reason", status]], code);
  });
}
