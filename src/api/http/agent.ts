/** `/v1/agent`: what concerns this agent alone (reference: consul-agent §2.1). */
import { jsonAnswer, refuse, textAnswer } from "./answers.ts";
import type { AgentCall, AgentOutcome } from "./agent-calls.ts";
import type { Parsed } from "./parsed.ts";
import type { HttpAnswer, HttpPlan } from "./types.ts";

export function handleAgentSelf(parsed: Parsed): HttpPlan {
  return askAgent(parsed, { kind: "self", pretty: parsed.pretty });
}

export function handleAgentMembers(parsed: Parsed): HttpPlan {
  const { query } = parsed;
  const wan = query.get("wan") !== "";
  const segment = query.get("segment");
  if (wan && segment !== "" && segment !== ALL_SEGMENTS) return refuse(400, "Cannot provide a segment with wan=true");
  if (segment !== "" && segment !== ALL_SEGMENTS) return refuse(500, "Network segments are not supported in this version of Consul");
  return askAgent(parsed, { kind: "members", wan, pretty: parsed.pretty });
}

/** What the `members` command sends to see everybody. */
const ALL_SEGMENTS = "_all";

export function handleAgentJoin(parsed: Parsed): HttpPlan {
  return askAgent(parsed, { kind: "join", address: parsed.rest, wan: parsed.query.get("wan") === "1" });
}

export function handleAgentLeave(parsed: Parsed): HttpPlan {
  return askAgent(parsed, { kind: "leave" });
}

export function handleForceLeave(parsed: Parsed): HttpPlan {
  return askAgent(parsed, { kind: "forceLeave", node: parsed.rest, prune: parsed.query.has("prune") });
}

export function handleAgentReload(parsed: Parsed): HttpPlan {
  return askAgent(parsed, { kind: "reload" });
}

export function askAgent(parsed: Parsed, call: AgentCall): HttpPlan {
  return { kind: "agent", call, answer: (outcome) => agentAnswer(parsed, outcome) };
}

function agentAnswer(parsed: Parsed, outcome: AgentOutcome): HttpAnswer {
  if (!outcome.ok) return textAnswer(500, outcome.error);
  if ("answer" in outcome) return outcome.answer;
  return outcome.value === undefined ? textAnswer(200, "") : jsonAnswer(outcome.value, parsed.pretty);
}

/** Parts of the API that this version does not offer: told plainly, never as an empty result. */
export function handleLater(parsed: Parsed): HttpPlan {
  return refuse(501, `${parsed.request.rawPath} is not offered by this version of muster`);
}

export function handleAclDisabled(): HttpPlan {
  return refuse(401, "ACL support disabled");
}

