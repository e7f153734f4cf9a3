import { defineCommand } from "../command.ts";
import { fail } from "../context.ts";
import { RPC_FLAGS, withClient } from "./rpc.ts";

export const command = defineCommand({
  synopsis: "serf force-leave [options] name",
  about: [
    "Moves a failed member to the state left, so that nobody tries to reach it any",
    "more. A member that is in fact alive comes back by itself.",
  ],
  flags: { ...RPC_FLAGS, prune: { kind: "bool", value: "", help: "Forget the member at once, instead of after the tombstone timeout." } },
  examples: ["serf force-leave db-3", "serf force-leave -prune db-3"],
  async run(context, flags, args, usage) {
    const [node] = args;
    if (args.length !== 1 || node === undefined) return fail(context, `A node name must be specified to force leave.\n\n${usage()}`, "`serf members -status=failed` lists the names");
    return withClient(context, flags, "Error force leaving", async (client) => {
      await client.forceLeave(node, { prune: flags.prune ?? false });
      return 0;
    });
  },
});
