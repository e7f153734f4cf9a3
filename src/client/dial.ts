/** Connecting to a "host:port" with Go's error texts. */
import { connect, isIP, type Socket } from "node:net";
import { dialErrorText, errorCode } from "../io/go-errors.ts";
import { DialError } from "./errors.ts";

interface Target {
  readonly host: string;
  readonly port: number;
}

/** Resolves with a connected socket, or rejects with a `DialError`. An empty host is this machine. */
export function dial(address: string, timeoutMs: number): Promise<Socket> {
  const target = parseTarget(address);
  if (typeof target === "string") return Promise.reject(new DialError(`dial tcp: ${target}`));
  return new Promise((resolve, reject) => {
    const socket = connect({ host: target.host === "" ? "localhost" : target.host, port: target.port, noDelay: true });
    const timer = setTimeout(() => fail(Object.assign(new Error("i/o timeout"), { code: "ETIMEDOUT" })), timeoutMs);
    const fail = (error: Error): void => {
      clearTimeout(timer);
      socket.destroy();
      reject(new DialError(failureText(address, target.host, error), { cause: error }));
    };
    socket.once("error", fail);
    socket.once("connect", () => {
      clearTimeout(timer);
      socket.off("error", fail);
      resolve(socket);
    });
  });
}

function failureText(address: string, host: string, error: Error): string {
  const code = errorCode(error);
  if (code === "ENOTFOUND") return `dial tcp: lookup ${host}: no such host`;
  if (code === "EAI_AGAIN") return `dial tcp: lookup ${host}: Temporary failure in name resolution`;
  // A name with several addresses: tell what happened at the first.
  if (error instanceof AggregateError && error.errors[0] instanceof Error) return dialErrorText(address, error.errors[0]);
  return dialErrorText(address, error);
}

/** Host and port as Go's `net.SplitHostPort` finds them, or what is wrong with the text. */
function parseTarget(address: string): Target | string {
  if (address === "") return "missing address";
  const bracketed = /^\[([^\]]*)\](?::(.*))?$/.exec(address);
  const colon = address.lastIndexOf(":");
  const host = bracketed?.[1] ?? address.slice(0, Math.max(0, colon));
  const port = bracketed === null ? address.slice(colon + 1) : bracketed[2];
  if (port === undefined || (bracketed === null && colon < 0)) return `address ${address}: missing port in address`;
  if (bracketed === null && host.includes(":")) return `address ${address}: too many colons in address`;
  if (!/^[+-]?\d+$/.test(port)) return `address tcp/${port}: unknown port`;
  const number = Number(port);
  if (number < 0 || number > 65_535) return `address ${port}: invalid port`;
  if (bracketed !== null && isIP(host) === 0 && host.includes(":")) return `lookup ${host}: no such host`;
  return { host, port: number };
}
