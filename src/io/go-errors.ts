/**
 * The wording Go gives to operating system errors. Peers' tools, scripts and recordings match these texts, so failures of sockets and
 * files are shown in them ("dial tcp 127.0.0.1:9: connect: connection refused").
 */

const TEXTS: ReadonlyMap<string, string> = new Map([
  ["EACCES", "permission denied"],
  ["EADDRINUSE", "address already in use"],
  ["EADDRNOTAVAIL", "cannot assign requested address"],
  ["EAFNOSUPPORT", "address family not supported by protocol"],
  ["EBADF", "bad file descriptor"],
  ["ECONNABORTED", "software caused connection abort"],
  ["ECONNREFUSED", "connection refused"],
  ["ECONNRESET", "connection reset by peer"],
  ["EEXIST", "file exists"],
  ["EHOSTUNREACH", "no route to host"],
  ["EINVAL", "invalid argument"],
  ["EIO", "input/output error"],
  ["EISDIR", "is a directory"],
  ["EMFILE", "too many open files"],
  ["EMSGSIZE", "message too long"],
  ["ENETUNREACH", "network is unreachable"],
  ["ENOENT", "no such file or directory"],
  ["ENOSPC", "no space left on device"],
  ["ENOTDIR", "not a directory"],
  ["EPERM", "operation not permitted"],
  ["EPIPE", "broken pipe"],
  ["EROFS", "read-only file system"],
]);

/** Stable code of a Node system error ("ECONNREFUSED"), or "". */
export function errorCode(error: unknown): string {
  const code = error instanceof Error && "code" in error ? error.code : "";
  return typeof code === "string" ? code : "";
}

/** What went wrong, as Go says it ("connection refused"); the error's own message when it is no system error. */
export function errnoText(error: unknown): string {
  return TEXTS.get(errorCode(error)) ?? (error instanceof Error ? error.message : String(error));
}

/** A refused or broken connection attempt: `dial tcp ADDRESS: connect: REASON`. A time-out of ours is Go's `i/o timeout`. */
export function dialErrorText(address: string, error: unknown): string {
  return errorCode(error) === "ETIMEDOUT" ? `dial tcp ${address}: i/o timeout` : `dial tcp ${address}: connect: ${errnoText(error)}`;
}

/** A listener that could not be bound: `listen tcp ADDRESS: bind: REASON`. */
export function listenErrorText(network: "tcp" | "udp", address: string, error: unknown): string {
  return `listen ${network} ${address}: bind: ${errnoText(error)}`;
}

/** A file operation that failed: `open PATH: REASON`. */
export function fileErrorText(operation: string, path: string, error: unknown): string {
  return `${operation} ${path}: ${errnoText(error)}`;
}
