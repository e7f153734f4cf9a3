import { VERSION } from "../../base/version.ts";
import { defineCommand } from "../command.ts";
import type { CliContext } from "../context.ts";

/** The words of `version`; `-v` and `--version` print them whatever else was said. */
export function printVersion(context: CliContext): number {
  context.out(`${VERSION}\nAgent Protocol: 5 (Understands back to: 2)`);
  return 0;
}

export const command = defineCommand({
  synopsis: "serf version",
  about: ["Prints the version of this program and the protocol versions it speaks."],
  flags: {},
  examples: ["serf version"],
  run: (context) => Promise.resolve(printVersion(context)),
});
