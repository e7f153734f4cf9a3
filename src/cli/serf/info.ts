import type { IpcStats } from "../../client/serf-client.ts";
import { defineCommand } from "../command.ts";
import { sortedObject } from "../go-text.ts";
import { FORMAT_FLAG, printFormatted } from "./format.ts";
import { RPC_FLAGS, withClient } from "./rpc.ts";

export const command = defineCommand({
  synopsis: "serf info [options]",
  about: ["Prints figures about a running agent that help to find faults."],
  flags: { format: FORMAT_FLAG, ...RPC_FLAGS },
  examples: ["serf info", "serf info -format=json"],
  run: (context, flags) =>
    withClient(context, flags, "Error querying agent", async (client) => {
      const stats = await client.stats();
      const json = (): unknown => sortedObject([...stats].map(([section, values]) => [section, sortedObject(values)] as const));
      return printFormatted(context, flags.format ?? "text", () => asText(stats), json);
    }),
});

function asText(stats: IpcStats): string {
  const byKey = ([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number => (a < b ? -1 : a > b ? 1 : 0);
  return [...stats]
    .sort(byKey)
    .flatMap(([section, values]) => [`${section}:`, ...[...values].sort(byKey).map(([name, value]) => `\t${name} = ${value}`)])
    .join("\n");
}
