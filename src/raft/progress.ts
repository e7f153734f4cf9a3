/** What a leader knows about one follower. */
import type { LogEntry, RaftServer } from "../wire/raft-messages.ts";
import type { OutgoingCall } from "./types.ts";

/** First pause after a failed replication, doubled with each further one up to half the heartbeat timeout. */
const BACKOFF_FIRST_MS = 10;
const BACKOFF_DOUBLINGS_MAX = 16;

/**
 * `probe`: one request at a time until one matches; `pipeline`: the next entries are sent before the last are answered;
 * `snapshot`: the entries it needs are gone, a snapshot is on its way.
 */
export type ProgressMode = "probe" | "pipeline" | "snapshot";

export class Progress {
  server: RaftServer;
  mode: ProgressMode = "probe";
  matchIndex = 0;
  nextIndex: number;
  /** Requests of the present epoch without an answer. */
  inFlight = 0;
  /** Grows when what is in flight no longer counts: after a failure or a mismatch. */
  epoch = 0;
  failures = 0;
  retryAtMs = -Infinity;
  /** Entries read from disk for it, in order. */
  readAhead: readonly LogEntry[] = [];
  /** The number of the `readLog` on its way; 0: none. */
  read = 0;
  /** Index of the snapshot on its way; 0: none. */
  snapshotIndex = 0;

  heartbeatAtMs: number;
  heartbeatCall: OutgoingCall = 0;
  /** A round began while a heartbeat was on its way: send another when it is answered. */
  heartbeatAgain = false;
  /** When the newest answered request was sent: from then on it will not vote for another for a while. */
  leaseFromMs = -Infinity;
  /** Requests up to this one prove nothing any more: a connection closed since. */
  voidedCall: OutgoingCall = 0;
  /** When the last answer came. */
  heardMs: number;
  hasAnswered = false;
  /** The newest round of leadership checks it has confirmed. */
  round = 0;

  /** The newest commit index it was sent, and when it should hear of a newer one at the latest. */
  toldCommit = 0;
  tellCommitAtMs = Infinity;
  /** It leaves the configuration with the entry of this index and is served until it knows, or until `departsAtMs`; 0: it stays. */
  departsWith = 0;
  departsAtMs = Infinity;

  constructor(server: RaftServer, nextIndex: number, nowMs: number) {
    this.server = server;
    this.nextIndex = nextIndex;
    this.heartbeatAtMs = nowMs;
    this.heardMs = nowMs;
  }

  /** An answer to a request sent at `sentMs` came. */
  heard(call: OutgoingCall, sentMs: number, round: number, nowMs: number): void {
    this.heardMs = nowMs;
    this.hasAnswered = true;
    this.round = Math.max(this.round, round);
    if (call > this.voidedCall) this.leaseFromMs = Math.max(this.leaseFromMs, sentMs);
  }

  /** One of its connections closed: its process may be gone, and its successor has promised nothing. */
  voidLease(lastCall: OutgoingCall): void {
    this.leaseFromMs = -Infinity;
    this.voidedCall = lastCall;
  }

  /** What is in flight no longer counts; the next request probes. */
  restart(nextIndex: number): void {
    this.epoch += 1;
    this.inFlight = 0;
    this.mode = "probe";
    this.nextIndex = nextIndex;
    this.readAhead = [];
    this.read = 0;
    this.snapshotIndex = 0;
  }

  backOff(nowMs: number, pauseMsMax: number): void {
    this.failures += 1;
    const doublings = Math.min(this.failures - 1, BACKOFF_DOUBLINGS_MAX);
    this.retryAtMs = nowMs + Math.min(pauseMsMax, BACKOFF_FIRST_MS * 2 ** doublings);
  }
}
