/** What the HTTP port has for browsers and debuggers beside the API, as the original's dev agent has it: a page, a word to robots, the command line. */
import { textAnswer, type Header } from "./answers.ts";
import type { HttpAnswer, HttpContext } from "./types.ts";
import { UI_PAGE } from "./ui-page.ts";

const ROBOTS = "# http://www.robotstxt.org\nUser-agent: *\nDisallow: *";

/** Null when the path is none of these. They take any method, as Go's file server does. */
export function forBrowsers(path: string, { ui, commandLine }: HttpContext): HttpAnswer | null {
  if (path === "/debug/pprof/cmdline") {
    // That debugging is off is told in the words that ACLs have for it.
    if (commandLine === null) return textAnswer(401, "ACL support disabled");
    return textAnswer(200, commandLine.join("\0"), [["X-Content-Type-Options", "nosniff"]]);
  }
  if (!ui) return null;
  if (path === "/robots.txt" || path === "/ui/robots.txt") return file(ROBOTS, "text/plain; charset=utf-8");
  // The page finds its way by what stands behind: whatever is asked for below /ui/ is the page.
  return path.startsWith("/ui/") ? file(UI_PAGE, "text/html; charset=utf-8") : null;
}

/** `text` is ASCII. */
function file(text: string, type: string): HttpAnswer {
  const headers: readonly Header[] = [["Accept-Ranges", "bytes"], ["Content-Length", String(text.length)], ["Content-Type", type]];
  return { status: 200, headers, body: text };
}
