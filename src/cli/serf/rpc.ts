/** What the commands that talk to a running agent share. */
import { SerfClient, ClientClosedError, DialError, KeyError, RpcTimeoutError } from "../../client/serf-client.ts";
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

/** Next steps after what agents refuse most often, by the text of the refusal. */
const REFUSALS: readonly (readonly [RegExp, string])[] = [
  [/^Unknown log level/, "the levels are trace, debug, info, warn and err"],
  [/Failed to (join|resolve) /, "is a member running there, and can the agent reach its gossip port (7946 unless said otherwise), by TCP and UDP?"],
  [/length of tags exceeds/, "all tags together may have 512 bytes: shorten some, or delete them with `serf tags -delete`"],
  [/exceeds .*limit/, "send less, or raise the agent's user_event_size_limit or query_size_limit"],
  [/cannot contain the '_serf_' prefix/, "choose another name: these are for the agents themselves"],
  [/^illegal base64|key size must be/, "a key is 16, 24 or 32 bytes in base64, as `serf keygen` prints it"],
  [/encryption not enabled/, "gossip is not encrypted there: start the agents with encrypt_key or keyring_file"],
  [/not in the keyring/, "install the key first: serf keys -install=KEY"],
  [/Removing the primary key/, "make another key the primary one first: serf keys -use=KEY"],
];

/** What to try after an error of the client. */
export function nextStep(error: Error): string {
  if (error instanceof DialError) return "is an agent running there? start one with `serf agent`, or name it with -rpc-addr=HOST:PORT or SERF_RPC_ADDR";
  if (error.message === IpcError.authRequired) return "the agent wants its rpc_auth key: give it with -rpc-auth=KEY or SERF_RPC_AUTH";
  if (error.message === IpcError.invalidAuthToken) return "the key is not the agent's rpc_auth: correct -rpc-auth=KEY or SERF_RPC_AUTH";
  if (error instanceof ClientClosedError) return "the agent closed the connection; `serf monitor -log-level=err` shows its reason, if it still runs";
  if (error instanceof RpcTimeoutError) return "the agent accepts connections but does not answer: look at its log, or restart it";
  // A key command fails for what the members said, not for how many of them did.
  const texts = error instanceof KeyError ? [...error.result.messages.values(), error.message] : [error.message];
  const known = REFUSALS.find(([pattern]) => texts.some((text) => pattern.test(text)));
  if (known !== undefined) return known[1];
  return "the agent refused; `serf monitor -log-level=warn` shows what it logged";
}

function nonEmpty(text: string | undefined): string | undefined {
  return text === "" ? undefined : text;
}
