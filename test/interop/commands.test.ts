/** The two commands against the two agents: whatever the real `serf` prints at an agent, ours prints too, with the same exit code. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { eventually } from "../support/eventually.ts";
import { peerMissing } from "../support/peers.ts";
import { startAgent, type SerfAgent } from "../support/serf-agent.ts";
import { OURS } from "./mixed-cluster.ts";

const KEY = Buffer.alloc(16, 9).toString("base64");
const OTHER_KEY = Buffer.alloc(16, 8).toString("base64");
const TEST_DEADLINE_MS = 180_000;

/** Commands in this order; each is run with both programs, one after the other, so it must allow being repeated. */
const COMMANDS: readonly (readonly string[])[] = [
  ["members"],
  ["members", "-detailed"],
  ["members", "-format=json"],
  ["members", "-format=json", "-name=no-such-node"],
  ["members", "-status=alive", "-tag", "role=th.*"],
  ["members", "-name=o"],
  ["members", "-role=theirs"],
  ["members", "-status=failed"],
  ["members", "-format=yaml"],
  ["event", "-coalesce=false", "deploy", "payload"],
  ["event", "big", "x".repeat(600)],
  ["query", "-timeout=1s", "-node=ours", "who"],
  ["query", "-timeout=1s", "-node=theirs", "-no-ack", "who"],
  ["query", "-timeout=1s", "-format=json", "-tag=role=ours", "who"],
  ["query", "-timeout=1s", "-node=ours", "_serf_conflict"],
  ["query", "big", "x".repeat(1100)],
  ["tags", "-set", "extra=1"],
  ["members", "-tag", "extra=1"],
  ["tags", "-delete", "extra"],
  ["tags", "-set", `extra=${"x".repeat(600)}`],
  ["join", "127.0.0.1:1"],
  ["rtt", "no-such-node"],
  ["rtt", "ours", "no-such-node"],
  ["force-leave", "no-such-node"],
  ["force-leave", "-prune", "no-such-node"],
  ["keys", "-list"],
  ["keys", `-install=${OTHER_KEY}`],
  ["keys", "-list"],
  ["keys", `-use=${OTHER_KEY}`],
  ["keys", `-remove=${OTHER_KEY}`],
  ["keys", `-use=${KEY}`],
  ["keys", `-remove=${OTHER_KEY}`],
  ["keys", "-install=not-base64"],
  ["keys", "-use=AAAAAAAAAAAAAAAAAAAAAA=="],
  ["monitor", "-log-level=nonsense"],
  ["reachability"],
  ["info", "extra"],
];

/** Mistakes that are answered with the usage, which is in our own words: the complaint before it and the exit code are compared. */
const MISTAKES: readonly (readonly string[])[] = [
  ["members", "-nosuchflag"],
  ["event"],
  ["event", "too", "many", "words"],
  ["query"],
  ["tags"],
  ["join"],
  ["force-leave"],
  ["keys"],
  ["leave", "-nosuchflag"],
];

/** Acks, answers, tags and log lines come in no fixed order; our hints stand apart from the original's text and are taken out. */
function comparable(output: string): string {
  return output
    .split("\n")
    .filter((line) => !/^(hint|muster): /.test(line))
    .map((line) => line.replace(/(\S+=\S+,)+\S+=\S+/g, (tags) => tags.split(",").toSorted().join(",")).trimEnd())
    .toSorted()
    .join("\n");
}

test("the two commands print the same at either agent", { skip: peerMissing("serf"), timeout: TEST_DEADLINE_MS }, async (t) => {
  const common = [`-encrypt=${KEY}`, `-event-handler=query:who=printf "I am $SERF_SELF_NAME"`];
  const theirs = await startAgent(t, { program: "serf", name: "theirs", args: [...common, "-tag=role=theirs"] });
  const ours = await startAgent(t, { program: OURS, name: "ours", args: [...common, "-tag=role=ours", `-join=${theirs.gossipAddr}`] });
  await eventually("both see both", 20_000, async () => {
    const views = await Promise.all([theirs.members(), ours.members()]);
    return views.every((members) => members.length === 2) ? null : JSON.stringify(views);
  });
  for (const agent of [theirs, ours]) {
    for (const command of COMMANDS) {
      await t.test(`${command.join(" ").slice(0, 60)} at ${agent.name}`, () => compare(agent, command, comparable));
    }
  }
  for (const command of MISTAKES) await t.test(command.join(" "), () => compare(ours, command, complaint));
});

function complaint(output: string): string {
  return comparable(output.split("Usage:")[0] ?? "").trim();
}

async function compare(agent: SerfAgent, command: readonly string[], view: (output: string) => string): Promise<void> {
  const expected = await agent.cli(command, "serf");
  const actual = await agent.cli(command, OURS);
  assert.deepEqual({ code: actual.code, output: view(actual.output) }, { code: expected.code, output: view(expected.output) });
}
