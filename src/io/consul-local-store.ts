/** Services and checks that clients registered, kept over a restart: a file each, below `services` and `checks` of the data directory. */
import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import type { LocalCheck } from "../api/http/local-agent.ts";
import type { NodeService } from "../wire/fsm-commands.ts";
import { replaceFile } from "./durable-file.ts";

const SERVICES = "services";
const CHECKS = "checks";

export class LocalStore {
  readonly #dir: string;
  readonly #report: (text: string) => void;

  /** `dir` "" keeps nothing. */
  constructor(dir: string, report: (text: string) => void) {
    this.#dir = dir;
    this.#report = report;
  }

  /** Checks begin as critical: nobody knows what happened meanwhile; what those with a TTL were told is kept by `CheckStates`. What cannot be read is reported and left where it is. */
  async load(): Promise<{ readonly services: readonly NodeService[]; readonly checks: readonly LocalCheck[] }> {
    if (this.#dir === "") return { services: [], checks: [] };
    for (const kind of [SERVICES, CHECKS]) await mkdir(join(this.#dir, kind), { recursive: true, mode: 0o755 });
    const services = (await this.#read(SERVICES)).filter(isService);
    const checks = (await this.#read(CHECKS)).filter(isCheck);
    return { services, checks: checks.map((local) => (local.plan.kind === "none" ? local : { ...local, check: { ...local.check, status: "critical", output: "" } })) };
  }

  async #read(kind: string): Promise<unknown[]> {
    const found: unknown[] = [];
    for (const name of (await readdir(join(this.#dir, kind))).filter((file) => file.endsWith(SUFFIX)).sort()) {
      const path = join(this.#dir, kind, name);
      try {
        found.push(JSON.parse(await readFile(path, "utf8"), revive));
      } catch (error) {
        this.#report(`${path} is left out: error=${JSON.stringify(error instanceof Error ? error.message : String(error))}`);
      }
    }
    return found;
  }

  putService(service: NodeService): Promise<void> {
    return this.#put(SERVICES, service.id, service);
  }

  putCheck(check: LocalCheck): Promise<void> {
    return this.#put(CHECKS, check.check.checkId, check);
  }

  dropService(id: string): Promise<void> {
    return this.#drop(SERVICES, id);
  }

  dropCheck(id: string): Promise<void> {
    return this.#drop(CHECKS, id);
  }

  async #put(kind: string, id: string, value: unknown): Promise<void> {
    if (this.#dir !== "") await replaceFile(this.#path(kind, id), JSON.stringify(value, plain), undefined, ".tmp");
  }

  async #drop(kind: string, id: string): Promise<void> {
    if (this.#dir !== "") await rm(this.#path(kind, id), { force: true });
  }

  /** Ids may hold any letter, file names may not. */
  #path(kind: string, id: string): string {
    return join(this.#dir, kind, createHash("sha256").update(id).digest("hex").slice(0, 32) + SUFFIX);
  }
}

const SUFFIX = ".json";
const MAP = "$map";

function plain(_name: string, value: unknown): unknown {
  return value instanceof Map ? { [MAP]: [...(value as ReadonlyMap<unknown, unknown>)] } : value;
}

function revive(_name: string, value: unknown): unknown {
  const pairs = typeof value === "object" && value !== null && MAP in value ? value[MAP] : null;
  return Array.isArray(pairs) ? new Map(pairs as [unknown, unknown][]) : value;
}

function isService(value: unknown): value is NodeService {
  return typeof value === "object" && value !== null && "id" in value && "service" in value && typeof value.id === "string" && typeof value.service === "string";
}

function isCheck(value: unknown): value is LocalCheck {
  return typeof value === "object" && value !== null && "check" in value && "plan" in value && typeof value.check === "object" && typeof value.plan === "object";
}
