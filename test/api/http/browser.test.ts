/** What is there for browsers: as recorded of the original's dev agent where it is the same, and a page of our own. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createContext, Script } from "node:vm";
import { AskedBefore } from "../../../src/api/http/cached.ts";
import { planRequest } from "../../../src/api/http/front.ts";
import type { HttpAnswer, HttpContext } from "../../../src/api/http/types.ts";
import { UI_PAGE } from "../../../src/api/http/ui-page.ts";

const CONTEXT: HttpContext = {
  datacenter: "dc1", nodeName: "n", pretty: true, ui: true, commandLine: ["consul", "agent", "-dev"], kvMaxValueBytes: 10, txnMaxBytes: 100, toBase64: () => "", askedBefore: new AskedBefore(),
};

function answer(method: string, rawPath: string, rawQuery = ""): HttpAnswer {
  const plan = planRequest({ method, rawPath, rawQuery, headers: {}, body: new Uint8Array() }, CONTEXT);
  assert.ok(plan.kind === "answer", rawPath);
  return plan.answer;
}

test("the way to the page: / and /ui lead to it, with any method; only /ui keeps its query", () => {
  for (const [path, query, location] of [["/", "", "/ui/"], ["/", "a=b", "/ui/"], ["/ui", "", "/ui/"], ["/ui", "a=b", "/ui/?a=b"]] as const) {
    const moved = answer("GET", path, query);
    assert.deepEqual(moved, { status: 301, headers: [["Content-Type", "text/html; charset=utf-8"], ["Location", location]], body: `<a href="${location}">Moved Permanently</a>.\n\n` });
    assert.deepEqual(answer("POST", path, query), { status: 301, headers: [["Location", location]], body: "" });
  }
});

test("the page, whatever stands behind /ui/, and the word to robots", () => {
  for (const path of ["/ui/", "/ui/dc1/kv", "/ui/nosuch.js"]) {
    for (const method of ["GET", "POST"]) {
      assert.deepEqual(answer(method, path), { status: 200, headers: [["Accept-Ranges", "bytes"], ["Content-Length", String(UI_PAGE.length)], ["Content-Type", "text/html; charset=utf-8"]], body: UI_PAGE });
    }
  }
  for (const path of ["/robots.txt", "/ui/robots.txt"]) {
    assert.deepEqual(answer("GET", path), {
      status: 200, headers: [["Accept-Ranges", "bytes"], ["Content-Length", "52"], ["Content-Type", "text/plain; charset=utf-8"]], body: "# http://www.robotstxt.org\nUser-agent: *\nDisallow: *",
    });
  }
  assert.equal(answer("GET", "/robots.txt/x").status, 404);
});

test("the command line is told as the original tells it", () => {
  const told = answer("GET", "/debug/pprof/cmdline");
  assert.deepEqual([told.status, told.body, new Map(told.headers).get("X-Content-Type-Options")], [200, "consul\0agent\0-dev", "nosniff"]);
});

/** As much of a page as the script uses. */
class FakeElement {
  textContent = "";
  href = "";
  readonly children: FakeElement[] = [];

  insertRow(): FakeElement {
    return this.insertCell();
  }

  insertCell(): FakeElement {
    const child = new FakeElement();
    this.children.push(child);
    return child;
  }

  append(child: FakeElement): void {
    this.children.push(child);
  }

  replaceChildren(): void {
    this.children.length = 0;
  }

  all(): readonly FakeElement[] {
    return [this, ...this.children.flatMap((child) => child.all())];
  }
}

async function shown(answers: Readonly<Record<string, { readonly status: number; readonly body: unknown }>>): Promise<Readonly<Record<string, FakeElement>>> {
  const elements = Object.fromEntries(["state", "members", "services", "keys"].map((id) => [id, new FakeElement()]));
  const again = new Promise<void>((resolve) => {
    const page = createContext({
      document: { getElementById: (id: string) => elements[id], createElement: () => new FakeElement() },
      fetch: (url: string) => {
        const { status, body } = answers[url] ?? { status: 404, body: null };
        return Promise.resolve({ status, ok: status === 200, json: () => Promise.resolve(body) });
      },
      // The script asks to be called again once everything is shown.
      setTimeout: () => resolve(),
    });
    new Script(/<script>([^]*)<\/script>/.exec(UI_PAGE)?.[1] ?? "").runInContext(page);
  });
  await again;
  return elements;
}

test("names that others chose become text and escaped paths", async () => {
  const evil = "<img src=x onerror=alert(1)>?/é";
  const escaped = "%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E%3F/%C3%A9";
  const page = await shown({
    "/v1/status/leader": { status: 200, body: "127.0.0.1:8300" },
    "/v1/agent/members": { status: 200, body: [{ Name: evil, Addr: "127.0.0.1", Port: 8301, Tags: { role: "consul" }, Status: 1 }] },
    "/v1/catalog/services": { status: 200, body: { [evil]: ["a", "b"] } },
    "/v1/kv/?keys&separator=/": { status: 200, body: Array.from({ length: 201 }, () => `${evil}/`) },
  });
  assert.equal(page["state"]?.textContent, "Leader: 127.0.0.1:8300");
  const links = Object.values(page).flatMap((element) => element.all()).filter(({ href }) => href !== "").map(({ href, textContent }) => `${textContent} ${href}`);
  assert.deepEqual(links.slice(0, 3), [`${evil} /v1/internal/ui/node/${escaped}`, `${evil} /v1/health/service/${escaped}`, `${evil}/ /v1/kv/${escaped}/?keys`]);
  assert.equal(links.length, 2 + 200);
  assert.equal(page["keys"]?.all().at(-1)?.textContent, "and 1 more");
  assert.deepEqual(page["members"]?.all().map(({ textContent }) => textContent).filter((text) => text !== ""), [evil, "127.0.0.1:8301", "server", "alive"]);
});

test("an agent without keys, and one that refuses", async () => {
  const empty = await shown({ "/v1/status/leader": { status: 200, body: "" }, "/v1/agent/members": { status: 200, body: [] }, "/v1/catalog/services": { status: 200, body: {} } });
  assert.equal(empty["state"]?.textContent, "No leader");
  assert.equal(empty["keys"]?.all().at(-1)?.textContent, "none");
  const busy = await shown({ "/v1/status/leader": { status: 429, body: null } });
  assert.equal(busy["state"]?.textContent, "The agent does not answer: /v1/status/leader: 429");
});

test("the page needs nothing from elsewhere, and its length in bytes is that of its text", () => {
  assert.match(UI_PAGE, /^[\n -~]*$/);
  assert.ok(!/https?:|\/\/[a-z]|@import|innerHTML/.test(UI_PAGE));
  assert.match(UI_PAGE, /default-src 'none'/);
});
