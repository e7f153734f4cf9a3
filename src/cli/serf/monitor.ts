import type { RpcStream, SerfStreamEvent } from "../../client/serf-client.ts";
import { defineCommand } from "../command.ts";
import type { CliContext } from "../context.ts";
import { goSyntaxFields } from "../go-syntax.ts";
import { failWith, RPC_FLAGS, withClient } from "./rpc.ts";

export const command = defineCommand({
  synopsis: "serf monitor [options]",
  about: ["Shows the last log lines of a running agent, then new ones and events as they", "come, until interrupted. The level may be finer than the agent's own."],
  flags: { "log-level": { kind: "string", value: "info", help: "TRACE, DEBUG, INFO, WARN or ERR. Default INFO." }, ...RPC_FLAGS },
  examples: ["serf monitor -log-level=debug"],
  run: (context, flags) =>
    withClient(context, flags, "Error starting stream", async (client) => {
      const events = await client.stream("*");
      let logs: RpcStream<string>;
      try {
        logs = await client.monitor(flags["log-level"] ?? "INFO");
      } catch (error) {
        const code = failWith(context, "Error starting monitor", error);
        await events.stop();
        return code;
      }
      let interrupted = false;
      const stopped = new Promise<void>((resolve) => {
        context.onInterrupt(() => {
          interrupted = true;
          void logs.stop().then(() => events.stop()).finally(resolve);
        });
      });
      await Promise.allSettled([logs.consume((line) => context.out(line)), events.consume((event) => printEvent(context, event))]);
      if (interrupted) {
        await stopped;
        return 0;
      }
      context.out("");
      context.out("Remote side ended the monitor! This usually means that the\nremote side has exited or crashed.");
      context.err("hint: start the agent again, then `serf monitor`");
      return 1;
    }),
});

function printEvent(context: CliContext, event: SerfStreamEvent): void {
  context.out("Event Info:");
  for (const [key, value] of goSyntaxFields(event.raw) ?? []) context.out(`\t${key}: ${value}`);
}
