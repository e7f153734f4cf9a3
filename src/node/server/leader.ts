/**
 * What only the leader does: it keeps the catalog in step with the gossip pool, lets sessions expire, reaps tombstones and looks after the Raft configuration.
 * It proposes commands like any caller; each change is decided again from the state at hand, so that nothing must be remembered over a change of leader.
 */
import type { StateMachine } from "../../catalog/types.ts";
import type { ConfigurationCommand, RaftStatus } from "../../raft/types.ts";
import { FSM_TYPE, type Session } from "../../wire/fsm-commands.ts";
import type { ClusterHealth, CoordinateArgs } from "../../api/rpc/types.ts";
import { autopilotOfRow, encodeAutopilotRequest, type AutopilotSettings } from "../../wire/autopilot-command.ts";
import { encodeCoordinateBatch } from "../../wire/coordinate-command.ts";
import { Autopilot } from "./autopilot.ts";
import { CoordinateBatches } from "./coordinates.ts";
import { encodeDeregisterRequest, encodeRegisterRequest, encodeSessionRequest, encodeTombstoneRequest } from "../../wire/fsm-codec.ts";
import type { Proposals } from "./proposals.ts";
import { changeFor, SERF_HEALTH } from "./reconcile.ts";
import { HealthWatch } from "./server-health.ts";
import { SessionTimers } from "./session-timers.ts";
import type { AutopilotConfig, ServerConfig, ServerMember } from "./types.ts";

/** Everything is compared again this often. */
const RECONCILE_MS = 60_000;
const AUTOPILOT_MS = 2000;
/** Tombstones live this long, give or take the granularity: as long as a watcher of a prefix may be away. */
const TOMBSTONE_TTL_MS = 900_000;
const TOMBSTONE_GRANULARITY_MS = 30_000;

export interface LeaderHost {
  readonly config: ServerConfig;
  readonly state: StateMachine;
  readonly proposals: Proposals;
  readonly members: ReadonlyMap<string, ServerMember>;
  status(nowMs: number): RaftStatus;
  changeConfiguration(command: ConfigurationCommand): void;
}

export class LeaderDuties {
  readonly #host: LeaderHost;
  readonly #autopilot = new Autopilot();
  readonly #health = new HealthWatch();
  readonly #coordinates: CoordinateBatches;
  #sessions = new SessionTimers();
  #active = false;
  #reconcileAtMs = Infinity;
  #autopilotAtMs = Infinity;
  #tombstoneAtMs = Infinity;
  #tombstones: { readonly index: number; readonly dueMs: number }[] = [];
  /** Members with a proposal under way: one at a time each. */
  readonly #changing = new Set<string>();

  constructor(host: LeaderHost) {
    this.#host = host;
    this.#coordinates = new CoordinateBatches(host.config.coordinatePeriodMs);
  }

  get active(): boolean {
    return this.#active;
  }

  get wakeAtMs(): number {
    return Math.min(this.#sessions.wakeAtMs, this.#reconcileAtMs, this.#autopilotAtMs, this.#tombstoneAtMs, this.#coordinates.wakeAtMs);
  }

  /** Our first entry of the term is applied: what is read now is what was committed before us. */
  begin(nowMs: number): void {
    this.#active = true;
    this.#sessions = new SessionTimers();
    this.#autopilot.reset();
    this.#health.reset();
    this.#coordinates.clear();
    this.#changing.clear();
    this.#writeAutopilotSettings();
    for (const session of this.#host.state.sessions().value) this.#sessions.reset(session, nowMs);
    this.#tombstones = [];
    this.#tombstoneAtMs = nowMs + TOMBSTONE_GRANULARITY_MS;
    this.#autopilotAtMs = nowMs;
    this.#reconcile(nowMs);
  }

  end(): void {
    this.#active = false;
    this.#sessions = new SessionTimers();
    this.#coordinates.clear();
    this.#reconcileAtMs = this.#autopilotAtMs = this.#tombstoneAtMs = Infinity;
  }

  sessionTouched(session: Session, nowMs: number): void {
    if (this.#active) this.#sessions.reset(session, nowMs);
  }

  memberChanged(member: ServerMember, nowMs: number): void {
    if (!this.#active) return;
    this.#bringUpToDate(member);
    if (member.server !== null) this.#autopilotAtMs = nowMs;
  }

  memberReaped(name: string): void {
    if (!this.#active || this.#host.state.node(name).value === null) return;
    this.#deregister(name);
  }

  wake(nowMs: number): void {
    if (!this.#active) return;
    this.#expireSessions(nowMs);
    if (nowMs >= this.#reconcileAtMs) this.#reconcile(nowMs);
    if (nowMs >= this.#autopilotAtMs) this.#runAutopilot(nowMs);
    if (nowMs >= this.#tombstoneAtMs) this.#reapTombstones(nowMs);
    for (const batch of this.#coordinates.due(nowMs)) this.#host.proposals.propose(encodeCoordinateBatch(batch), () => undefined);
  }

  /** Null, or why it is refused. */
  coordinateTold(told: CoordinateArgs, nowMs: number): string | null {
    return this.#coordinates.told(told, nowMs);
  }

  /** The settings in force. */
  autopilotSettings(): AutopilotSettings {
    const row = this.#host.state.rows(FSM_TYPE.autopilot)[0];
    return row === undefined ? firstSettings(this.#host.config.autopilot) : autopilotOfRow(row);
  }

  clusterHealth(nowMs: number): ClusterHealth {
    const { config, members } = this.#host;
    return this.#health.look([...members.values()], this.#host.status(nowMs), this.autopilotSettings(), nowMs, config.epochOffsetMs);
  }

  /** Once for a datacenter: from then on they are changed by operators. */
  #writeAutopilotSettings(): void {
    const { config, proposals, state } = this.#host;
    if (state.rows(FSM_TYPE.autopilot).length > 0) return;
    proposals.propose(encodeAutopilotRequest({ datacenter: "", config: firstSettings(config.autopilot), cas: false, token: "" }), () => undefined);
  }

  #expireSessions(nowMs: number): void {
    for (;;) {
      const id = this.#sessions.popDue(nowMs);
      if (id === undefined) return;
      const session = this.#host.state.session(id).value;
      if (session === null) continue;
      const request = { datacenter: this.#host.config.datacenter, op: "destroy" as const, session, token: "" };
      this.#host.proposals.propose(encodeSessionRequest(request), (result) => {
        if (result === null && this.#active) this.#sessions.retry(id, nowMs);
      });
    }
  }

  /** Members against the catalog, and the catalog against the members: nodes with a serfHealth check that the pool does not know are gone. */
  #reconcile(nowMs: number): void {
    this.#reconcileAtMs = nowMs + RECONCILE_MS;
    const { members, state } = this.#host;
    for (const member of members.values()) this.#bringUpToDate(member);
    for (const node of state.nodes().value) {
      if (!members.has(node.node) && state.check(node.node, SERF_HEALTH) !== null) this.#deregister(node.node);
    }
  }

  #bringUpToDate(member: ServerMember): void {
    const { config, state, proposals } = this.#host;
    if (this.#changing.has(member.name) || (member.status === "left" && member.name === config.nodeName)) return;
    const change = changeFor(member, state, config.datacenter);
    if (change === null) return;
    this.#changing.add(member.name);
    const command = change.kind === "register" ? encodeRegisterRequest(change.request) : encodeDeregisterRequest(change.request);
    proposals.propose(command, (result) => {
      this.#changing.delete(member.name);
      // It may have changed again meanwhile; a refused command waits for the next round.
      const latest = this.#host.members.get(member.name);
      if (result !== null && result.kind !== "error" && latest !== undefined && latest !== member && this.#active) this.#bringUpToDate(latest);
    });
  }

  #deregister(node: string): void {
    const { config, proposals } = this.#host;
    if (node === config.nodeName) return;
    proposals.propose(encodeDeregisterRequest({ datacenter: config.datacenter, node, serviceId: "", checkId: "", token: "" }), () => undefined);
  }

  #runAutopilot(nowMs: number): void {
    this.#autopilotAtMs = nowMs + AUTOPILOT_MS;
    const status = this.#host.status(nowMs);
    this.clusterHealth(nowMs);
    if (status.configurationIndex !== status.committedConfigurationIndex) return;
    const change = this.#autopilot.nextChange([...this.#host.members.values()], status, this.#host.config.nodeId, this.autopilotSettings(), nowMs);
    if (change !== null) this.#host.changeConfiguration(change);
  }

  #reapTombstones(nowMs: number): void {
    this.#tombstoneAtMs = nowMs + TOMBSTONE_GRANULARITY_MS;
    const index = this.#host.state.tableIndex("tombstones");
    if (index > (this.#tombstones.at(-1)?.index ?? 0)) this.#tombstones.push({ index, dueMs: nowMs + TOMBSTONE_TTL_MS });
    let reapIndex = 0;
    while (this.#tombstones.length > 0 && (this.#tombstones[0] as { dueMs: number }).dueMs <= nowMs) reapIndex = this.#tombstones.shift()?.index ?? 0;
    if (reapIndex === 0) return;
    this.#host.proposals.propose(encodeTombstoneRequest({ datacenter: this.#host.config.datacenter, reapIndex, token: "" }), () => undefined);
  }
}

function firstSettings(config: AutopilotConfig): AutopilotSettings {
  return { ...config, redundancyZoneTag: "", disableUpgradeMigration: false, upgradeVersionTag: "", createIndex: 0, modifyIndex: 0 };
}
