/** The writers of one set of tables, joined. */
import { CatalogWriter } from "./catalog-writer.ts";
import { KvWriter } from "./kv.ts";
import type { LockDelays } from "./lock-delays.ts";
import { OpaqueTables } from "./opaque-tables.ts";
import { SessionWriter } from "./sessions.ts";
import type { Tables } from "./tables.ts";
import type { Watches } from "./watches.ts";

export interface Writers {
  readonly kv: KvWriter;
  readonly sessions: SessionWriter;
  readonly catalog: CatalogWriter;
  readonly opaque: OpaqueTables;
}

export function writersFor(tables: Tables, watches: Watches, delays: LockDelays): Writers {
  const opaque = new OpaqueTables(tables, watches);
  const kv = new KvWriter(tables, watches);
  const sessions = new SessionWriter(tables, watches, kv, opaque, delays);
  return { kv, sessions, catalog: new CatalogWriter(tables, watches, sessions, opaque), opaque };
}
