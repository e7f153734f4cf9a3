import { defineCommand } from "../command.ts";
import { fail } from "../context.ts";
import { parseTagFlags } from "./config/tag-flags.ts";
import { RPC_FLAGS, withClient } from "./rpc.ts";

export const command = defineCommand({
  synopsis: "serf tags [options]",
  about: ["Changes the tags of a running agent and tells the cluster. Deletions come first."],
  flags: {
    ...RPC_FLAGS,
    set: { kind: "list", value: "<key>=<value>", help: "Set a tag; may be repeated." },
    delete: { kind: "list", value: "<key>", help: "Remove a tag, if it is there; may be repeated." },
  },
  examples: ["serf tags -set role=web -delete old"],
  async run(context, flags, _args, usage) {
    const set = flags.set ?? [];
    const remove = flags.delete ?? null;
    if (set.length === 0 && remove === null) return fail(context, usage(), "give -set KEY=VALUE or -delete KEY");
    return withClient(context, flags, "Error setting tags", async (client) => {
      const tags = parseTagFlags(set);
      if (!tags.ok) return fail(context, `Error: ${tags.error}`, "a tag is KEY=VALUE, such as -set role=web");
      await client.updateTags({ set: tags.value, remove });
      context.out("Successfully updated agent tags");
      return 0;
    });
  },
});
