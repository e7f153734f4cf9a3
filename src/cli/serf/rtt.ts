import type { IpcCoordinate, SerfClient } from "../../client/serf-client.ts";
import { defineCommand } from "../command.ts";
import { fail } from "../context.ts";
import { goQuote } from "../../base/go-quote.ts";
import { distance } from "../../serf/vivaldi.ts";
import { failWith, RPC_FLAGS, withClient } from "./rpc.ts";

export const command = defineCommand({
  synopsis: "serf rtt [options] node1 [node2]",
  about: ["Estimates the round trip time between two nodes from their network coordinates,", "without sending anything between them. node2 is the agent's own node when left out."],
  flags: RPC_FLAGS,
  examples: ["serf rtt web-1 db-1"],
  run: (context, flags, args, usage) =>
    withClient(context, flags, "Error querying agent", async (client) => {
      const [first, second = args.length === 1 ? await ownName(client) : undefined] = args;
      if (first === undefined || second === undefined || args.length > 2) {
        return fail(context, `One or two node names must be specified\n\n${usage()}`, "`serf members` lists the names");
      }
      const coordinates: NonNullable<IpcCoordinate>[] = [];
      for (const node of [first, second]) {
        const coordinate = await client.coordinate(node).catch((error: unknown) => failWith(context, "Error getting coordinates", error));
        if (typeof coordinate === "number") return coordinate;
        if (coordinate === null) {
          return fail(context, `Could not find a coordinate for node ${goQuote(node)}`, "`serf members` lists the names; a node has a coordinate after its first probes");
        }
        coordinates.push(coordinate);
      }
      const [a, b] = coordinates as [NonNullable<IpcCoordinate>, NonNullable<IpcCoordinate>];
      context.out(`Estimated ${first} <-> ${second} rtt: ${(distance(a, b) * 1000).toFixed(3)} ms`);
      return 0;
    }),
});

async function ownName(client: SerfClient): Promise<string> {
  return (await client.stats()).get("agent")?.get("name") ?? "";
}
