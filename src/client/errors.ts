/** What the clients of this folder throw. Every class has a stable `code`; the texts are those of Serf's own client where it has one. */
import type { IpcKeyResult } from "../wire/ipc-messages.ts";

/** The agent answered with an error; `message` is the agent's text. The connection stays usable unless the agent closed it. */
export class RpcError extends Error {
  override readonly name: string = "RpcError";
  readonly code: string = "ERR_MUSTER_RPC";
}

/** A key command failed on some node; `result` says on which. Keys may have changed on the others. */
export class KeyError extends RpcError {
  override readonly name = "KeyError";
  override readonly code = "ERR_MUSTER_KEYS";
  readonly result: IpcKeyResult;

  constructor(message: string, result: IpcKeyResult) {
    super(message);
    this.result = result;
  }
}

/** The connection is gone, by us or by the agent. Whether the agent acted on a request that was under way is unknown. */
export class ClientClosedError extends Error {
  override readonly name = "ClientClosedError";
  readonly code = "ERR_MUSTER_CLIENT_CLOSED";

  constructor(options?: ErrorOptions) {
    super("client closed", options);
  }
}

/** No connection could be made; nothing was sent. `message` is worded as Go does ("dial tcp 127.0.0.1:7373: connect: connection refused"). */
export class DialError extends Error {
  override readonly name = "DialError";
  readonly code = "ERR_MUSTER_DIAL";
}

/** No answer in time. Whether the agent acted is unknown. */
export class RpcTimeoutError extends Error {
  override readonly name = "RpcTimeoutError";
  readonly code = "ERR_MUSTER_TIMEOUT";
}
