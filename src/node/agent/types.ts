/** What the catalog is to be told of an agent's services and checks (reference: consul-agent §5.5). */
import type { HealthCheck, NodeService } from "../../wire/fsm-commands.ts";

/** One change to tell the catalog, with what is to be said. */
export type SyncOp =
  | { readonly kind: "putService"; readonly id: string; readonly generation: number; readonly service: NodeService; readonly checks: readonly { readonly id: string; readonly generation: number; readonly check: HealthCheck }[] }
  | { readonly kind: "dropService"; readonly id: string }
  | { readonly kind: "putCheck"; readonly id: string; readonly generation: number; readonly check: HealthCheck; readonly service: NodeService | null }
  | { readonly kind: "dropCheck"; readonly id: string };
