import assert from "node:assert/strict";
import { test } from "node:test";
import { EXPRESSION_SIZE_MAX, expressionSize } from "../../src/io/expression-size.ts";
import { EXPRESSION_LENGTH_MAX, Re2Matcher, syntaxError } from "../../src/io/matcher.ts";

test("what people write is small, and compiles", () => {
  const matcher = new Re2Matcher();
  for (const expr of ["^web-[0-9]{1,3}$", "(?i)prod|staging", "[a-z0-9-]{1,63}", "\\pL{64}", "a{1000}", "\\x{10}\\x{10FFFF}", "[]a]{2}", "(?P<zone>eu|us)-\\d+", "x{,3}", "web.*", "^$", "[\\]{900}]"]) {
    assert.ok(expressionSize(expr) <= EXPRESSION_SIZE_MAX, `${expr}: ${expressionSize(expr)}`);
    assert.notEqual(matcher.compile(expr), null, expr);
  }
  assert.ok(expressionSize("a".repeat(EXPRESSION_LENGTH_MAX)) <= EXPRESSION_SIZE_MAX);
});

test("repetitions multiply, also nested ones, and Unicode classes weigh", () => {
  assert.equal(expressionSize("a{1000}"), 1000);
  assert.equal(expressionSize("ab{10}c"), 12);
  assert.equal(expressionSize("(ab){10}"), 40);
  assert.equal(expressionSize("((ab){10}){10}"), 420);
  assert.equal(expressionSize("a{2,}b{0}c{3,5}"), 3 + 1 + 5);
  assert.equal(expressionSize("\\pL\\p{Greek}[\\pN]"), 62);
  assert.equal(expressionSize("(?i)\\pL") > 100, true);
});

test("programs that would hold up the loop are refused in Go's words, without being compiled", () => {
  const matcher = new Re2Matcher();
  for (const expr of ["\\pL{900}".repeat(32), "a{1000}".repeat(100), "(a{100}){9}".repeat(20), "((a{30}){30}){30}", "(?i)".concat("\\pL*".repeat(200)), "[\\pL\\pN]{500}", "x".repeat(EXPRESSION_LENGTH_MAX + 1)]) {
    assert.equal(matcher.compile(expr), null, expr.slice(0, 40));
    assert.equal(syntaxError(expr), "error parsing regexp: expression too large");
  }
  assert.equal(matcher.size, 0, "and nothing of them is kept");
});
