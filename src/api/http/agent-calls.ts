/** What HTTP asks of the agent itself, beside the servers. */
import type { Json } from "./json.ts";
import type { LocalAgent } from "./local-agent.ts";
import type { HttpAnswer } from "./types.ts";

export type AgentCall =
  /** `pretty`: the text that is asked for is indented. */
  | { readonly kind: "self"; readonly pretty: boolean }
  | { readonly kind: "members"; readonly wan: boolean; readonly pretty: boolean }
  | { readonly kind: "join"; readonly address: string; readonly wan: boolean }
  | { readonly kind: "leave" }
  | { readonly kind: "forceLeave"; readonly node: string; readonly prune: boolean }
  | { readonly kind: "reload" }
  /** About the agent's own services and checks. */
  | { readonly kind: "local"; readonly run: (local: LocalAgent) => Promise<HttpAnswer> }
  | { readonly kind: "keyring"; readonly operation: KeyringOperation; readonly key: string; readonly localOnly: boolean };

export type KeyringOperation = "list" | "install" | "use" | "remove";

/** `value` is what the body shows; undefined: an empty body. */
export type AgentOutcome = { readonly ok: true; readonly answer: HttpAnswer } | { readonly ok: true; readonly value: Json | undefined } | { readonly ok: false; readonly error: string };
