/** The handler that the recordings were made with: appends its SERF_ environment and standard input as one line of JSON to the file named on its command line. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

export interface Invocation {
  readonly env: Readonly<Record<string, string>>;
  readonly stdin: string;
  readonly stdinHex: string;
}

const SCRIPT = `
const fs = require("node:fs");
const input = fs.readFileSync(0);
const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => name.startsWith("SERF_")).sort());
fs.appendFileSync(process.argv[2], JSON.stringify({ env, stdin: input.toString(), stdinHex: input.toString("hex") }) + "\\n");
`;

/** Puts the handler into `dir` as h.js. */
export function writeHandlerScript(dir: string): void {
  writeFileSync(join(dir, "h.js"), SCRIPT);
}

/** What the handler has written so far; a line that is still being written is left out. */
export function readInvocations(path: string): Invocation[] {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch {
    return [];
  }
  return text.split("\n").slice(0, -1).map((line) => JSON.parse(line) as Invocation);
}

/** With the tags of every member line in one order, since Go's is random. */
export function withSortedTags(invocation: Invocation): unknown {
  const { env, stdin } = invocation;
  if (!(env["SERF_EVENT"] ?? "").startsWith("member-")) return invocation;
  return { ...invocation, stdin: sortTags(stdin), stdinHex: sortTags(Buffer.from(invocation.stdinHex, "hex").toString("latin1")) };
}

function sortTags(lines: string): string {
  return lines.replace(/\t([^\t\n]*)\n/g, (_, tags: string) => `\t${splitTags(tags).sort().join(",")}\n`);
}

/** A tag's value may hold commas: a piece without "=" belongs to the tag before it. */
export function splitTags(text: string): string[] {
  const tags: string[] = [];
  for (const piece of text === "" ? [] : text.split(",")) {
    if (piece.includes("=") || tags.length === 0) tags.push(piece);
    else tags.push(`${tags.pop() as string},${piece}`);
  }
  return tags;
}
