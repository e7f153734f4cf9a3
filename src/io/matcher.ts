/**
 * Expressions that come from outside (query filters, member filters), with Go's RE2 rules: linear time, no back-references, no look-around.
 */
import { createRequire } from "node:module";
import type * as Re2 from "re2js";
import { fail, ok, type Result } from "../base/result.ts";
import { EXPRESSION_SIZE_MAX, expressionSize } from "./expression-size.ts";
import type { Matcher } from "../serf/types.ts";

/** Compiled expressions kept; the same few arrive with every query of a monitoring tool. */
export const COMPILED_EXPRESSIONS_MAX = 256;
/** Longest expression taken: what fits a query of the default size. With `EXPRESSION_SIZE_MAX` it bounds compile time (some 10 ms) and memory. */
export const EXPRESSION_LENGTH_MAX = 1024;

type Test = (text: string) => boolean;

export class Re2Matcher implements Matcher {
  // Insertion order is age: the first key is the one not used for longest.
  readonly #compiled = new Map<string, Test | null>();

  /** A test that searches anywhere in the text (unanchored), or null when Go would refuse the expression. */
  compile(expr: string): Test | null {
    if (isTooLarge(expr)) return null;
    const known = this.#compiled.get(expr);
    if (known !== undefined) this.#compiled.delete(expr);
    const test = known === undefined ? compileRe2(expr) : known;
    this.#compiled.set(expr, test);
    if (this.#compiled.size > COMPILED_EXPRESSIONS_MAX) {
      for (const oldest of this.#compiled.keys()) {
        this.#compiled.delete(oldest);
        break;
      }
    }
    return test;
  }

  get size(): number {
    return this.#compiled.size;
  }
}

const shared = new Re2Matcher();

/** An expression as a test, or Go's words for what is wrong with it. */
export function compileExpression(expr: string): Result<Test> {
  const test = shared.compile(expr);
  return test === null ? fail(syntaxError(expr)) : ok(test);
}

/** Why an expression was refused, in the words of Go's regexp package. */
export function syntaxError(expr: string): string {
  try {
    if (!isTooLarge(expr)) re2().RE2JS.compile(expr);
  } catch (error) {
    if (error instanceof Error) return error.message;
  }
  return "error parsing regexp: expression too large"; // Go's words for its own limit.
}

function isTooLarge(expr: string): boolean {
  return expr.length > EXPRESSION_LENGTH_MAX || expressionSize(expr) > EXPRESSION_SIZE_MAX;
}

function compileRe2(expr: string): Test | null {
  try {
    const program = re2().RE2JS.compile(expr);
    return (text) => program.test(text);
  } catch {
    return null; // The library reports bad syntax by throwing; nesting beyond 1,000 levels is such an error too.
  }
}

let loaded: typeof Re2 | null = null;

/** The library is a quarter of a megabyte of code, and most agents never meet an expression: it is read with the first one. */
function re2(): typeof Re2 {
  loaded ??= createRequire(import.meta.url)("re2js") as typeof Re2;
  return loaded;
}
