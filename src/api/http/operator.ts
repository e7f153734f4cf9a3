/** `/v1/operator/autopilot` and `/v1/operator/keyring` (reference: consul-agent §2.7). */
import { goQuote } from "../../base/go-quote.ts";
import { fail, ok, type Result } from "../../base/result.ts";
import type { AutopilotSettings } from "../../wire/autopilot-command.ts";
import { formatDuration, parseDuration } from "../../wire/go-duration.ts";
import { formatGoSeconds } from "../../wire/go-time.ts";
import { parseBool, parseInteger } from "../../wire/go-numbers.ts";
import { parseUint } from "./kv.ts";
import { badRequest, jsonAnswer, refuse } from "./answers.ts";
import { askAgent } from "./agent.ts";
import type { KeyringOperation } from "./agent-calls.ts";
import { decodeBody, GO_ANY, GO_BOOL, GO_STRING, GO_UINT64, goStruct, type Decoded, type DecodedStruct } from "./go-decode.ts";
import { datacenterOf, type Parsed } from "./parsed.ts";
import { readOptions } from "./read-options.ts";
import { callOrFail } from "./rpc-plan.ts";
import type { HttpPlan } from "./types.ts";

const AUTOPILOT = goStruct("api.AutopilotConfiguration", {
  CleanupDeadServers: GO_BOOL, LastContactThreshold: GO_ANY, MaxTrailingLogs: GO_UINT64, MinQuorum: { kind: "uint64", go: "uint" }, ServerStabilizationTime: GO_ANY,
  RedundancyZoneTag: GO_STRING, DisableUpgradeMigration: GO_BOOL, UpgradeVersionTag: GO_STRING, CreateIndex: GO_UINT64, ModifyIndex: GO_UINT64,
}, true);

export function handleAutopilotConfiguration(parsed: Parsed): HttpPlan {
  return parsed.request.method === "PUT" ? setAutopilot(parsed) : getAutopilot(parsed);
}

function getAutopilot(parsed: Parsed): HttpPlan {
  const read = readOptions(parsed.request, parsed.query);
  if (!read.ok) return refuse(400, read.error);
  return callOrFail("Operator.AutopilotGetConfiguration", { datacenter: datacenterOf(parsed), options: read.options }, (settings) => jsonAnswer({
    CleanupDeadServers: settings.cleanupDeadServers, LastContactThreshold: formatDuration(settings.lastContactThresholdMs), MaxTrailingLogs: settings.maxTrailingLogs,
    MinQuorum: settings.minQuorum, ServerStabilizationTime: formatDuration(settings.serverStabilizationMs), RedundancyZoneTag: settings.redundancyZoneTag,
    DisableUpgradeMigration: settings.disableUpgradeMigration, UpgradeVersionTag: settings.upgradeVersionTag, CreateIndex: settings.createIndex, ModifyIndex: settings.modifyIndex,
  }, parsed.pretty));
}

function setAutopilot(parsed: Parsed): HttpPlan {
  const { query } = parsed;
  const settings = settingsOf(parsed.request.body);
  if (!settings.ok) return badRequest(`Error parsing autopilot config: ${settings.error}`);
  const cas = query.has("cas");
  const casIndex = cas ? parseUint(query.get("cas")) : settings.value.modifyIndex;
  if (typeof casIndex === "string") return badRequest(`Error parsing cas value: ${casIndex}`);
  const config = { ...settings.value, modifyIndex: Math.min(Number(casIndex), Number.MAX_SAFE_INTEGER) };
  return callOrFail("Operator.AutopilotSetConfiguration", { datacenter: datacenterOf(parsed), config, cas, token: "" }, (done) => jsonAnswer(cas ? done : true, parsed.pretty));
}

function settingsOf(body: Uint8Array): Result<AutopilotSettings> {
  const decoded = decodeBody(body, AUTOPILOT);
  if (!decoded.ok) return decoded;
  const given = (decoded.value ?? {}) as DecodedStruct;
  const threshold = durationOf(given["LastContactThreshold"]);
  if (!threshold.ok) return threshold;
  const stabilization = durationOf(given["ServerStabilizationTime"]);
  if (!stabilization.ok) return stabilization;
  const number = (name: string): number => Math.min(Number(given[name] ?? 0), Number.MAX_SAFE_INTEGER);
  const text = (name: string): string => (given[name] as string | undefined) ?? "";
  return ok({
    cleanupDeadServers: given["CleanupDeadServers"] === true, lastContactThresholdMs: threshold.value, maxTrailingLogs: number("MaxTrailingLogs"), minQuorum: number("MinQuorum"),
    serverStabilizationMs: stabilization.value, redundancyZoneTag: text("RedundancyZoneTag"), disableUpgradeMigration: given["DisableUpgradeMigration"] === true,
    upgradeVersionTag: text("UpgradeVersionTag"), createIndex: number("CreateIndex"), modifyIndex: number("ModifyIndex"),
  });
}

function durationOf(value: Decoded | undefined): Result<number> {
  if (value === undefined) return ok(0);
  if (typeof value === "string") return parseDuration(value);
  // A bare number is ns.
  if (typeof value === "number" || typeof value === "bigint") return ok(Number(value) / 1e6);
  return fail(`strconv.ParseFloat: parsing ${goQuote(JSON.stringify(value))}: invalid syntax`);
}

/** 429 tells load balancers and scripts that something is wrong. */
export function handleAutopilotHealth(parsed: Parsed): HttpPlan {
  const read = readOptions(parsed.request, parsed.query);
  if (!read.ok) return refuse(400, read.error);
  return callOrFail("Operator.ServerHealth", { datacenter: datacenterOf(parsed), options: read.options }, ({ healthy, failureTolerance, servers }) => {
    const list = servers.map((server) => ({
      ID: server.id, Name: server.name, Address: server.address, SerfStatus: server.status, Version: server.version, Leader: server.leader,
      LastContact: formatDuration(server.lastContactMs ?? -1e-6), LastTerm: server.lastTerm, LastIndex: server.lastIndex, Healthy: server.healthy, Voter: server.voter,
      StableSince: formatGoSeconds(server.stableSinceNs),
    }));
    return jsonAnswer({ Healthy: healthy, FailureTolerance: failureTolerance, Servers: list }, parsed.pretty, [], healthy ? 200 : 429);
  });
}

const KEYRING = goStruct("agent.keyringArgs", { Key: GO_STRING, Token: GO_STRING, RelayFactor: { kind: "uint64", go: "uint8" }, LocalOnly: GO_BOOL }, true);
const KEYRING_OPERATIONS: Readonly<Record<string, KeyringOperation>> = { GET: "list", POST: "install", PUT: "use", DELETE: "remove" };
/** Copies of an answer that may be sent through other members. */
const RELAY_FACTOR_MAX = 5;

export function handleKeyring(parsed: Parsed): HttpPlan {
  const { query, request } = parsed;
  const operation = KEYRING_OPERATIONS[request.method] ?? "list";
  const decoded = operation === "list" ? ok({}) : decodeBody(request.body, KEYRING);
  if (!decoded.ok) return badRequest(`Request decode failed: ${decoded.error}`);
  const relay = query.get("relay-factor");
  if (relay !== "") {
    const factor = parseInteger(relay);
    if (!factor.ok) return badRequest(`Error parsing relay factor: ${factor.error}`);
    if (factor.value < 0 || factor.value > RELAY_FACTOR_MAX) return badRequest(`Invalid relay-factor: Relay factor must be in range: [0, ${RELAY_FACTOR_MAX}]`);
  }
  const local = query.get("local-only");
  const localOnly = local === "" ? ok(false) : parseBool(local);
  if (!localOnly.ok) return badRequest(`Error parsing local-only: ${localOnly.error}`);
  if (localOnly.value && operation !== "list") return badRequest("Invalid use of local-only: local-only can only be set for list requests");
  const key = ((decoded.value ?? {}) as DecodedStruct)["Key"];
  return askAgent(parsed, { kind: "keyring", operation, key: typeof key === "string" ? key : "", localOnly: localOnly.value });
}
