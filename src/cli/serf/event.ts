import { encodeUtf8 } from "../../base/utf8.ts";
import { defineCommand } from "../command.ts";
import { fail } from "../context.ts";
import { RPC_FLAGS, withClient } from "./rpc.ts";

export const command = defineCommand({
  synopsis: "serf event [options] name [payload]",
  about: ["Sends a user event to the whole cluster."],
  flags: {
    coalesce: { kind: "bool", value: "true", help: "Receivers may merge events of this name that follow each other shortly, keeping the last. Default true." },
    ...RPC_FLAGS,
  },
  examples: ["serf event deploy v1.2.3", "serf event -coalesce=false restart"],
  async run(context, flags, args, usage) {
    const [name, payload] = args;
    if (name === undefined) return fail(context, `An event name must be specified.\n\n${usage()}`, "serf event NAME [PAYLOAD]");
    if (args.length > 2) {
      return fail(context, `Too many command line arguments. Only a name and payload must be specified.\n\n${usage()}`, "quote a payload that contains spaces");
    }
    const coalesce = flags.coalesce ?? true;
    return withClient(context, flags, "Error sending event", async (client) => {
      await client.userEvent(name, payload === undefined ? null : encodeUtf8(payload), { coalesce });
      context.out(`Event '${name}' dispatched! Coalescing enabled: ${coalesce}`);
      return 0;
    });
  },
});
