/** Probes of checks: HTTP requests and TCP connections, each at its interval, the first after a random part of it. Outputs are bounded, and one probe of a check runs at a time. */
import { request as httpRequest } from "node:http";
import { request as httpsRequest } from "node:https";
import { connect } from "node:net";
import type { CheckPlan } from "../api/http/local-agent.ts";
import { cutOutput } from "../node/agent/output.ts";
import { dialErrorText } from "./go-errors.ts";

export interface ProbeHost {
  /** The plan of a check as it is now; another than the probe's ends the probe. */
  planOf(id: string): CheckPlan | null;
  found(id: string, status: string, output: string): void;
}

interface Result {
  readonly status: string;
  readonly output: string;
}

export class CheckProbes {
  readonly #host: ProbeHost;
  readonly #timers = new Map<string, NodeJS.Timeout>();
  #stopped = false;

  constructor(host: ProbeHost) {
    this.#host = host;
  }

  start(id: string, plan: CheckPlan): void {
    const running = this.#timers.get(id);
    if (running !== undefined) clearTimeout(running);
    this.#timers.delete(id);
    if (plan.kind === "http" || plan.kind === "tcp") this.#schedule(id, plan, Math.random() * plan.intervalMs);
  }

  stop(): void {
    this.#stopped = true;
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
  }

  #schedule(id: string, plan: CheckPlan, delayMs: number): void {
    this.#timers.set(id, setTimeout(() => void this.#probe(id, plan), delayMs).unref());
  }

  async #probe(id: string, plan: CheckPlan): Promise<void> {
    if (this.#host.planOf(id) !== plan) {
      this.#timers.delete(id);
      return;
    }
    const { status, output } = plan.kind === "http" ? await probeHttp(plan) : await probeTcp(plan);
    if (this.#stopped || this.#host.planOf(id) !== plan) return;
    this.#host.found(id, status, output);
    this.#schedule(id, plan, plan.intervalMs);
  }
}

const TOO_MANY_REQUESTS = 429;

function probeHttp(plan: CheckPlan): Promise<Result> {
  return new Promise((resolve) => {
    const failed = (why: string): void => resolve({ status: "critical", output: `${titled(plan.method)} ${JSON.stringify(plan.url)}: ${why}` });
    try {
      const headers: Record<string, string | string[]> = { "User-Agent": "Consul Health Check", Accept: "text/plain, text/*, */*" };
      for (const [name, values] of plan.headers) headers[name] = [...values];
      const send = plan.url.startsWith("https:") ? httpsRequest : httpRequest;
      const asked = send(plan.url, { method: plan.method, headers, rejectUnauthorized: !plan.tlsSkipVerify, agent: false }, (response) => {
        const pieces: Buffer[] = [];
        let length = 0;
        response.on("data", (piece: Buffer) => {
          if (length < plan.outputBytesMax) pieces.push(piece.subarray(0, plan.outputBytesMax - length));
          length += piece.length;
        });
        response.once("end", () => resolve(httpResult(plan, response.statusCode ?? 0, response.statusMessage ?? "", Buffer.concat(pieces).toString(), length)));
        response.once("error", (error) => failed(error.message));
      });
      const late = setTimeout(() => asked.destroy(new Error("context deadline exceeded (Client.Timeout exceeded while awaiting headers)")), plan.timeoutMs).unref();
      asked.once("close", () => clearTimeout(late));
      asked.once("error", (error) => failed(dialErrorText(hostOf(plan.url), error)));
      asked.end(plan.body);
    } catch (error) {
      failed(error instanceof Error ? error.message : String(error));
    }
  });
}

function httpResult(plan: CheckPlan, code: number, message: string, body: string, length: number): Result {
  const shown = length > plan.outputBytesMax ? `${body} ... (captured ${plan.outputBytesMax} of ${length} bytes)` : body;
  const status = code >= 200 && code < 300 ? "passing" : code === TOO_MANY_REQUESTS ? "warning" : "critical";
  return { status, output: `HTTP ${plan.method} ${plan.url}: ${code} ${message} Output: ${shown}` };
}

/** As Go's client names the operation: "Get", "Put". */
function titled(method: string): string {
  return method.slice(0, 1).toUpperCase() + method.slice(1).toLowerCase();
}

function hostOf(url: string): string {
  const { hostname, port, protocol } = new URL(url);
  return `${hostname}:${port === "" ? (protocol === "https:" ? 443 : 80) : port}`;
}

function probeTcp(plan: CheckPlan): Promise<Result> {
  return new Promise((resolve) => {
    const colon = plan.tcp.lastIndexOf(":");
    const socket = connect({ host: plan.tcp.slice(0, colon).replace(/^\[|\]$/g, ""), port: Number(plan.tcp.slice(colon + 1)) || 0, timeout: plan.timeoutMs });
    const end = (status: string, output: string): void => {
      socket.destroy();
      resolve({ status, output: cutOutput(output, plan.outputBytesMax) });
    };
    socket.once("connect", () => end("passing", `TCP connect ${plan.tcp}: Success`));
    socket.once("timeout", () => end("critical", `dial tcp ${plan.tcp}: i/o timeout`));
    socket.once("error", (error) => end("critical", dialErrorText(plan.tcp, error)));
  });
}
