import { bashCompletion, fishCompletion, zshCompletion, type CompletionEntry } from "../completion.ts";
import { defineCommand } from "../command.ts";
import { fail } from "../context.ts";
import { SERF_COMMANDS } from "./commands.ts";

const SHELLS: Readonly<Record<string, (entries: readonly CompletionEntry[]) => string>> = { bash: bashCompletion, zsh: zshCompletion, fish: fishCompletion };

export const command = defineCommand({
  synopsis: "serf completion bash|zsh|fish",
  about: ["Prints a script that completes commands and flags of `muster serf` and `serf`."],
  flags: {},
  examples: ["eval \"$(muster serf completion bash)\"", "muster serf completion fish | source"],
  async run(context, _flags, args, usage) {
    const script = args.length === 1 && Object.hasOwn(SHELLS, args[0] as string) ? SHELLS[args[0] as string] : undefined;
    if (script === undefined) return fail(context, usage(), "name one shell: bash, zsh or fish");
    const entries = await Promise.all(
      SERF_COMMANDS.map(async ({ name, synopsis, load }) => ({ name, synopsis, flags: name === "completion" ? [] : (await load()).flagNames })),
    );
    context.out(script(entries));
    return 0;
  },
});
