import { performance } from "node:perf_hooks";
import { defineCommand } from "../command.ts";
import { fail } from "../context.ts";
import { failWith, RPC_FLAGS, withClient } from "./rpc.ts";

const TROUBLESHOOTING = `
Troubleshooting tips:
* Ensure that the bind addr:port is accessible by all other nodes
* If an advertise address is set, ensure it routes to the bind address
* Check that no nodes are behind a NAT
* If nodes are behind firewalls or iptables, check that Serf traffic is permitted (UDP and TCP)
* Verify networking equipment is functional`;

export const command = defineCommand({
  synopsis: "serf reachability [options]",
  about: ["Asks every live member for an acknowledgement and reports who is missing."],
  flags: { ...RPC_FLAGS, verbose: { kind: "bool", value: "", help: "Show each acknowledgement and the times." } },
  examples: ["serf reachability -verbose"],
  run: (context, flags) =>
    withClient(context, flags, "Error getting members", async (client) => {
      const members = await client.members();
      const live = new Set(members.filter(({ status }) => status === "alive").map(({ name }) => name));
      context.out(`Total members: ${members.length}, live members: ${live.size}`);
      const stream = await client.query("_serf_ping", null, { requestAck: true }).catch((error: unknown) => failWith(context, "Error sending query", error));
      if (typeof stream === "number") return stream;
      context.out("Starting reachability test...");
      const startMs = performance.now();
      let lastMs = startMs;
      let interrupted = false;
      context.onInterrupt(() => {
        interrupted = true;
        void stream.stop();
      });
      const acked = new Set<string>();
      let count = 0;
      for await (const { from } of stream) {
        if (flags.verbose ?? false) context.out(`\tAck from '${from}'`);
        if (acked.has(from)) context.out(`Duplicate response from '${from}'`);
        acked.add(from);
        count += 1;
        lastMs = performance.now();
      }
      if (interrupted) return fail(context, "Test interrupted", "run it again and let the query end by itself");
      if (flags.verbose ?? false) context.out(`Query time: ${seconds(performance.now() - startMs)} sec, time to last response: ${seconds(lastMs - startMs)} sec`);
      const duplicates = count > acked.size;
      if (duplicates) context.out("Duplicate responses means there is a misconfiguration. Verify that node names are unique.");
      if (count === live.size) {
        context.out("Successfully contacted all live nodes");
        return duplicates ? 1 : 0;
      }
      const tooMany = count > live.size;
      const named = tooMany ? [...acked].filter((name) => !live.has(name)) : [...live].filter((name) => !acked.has(name));
      context.out(tooMany ? "Received more acks than live nodes! Acks from non-live nodes:" : "Received less acks than live nodes! Missing acks from:");
      for (const name of named) context.out(`\t${name}`);
      context.out(
        tooMany
          ? "This could mean Serf is detecting false-failures due to a misconfiguration or network issue."
          : "This could mean Serf gossip packets are being lost due to a misconfiguration or network issue.",
      );
      context.out(TROUBLESHOOTING);
      return 1;
    }),
});

function seconds(ms: number): string {
  return (ms / 1000).toFixed(2);
}
