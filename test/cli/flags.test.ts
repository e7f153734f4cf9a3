import assert from "node:assert/strict";
import { test } from "node:test";
import { parseFlags } from "../../src/cli/flags.ts";

const SPECS = {
  bool: { kind: "bool", value: "", help: "" },
  text: { kind: "string", value: "", help: "" },
  number: { kind: "int", value: "", help: "" },
  wait: { kind: "duration", value: "", help: "" },
  list: { kind: "list", value: "", help: "" },
  also: { kind: "list", value: "", help: "", into: "list" },
} as const;
const parse = (...words: readonly string[]) => parseFlags(SPECS, words);

test("forms of a flag", () => {
  assert.deepEqual(parse("-text", "a", "--text=b", "-bool", "-number=0x10", "--wait", "1m", "-list=x", "-also", "y", "-list", "z", "rest", "-bool=false"), {
    ok: true,
    flags: { text: "b", bool: true, number: 16, wait: 60_000, list: ["x", "y", "z"] },
    args: ["rest", "-bool=false"],
  });
  assert.deepEqual(parse("-bool=F", "-text=", "-text=-x=y"), { ok: true, flags: { bool: false, text: "-x=y" }, args: [] });
  assert.deepEqual(parse("-text", "-bool"), { ok: true, flags: { text: "-bool" }, args: [] }, "the next word is the value, whatever it looks like");
  assert.deepEqual(parse("-bool", "true"), { ok: true, flags: { bool: true }, args: ["true"] }, "but not for a boolean");
  assert.deepEqual(parse("--", "-bool"), { ok: true, flags: {}, args: ["-bool"] });
  assert.deepEqual(parse("-", "-bool"), { ok: true, flags: {}, args: ["-", "-bool"] });
});

test("complaints have Go's words", () => {
  const cases = [
    [["-bogus"], "flag provided but not defined: -bogus"],
    [["--toString=1"], "flag provided but not defined: -toString"],
    [["-text"], "flag needs an argument: -text"],
    [["-bool=maybe"], 'invalid boolean value "maybe" for -bool: parse error'],
    [["-number=abc"], 'invalid value "abc" for flag -number: parse error'],
    [["-wait", "5"], 'invalid value "5" for flag -wait: parse error'],
    [["---x"], "bad flag syntax: ---x"],
    [["-="], "bad flag syntax: -="],
    [["--=x"], "bad flag syntax: --=x"],
  ] as const;
  for (const [words, error] of cases) assert.deepEqual(parse(...words), { ok: false, error });
});
