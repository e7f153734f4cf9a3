/**
 * The HTTP API as functions: a request becomes a plan, whoever serves it carries the plan out, and the plan's `answer` turns the outcome into bytes.
 * Nothing here waits: what takes time (a commit, a blocking query, a join) is named by the plan.
 */
import type { RpcMethod, RpcArgs, RpcOutcome } from "../rpc/types.ts";
import type { AskedBefore } from "./cached.ts";
import type { AgentCall, AgentOutcome } from "./agent-calls.ts";

export interface HttpRequest {
  readonly method: string;
  /** As sent, before decoding: "/v1/kv/a%2Fb". */
  readonly rawPath: string;
  /** What stands behind "?", as sent. */
  readonly rawQuery: string;
  /** Lower-case names; a repeated header is joined by ", ". */
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly body: Uint8Array;
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** Text is sent as UTF-8; a lone surrogate becomes U+FFFD. */
  readonly body: string | Uint8Array;
  /** What follows `body`, made while it is sent: see `long-body.ts`. */
  readonly more?: Iterator<string, void>;
  /** Close the connection behind this answer. */
  readonly close?: boolean;
  /** The request was hardly HTTP: answer without a length, then close. */
  readonly unframed?: boolean;
}

export type HttpPlan =
  | { readonly kind: "answer"; readonly answer: HttpAnswer }
  | RpcPlan
  | { readonly kind: "agent"; readonly call: AgentCall; readonly answer: (outcome: AgentOutcome) => HttpAnswer };

/** One remote procedure call to the servers: answered here when this node may, else forwarded. */
export interface RpcPlan {
  readonly kind: "rpc";
  readonly method: RpcMethod;
  readonly args: RpcArgs;
  readonly answer: (outcome: RpcOutcome) => HttpAnswer;
}

/** What handlers must know of the agent that serves them. */
export interface HttpContext {
  readonly datacenter: string;
  readonly nodeName: string;
  /** JSON is indented without being asked: the dev agent. */
  readonly pretty: boolean;
  /** There is a page for browsers at /ui/: the dev agent. */
  readonly ui: boolean;
  /** What the process was started with, for /debug/pprof/cmdline; null: not told (debugging is off). */
  readonly commandLine: readonly string[] | null;
  /** Bytes of one value that a PUT may carry (`limits.kv_max_value_size`). */
  readonly kvMaxValueBytes: number;
  readonly txnMaxBytes: number;
  /** Standard base64; injected, since the runtime's is many times faster than ours could be. */
  readonly toBase64: (bytes: Uint8Array) => string;
  /** For `?cached`. */
  readonly askedBefore: AskedBefore;
}
