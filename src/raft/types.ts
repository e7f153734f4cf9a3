/**
 * The contract of the Raft core (`raft.ts`): what goes in, what comes out.
 *
 * The core is a machine: `step(input, nowMs, out)` applies one input and appends effects; `wakeAtMs` names the next deadline. It knows
 * no clock, socket, disk or randomness of its own. Inputs from peers never make it throw; a broken invariant of ours does.
 * `nowMs` is a monotonic clock in ms: it must not jump, but may drift against the peers' by a few per cent.
 *
 * Four things stand behind the effects, and each takes its effects strictly in the order of `out`:
 * - the log (`append`, `compact`, `readLog`): durable, one writer. Answers with `durable`, `appendRefused`, `logRead`.
 * - the state machine (`apply`, `takeSnapshot`, `restore`): answers with `applied`, `snapshotTaken`, `snapshotFailed`, `restored`.
 * - the network (`send`, `answer`, `receiveSnapshot`, `dialCheck`, `forgetPeer`): answers with `response`, `failed`, `snapshotReceived`, `dialed`.
 * - whoever asked (`reply`, `roleChanged`, `configurationChanged`).
 */
import type {
  EntryType, InstallSnapshotRequest, LogEntry, RaftConfiguration, RaftRequest, RaftResponse, RaftServer,
} from "../wire/raft-messages.ts";

export interface RaftConfig {
  readonly id: string;
  /** "ip:port" of our server port, as the peers dial it. */
  readonly address: string;
  readonly timing: RaftTiming;
  readonly limits: RaftLimits;
  /** Ask for pre-votes before an election, and answer them. */
  readonly preVote: boolean;
  /** Highest version we speak; 3. */
  readonly protocolVersion: number;
}

/** All in ms. Random ones are drawn from [T, 2T). Consul multiplies the first three by `raft_multiplier`. */
export interface RaftTiming {
  readonly heartbeatTimeoutMs: number;
  readonly electionTimeoutMs: number;
  readonly leaderLeaseTimeoutMs: number;
  /** An idle follower learns a new commit index within this time. */
  readonly commitTimeoutMs: number;
  /** Pause between two looks at whether a snapshot is due. */
  readonly snapshotIntervalMs: number;
}

export interface RaftLimits {
  /** Entries of one AppendEntries. */
  readonly maxAppendEntries: number;
  /** Bytes of data of one AppendEntries; one larger entry still goes alone. */
  readonly maxAppendBytes: number;
  /** AppendEntries sent to one follower and not answered yet. */
  readonly maxInFlight: number;
  /** Entries kept behind a snapshot for slow followers. */
  readonly trailingLogs: number;
  /** Entries since the last snapshot that make a new one due. */
  readonly snapshotThreshold: number;
  /** Bytes of recent entries kept in memory; older ones are read with `readLog`. Entries not yet durable or not yet committed stay beyond it. */
  readonly tailBytesMax: number;
  /** Bytes of proposals not yet committed; further ones are refused with `overloaded`. */
  readonly uncommittedBytesMax: number;
  /** Bytes of entries handed to the state machine and not yet `applied`. */
  readonly applyingBytesMax: number;
}

/** What must survive a crash besides the log. */
export interface HardState {
  readonly currentTerm: number;
  /** The term of the last vote, and for whose address; 0 and "" before the first. */
  readonly lastVoteTerm: number;
  readonly lastVoteCandidate: string;
}

export interface SnapshotMeta {
  /** Name in the snapshot store. */
  readonly id: string;
  readonly index: number;
  readonly term: number;
  readonly configuration: RaftConfiguration;
  readonly configurationIndex: number;
  /** Bytes of state. */
  readonly size: number;
}

/** From this index on entries have this term, up to the next run. Terms never fall with the index, so a log finds its runs by bisection. */
export interface TermRun {
  readonly firstIndex: number;
  readonly term: number;
}

/**
 * What the disk held at start. The state machine starts from `snapshot` (restored before the core is built) or empty. A log that
 * contradicts the snapshot (a crash between the two writes of an installation) is set right by the core's first `append`.
 */
export interface RaftStart {
  readonly hardState: HardState;
  readonly snapshot: SnapshotMeta | null;
  /** 0 and 0 when the log is empty. */
  readonly firstIndex: number;
  readonly lastIndex: number;
  /** Covers firstIndex … lastIndex. */
  readonly termRuns: readonly TermRun[];
  /** Every entry of type configuration in the log, in order. */
  readonly configurations: readonly LogEntry[];
  /** The last entries of the log, up to `tailBytesMax`; may be empty. */
  readonly tail: readonly LogEntry[];
}

/** Of our own requests to peers; counted up from 1 by the core, never used twice. */
export type OutgoingCall = number;
/** Of requests from peers; chosen by the driver, unique while not answered. */
export type IncomingCall = number;
/** A connection that a peer opened to us; chosen by the driver, never used twice. */
export type ConnectionId = number;
/** Number of an `append`; grows by 1. */
export type AppendSeq = number;
/** Chosen by the caller of a command; comes back in exactly one `reply`. */
export type RequestId = number;

/** Requests on one channel to one peer travel on one connection, in order; `snapshot` takes a fresh connection each time. */
export type Channel = "heartbeat" | "replication" | "vote" | "preVote" | "snapshot" | "timeoutNow";

export interface PeerAddress {
  readonly id: string;
  readonly address: string;
}

/** Why a request of ours has no response. */
export type CallFailure =
  /** The dial was refused: no process listens there. */
  | "refused"
  /** The connection closed after the request was written and before a byte of the answer. */
  | "closed"
  | "timeout"
  /** Any other failure to dial or to write. */
  | "unreachable"
  /** The peer answered with an error text (`error`). */
  | "error"
  /** The answer could not be decoded. */
  | "malformed";

export interface Proposal {
  readonly request: RequestId;
  /** `barrier` for Consul's barrier, else `command`. */
  readonly type: EntryType;
  readonly data: Uint8Array;
  readonly extensions: Uint8Array;
}

export type ConfigurationCommand =
  /** A voter from the start; of a known id: changes its address and makes it a voter. */
  | { readonly kind: "addVoter"; readonly id: string; readonly address: string }
  /** Never demotes a voter, but changes its address. */
  | { readonly kind: "addNonvoter"; readonly id: string; readonly address: string }
  | { readonly kind: "demoteVoter"; readonly id: string }
  | { readonly kind: "removeServer"; readonly id: string };

export type RaftInput =
  | { readonly kind: "wake" }
  /** A peer asks something; exactly one `answer` follows (at once, after a disk write, or after `snapshotReceived`). */
  | { readonly kind: "request"; readonly call: IncomingCall; readonly connection: ConnectionId; readonly message: RaftRequest }
  /** A connection that a peer had opened is closed. Calls of it need no answer any more; an answer that still comes is dropped by the driver. */
  | { readonly kind: "connectionClosed"; readonly connection: ConnectionId }
  /** Every `send` gets exactly one `response` or `failed`, at the latest after its `timeoutMs`. */
  | { readonly kind: "response"; readonly call: OutgoingCall; readonly message: RaftResponse }
  | { readonly kind: "failed"; readonly call: OutgoingCall; readonly failure: CallFailure; readonly error: string }
  /** A connection of ours to a peer broke or was closed by it, with or without a call on it. Sent after the `failed` of its calls. */
  | { readonly kind: "channelClosed"; readonly peer: string; readonly channel: Channel }
  /** Result of a `dialCheck`. */
  | { readonly kind: "dialed"; readonly call: OutgoingCall; readonly outcome: "connected" | "refused" | "unknown" }
  /** Everything the driver gathered in one turn goes in one input: it becomes one write and one message per follower. */
  | { readonly kind: "propose"; readonly proposals: readonly Proposal[] }
  /** A linearizable read: `reply` with the index that the state machine must have applied; it has, when the reply is taken in order. */
  | { readonly kind: "readIndex"; readonly request: RequestId }
  /** Are we still the leader? One heartbeat round to a quorum. Many callers share a round. */
  | { readonly kind: "verifyLeader"; readonly request: RequestId }
  /** `prevIndex` not 0: refused unless the latest configuration has this index. */
  | { readonly kind: "changeConfiguration"; readonly request: RequestId; readonly command: ConfigurationCommand; readonly prevIndex: number }
  /** First configuration of a cluster, written as index 1 of term 1; refused when there is any state. */
  | { readonly kind: "bootstrap"; readonly request: RequestId; readonly configuration: RaftConfiguration }
  /** To the voter `to`, or to the most current one when null. */
  | { readonly kind: "transferLeadership"; readonly request: RequestId; readonly to: string | null }
  /** Take a snapshot now, whatever the threshold. Replies with its index. */
  | { readonly kind: "snapshot"; readonly request: RequestId }
  /** This append and all before it are on disk. */
  | { readonly kind: "durable"; readonly seq: AppendSeq }
  /**
   * The log refuses this append, before touching the disk, and with it every later one until it has seen an append whose `afterRefusal`
   * is this `seq`. Those before it are durable or will be. A leader steps down; proposals of the refused appends fail.
   */
  | { readonly kind: "appendRefused"; readonly seq: AppendSeq; readonly error: string }
  /** Answer to `readLog`: the entries from its `from` on, in order; fewer than asked (at least one) when they grew too large, none when they are gone. */
  | { readonly kind: "logRead"; readonly read: number; readonly entries: readonly LogEntry[] }
  /** The state machine has applied everything up to here. */
  | { readonly kind: "applied"; readonly index: number }
  /** A `takeSnapshot` is written, synced and verified. */
  | { readonly kind: "snapshotTaken"; readonly meta: SnapshotMeta }
  | { readonly kind: "snapshotFailed"; readonly error: string }
  /** The stream announced by an `installSnapshot` request is complete, synced and verified in the store; null: it broke or was wrong. */
  | { readonly kind: "snapshotReceived"; readonly call: IncomingCall; readonly meta: SnapshotMeta | null; readonly error: string }
  /** A `restore` is done: the state is that of the snapshot with this index. */
  | { readonly kind: "restored"; readonly index: number };

export interface SendEffect {
  readonly kind: "send";
  readonly call: OutgoingCall;
  readonly to: PeerAddress;
  readonly channel: Channel;
  readonly message: RaftRequest;
  /** From now to the response, dial included; not for a snapshot's body, whose time the driver scales with its size. */
  readonly timeoutMs: number;
  /** On channel `snapshot`: name of the snapshot in the store whose bytes follow the message; else "". */
  readonly snapshotId: string;
}

export interface AnswerEffect {
  readonly kind: "answer";
  readonly call: IncomingCall;
  /** Null: `error` is sent as the error text with a nil response. */
  readonly message: RaftResponse | null;
  readonly error: string;
}

/** What must not leave before the write it stands with is durable: that is how "durable before acknowledged" is said here. */
export type AfterDurable = SendEffect | AnswerEffect;

export type RaftEffect =
  | {
      /**
       * Write, in one transaction and in this order: remove all entries from index `truncateFrom` on (0: none), write `entries`
       * (consecutive, following the last one unless the log is then empty), write `hardState` if not null.
       * Once durable: run `afterDurable`, in order, and give `durable`. Appends may be grouped; one `durable` stands for all before it.
       * If `afterRefusal` is not 0, a refusal of that `seq` is hereby known to the core, and appends are taken again.
       */
      readonly kind: "append";
      readonly seq: AppendSeq;
      readonly afterRefusal: AppendSeq;
      readonly truncateFrom: number;
      readonly entries: readonly LogEntry[];
      readonly hardState: HardState | null;
      readonly afterDurable: readonly AfterDurable[];
    }
  /** Entries up to this index may be removed, in pieces and whenever it suits. Comes only when a durable snapshot covers them. */
  | { readonly kind: "compact"; readonly upTo: number }
  /** `from` … `to` inclusive; stop after `bytesMax` bytes of data, but give at least one. They are durable. */
  | { readonly kind: "readLog"; readonly read: number; readonly from: number; readonly to: number; readonly bytesMax: number }
  | SendEffect
  | AnswerEffect
  /**
   * Read `message.size` bytes from the call's connection into the snapshot store, then give `snapshotReceived`. At most one at a time:
   * a new one for another call cancels the older (which the core has answered).
   */
  | { readonly kind: "receiveSnapshot"; readonly call: IncomingCall; readonly message: InstallSnapshotRequest }
  /** Open a connection to this address and close it again: does somebody listen? Result: `dialed`. */
  | { readonly kind: "dialCheck"; readonly call: OutgoingCall; readonly to: PeerAddress; readonly timeoutMs: number }
  /** Its connections may be closed: removed, moved to another address, or of no more use to a follower. */
  | { readonly kind: "forgetPeer"; readonly peer: PeerAddress }
  /** Committed entries of every type, consecutive, each exactly once; give `applied` (one for many is fine). Durable here before applied. */
  | { readonly kind: "apply"; readonly entries: readonly LogEntry[] }
  /**
   * Keep the state as it is after the last entry handed over with `apply` before this effect (its index is `index`), write it to the
   * snapshot store, then give `snapshotTaken` or `snapshotFailed`. At most one at a time.
   */
  | { readonly kind: "takeSnapshot"; readonly index: number; readonly term: number; readonly configuration: RaftConfiguration; readonly configurationIndex: number }
  /** Replace the whole state by this snapshot of the store, then give `restored`. Entries of earlier `apply` effects may be skipped. */
  | { readonly kind: "restore"; readonly meta: SnapshotMeta }
  /** Answer to a command. A proposal's comes after the `apply` that holds its entry: the state machine's result for `index` is at hand. */
  | { readonly kind: "reply"; readonly request: RequestId; readonly result: RaftReply }
  /** Role, term or leader changed. `leader` is null while unknown. */
  | { readonly kind: "roleChanged"; readonly role: Role; readonly term: number; readonly leader: PeerAddress | null }
  /** A configuration came into force (when appended), was rolled back, or became committed. */
  | { readonly kind: "configurationChanged"; readonly configuration: RaftConfiguration; readonly index: number; readonly committed: boolean }
  | { readonly kind: "log"; readonly level: LogLevel; readonly text: string }
  /** A counter to add to, `raft.…` as the original names them. */
  | { readonly kind: "count"; readonly name: string; readonly delta: number }
  /** A sample in ms. */
  | { readonly kind: "sample"; readonly name: string; readonly valueMs: number };

export type LogLevel = "trace" | "debug" | "info" | "warn" | "err";

export type Role = "follower" | "preCandidate" | "candidate" | "leader";

export type RaftReply =
  /** Of a proposal or change: its index, committed. Of a read or verification: the index to read at. Of a snapshot: its index. Else 0. */
  | { readonly ok: true; readonly index: number; readonly term: number }
  | { readonly ok: false; readonly error: RaftError; readonly text: string };

export type RaftError =
  /** Nothing was done; the leader, if known, is in `status().leader`. */
  | "notLeader"
  /** We stepped down (or replaced our state by a snapshot) first: a proposal may still be committed by the next leader, or not. */
  | "leadershipLost"
  /** Nothing was done: too much is waiting. */
  | "overloaded"
  /** The log refused the write, and we stepped down. Followers may have taken it: the next leader may still commit it, or not. */
  | "diskFull"
  /** A leadership transfer is under way: nothing was done. */
  | "transferring"
  /** A transfer did not happen in time, or the target could not be reached. */
  | "transferFailed"
  /** The change makes no sense: unknown id, last voter, duplicate address, stale `prevIndex`, another change not committed yet, nothing new to snapshot, already bootstrapped. */
  | "refused";

/** How far one peer is, as the leader sees it. */
export interface PeerStatus {
  readonly server: RaftServer;
  readonly matchIndex: number;
  readonly nextIndex: number;
  /** ms since the last answer; null before the first, or when we are not the leader. */
  readonly lastContactMs: number | null;
}

/** A view; a fresh object per call, safe to keep. */
export interface RaftStatus {
  readonly role: Role;
  readonly term: number;
  readonly leader: PeerAddress | null;
  readonly commitIndex: number;
  /** Of the state machine, as told by `applied`. */
  readonly appliedIndex: number;
  readonly firstIndex: number;
  readonly lastIndex: number;
  readonly lastTerm: number;
  readonly durableIndex: number;
  readonly snapshotIndex: number;
  readonly snapshotTerm: number;
  readonly configuration: RaftConfiguration;
  readonly configurationIndex: number;
  readonly committedConfiguration: RaftConfiguration;
  readonly committedConfigurationIndex: number;
  /** ms since we heard of the leader; 0 on the leader, null when never. */
  readonly lastContactMs: number | null;
  /** Only on the leader. */
  readonly peers: readonly PeerStatus[];
}

/** What `raft.ts` offers. */
export interface RaftMachine {
  /** When the next `wake` is due, in ms of the clock given to `step`; Infinity: nothing to wait for. A late wake is safe. */
  readonly wakeAtMs: number;
  step(input: RaftInput, nowMs: number, out: RaftEffect[]): void;
  status(nowMs: number): RaftStatus;
  /**
   * May a `default` read be answered from the state as it is now? True on a leader that has applied its first entry of the term and
   * whose lease holds: a quorum answered within the lease, and none of those connections has closed since.
   */
  canReadLocally(nowMs: number): boolean;
}
