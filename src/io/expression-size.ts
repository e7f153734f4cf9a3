/**
 * How large a program an RE2 expression becomes, before it is compiled. Compiling is not bounded by the length of the text: `\pL{900}` repeated within
 * 256 bytes takes half a second, and queries bring expressions from the network. Go bounds memory (128 MiB), which is no help to an event loop.
 */

/** Largest program compiled, in instructions of some 4 µs each. `a{1000}`, the most that RE2 repeats, takes a quarter. */
export const EXPRESSION_SIZE_MAX = 4000;
/** A Unicode class is a table of hundreds of ranges; folding its case looks at each character. Measured: 20–76 µs, and 100–400 µs. */
const UNICODE_CLASS_SIZE = 20;
const FOLDED_UNICODE_CLASS_SIZE = 100;
const CLASS_SIZE = 2;
const GROUP_SIZE = 2;
const REPEAT = /\{(\d{1,9})(?:(,)(\d{0,9}))?\}/y;

/** Never less than what the parts add up to; for a text that is no expression any number. */
export function expressionSize(expr: string): number {
  const unicode = expr.includes("(?") && /\(\?[a-zA-Z]*i/.test(expr) ? FOLDED_UNICODE_CLASS_SIZE : UNICODE_CLASS_SIZE;
  const open: number[] = []; // Sizes of the groups around the place, outermost first.
  let sum = 0; // Of the innermost group so far.
  let last = 0; // Of what a repetition would repeat.
  const add = (size: number): void => {
    last = size;
    sum += size;
  };
  for (let at = 0; at < expr.length; at += 1) {
    switch (expr[at]) {
      case "\\": {
        at += 1;
        const isClass = expr[at] === "p" || expr[at] === "P";
        add(isClass ? unicode : 1);
        // Names in braces are no repetitions.
        if (expr[at + 1] === "{" && (isClass || expr[at] === "x")) at = endOf(expr, "}", at);
        else if (isClass) at += 1;
        break;
      }
      case "[": {
        const end = endOf(expr, "]", expr[at + 1] === "]" ? at + 1 : at);
        add(CLASS_SIZE + unicode * (expr.slice(at, end).match(/\\[pP]/g)?.length ?? 0));
        at = end;
        break;
      }
      case "(":
        open.push(sum);
        sum = 0;
        break;
      case ")": {
        const group = sum + GROUP_SIZE;
        sum = open.pop() ?? 0;
        add(group);
        break;
      }
      case "{": {
        REPEAT.lastIndex = at;
        const found = REPEAT.exec(expr);
        if (found === null) {
          add(1);
          break;
        }
        const least = Number(found[1]);
        const times = Math.max(1, found[3] === undefined || found[3] === "" ? least + (found[2] === undefined ? 0 : 1) : Number(found[3]));
        sum += last * (times - 1);
        last *= times;
        at += found[0].length - 1;
        break;
      }
      case "*":
      case "+":
      case "?":
        sum += 1;
        break;
      default:
        add(1);
    }
  }
  // Groups that are never closed.
  return open.reduce((whole, size) => whole + size, sum);
}

/** Where the next `end` that is not escaped stands, or the end of the text. */
function endOf(expr: string, end: string, after: number): number {
  for (let at = after + 1; at < expr.length; at += 1) {
    if (expr[at] === "\\") at += 1;
    else if (expr[at] === end) return at;
  }
  return expr.length;
}
