/**
 * A small parsing-expression machine: ordered choice with memory of every rule at every place, so that its time is linear, and Go's words for what was
 * expected where nothing matched. Error texts of filters are visible to users, and name places and alternatives as the original's parser does.
 */

/** Deeper rules than this are refused: a text of brackets must not exhaust the stack. */
export const PEG_DEPTH_MAX = 400;

export type Match = { readonly end: number; readonly value: unknown } | null;
export type Parser = (state: ParseState, at: number) => Match;

/** Thrown for texts that nest too deeply. */
export class TooDeep extends Error {}

export class ParseState {
  readonly chars: readonly string[];
  readonly errors: string[] = [];
  readonly #memory = new Map<string, Match>();
  readonly #rules: string[] = [];
  #farthest = 0;
  #expected = new Set<string>();
  /** Inside a look-ahead for what must not come. */
  #inverted = false;

  constructor(text: string) {
    this.chars = [...text];
  }

  /** Notes that `want` was looked for here; only the farthest place counts. */
  note(matched: boolean, at: number, want: string): void {
    if (matched !== this.#inverted || at < this.#farthest) return;
    if (at > this.#farthest) {
      this.#farthest = at;
      this.#expected = new Set();
    }
    this.#expected.add(this.#inverted ? `!${want}` : want);
  }

  invert(): void {
    this.#inverted = !this.#inverted;
  }

  rule(name: string, shown: string, parser: Parser, at: number): Match {
    const key = `${name} ${at} ${this.#inverted}`;
    const known = this.#memory.get(key);
    if (known !== undefined) return known;
    if (this.#rules.length >= PEG_DEPTH_MAX) throw new TooDeep();
    this.#rules.push(shown);
    const match = parser(this, at);
    this.#rules.pop();
    this.#memory.set(key, match);
    return match;
  }

  error(at: number, text: string): void {
    const message = `${this.#place(at)}: rule ${this.#rules.at(-1) ?? ""}: ${text}`;
    if (!this.errors.includes(message)) this.errors.push(message);
  }

  /** Why nothing matched. */
  noMatch(): string {
    const names = [...this.#expected].filter((want) => want !== "!.").sort();
    if (this.#expected.has("!.")) names.push("EOF");
    const last = names.pop() ?? "";
    return `${this.#place(this.#farthest)}: no match found, expected: ${names.length === 0 ? last : `${names.join(", ")} or ${last}`}`;
  }

  /** Line, column in characters, offset in bytes. */
  #place(at: number): string {
    let line = 1;
    let column = 0;
    let offset = 0;
    for (let i = 0; i <= at; i += 1) {
      column += 1;
      if (this.chars[i] === "\n") {
        line += 1;
        column = 0;
      }
      if (i < at) offset += utf8Bytes(this.chars[i] as string);
    }
    return `${line}:${column} (${offset})`;
  }
}

function utf8Bytes(char: string): number {
  const point = char.codePointAt(0) as number;
  return point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
}

export function literal(text: string): Parser {
  const chars = [...text];
  const want = JSON.stringify(text);
  return (state, at) => {
    const matched = chars.every((char, i) => state.chars[at + i] === char);
    state.note(matched, at, want);
    return matched ? { end: at + chars.length, value: text } : null;
  };
}

/** `shown` is the class as the grammar writes it. */
export function charClass(shown: string, pattern: RegExp): Parser {
  return (state, at) => {
    const char = state.chars[at];
    const matched = char !== undefined && pattern.test(char);
    state.note(matched, at, shown);
    return matched ? { end: at + 1, value: char } : null;
  };
}

export const anyChar: Parser = (state, at) => {
  const char = state.chars[at];
  state.note(char !== undefined, at, ".");
  return char === undefined ? null : { end: at + 1, value: char };
};

/** The value is the list of the values. */
export function sequence(...parts: readonly Parser[]): Parser {
  return (state, at) => {
    const values: unknown[] = [];
    let end = at;
    for (const part of parts) {
      const match = part(state, end);
      if (match === null) return null;
      values.push(match.value);
      end = match.end;
    }
    return { end, value: values };
  };
}

export function choice(...parts: readonly Parser[]): Parser {
  return (state, at) => {
    for (const part of parts) {
      const match = part(state, at);
      if (match !== null) return match;
    }
    return null;
  };
}

export function repeat(part: Parser, min: 0 | 1): Parser {
  return (state, at) => {
    const values: unknown[] = [];
    let end = at;
    for (;;) {
      const match = part(state, end);
      if (match === null) return values.length < min ? null : { end, value: values };
      values.push(match.value);
      end = match.end;
    }
  };
}

export function optional(part: Parser): Parser {
  return (state, at) => part(state, at) ?? { end: at, value: null };
}

export function followedBy(part: Parser): Parser {
  return (state, at) => (part(state, at) === null ? null : { end: at, value: null });
}

export function notFollowedBy(part: Parser): Parser {
  return (state, at) => {
    state.invert();
    const match = part(state, at);
    state.invert();
    return match === null ? { end: at, value: null } : null;
  };
}

/** What makes a text wrong for a reason of its own: said instead of what was expected. */
export function mistake(text: string): Parser {
  return (state, at) => {
    state.error(at, text);
    return null;
  };
}

/** `make` gets the value and the text that was matched. */
export function action(part: Parser, make: (value: unknown, text: string) => unknown): Parser {
  return (state, at) => {
    const match = part(state, at);
    return match === null ? null : { end: match.end, value: make(match.value, state.chars.slice(at, match.end).join("")) };
  };
}

/** `shown`: how error texts call the rule. The parser is made on first use, since rules refer to each other. */
export function rule(name: string, shown: string, make: () => Parser): Parser {
  let parser: Parser | null = null;
  return (state, at) => state.rule(name, shown, (parser ??= make()), at);
}
