/**
 * V8 keeps a source for as long as it runs, with two bytes a character once a single one of them, a dash in a comment, needs them. esbuild escapes such characters
 * wherever they mean something, but leaves those of comments inside classes. Escaped there as well, a joined file is ASCII only.
 */
import { transform } from "esbuild";

/** The same program in ASCII. Rejects where an escape would not be the character, as in what a tag of a template sees as raw. */
export async function asciiSource(source: string): Promise<string> {
  // A surrogate pair becomes two escapes, which mean the one character in strings.
  const escaped = source.replaceAll(/[^\0-\x7f]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);
  if (escaped !== source && (await withoutComments(escaped)) !== (await withoutComments(source))) throw new Error("a joined file would mean something else in ASCII");
  return escaped;
}

async function withoutComments(source: string): Promise<string> {
  return (await transform(source, { minifyWhitespace: true, legalComments: "none", charset: "ascii" })).code;
}
