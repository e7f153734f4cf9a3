/**
 * `?cached` (reference: consul-agent §1.4): the original answers from a copy that its agent keeps up to date. A server has the state itself, so its answer is
 * never older than now; what clients see of a cache is the header that says whether the agent has been asked before.
 */
import type { Header } from "./answers.ts";
import type { Parsed } from "./parsed.ts";
import type { Query } from "./query.ts";
import type { HttpRequest } from "./types.ts";

/** Questions remembered, the latest ones. */
export const CACHED_QUESTIONS_MAX = 1000;
/** A longer one is new each time: a thousand of the longest would be 64 MiB. */
export const QUESTION_LENGTH_MAX = 4096;

export class AskedBefore {
  readonly #asked = new Set<string>();

  get size(): number {
    return this.#asked.size;
  }

  /** True when this was asked before. */
  again(question: string): boolean {
    if (question.length > QUESTION_LENGTH_MAX) return false;
    const known = this.#asked.delete(question);
    this.#asked.add(question);
    if (this.#asked.size > CACHED_QUESTIONS_MAX) {
      for (const oldest of this.#asked) {
        this.#asked.delete(oldest);
        break;
      }
    }
    return known;
  }
}

/** Parameters that say how to answer, not what is asked. */
const NO_PART_OF_THE_QUESTION: ReadonlySet<string> = new Set(["cached", "index", "wait", "pretty", "passing", "stale", "max_stale", "leader", "token"]);

export function cacheHeaders({ context, query, request }: Parsed): Header[] {
  if (!query.has("cached")) return [];
  // What one token may see another may not.
  const question = [request.rawPath, query.encode(NO_PART_OF_THE_QUESTION), tokenOf(query, request)].join("\n");
  return context.askedBefore.again(question) ? [["Age", "0"], ["X-Cache", "HIT"]] : [["X-Cache", "MISS"]];
}

function tokenOf(query: Query, { headers }: HttpRequest): string {
  const [scheme, bearer] = (headers["authorization"] ?? "").split(" ");
  return query.get("token") || (headers["x-consul-token"] ?? "") || (scheme?.toLowerCase() === "bearer" ? (bearer ?? "") : "");
}
