import { defineCommand } from "../command.ts";
import { RPC_FLAGS, withClient } from "./rpc.ts";

export const command = defineCommand({
  synopsis: "serf leave [options]",
  about: ["Makes a running agent leave the cluster and stop. The other members see it as", "left, not as failed."],
  flags: RPC_FLAGS,
  examples: ["serf leave"],
  run: (context, flags) =>
    withClient(context, flags, "Error leaving", async (client) => {
      await client.leave();
      context.out("Graceful leave complete");
      return 0;
    }),
});
