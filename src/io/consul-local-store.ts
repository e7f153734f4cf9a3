/**
 * Services and checks that clients registered, kept over a restart: a file each, below `services` and `checks` of the data directory, as the original names and
 * writes them. What another program left there under another name is replaced with the first change.
 */
import { mkdir, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { checkFile, checkOfFile, serviceFile, serviceOfFile } from "../api/http/kept-registrations.ts";
import type { LocalCheck } from "../api/http/local-agent.ts";
import { fail, type Result } from "../base/result.ts";
import type { NodeService } from "../wire/fsm-commands.ts";
import { removeFile, replaceFile } from "./durable-file.ts";
import { EARLIER_SUFFIX, earlierCheck, earlierService } from "./earlier-registrations.ts";
import { KEPT_DIRECTORY_MODE, keptFileName } from "./kept-files.ts";

const SERVICES = "services";
const CHECKS = "checks";
/** Of files that were being written when the process ended, the original's too. */
const TEMPORARY = "tmp";

export interface LocalStoreOptions {
  /** "" keeps nothing. */
  readonly dataDir: string;
  /** Whose checks they are. */
  readonly node: string;
  readonly report: (text: string) => void;
}

export class LocalStore {
  readonly #options: LocalStoreOptions;
  /** By the path of a service or check: other files that hold it. */
  readonly #others = new Map<string, readonly string[]>();

  constructor(options: LocalStoreOptions) {
    this.#options = options;
  }

  /** Checks begin as critical; what those with a TTL were told is kept by `CheckStates`. What cannot be read, or is not offered, is reported and left where it is. */
  async load(): Promise<{ readonly services: readonly NodeService[]; readonly checks: readonly LocalCheck[] }> {
    const { dataDir, node } = this.#options;
    if (dataDir === "") return { services: [], checks: [] };
    for (const kind of [SERVICES, CHECKS]) await mkdir(join(dataDir, kind), { recursive: true, mode: KEPT_DIRECTORY_MODE });
    return {
      services: await this.#read(SERVICES, (bytes, isEarlier) => (isEarlier ? earlierService(bytes) : serviceOfFile(bytes)), ({ id }) => id),
      checks: await this.#read(CHECKS, (bytes, isEarlier) => (isEarlier ? earlierCheck(bytes) : checkOfFile(bytes, node)), ({ check }) => check.checkId),
    };
  }

  async #read<T>(kind: string, decode: (bytes: Uint8Array, isEarlier: boolean) => Result<T>, idOf: (value: T) => string): Promise<readonly T[]> {
    const found = new Map<string, T>();
    const entries = await readdir(join(this.#options.dataDir, kind), { withFileTypes: true });
    for (const { name } of entries.filter((entry) => entry.isFile() && !entry.name.endsWith(TEMPORARY)).sort(byName)) {
      const path = join(this.#options.dataDir, kind, name);
      const bytes = await readFile(path).catch((error: unknown) => (error instanceof Error ? error : new Error(String(error))));
      const decoded = bytes instanceof Error ? fail(bytes.message) : decode(bytes, name.endsWith(EARLIER_SUFFIX));
      if (!decoded.ok) {
        this.#options.report(`${path} is left out: error=${JSON.stringify(decoded.error)}`);
        continue;
      }
      const own = this.#path(kind, idOf(decoded.value));
      if (path !== own) this.#others.set(own, [...(this.#others.get(own) ?? []), path]);
      // What we wrote ourselves is newer.
      if (path === own || !found.has(own)) found.set(own, decoded.value);
    }
    return [...found.values()];
  }

  putService(service: NodeService): Promise<void> {
    return this.#put(SERVICES, service.id, serviceFile(service));
  }

  putCheck(check: LocalCheck): Promise<void> {
    return this.#put(CHECKS, check.check.checkId, checkFile(check));
  }

  dropService(id: string): Promise<void> {
    return this.#drop(SERVICES, id);
  }

  dropCheck(id: string): Promise<void> {
    return this.#drop(CHECKS, id);
  }

  async #put(kind: string, id: string, content: string): Promise<void> {
    if (this.#options.dataDir === "") return;
    const path = this.#path(kind, id);
    await replaceFile(path, content, undefined, `.${TEMPORARY}`);
    await this.#dropOthers(path);
  }

  async #drop(kind: string, id: string): Promise<void> {
    if (this.#options.dataDir === "") return;
    const path = this.#path(kind, id);
    await this.#dropOthers(path);
    await removeFile(path);
  }

  async #dropOthers(path: string): Promise<void> {
    for (const other of this.#others.get(path) ?? []) await removeFile(other);
    this.#others.delete(path);
  }

  #path(kind: string, id: string): string {
    return join(this.#options.dataDir, kind, keptFileName(id));
  }
}

function byName({ name: a }: { readonly name: string }, { name: b }: { readonly name: string }): number {
  return a < b ? -1 : 1;
}
