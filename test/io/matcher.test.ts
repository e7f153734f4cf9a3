import assert from "node:assert/strict";
import { test } from "node:test";
import { SystemRandom } from "../../src/io/entropy.ts";
import { COMPILED_EXPRESSIONS_MAX, EXPRESSION_LENGTH_MAX, Re2Matcher } from "../../src/io/matcher.ts";

test("expressions follow Go's rules: search unanchored, refuse what RE2 refuses", () => {
  const matcher = new Re2Matcher();
  const match = (expr: string, text: string): boolean | null => matcher.compile(expr)?.(text) ?? null;
  assert.equal(match("web", "my-web-1"), true);
  assert.equal(match("^web", "my-web-1"), false);
  assert.equal(match("(?i)WEB", "my-web"), true);
  assert.equal(match("", ""), true);
  for (const refused of ["(", "(?=x)", "(?<=x)y", "(a)\\1", "a**", "a{1001}", "[z-a]", "\\Z", "(?x)a", "x".repeat(EXPRESSION_LENGTH_MAX + 1), "(".repeat(4000)]) {
    assert.equal(matcher.compile(refused), null, refused.slice(0, 20));
  }
});

test("an expression that ruins backtracking engines takes linear time", () => {
  const matches = new Re2Matcher().compile("(a+)+$");
  assert.equal(matches?.(`${"a".repeat(100_000)}b`), false);
});

test("compiled expressions are kept, up to a bound", () => {
  const matcher = new Re2Matcher();
  const first = matcher.compile("keep");
  for (let i = 0; i < 2 * COMPILED_EXPRESSIONS_MAX; i += 1) {
    matcher.compile(`x${i}`);
    assert.equal(matcher.compile("keep"), first); // Used each time, hence never the oldest.
  }
  assert.equal(matcher.size, COMPILED_EXPRESSIONS_MAX);
});

test("system randomness stays in range and reaches every value", () => {
  const random = new SystemRandom();
  const seen = new Set<number>();
  for (let i = 0; i < 2000; i += 1) seen.add(random.below(7));
  assert.deepEqual([...seen].toSorted((a, b) => a - b), [0, 1, 2, 3, 4, 5, 6]);
  assert.equal(random.below(1), 0);
});
