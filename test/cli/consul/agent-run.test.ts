/** `consul agent` from its flags to its exit code, with real sockets and the signals in the test's hand. */
import assert from "node:assert/strict";
import { createServer, type AddressInfo } from "node:net";
import { test } from "node:test";
import { runConsulAgent } from "../../../src/cli/consul/agent-run.ts";
import { AGENT_FLAGS } from "../../../src/cli/consul/settings.ts";
import { parseFlags } from "../../../src/cli/flags.ts";

const BIND = "127.0.50.7";

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "0.0.0.0", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Runs a dev agent until it says that it runs, interrupts it, and gives what it said. */
async function linesOf(words: readonly string[]): Promise<{ readonly lines: readonly string[]; readonly exitCode: number }> {
  const parsed = parseFlags(AGENT_FLAGS, ["-dev", "-node=n", `-bind=${BIND}`, ...words]);
  assert.ok(parsed.ok, parsed.ok ? "" : parsed.error);
  const lines: string[] = [];
  let signal: (name: "interrupt") => void = () => assert.fail("it runs before it listens for signals");
  const out = (line: string): void => {
    lines.push(line);
    if (line === "==> Consul agent running!") queueMicrotask(() => signal("interrupt"));
  };
  const context = { out, err: (line: string) => void lines.push(`stderr ${line}`), env: {}, onInterrupt: () => undefined };
  const world = { onSignal: (listener: (name: "interrupt") => void) => ((signal = listener), () => undefined) };
  return { exitCode: await runConsulAgent(context, parsed.flags, world), lines };
}

test("HTTP that others than this machine reach is warned about, and loopback is not", async () => {
  const port = await freePort();
  const open = await linesOf(["-client=0.0.0.0", `-http-port=${port}`]);
  const warning = open.lines.filter((line) => line.includes(`[WARN]  agent: HTTP on 0.0.0.0:${port} asks for no token`));
  assert.equal(warning.length, 1, open.lines.join("\n"));
  assert.equal(open.exitCode, 1, "a server does not leave on an interrupt");
  const closed = await linesOf([`-client=${BIND}`]);
  assert.equal(closed.exitCode, 1);
  assert.deepEqual(closed.lines.filter((line) => line.includes("asks for no token")), []);
  assert.ok(closed.lines.some((line) => line.includes(`Started HTTP server: address=${BIND}:8500`)));
});
