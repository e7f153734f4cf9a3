// A cluster member inside a Node program: joins a Serf cluster (real agents or muster's), reports who comes and goes, answers the query
// "uptime", and asks everybody the same once.
//   node deploy/examples/uptime-node.mjs NAME BIND [MEMBER...]      for example: web-1 10.0.0.5 10.0.0.1
// Ctrl-C leaves the cluster gracefully.
import { startSerf } from "muster";

const [name, bind, ...join] = process.argv.slice(2);
if (name === undefined || bind === undefined) {
  console.error("usage: node uptime-node.mjs NAME BIND [MEMBER...]");
  process.exit(2);
}

const node = await startSerf({ name, bind, join, tags: { role: "example" } });
console.log(`${node.name} listens on ${node.address} and knows ${node.members().length} members`);

node.on("member-join", (members) => members.forEach((member) => console.log(`joined: ${member.name}`)));
node.on("member-leave", (members) => members.forEach((member) => console.log(`left: ${member.name}`)));
node.on("member-failed", (members) => members.forEach((member) => console.log(`failed: ${member.name}`)));
node.on("user", (event) => console.log(`event ${event.name}: ${Buffer.from(event.payload).toString()}`));

node.on("query", async (query) => {
  if (query.name !== "uptime") return;
  try {
    await query.respond(`${Math.round(process.uptime())} s`);
  } catch (error) {
    console.error(`could not answer ${query.sourceNode}: ${error.message}`);
  }
});

process.once("SIGINT", async () => {
  await node.leave();
  console.log("left the cluster");
});

for await (const record of node.query("uptime", "", { timeoutMs: 2000 })) {
  if (record.kind === "response") console.log(`uptime of ${record.from}: ${Buffer.from(record.payload ?? []).toString()}`);
}
console.log("asked everybody");
