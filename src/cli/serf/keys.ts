import { KeyError, type IpcKeyResult, type SerfClient } from "../../client/serf-client.ts";
import { columns } from "../columns.ts";
import { defineCommand } from "../command.ts";
import { fail, type CliContext } from "../context.ts";
import { RPC_FLAGS, withClient } from "./rpc.ts";

/** What each action says, and does. */
interface Action {
  readonly start: string;
  readonly done: string;
  readonly failed: string;
  run(client: SerfClient): Promise<IpcKeyResult>;
}

export const command = defineCommand({
  synopsis: "serf keys [options]",
  about: [
    "Manages the gossip keys of the whole cluster: a new key is installed, then used,",
    "then the old one removed. Ends with 0 when every member reported success; it may be",
    "repeated safely.",
  ],
  flags: {
    install: { kind: "string", value: "<key>", help: "Add a key, in base64; messages sealed with it can be read from then on." },
    use: { kind: "string", value: "<key>", help: "Seal messages with this key, which must be installed everywhere." },
    remove: { kind: "string", value: "<key>", help: "Forget a key; it may not be the one in use." },
    list: { kind: "bool", value: "", help: "List all keys and on how many members each is installed." },
    ...RPC_FLAGS,
  },
  examples: ["serf keys -list", "serf keys -install=$(serf keygen)"],
  async run(context, flags, _args, usage) {
    const { install = "", use = "", remove = "", list = false } = flags;
    const actions: Action[] = [];
    if (list) actions.push({ start: "Asking all members for installed keys...", done: "Keys gathered, listing cluster keys...", failed: "Failed to gather member keys", run: (client) => client.listKeys() });
    if (install !== "") actions.push({ start: "Installing key on all members...", done: "Successfully installed key!", failed: "Error installing key", run: (client) => client.installKey(install) });
    if (use !== "") actions.push({ start: "Changing primary key on all members...", done: "Successfully changed primary key!", failed: "Error changing primary key", run: (client) => client.useKey(use) });
    if (remove !== "") actions.push({ start: "Removing key on all members...", done: "Successfully removed key!", failed: "Error removing key", run: (client) => client.removeKey(remove) });
    const [action] = actions;
    if (actions.length > 1) return fail(context, "Only one of -install, -use, -remove, or -list allowed", "run one command after the other: install, use, remove");
    if (action === undefined) return fail(context, usage(), "give -list, -install=KEY, -use=KEY or -remove=KEY");
    // Nothing of `act` throws but what the client throws on the way.
    return withClient(context, flags, action.failed, (client) => act(context, client, action, list));
  },
});

async function act(context: CliContext, client: SerfClient, action: Action, list: boolean): Promise<number> {
  context.out(`==> ${action.start}`);
  let result: IpcKeyResult;
  try {
    result = await action.run(client);
  } catch (error) {
    if (error instanceof KeyError && error.result.messages.size > 0) {
      context.out(columns([...error.result.messages].map(([node, message]) => `failed: | ${node} | ${message}`)));
    }
    context.out("");
    throw error;
  }
  context.out(`==> ${action.done}`);
  if (!list) return 0;
  context.out("");
  context.out(columns([...result.keys].map(([key, count]) => `${key} | [${count}/${result.nodes}]`)));
  return 0;
}
