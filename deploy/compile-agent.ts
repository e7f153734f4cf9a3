/**
 * Last step of the build: keeps what V8 compiles of the Serf agent, `dist/serf-agent.cjs.code`. V8 compiles a function when it is first called, so some agents are run here
 * in this process: they join one at once, gossip and serve RPC. Where they cannot (no loopback network), the code has only what the start needs.
 */
import { writeFileSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import { setFlagsFromString } from "node:v8";
import { codeFileOf, loadCompiled } from "../src/cli/compiled-code.ts";
import type { CliContext, Command } from "../src/cli/context.ts";
import { SerfClient } from "../src/client/serf-client.ts";
import { USUAL_BUDGET } from "../src/io/late-optimizing.ts";

const FILE = fileURLToPath(new URL("../serf-agent.cjs", import.meta.url));
const WARM_UP_MS_MAX = 10_000;
/** Enough that their state and their gossip are compressed. */
const AGENTS = 8;
const EVENTS = 40;
/** Gossip and a probe or two. */
const GOSSIP_MS = 1500;

const code = loadCompiled(FILE);
const { agentCommand } = code.exports as { readonly agentCommand: Command };

await Promise.race([warmUp(), new Promise((resolve) => setTimeout(resolve, WARM_UP_MS_MAX))]).catch((error: unknown) => {
  process.stderr.write(`the agent's code is kept without a trial run: ${String(error)}\n`);
});
// V8 refuses code that was made under other flags, and an agent sets some.
const USUAL_FLAGS = [
  "--semi-space-growth-factor=2",
  "--heap-growing-percent=0",
  "--parallel-scavenge",
  "--concurrent-array-buffer-sweeping",
  `--interrupt-budget=${USUAL_BUDGET}`,
];
for (const flag of USUAL_FLAGS) setFlagsFromString(flag);
writeFileSync(codeFileOf(FILE), code.encode());
process.exit(0);

async function warmUp(): Promise<void> {
  const agents: { readonly agent: Started; readonly client: SerfClient; readonly gossip: string }[] = [];
  for (let i = 0; i < AGENTS; i += 1) {
    const agent = startAgent(`agent-${i}`, await freePort());
    agents.push({ agent, client: await SerfClient.connect({ address: await agent.printed(/RPC addr: '(\S+)'/) }), gossip: await agent.printed(/Bind addr: '(\S+)'/) });
  }
  const [first, ...others] = agents;
  if (first === undefined) return;
  // All at once: what a storm of joins needs is more than what one join does.
  await Promise.all(others.map(({ client }) => client.join([first.gossip])));
  for (const { client } of agents) {
    await client.stream("*");
    await client.stats();
    await client.members();
  }
  for (let i = 0; i < EVENTS; i += 1) await agents[i % AGENTS]?.client.userEvent(`event-${i}`, Buffer.alloc(64), { coalesce: false });
  await new Promise((resolve) => setTimeout(resolve, GOSSIP_MS));
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => server.once("error", reject).listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

interface Started {
  /** The first group of what matches in the agent's output, once it is there; rejects when the agent ends. */
  printed(pattern: RegExp): Promise<string>;
}

function startAgent(name: string, rpcPort: number): Started {
  let output = "";
  let heard: () => void = () => undefined;
  const take = (text: string): void => {
    output += `${text}\n`;
    heard();
  };
  const context: CliContext = { out: take, err: take, env: {}, onInterrupt: () => undefined };
  const args = [`-node=${name}`, "-bind=127.0.0.1:0", `-rpc-addr=127.0.0.1:${rpcPort}`, "-profile=local", "-log-level=info"];
  const ended = agentCommand.run(context, args).then((exitCode) => {
    throw new Error(`the agent ended with ${exitCode}: ${output}`);
  });
  ended.catch(() => undefined);
  return {
    printed: async (pattern) => {
      for (;;) {
        const found = pattern.exec(output)?.[1];
        if (found !== undefined) return found;
        await Promise.race([ended, new Promise<void>((resolve) => (heard = resolve))]);
      }
    },
  };
}
