/** Filter expressions against rows: which selectors and operators a row knows is settled before the first row is looked at (reference: consul-agent §1.5). */
import { goQuote } from "../../base/go-quote.ts";
import { fail, ok, type Result } from "../../base/result.ts";
import { parseBool } from "../../wire/go-numbers.ts";
import { parseFilter, type Expression, type MatchExpression, type MatchOperator } from "./grammar.ts";

/** What a field holds. Rows may give null for a list or map without elements, and for a struct that is not there. */
export type Shape =
  | { readonly kind: "text" | "int" | "bool" | "texts" }
  | { readonly kind: "map"; readonly of: Shape }
  | { readonly kind: "list"; readonly of: StructShape }
  | StructShape;

export interface StructShape {
  readonly kind: "struct";
  readonly fields: Readonly<Record<string, Field>>;
}

export interface Field {
  readonly shape: Shape;
  readonly get: (row: never) => unknown;
}

/** An RE2 expression as a test, or Go's words for what is wrong with it. Injected: the pure layers have no RE2. */
export type CompileExpression = (expression: string) => Result<(text: string) => boolean>;

export const FILTER_ERROR = "Failed to create boolean expression evaluator: ";

type Test = (row: unknown) => boolean;

/** A test for rows of this shape; the error is what the client sees. An empty text lets every row through. */
export function compileFilter<Row>(text: string, shape: StructShape, compile: CompileExpression): Result<(row: Row) => boolean> {
  if (text === "") return ok(() => true);
  const parsed = parseFilter(text);
  const test = parsed.ok ? testOf(parsed.value, shape, compile) : parsed;
  return test.ok ? test : fail(FILTER_ERROR + test.error);
}

function testOf(expression: Expression, shape: StructShape, compile: CompileExpression): Result<Test> {
  if (expression.kind === "match") return matchTest(expression, shape, compile);
  if (expression.kind === "not") {
    const operand = testOf(expression.operand, shape, compile);
    return operand.ok ? ok((row) => !operand.value(row)) : operand;
  }
  const left = testOf(expression.left, shape, compile);
  if (!left.ok) return left;
  const right = testOf(expression.right, shape, compile);
  if (!right.ok) return right;
  return ok(expression.kind === "and" ? (row) => left.value(row) && right.value(row) : (row) => left.value(row) || right.value(row));
}

function matchTest(match: MatchExpression, shape: StructShape, compile: CompileExpression): Result<Test> {
  const leaf = leafShape(match.selector, shape);
  if (!leaf.ok) return leaf;
  if (!OPERATORS[leaf.value.kind].includes(match.operator)) return fail(`Invalid match operator ${goQuote(match.operator)} for selector ${goQuote(match.selector.join("."))}`);
  const test = leafTest(match, leaf.value, compile);
  return test.ok ? ok((row) => follow(row, shape, match, 0, test.value)) : test;
}

const NONE: readonly MatchOperator[] = [];
const OPERATORS: Readonly<Record<Shape["kind"], readonly MatchOperator[]>> = {
  text: ["Equal", "Not Equal", "In", "Not In", "Matches", "Not Matches"],
  int: ["Equal", "Not Equal"],
  bool: ["Equal", "Not Equal"],
  texts: ["In", "Not In", "Is Empty", "Is Not Empty"],
  map: ["In", "Not In", "Is Empty", "Is Not Empty"],
  list: ["Is Empty", "Is Not Empty"],
  struct: NONE,
};

/** What stands at the end of the path. A list of structs is looked through, a map takes any key. */
function leafShape(path: readonly string[], root: StructShape): Result<Shape> {
  let shape: Shape | undefined = root;
  for (const [depth, name] of path.entries()) {
    shape = below(shape, name);
    if (shape === undefined) return fail(`Selector ${goQuote(path.slice(0, depth + 1).join("."))} is not valid`);
  }
  return ok(shape);
}

function below(shape: Shape, name: string): Shape | undefined {
  if (shape.kind === "list") return below(shape.of, name);
  if (shape.kind === "map") return shape.of;
  return shape.kind === "struct" && Object.hasOwn(shape.fields, name) ? shape.fields[name]?.shape : undefined;
}

/** Negated operators and `is empty` hold for what is not there; so does `matches`, in the original as well. */
const HOLDS_FOR_NOTHING: ReadonlySet<MatchOperator> = new Set<MatchOperator>(["Not Equal", "Is Empty", "Not In", "Matches", "Not Matches"]);

function follow(value: unknown, shape: Shape, match: MatchExpression, depth: number, test: Test): boolean {
  if (depth === match.selector.length) return test(value);
  const name = match.selector[depth] as string;
  if (shape.kind === "list") return ((value ?? []) as readonly unknown[]).some((item) => follow(item, shape.of, match, depth, test));
  if (value === null || value === undefined) return HOLDS_FOR_NOTHING.has(match.operator);
  if (shape.kind === "map") {
    const map = value as ReadonlyMap<string, unknown>;
    return map.has(name) ? follow(map.get(name), shape.of, match, depth + 1, test) : HOLDS_FOR_NOTHING.has(match.operator);
  }
  // `leafShape` has found the field on this path.
  const field = (shape as StructShape).fields[name] as Field;
  return follow(field.get(value as never), field.shape, match, depth + 1, test);
}

function leafTest({ operator, selector, value }: MatchExpression, shape: Shape, compile: CompileExpression): Result<Test> {
  const wanted = coerce(value, shape, operator);
  if (!wanted.ok) return fail(`Failed to coerce value ${goQuote(value)} for selector ${goQuote(selector.join("."))}: ${wanted.error}`);
  switch (operator) {
    case "Equal":
      return ok((given) => given === wanted.value);
    case "Not Equal":
      return ok((given) => given !== wanted.value);
    case "Is Empty":
      return ok((given) => isEmpty(given));
    case "Is Not Empty":
      return ok((given) => !isEmpty(given));
    case "In":
      return ok((given) => holds(given, value));
    case "Not In":
      return ok((given) => !holds(given, value));
    case "Matches":
    case "Not Matches": {
      const compiled = compile(value);
      if (!compiled.ok) return fail(`Failed to compile regular expression ${goQuote(value)}: ${compiled.error}`);
      return ok(operator === "Matches" ? (given) => compiled.value(given as string) : (given) => !compiled.value(given as string));
    }
  }
}

function isEmpty(given: unknown): boolean {
  if (given === null || given === undefined) return true;
  return given instanceof Map ? given.size === 0 : (given as readonly unknown[]).length === 0;
}

/** A part of a text, an element of a list, a key of a map. */
function holds(given: unknown, value: string): boolean {
  if (given === null || given === undefined) return false;
  return given instanceof Map ? given.has(value) : (given as string | readonly string[]).includes(value);
}

const INT64_MAX = 2n ** 63n - 1n;

function coerce(value: string, shape: Shape, operator: MatchOperator): Result<string | number | boolean> {
  if (operator !== "Equal" && operator !== "Not Equal") return ok(value);
  if (shape.kind === "bool") return parseBool(value);
  if (shape.kind !== "int") return ok(value);
  if (!/^[-+]?(0[xX][0-9a-fA-F]+|0[oO]?[0-7]*|0[bB][01]+|[1-9]\d*)$/.test(value)) return fail(`strconv.ParseInt: parsing ${goQuote(value)}: invalid syntax`);
  const digits = value.replace(/^[-+]/, "").replace(/^0(?=[0-7])/, "0o");
  const number = BigInt(digits) * (value.startsWith("-") ? -1n : 1n);
  if (number > INT64_MAX || number < -INT64_MAX - 1n) return fail(`strconv.ParseInt: parsing ${goQuote(value)}: value out of range`);
  return ok(Number(number));
}
