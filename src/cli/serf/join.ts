import { defineCommand } from "../command.ts";
import { fail } from "../context.ts";
import { RPC_FLAGS, withClient } from "./rpc.ts";

export const command = defineCommand({
  synopsis: "serf join [options] address ...",
  about: ["Makes a running agent join the cluster of at least one of the given members.", "An address is host, host:port or name/host:port."],
  flags: { replay: { kind: "bool", value: "", help: "Replay past user events of the cluster." }, ...RPC_FLAGS },
  examples: ["serf join 10.0.0.5:7946 10.0.0.6:7946"],
  async run(context, flags, args, usage) {
    if (args.length === 0) return fail(context, `At least one address to join must be specified.\n\n${usage()}`, "serf join HOST:PORT");
    return withClient(context, flags, "Error joining the cluster", async (client) => {
      const nodes = await client.join(args, { replay: flags.replay ?? false });
      context.out(`Successfully joined cluster by contacting ${nodes} nodes.`);
      return 0;
    });
  },
});
