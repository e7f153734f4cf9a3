/** The language of `?filter=` (reference: consul-agent §1.5): text to expression. */
import { fail, ok, type Result } from "../../base/result.ts";
import {
  action, anyChar, charClass, choice, followedBy, literal, mistake, notFollowedBy, optional, ParseState, repeat, rule, sequence, TooDeep, type Parser,
} from "./peg.ts";

/** Longer expressions are refused; no request line is much longer. */
export const FILTER_LENGTH_MAX = 8192;

export type MatchOperator = "Equal" | "Not Equal" | "Is Empty" | "Is Not Empty" | "In" | "Not In" | "Matches" | "Not Matches";

export interface MatchExpression {
  readonly kind: "match";
  readonly selector: readonly string[];
  readonly operator: MatchOperator;
  /** "" for the operators without a value. */
  readonly value: string;
}

export type Expression =
  | { readonly kind: "or" | "and"; readonly left: Expression; readonly right: Expression }
  | { readonly kind: "not"; readonly operand: Expression }
  | MatchExpression;

/** The error is the original's text. */
export function parseFilter(text: string): Result<Expression> {
  if (text.length > FILTER_LENGTH_MAX) return fail(`expression too long (${text.length} > ${FILTER_LENGTH_MAX})`);
  const state = new ParseState(text);
  try {
    const match = INPUT(state, 0);
    if (state.errors.length > 0) return fail(state.errors.join("\n"));
    return match === null ? fail(state.noMatch()) : ok(match.value as Expression);
  } catch (error) {
    if (!(error instanceof TooDeep)) throw error;
    return fail("expression is nested too deeply");
  }
}

type Values = readonly unknown[];
const nth = (part: Parser, at: number): Parser => action(part, (values) => (values as Values)[at]);

const BLANK = rule("_", '"whitespace"', () => repeat(charClass("[ \\t\\r\\n]", /[ \t\r\n]/), 1));
const BLANKS = optional(BLANK);
const END = rule("EOF", "EOF", () => notFollowedBy(anyChar));

const STRING = rule("StringLiteral", '"string"', () => {
  const inside = (quote: string): Parser => repeat(sequence(notFollowedBy(literal(quote)), anyChar), 0);
  const closed = choice(sequence(literal("`"), inside("`"), literal("`")), sequence(literal('"'), inside('"'), literal('"')));
  const open = choice(sequence(literal("`"), inside("`")), sequence(literal('"'), inside('"')));
  return choice(unquoted(closed), sequence(open, END, mistake("Unterminated string literal")));
});

/** Go's `strconv.Unquote`; what it refuses is a mistake at the start of the literal. */
function unquoted(part: Parser): Parser {
  return (state, at) => {
    const match = part(state, at);
    if (match === null) return null;
    const value = unquote(state.chars.slice(at, match.end).join(""));
    if (value === null) state.error(at, "invalid syntax");
    return { end: match.end, value: value ?? "" };
  };
}

const ESCAPES: Readonly<Record<string, string>> = { a: "\x07", b: "\b", f: "\f", n: "\n", r: "\r", t: "\t", v: "\v", "\\": "\\", '"': '"' };
const ESCAPE = /\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-7]{3}|[\s\S]|$)/g;

function unquote(quoted: string): string | null {
  const inner = quoted.slice(1, -1);
  if (quoted.startsWith("`")) return inner.replaceAll("\r", "");
  if (inner.includes("\n")) return null;
  let valid = true;
  const text = inner.replace(ESCAPE, (_all, escape: string) => {
    const known = ESCAPES[escape];
    if (known !== undefined) return known;
    const point = escape.length === 1 || escape === "" ? NaN : Number.parseInt(escape.replace(/^[xuU]/, ""), /^[xuU]/.test(escape) ? 16 : 8);
    const isByte = escape.startsWith("x") || /^[0-7]/.test(escape);
    if (Number.isNaN(point) || point > (isByte ? 0xff : 0x10ffff) || (point >= 0xd800 && point < 0xe000)) {
      valid = false;
      return "";
    }
    // A byte that is no ASCII is no character of its own: kept as base/utf8 keeps such bytes.
    return isByte && point >= 0x80 ? String.fromCharCode(0xdc00 + point) : String.fromCodePoint(point);
  });
  return valid ? text : null;
}

const NUMBER = rule("NumberLiteral", '"number"', () => {
  const digits = choice(literal("0"), sequence(charClass("[1-9]", /[1-9]/), repeat(charClass("[0-9]", /\d/), 0)));
  const number = rule("IntegerOrFloat", "IntegerOrFloat", () => sequence(digits, optional(sequence(literal("."), repeat(charClass("[0-9]", /\d/), 1)))));
  const after = rule("AfterNumbers", "AfterNumbers", () => followedBy(choice(BLANK, END, literal(")"))));
  const signed = [optional(literal("-")), number] as const;
  return choice(
    action(sequence(...signed, followedBy(after)), (_value, text) => text),
    sequence(...signed, notFollowedBy(after), mistake("Invalid number literal")),
  );
});

const IDENTIFIER = rule("Identifier", "Identifier", () =>
  action(sequence(charClass("[a-zA-Z]", /[a-zA-Z]/), repeat(charClass("[a-zA-Z0-9_]", /\w/), 0)), (_value, text) => text));

const INDEX = rule("IndexExpression", '"index"', () => choice(
  nth(sequence(literal("["), BLANKS, STRING, BLANKS, literal("]")), 2),
  sequence(literal("["), BLANKS, notFollowedBy(STRING), mistake("Invalid index")),
  sequence(literal("["), BLANKS, STRING, BLANKS, notFollowedBy(literal("]")), mistake("Unclosed index expression")),
));

const SELECTOR = rule("Selector", '"selector"', () => {
  const step = rule("SelectorOrIndex", "SelectorOrIndex", () => choice(nth(sequence(literal("."), IDENTIFIER), 1), INDEX));
  return action(sequence(IDENTIFIER, repeat(step, 0)), (value) => {
    const [first, rest] = value as readonly [string, readonly string[]];
    return [first, ...rest];
  });
});

const VALUE = rule("Value", '"value"', () => choice(action(SELECTOR, (path) => (path as readonly string[]).join(".")), NUMBER, STRING));

function operator(name: MatchOperator, ...parts: readonly Parser[]): Parser {
  return rule(`${name} ${parts.length}`, name, () => action(sequence(...parts), () => name));
}

/** Words between blanks, and blanks around them. */
function words(name: MatchOperator, key: string, ...texts: readonly string[]): Parser {
  return rule(key, name, () => action(sequence(...texts.flatMap((text) => [BLANK, literal(text)]), BLANK), () => name));
}

const MATCH = rule("MatchExpression", '"match"', () => {
  const withValue = choice(
    operator("Equal", BLANKS, literal("=="), BLANKS), operator("Not Equal", BLANKS, literal("!="), BLANKS),
    words("In", "contains", "contains"), words("Not In", "not contains", "not", "contains"),
    words("Matches", "matches", "matches"), words("Not Matches", "not matches", "not", "matches"),
  );
  const alone = choice(operator("Is Empty", BLANK, literal("is"), BLANK, literal("empty")), operator("Is Not Empty", BLANK, literal("is"), BLANK, literal("not"), BLANK, literal("empty")));
  const within = choice(words("In", "in", "in"), words("Not In", "not in", "not", "in"));
  const match = (part: Parser, selectorAt: number, valueAt: number): Parser => action(part, (values) => ({
    kind: "match", selector: (values as Values)[selectorAt], operator: (values as Values)[1], value: valueAt < 0 ? "" : (values as Values)[valueAt],
  }));
  return choice(
    rule("MatchSelectorOpValue", '"match"', () => match(sequence(SELECTOR, withValue, VALUE), 0, 2)),
    rule("MatchSelectorOp", '"match"', () => match(sequence(SELECTOR, alone), 0, -1)),
    rule("MatchValueOpSelector", '"match"', () => choice(
      match(sequence(VALUE, within, SELECTOR), 2, 0),
      sequence(VALUE, within, notFollowedBy(SELECTOR), mistake("Invalid selector")),
    )),
  );
});

const GROUP = rule("ParenthesizedExpression", '"grouping"', () => choice(
  nth(sequence(literal("("), BLANKS, OR, BLANKS, literal(")")), 2),
  MATCH,
  sequence(literal("("), BLANKS, OR, BLANKS, notFollowedBy(literal(")")), mistake("Unmatched parentheses")),
));

const NOT: Parser = rule("NotExpression", "NotExpression", () => choice(
  action(sequence(literal("not"), BLANK, NOT), (values) => ({ kind: "not", operand: (values as Values)[2] })),
  GROUP,
));

const AND: Parser = rule("AndExpression", "AndExpression", () => choice(binary("and", NOT, () => AND), NOT));
const OR: Parser = rule("OrExpression", "OrExpression", () => choice(binary("or", AND, () => OR), AND));

function binary(kind: "and" | "or", left: Parser, right: () => Parser): Parser {
  return action(sequence(left, BLANK, literal(kind), BLANK, (state, at) => right()(state, at)), (values) => ({ kind, left: (values as Values)[0], right: (values as Values)[4] }));
}

const INPUT = choice(
  nth(sequence(BLANKS, literal("("), BLANKS, OR, BLANKS, literal(")"), BLANKS, END), 3),
  nth(sequence(BLANKS, OR, BLANKS, END), 1),
);
