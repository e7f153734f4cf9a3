/** What the commands that talk to a running agent share. */
import { SerfClient, ClientClosedError, DialError, RpcTimeoutError } from "../../client/serf-client.ts";
import { IpcError } from "../../wire/ipc-messages.ts";
import { fail, type CliContext } from "../context.ts";
import type { FlagValues } from "../flags.ts";

export const RPC_FLAGS = {
  "rpc-addr": { kind: "string", value: "127.0.0.1:7373", help: "RPC address of the agent. Also from the environment: SERF_RPC_ADDR." },
  "rpc-auth": { kind: "string", value: "key", help: "The agent's rpc_auth key. Also from the environment: SERF_RPC_AUTH." },
} as const;

/**
 * Connects, runs `use` and closes. What fails is printed: the connection as the original words it, whatever `use` throws behind
 * `errorPrefix` ("Error retrieving members").
 */
export async function withClient(
  context: CliContext,
  flags: FlagValues<typeof RPC_FLAGS>,
  errorPrefix: string,
  use: (client: SerfClient) => Promise<number>,
): Promise<number> {
  const address = flags["rpc-addr"] ?? nonEmpty(context.env["SERF_RPC_ADDR"]) ?? "127.0.0.1:7373";
  const authKey = flags["rpc-auth"] ?? context.env["SERF_RPC_AUTH"] ?? "";
  let client: SerfClient;
  try {
    client = await SerfClient.connect({ address, authKey });
  } catch (error) {
    return failWith(context, "Error connecting to Serf agent", error);
  }
  try {
    return await use(client);
  } catch (error) {
    return failWith(context, errorPrefix, error);
  } finally {
    client.close();
  }
}

/** Prints `PREFIX: MESSAGE` and what to try next. Returns 1. */
export function failWith(context: CliContext, prefix: string, error: unknown): number {
  if (!(error instanceof Error)) throw error;
  return fail(context, `${prefix}: ${error.message}`, nextStep(error));
}

function nextStep(error: Error): string {
  if (error instanceof DialError) return "is an agent running there? start one with `serf agent`, or name it with -rpc-addr=HOST:PORT or SERF_RPC_ADDR";
  if (error.message === IpcError.authRequired) return "the agent wants its rpc_auth key: give it with -rpc-auth=KEY or SERF_RPC_AUTH";
  if (error.message === IpcError.invalidAuthToken) return "the key is not the agent's rpc_auth: correct -rpc-auth=KEY or SERF_RPC_AUTH";
  if (error instanceof ClientClosedError) return "the agent closed the connection; `serf monitor -log-level=err` shows its reason, if it still runs";
  if (error instanceof RpcTimeoutError) return "the agent accepts connections but does not answer: look at its log, or restart it";
  return "the agent refused; `serf monitor -log-level=warn` shows what it logged";
}

function nonEmpty(text: string | undefined): string | undefined {
  return text === "" ? undefined : text;
}
