/**
 * Which checker reads which recording: the key is the file's base name without `.json`. A checker calls `report` once for each case it has compared,
 * with null when it was equal and else with the difference; what it does not know inside a file it reports as a failed case, never skips.
 * Whoever adds a line here adds the recording to `data/` in the same commit.
 */

import { checkCoalesce } from "./coalesce.ts";
import { checkEncrypt } from "./encrypt.ts";
import { checkAgentRuns } from "./agent-runs.ts";
import { checkCliTranscripts } from "./cli-transcripts.ts";
import { checkEventFilters } from "./event-filters.ts";
import { checkEventHandlersExtra } from "./event-handlers-extra.ts";
import { checkEventHandlers } from "./event-handlers.ts";
import { checkFsmContent } from "./fsm-content.ts";
import { replayGossipTcp, replayGossipUdp } from "./gossip-behaviour.ts";
import { checkGossipTcp, checkGossipUdp } from "./gossip-recordings.ts";
import { checkLabel } from "./label.ts";
import { checkLzw } from "./lzw.ts";
import { checkMemberlistMessages } from "./memberlist-messages.ts";
import { checkMsgpackCodec } from "./msgpack-codec.ts";
import { checkPackets } from "./packets.ts";
import { checkDiskState, checkRaftExchanges } from "./raft-wire.ts";
import { checkRegistrations } from "./registrations.ts";
import { checkConnections, checkLiveFraming, checkRpcCalls, checkYamuxFrames } from "./server-rpc.ts";
import { checkRpcSessions } from "./rpc-sessions.ts";
import { checkSerfMessages } from "./serf-messages.ts";
import { checkSerfState } from "./serf-state.ts";
import { checkSnapshotReplay, checkSnapshotsAgent, checkSnapshotWrite } from "./snapshots.ts";
import { checkAddress, checkBroadcastQueue, checkTiming } from "./swim-checks.ts";
import { checkTags } from "./tags.ts";
import { checkVivaldi } from "./vivaldi.ts";

/** Called once per case: `error` is null for a passed case, else the difference in words. */
export type Report = (caseName: string, error: string | null) => void;
export type Checker = (data: unknown, report: Report) => void | Promise<void>;

/** A recording that is read in two ways. */
function both(first: Checker, second: Checker): Checker {
  return async (data, report) => {
    await first(data, report);
    await second(data, report);
  };
}

export const checkers: ReadonlyMap<string, Checker> = new Map<string, Checker>([
  ["address", checkAddress],
  ["broadcast-queue", checkBroadcastQueue],
  ["cli", checkCliTranscripts],
  ["cli-auth-keys", checkCliTranscripts],
  ["coalesce", checkCoalesce],
  ["connections", checkConnections],
  ["consul-registrations", checkRegistrations],
  ["disk-state", both(checkDiskState, checkFsmContent)],
  ["encrypt", checkEncrypt],
  ["agent-runs", checkAgentRuns],
  ["event-filters", checkEventFilters],
  ["event-handlers", checkEventHandlers],
  ["event-handlers-extra", checkEventHandlersExtra],
  ["gossip-tcp", both(checkGossipTcp, replayGossipTcp)],
  ["gossip-udp", both(checkGossipUdp, replayGossipUdp)],
  ["label", checkLabel],
  ["live-checks", checkLiveFraming],
  ["lzw", checkLzw],
  ["memberlist-messages", checkMemberlistMessages],
  ["msgpack-codec", checkMsgpackCodec],
  ["packets", checkPackets],
  ["raft-append-entries", both(checkRaftExchanges, checkFsmContent)],
  ["raft-elections", checkRaftExchanges],
  ["raft-install-snapshot", both(checkRaftExchanges, checkFsmContent)],
  ["rpc-calls", checkRpcCalls],
  ["rpc-sessions", checkRpcSessions],
  ["rpc-yamux-frames", checkYamuxFrames],
  ["serf-messages", checkSerfMessages],
  ["serf-state", checkSerfState],
  ["snapshot-replay", checkSnapshotReplay],
  ["snapshot-write", checkSnapshotWrite],
  ["snapshots-agent", checkSnapshotsAgent],
  ["tags", checkTags],
  ["timing", checkTiming],
  ["vivaldi", checkVivaldi],
]);
