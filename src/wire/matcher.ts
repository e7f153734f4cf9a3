/** Compiles an expression that came from outside, with RE2 rules; null when it is invalid. Injected: `io` uses re2js. */
export interface Matcher {
  compile(expr: string): ((text: string) => boolean) | null;
}
