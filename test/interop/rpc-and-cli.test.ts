/** RPC and commands in all four combinations of the original's and our program: what is printed must be the same. */
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { decodeUtf8, encodeUtf8 } from "../../src/base/utf8.ts";
import { SerfClient } from "../../src/client/serf-client.ts";
import { eventually } from "../support/eventually.ts";
import { peerMissing } from "../support/peers.ts";
import { startAgent, type Program, type SerfAgent } from "../support/serf-agent.ts";

const skip = peerMissing("serf");
const KEY = "MDEyMzQ1Njc4OWFiY2RlZg==";
const NEW_KEY = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

/** Two agents of one program that know each other. */
async function startPair(t: TestContext, program: Program, args: readonly string[] = []): Promise<[SerfAgent, SerfAgent]> {
  const common = ["-profile=local", "-event-handler=query:echo=cat", ...args];
  const one = await startAgent(t, { program, name: "one", args: [...common, "-tag", "role=web", "-tag", "dc=east"] });
  const two = await startAgent(t, { program, name: "two", args: [...common, "-tag", "role=db", `-join=${one.gossipAddr}`] });
  await eventually("two members", 10_000, async () => ((await one.members()).length === 2 ? null : "not yet"));
  return [one, two];
}

/** The text without what is by chance: order of lines and tags, addresses, times, our hints. */
function normal(text: string, agents: readonly SerfAgent[]): string {
  let masked = text.replace(/^hint: .*\n?/gm, "").replace(/rtt: \d+\.\d{3} ms/, "rtt: <ms>");
  for (const [i, { ip }] of agents.entries()) masked = masked.replaceAll(ip, `<ip${i}>`);
  return masked
    .replace(/<ip\d>:\d+/g, (address) => address.padEnd(12))
    .replace(/ +$/gm, "")
    .replace(/ {2,}/g, "  ")
    .split("\n")
    .map((line) => line.replace(/\S+=\S+(,\S+=\S+)+/, (tags) => tags.split(",").sort().join(",")))
    .sort()
    .join("\n");
}

/** Commands whose text is the same with every agent, with the usage texts left out: both print their own. */
function commands(two: SerfAgent): readonly (readonly string[])[] {
  return [
    ["members"],
    ["members", "-detailed", "-name=o.*"],
    ["members", "-format=json", "-name=one"],
    ["members", "-status=failed|left"],
    ["members", "-tag", "role=w.b"],
    ["members", "-role=db"],
    ["members", "-name=("],
    ["members", "-format=xml"],
    ["members", "-tag", "x"],
    ["join", two.gossipAddr],
    ["join", "-replay", `two/${two.gossipAddr}`, "127.0.0.1:9"],
    ["join", "127.0.0.1:9"],
    ["join", "127.0.0.1:abc", "/127.0.0.1:1"],
    ["event", "deploy", "v1"],
    ["event", "-coalesce=false", "deploy"],
    ["event", "big", "x".repeat(600)],
    ["event", "big", "x".repeat(495)],
    ["query", "-timeout=1s", "echo", "hello"],
    ["query", "-timeout=1s", "-format=json", "-node=two", "echo", "hello"],
    ["query", "-timeout=300ms", "-no-ack", "nobody-answers"],
    ["query", "-timeout=1s", "-tag", "role=we", "-relay-factor=1", "echo", "x"],
    ["query", "-relay-factor=256", "x"],
    ["query", "_serf_foo"],
    ["query", "big", "q".repeat(1100)],
    ["reachability"],
    ["tags", "-set", "ver=7", "-set", "x=y=z"],
    ["tags", "-delete", "x", "-set", "ver=8"],
    ["tags", "-set", `big=${"t".repeat(600)}`],
    ["tags", "-set", "bad"],
    ["rtt", "one", "two"],
    ["rtt", "nobody"],
    ["monitor", "-log-level=bogus"],
    ["keys", "-install=***"],
    ["force-leave", "nobody"],
  ];
}

test("every command prints the same with either program on either side", { skip }, async (t) => {
  const clusters = { serf: await startPair(t, "serf"), muster: await startPair(t, "muster") };
  // Coordinates come with the first probes.
  for (const [one] of Object.values(clusters)) await eventually("coordinates", 15_000, async () => ((await one.cli(["rtt", "one", "two"])).code === 0 ? null : "none yet"));
  const count = commands(clusters.serf[1]).length;
  for (let i = 0; i < count; i += 1) {
    const outcomes: string[] = [];
    for (const agents of Object.values(clusters)) {
      const words = commands(agents[1])[i] as readonly string[];
      for (const program of ["serf", "muster"] as const) {
        const { code, output } = await agents[0].cli(words, program);
        outcomes.push(`exit ${code}\n${normal(output, agents)}`);
      }
    }
    const [original, ...others] = outcomes;
    const label = (commands(clusters.serf[1])[i] as readonly string[]).join(" ").slice(0, 80);
    for (const [k, other] of others.entries()) assert.equal(other, original, `${label}: ${["our command, their agent", "their command, our agent", "our command, our agent"][k]}`);
  }
});

test("keys: the same from either program on either side", { skip }, async (t) => {
  const clusters = { serf: await startPair(t, "serf", [`-encrypt=${KEY}`]), muster: await startPair(t, "muster", [`-encrypt=${KEY}`]) };
  const steps = [["-list"], [`-install=${NEW_KEY}`], [`-use=${NEW_KEY}`], [`-remove=${NEW_KEY}`], ["-list"], [`-remove=${KEY}`], ["-use=c2hvcnQ="], ["-list"]];
  const outcomes: string[][] = [];
  for (const agents of Object.values(clusters)) {
    const texts: string[] = [];
    for (const [i, step] of steps.entries()) {
      const { code, output } = await agents[0].cli(["keys", ...step], i % 2 === 0 ? "muster" : "serf");
      texts.push(`${step.join()}: exit ${code}\n${normal(output, agents)}`);
    }
    outcomes.push(texts);
  }
  assert.deepEqual(outcomes[1], outcomes[0]);
});

for (const program of ["serf", "muster"] as const) {
  test(`client library against an agent of ${program}: streams, queries, answers, monitor, leave`, { skip: program === "serf" && skip }, async (t) => {
    const [one, two] = await startPair(t, program);
    const client = await SerfClient.connect({ address: one.rpcAddr });
    t.after(() => client.close());
    const events = await client.stream("user,query:ask");
    await client.userEvent("deploy", encodeUtf8("v2"), { coalesce: false });
    const first = (await events.next()).value;
    assert.ok(first?.kind === "user" && first.name === "deploy" && decodeUtf8(first.payload ?? new Uint8Array(0)) === "v2" && first.lamportTime > 0);

    const other = await SerfClient.connect({ address: two.rpcAddr });
    t.after(() => other.close());
    const answers = await other.query("ask", encodeUtf8("?"), { requestAck: true, filterNodes: ["one"], timeoutMs: 1500 });
    const asked = (await events.next()).value;
    assert.ok(asked?.kind === "query" && asked.id === 1 && asked.name === "ask");
    await asked.respond(encodeUtf8("!"));
    await assert.rejects(asked.respond(encodeUtf8("again")), { message: "failed to respond to key query: response already sent" });
    const records = [];
    for await (const record of answers) records.push(record.kind === "ack" ? `ack ${record.from}` : `${record.from}: ${decodeUtf8(record.payload ?? new Uint8Array(0))}`);
    assert.deepEqual(records.sort(), ["ack one", "one: !"]);

    const monitor = await client.monitor("INFO");
    const line = (await monitor.next()).value;
    assert.match(line ?? "", /^\d{4}\/\d\d\/\d\d \d\d:\d\d:\d\d \[INFO\] agent: Serf agent starting$/);
    await monitor.stop();
    assert.equal((await client.coordinate("nobody")) === null, true);
    assert.equal((await client.stats()).get("serf")?.get("members"), "2");
    assert.deepEqual((await client.membersFiltered({ tags: new Map([["role", "db"]]) })).map(({ name }) => name), ["two"]);
    await other.leave();
    assert.deepEqual((await two.child.exited).code, 0);
    await eventually("two has left", 10_000, async () => ((await client.members()).some(({ name, status }) => name === "two" && status === "left") ? null : "not yet"));
  });
}
