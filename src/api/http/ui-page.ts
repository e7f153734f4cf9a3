/**
 * A page that shows what a dev agent holds: members, services and keys, read from the API that serves the page. One file, nothing from elsewhere (its policy forbids it). Names
 * come from whoever may write to the cluster, so they only ever become text and escaped paths, never markup. ASCII.
 */
export const UI_PAGE = `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>muster</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; connect-src 'self'; img-src data:; script-src 'unsafe-inline'; style-src 'unsafe-inline'">
<link rel="icon" href="data:,">
<style>
:root { color-scheme: light dark; --line: #8884; --weak: #777; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.3rem; } h2 { font-size: 1rem; margin: 1.8rem 0 .3rem; }
table { border-collapse: collapse; width: 100%; } td { border-top: 1px solid var(--line); padding: .25rem .6rem .25rem 0; overflow-wrap: anywhere; }
p, .weak { color: var(--weak); margin: .2rem 0; }
</style>
</head>
<body>
<h1>muster</h1>
<p id="state" role="status">Asking the agent</p>
<main>
<h2>Members</h2><table id="members"></table>
<h2>Services</h2><table id="services"></table>
<h2>Keys</h2><table id="keys"></table>
</main>
<p>Everything here is read from <a href="/v1/agent/self">the API</a>; to change something, use it or the <code>consul</code> command.</p>
<script>
"use strict";
const ROWS = 200;
const STATUS = { 1: "alive", 2: "leaving", 3: "left", 4: "failed" };
const at = (id) => document.getElementById(id);
const path = (text) => text.split("/").map(encodeURIComponent).join("/");
async function read(url, none) {
  const answer = await fetch(url);
  if (answer.status === 404) return none;
  if (!answer.ok) throw new Error(url + ": " + answer.status);
  return answer.json();
}
function cell(row, text, href) {
  const inside = row.insertCell();
  if (href === undefined) { inside.textContent = text; return; }
  const link = document.createElement("a");
  link.href = href;
  link.textContent = text;
  inside.append(link);
}
function fill(id, rows, put) {
  const table = at(id);
  table.replaceChildren();
  for (const item of rows.slice(0, ROWS)) put(table.insertRow(), item);
  if (rows.length === 0) cell(table.insertRow(), "none");
  if (rows.length > ROWS) cell(table.insertRow(), "and " + (rows.length - ROWS) + " more");
}
async function show() {
  const [leader, members, services, keys] = await Promise.all([
    read("/v1/status/leader", ""), read("/v1/agent/members", []), read("/v1/catalog/services", {}), read("/v1/kv/?keys&separator=/", []),
  ]);
  at("state").textContent = leader === "" ? "No leader" : "Leader: " + leader;
  members.sort((a, b) => (a.Name < b.Name ? -1 : 1));
  fill("members", members, (row, member) => {
    cell(row, member.Name, "/v1/internal/ui/node/" + path(member.Name));
    cell(row, member.Addr + ":" + member.Port);
    cell(row, member.Tags.role === "consul" ? "server" : "client");
    cell(row, STATUS[member.Status] || "unknown");
  });
  fill("services", Object.entries(services), (row, [name, tags]) => {
    cell(row, name, "/v1/health/service/" + path(name));
    cell(row, tags.join(", "));
  });
  fill("keys", keys, (row, key) => cell(row, key, "/v1/kv/" + path(key) + (key.endsWith("/") ? "?keys" : "?raw")));
}
function round() {
  show().catch((error) => { at("state").textContent = "The agent does not answer: " + error.message; }).finally(() => setTimeout(round, 5000));
}
round();
</script>
</body>
</html>
`;
