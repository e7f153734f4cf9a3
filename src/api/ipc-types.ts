/**
 * The contract of one RPC connection of the agent (`ipc-session.ts`): bytes, answers and events go in, bytes to send (`ipc-output.ts`) and calls
 * for the agent come out. What it reads of the agent, and the one call that comes by the ten thousand, is plain methods (`IpcView`).
 */
import type { IpcCoordinate, IpcKeyResult, IpcMember, IpcSeq, IpcStats, QueryReplyRecord } from "../wire/ipc-messages.ts";

export interface IpcView {
  /** Fires a user event: "" or why not. Null when the agent has work that comes first, and nothing was done: it is a call like others then. */
  fire(name: string, payload: Uint8Array | null, coalesce: boolean): string | null;
  /** A list that never changes: after a change another one is given. */
  members(): readonly IpcMember[];
  /** The agent's own tags. */
  tags(): ReadonlyMap<string, string>;
  stats(): IpcStats;
  coordinate(node: string): IpcCoordinate;
  /** RE2 rules; the reason in Go's words when the expression is invalid. */
  compile(expr: string): ((text: string) => boolean) | { readonly error: string };
}

export interface IpcConfig {
  /** "" for none. */
  readonly authKey: string;
}

/** What only the agent can do. One call is under way at most; its `answer` comes back as input. */
export type IpcCall =
  | { readonly kind: "event"; readonly name: string; readonly payload: Uint8Array | null; readonly coalesce: boolean }
  | { readonly kind: "forceLeave"; readonly node: string; readonly prune: boolean }
  | { readonly kind: "join"; readonly addresses: readonly string[]; readonly replay: boolean }
  | { readonly kind: "setTags"; readonly tags: ReadonlyMap<string, string> }
  | {
      readonly kind: "query";
      /** Marks the records that follow. */
      readonly query: number;
      readonly name: string;
      readonly payload: Uint8Array | null;
      readonly filterNodes: readonly string[];
      readonly filterTags: ReadonlyMap<string, string>;
      readonly requestAck: boolean;
      readonly relayFactor: number;
      readonly timeoutMs: number;
    }
  | { readonly kind: "respond"; readonly token: number; readonly payload: Uint8Array }
  | { readonly kind: "keys"; readonly operation: "install" | "use" | "remove" | "list"; readonly key: string }
  | { readonly kind: "leave" };

/** `error` is "" on success. `nodes` belongs to `join`, `result` to `keys`. */
export interface IpcAnswer {
  readonly error: string;
  readonly nodes?: number;
  readonly result?: IpcKeyResult;
}

/** A Serf event, as streams show it. */
export type IpcEvent =
  | { readonly kind: "members"; readonly type: string; readonly members: readonly IpcMember[] }
  | { readonly kind: "user"; readonly lamportTime: number; readonly name: string; readonly payload: Uint8Array | null; readonly coalesce: boolean }
  | {
      readonly kind: "query";
      readonly token: number;
      readonly lamportTime: number;
      readonly name: string;
      readonly payload: Uint8Array | null;
      readonly deadlineMs: number;
    };

/** Something for a stream, a monitor or a query of the client. */
export type IpcRecordInput =
  | { readonly kind: "event"; readonly event: IpcEvent }
  | { readonly kind: "log"; readonly line: string }
  | { readonly kind: "queryRecord"; readonly query: number; readonly record: QueryReplyRecord };

export type IpcInput =
  /** What was read; the bytes may change after the step. */
  | { readonly kind: "data"; readonly bytes: Uint8Array }
  | { readonly kind: "answer"; readonly answer: IpcAnswer }
  | IpcRecordInput
  /** Send what `offer` has queued. */
  | { readonly kind: "flush" }
  /** The socket's buffer is full: nothing more is sent until `resume`. */
  | { readonly kind: "blocked" }
  /** Room again, or the next turn after `more` was true. */
  | { readonly kind: "resume" };

export type IpcEffect =
  | { readonly kind: "call"; readonly call: IpcCall }
  /** Deliver Serf events from now on, or no longer. */
  | { readonly kind: "watchEvents"; readonly on: boolean }
  /** Deliver log lines from this level up, the kept ones first; null stops it. */
  | { readonly kind: "watchLogs"; readonly level: string | null }
  | { readonly kind: "logLine"; readonly level: "info" | "warn" | "err"; readonly text: string }
  /** What could not be delivered to this client; `count` since the last report. */
  | { readonly kind: "dropped"; readonly stream: "stream" | "monitor" | "query"; readonly seq: IpcSeq; readonly count: number }
  /** The answer to `leave` is sent: stop the agent. */
  | { readonly kind: "shutdown" }
  /** Close after what was sent has left; nothing comes out afterwards. */
  | { readonly kind: "close" };
