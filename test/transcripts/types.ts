/** Recordings of a real agent's answers: one file is a scenario, a list of steps against the agents that its `setup` names. */
export interface Transcript {
  readonly scenario: string;
  readonly description: string;
  readonly setup: { readonly agents?: readonly AgentSetup[]; readonly files?: Readonly<Record<string, string>> };
  readonly steps: readonly Step[];
}

export interface AgentSetup {
  /** The first word is the program. */
  readonly argv: readonly string[];
  /** "ip:port" of its HTTP. */
  readonly http?: string;
}

export type Step = HttpStep | SleepStep | JoinStep | OtherStep;

export interface HttpStep {
  readonly kind: "http";
  readonly method: string;
  /** As recorded; `pathTemplate` has `{{name}}` where an earlier capture goes. */
  readonly path: string;
  readonly pathTemplate?: string;
  /** Host and port when it is not the first agent's. */
  readonly host?: string;
  readonly requestHeaders?: Readonly<Record<string, string>>;
  readonly requestBody?: string | null;
  readonly requestBodyTemplate?: string;
  readonly requestBodyBase64?: string;
  readonly requestBodyRepeat?: { readonly char: string; readonly count: number } | null;
  /** The answer comes later: a `join` step waits for it. */
  readonly background?: string;
  /** 0: the connection ended without an answer. */
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | null;
  readonly bodyBase64?: string;
  readonly bodyTruncated?: number;
  readonly volatile?: readonly string[];
  readonly capture?: Readonly<Record<string, string>>;
  readonly note?: string;
}

export interface SleepStep {
  readonly kind: "sleep";
  readonly seconds: number;
}

export interface JoinStep {
  readonly kind: "join";
  readonly background: string;
}

export interface OtherStep {
  readonly kind: "dns" | "cli" | "note";
  readonly name?: string;
  readonly argv?: readonly string[];
}
