/** From a request to its plan: path cleaning, routing, methods, and the one handler (reference: consul-agent §0.1, §1.1). */
import { answered, refuse, VARY, type Header } from "./answers.ts";
import { forBrowsers } from "./browser.ts";
import { HANDLERS } from "./handlers.ts";
import { cleanPath, isPrintable } from "./path.ts";
import { escapePath, parseQuery, unescape } from "./query.ts";
import { findRoute, needsSlash, type Route } from "./routes.ts";
import type { HttpAnswer, HttpContext, HttpPlan, HttpRequest } from "./types.ts";

/** Never throws: what a client sends wrong is answered. */
export function planRequest(request: HttpRequest, context: HttpContext): HttpPlan {
  const path = unescape(request.rawPath, false);
  if (path === null) {
    const malformed: HttpAnswer = { status: 400, headers: [["Content-Type", "text/plain; charset=utf-8"]], body: "400 Bad Request", unframed: true };
    return answered(malformed);
  }
  const clean = cleanPath(path);
  if (clean !== path) return redirect(request, needsSlash(clean) ? `${clean}/` : clean);
  if (needsSlash(path) || (context.ui && path === "/ui")) return redirect(request, `${path}/`);
  if (path === "/") return context.ui ? redirect({ ...request, rawQuery: "" }, "/ui/") : refuse(200, "Consul Agent");
  if (!isPrintable(path)) return answered({ status: 400, headers: [], body: "" });
  const answer = forBrowsers(path, context);
  if (answer !== null) return answered(answer);
  const route = findRoute(path);
  if (route === null) return answered({ status: 404, headers: [], body: "" });
  return routed(route, path, request, context);
}

function routed(route: Route, path: string, request: HttpRequest, context: HttpContext): HttpPlan {
  if (request.method === "OPTIONS") return answered({ status: 200, headers: [allowed(route), VARY], body: "" });
  if (!route.methods.includes(request.method)) return refuse(405, `method ${request.method} not allowed`, [allowed(route)]);
  const query = parseQuery(request.rawQuery);
  if (query === null) return refuse(500, "");
  const handler = HANDLERS[route.name];
  return handler({ request, context, rest: path.slice(route.path.length), query, pretty: context.pretty || query.has("pretty") });
}

function allowed(route: Route): Header {
  return ["Allow", ["OPTIONS", ...route.methods].join(",")];
}

/** 301 as Go's mux sends it; only GET and HEAD get a body. */
function redirect(request: HttpRequest, path: string): HttpPlan {
  const location = escapePath(path) + (request.rawQuery === "" ? "" : `?${request.rawQuery}`);
  if (request.method !== "GET" && request.method !== "HEAD") return answered({ status: 301, headers: [["Location", location]], body: "" });
  const href = location.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&#34;").replaceAll("'", "&#39;");
  return answered({
    status: 301,
    headers: [["Content-Type", "text/html; charset=utf-8"], ["Location", location]],
    body: `<a href="${href}">Moved Permanently</a>.\n\n`,
  });
}
