/** The services and checks of the agent that HTTP is served by (reference: consul-agent §2.1). Durations in ms. */
import type { HealthCheck, NodeService } from "../../wire/fsm-commands.ts";
import type { CompileExpression } from "../filter/evaluate.ts";

/** Where the status of a check comes from. */
export interface CheckPlan {
  /** "none": set by maintenance mode only. */
  readonly kind: "ttl" | "http" | "tcp" | "alias" | "none";
  /** Of a TTL check: without an update for so long it is critical. */
  readonly ttlMs: number;
  readonly intervalMs: number;
  readonly timeoutMs: number;
  readonly url: string;
  readonly method: string;
  readonly headers: ReadonlyMap<string, readonly string[]>;
  readonly body: string;
  readonly tlsSkipVerify: boolean;
  /** "host:port". */
  readonly tcp: string;
  /** Of an alias: a service of this agent, or "" for the node. */
  readonly aliasService: string;
  readonly outputBytesMax: number;
  /** Results in a row that it takes to become passing, and critical. */
  readonly successBeforePassing: number;
  readonly failuresBeforeCritical: number;
  /** A service whose check is critical for so long is deregistered; 0: never. */
  readonly deregisterAfterMs: number;
}

/** Of a check whose status nobody looks for. */
export const NO_PLAN: CheckPlan = {
  kind: "none", ttlMs: 0, intervalMs: 0, timeoutMs: 0, url: "", method: "", headers: new Map(), body: "", tlsSkipVerify: false, tcp: "", aliasService: "", outputBytesMax: 0,
  successBeforePassing: 0, failuresBeforeCritical: 0, deregisterAfterMs: 0,
};

export interface LocalCheck {
  readonly check: HealthCheck;
  readonly plan: CheckPlan;
}

/** Changes are kept before they are acknowledged; each resolves once the catalog has been told, or could not be: then it is told later. */
export interface LocalAgent {
  readonly compileExpression: CompileExpression;
  /** Sorted by id. */
  services(): ReadonlyMap<string, NodeService>;
  checks(): ReadonlyMap<string, LocalCheck>;
  service(id: string): NodeService | null;
  check(id: string): LocalCheck | null;
  /** Checks of the node and of this service, by id. */
  checksOf(serviceId: string): readonly HealthCheck[];
  /** `replace` drops checks that are not named again. */
  addService(service: NodeService, checks: readonly LocalCheck[], replace: boolean): Promise<void>;
  removeService(id: string): Promise<void>;
  /** Null, or why it is refused. */
  addCheck(check: LocalCheck): Promise<string | null>;
  removeCheck(id: string): Promise<void>;
  /** False when this is no TTL check. */
  updateTtl(id: string, status: string, output: string): Promise<boolean>;
  /** Resolves when anything of this service changes, or after `waitMs`. */
  changed(serviceId: string, waitMs: number): Promise<void>;
}
