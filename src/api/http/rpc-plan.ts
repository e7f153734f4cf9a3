/** Plans that call a procedure, with arguments and reply that belong together. */
import { textAnswer } from "./answers.ts";
import { OVERLOADED } from "../rpc/errors.ts";
import type { Outcome, RpcMethod, RpcMethods, RpcOutcome } from "../rpc/types.ts";
import type { HttpAnswer, HttpPlan } from "./types.ts";

export function callServer<M extends RpcMethod>(
  method: M,
  args: RpcMethods[M]["args"],
  answer: (outcome: Outcome<RpcMethods[M]["reply"]>) => HttpAnswer,
): HttpPlan {
  // The server answers a method with that method's reply; the union of all of them is what a plan can say.
  return { kind: "rpc", method, args, answer: answer as (outcome: RpcOutcome) => HttpAnswer };
}

/** The same when a failure is always the plain text of the error. */
export function callOrFail<M extends RpcMethod>(
  method: M,
  args: RpcMethods[M]["args"],
  answer: (reply: RpcMethods[M]["reply"]) => HttpAnswer,
): HttpPlan {
  return callServer(method, args, (outcome) => (outcome.ok ? answer(outcome.value) : failure(outcome.error)));
}

/** Status and text of a failed call, as Consul's HTTP layer maps them. */
export function failure(error: string): HttpAnswer {
  if (error.includes("Permission denied") || error.includes("ACL not found")) return textAnswer(403, error);
  return textAnswer(error.endsWith(OVERLOADED) ? 429 : 500, error);
}
