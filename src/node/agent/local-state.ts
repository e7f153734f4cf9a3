/**
 * The services and checks of one agent, and how far the catalog knows them: a machine without clock and I/O. Changes are made at once and marked; whoever drives
 * it tells the catalog what `changes` names and reports with `done`; `compare` marks what the catalog has otherwise (anti-entropy, reference: consul-agent §5.5).
 */
import { Deadlines } from "../../base/deadlines.ts";
import type { Random } from "../../base/random.ts";
import { sameCheck, sameService } from "../../catalog/same.ts";
import type { HealthCheck, NodeService } from "../../wire/fsm-commands.ts";
import { aliasStatus } from "./alias.ts";
import { cutOutput } from "./output.ts";
import type { LocalCheck } from "../../api/http/local-agent.ts";
import type { SyncOp } from "./types.ts";

/** Every so often critical checks are looked at for services that are to go. */
const REAP_MS = 30_000;
/** Of the servers' own service and check, which agents leave alone. */
const SERVER_SERVICE = "consul";
const SERF_HEALTH = "serfHealth";

interface Row<T> {
  readonly value: T;
  /** Counts changes of the row: a report about an older one says nothing about this one. */
  readonly generation: number;
}

interface CheckRow extends Row<LocalCheck> {
  /** Results of the same kind in a row. */
  successes: number;
  failures: number;
  criticalSinceMs: number;
  /** What its client said last since it was registered; "" for nothing. */
  said: string;
}

/** Ids of a service that was given up, and of the checks that went with it. */
export interface GivenUp {
  readonly service: string;
  readonly checks: readonly string[];
}

export interface LocalStateOptions {
  readonly node: string;
  /** Changes of output alone are told after half of this and up to one and a half, at random; 0: at once. */
  readonly checkUpdateIntervalMs: number;
  readonly random: Random;
}

export class LocalState {
  readonly #options: LocalStateOptions;
  readonly #services = new Map<string, Row<NodeService>>();
  readonly #checks = new Map<string, CheckRow>();
  /** Checks of each service, "" for those of the node; and those that repeat others. */
  readonly #checksOf = new Map<string, Set<string>>();
  readonly #aliases = new Set<string>();
  /** Changed here, not yet told. */
  readonly #dirtyServices = new Set<string>();
  readonly #dirtyChecks = new Set<string>();
  /** Gone here, not yet in the catalog. */
  readonly #droppedServices = new Set<string>();
  readonly #droppedChecks = new Set<string>();
  readonly #ttls = new Deadlines<string>();
  readonly #deferred = new Deadlines<string>();
  #reapAtMs = Infinity;
  #generation = 0;

  constructor(options: LocalStateOptions) {
    this.#options = options;
  }

  get wakeAtMs(): number {
    return Math.min(this.#ttls.nextAtMs, this.#deferred.nextAtMs, this.#reapAtMs);
  }

  /** Changes with every change of a service or check. */
  get generation(): number {
    return this.#generation;
  }

  /** By id, sorted. */
  services(): ReadonlyMap<string, NodeService> {
    return new Map([...this.#services].sort(byId).map(([id, { value }]) => [id, value] as const));
  }

  checks(): ReadonlyMap<string, LocalCheck> {
    return new Map([...this.#checks].sort(byId).map(([id, { value }]) => [id, value] as const));
  }

  service(id: string): NodeService | null {
    return this.#services.get(id)?.value ?? null;
  }

  check(id: string): LocalCheck | null {
    return this.#checks.get(id)?.value ?? null;
  }

  /** Checks of the node and of this service, by id. */
  checksOf(serviceId: string): readonly HealthCheck[] {
    const ids = new Set([...(this.#checksOf.get("") ?? []), ...(this.#checksOf.get(serviceId) ?? [])]);
    return [...ids].sort().map((id) => this.#checks.get(id)?.value.check).filter((check) => check !== undefined);
  }

  /**
   * `replace` drops the checks the service had and does not name again; their ids are returned. A check that is there already keeps its status and output,
   * whatever it is registered with, as the original has it: who registers again with each start of a service, or each minute, does not report on its health.
   */
  addService(service: NodeService, checks: readonly LocalCheck[], replace: boolean, nowMs: number): readonly string[] {
    const dropped: string[] = [];
    this.#droppedServices.delete(service.id);
    this.#services.set(service.id, { value: service, generation: this.#next() });
    this.#dirtyServices.add(service.id);
    if (replace) {
      const named = new Set(checks.map(({ check }) => check.checkId));
      for (const id of [...(this.#checksOf.get(service.id) ?? [])]) if (!named.has(id) && this.removeCheck(id)) dropped.push(id);
    }
    for (const check of checks) this.#putCheck(check, nowMs);
    return dropped;
  }

  /** The ids of the checks that went with it; null when there is no such service. */
  removeService(id: string): readonly string[] | null {
    if (!this.#services.delete(id)) return null;
    this.#next();
    this.#dirtyServices.delete(id);
    this.#droppedServices.add(id);
    // The catalog drops its checks with it.
    const checks = [...(this.#checksOf.get(id) ?? [])];
    for (const checkId of checks) this.#forgetCheck(checkId);
    return checks;
  }

  /** Null, or why it is refused. A check that is there already keeps its status and output, see `addService`. */
  addCheck(local: LocalCheck, nowMs: number): string | null {
    const { serviceId } = local.check;
    const service = serviceId === "" ? null : this.service(serviceId);
    if (serviceId !== "" && service === null) return `ServiceID ${JSON.stringify(serviceId)} does not exist`;
    const check = service === null ? local.check : { ...local.check, serviceName: service.service, serviceTags: service.tags };
    this.#putCheck({ ...local, check }, nowMs);
    return null;
  }

  #putCheck({ check: given, plan }: LocalCheck, nowMs: number): void {
    const id = given.checkId;
    const before = this.#checks.get(id)?.value.check;
    const check = before === undefined ? given : { ...given, status: before.status, output: before.output };
    this.#forgetCheck(id);
    this.#droppedChecks.delete(id);
    const critical = check.status === "critical";
    this.#checks.set(id, { value: { check, plan }, generation: this.#next(), successes: 0, failures: 0, criticalSinceMs: critical ? nowMs : Infinity, said: "" });
    this.#dirtyChecks.add(id);
    const siblings = this.#checksOf.get(check.serviceId);
    if (siblings === undefined) this.#checksOf.set(check.serviceId, new Set([id]));
    else siblings.add(id);
    if (plan.kind === "alias") this.#aliases.add(id);
    if (plan.kind === "ttl") this.#ttls.set(id, nowMs + plan.ttlMs);
    if (plan.deregisterAfterMs > 0 && this.#reapAtMs === Infinity) this.#reapAtMs = nowMs + REAP_MS;
    this.#followAliases(nowMs);
  }

  removeCheck(id: string): boolean {
    if (!this.#checks.has(id)) return false;
    this.#next();
    this.#forgetCheck(id);
    this.#droppedChecks.add(id);
    return true;
  }

  #forgetCheck(id: string): void {
    const serviceId = this.#checks.get(id)?.value.check.serviceId ?? "";
    const siblings = this.#checksOf.get(serviceId);
    siblings?.delete(id);
    if (siblings?.size === 0) this.#checksOf.delete(serviceId);
    this.#aliases.delete(id);
    this.#dirtyChecks.delete(id);
    this.#checks.delete(id);
    this.#ttls.delete(id);
    this.#deferred.delete(id);
  }

  /** Of a TTL check; false when there is no such check. */
  updateTtl(id: string, status: string, output: string, nowMs: number): boolean {
    const row = this.#checks.get(id);
    if (row?.value.plan.kind !== "ttl") return false;
    this.#ttls.set(id, nowMs + row.value.plan.ttlMs);
    row.said = cutOutput(output, row.value.plan.outputBytesMax);
    this.#setStatus(id, status, row.said, nowMs);
    return true;
  }

  /** What a probe found; a check may need several of a kind before it changes. */
  probed(id: string, status: string, output: string, nowMs: number): void {
    const row = this.#checks.get(id);
    if (row === undefined) return;
    const { plan, check } = row.value;
    const failed = status === "critical";
    row.successes = failed ? 0 : row.successes + 1;
    row.failures = failed ? row.failures + 1 : 0;
    const enough = failed ? row.failures >= plan.failuresBeforeCritical : row.successes >= plan.successBeforePassing;
    this.#setStatus(id, enough ? status : check.status, output, nowMs);
  }

  #setStatus(id: string, status: string, output: string, nowMs: number): void {
    const row = this.#checks.get(id);
    if (row === undefined) return;
    const { check, plan } = row.value;
    if (check.status === status && check.output === output) return;
    const since = status === "critical" ? Math.min(row.criticalSinceMs, nowMs) : Infinity;
    const value = { plan, check: { ...check, status, output } };
    const waits = check.status === status && !this.#dirtyChecks.has(id) && this.#options.checkUpdateIntervalMs > 0;
    this.#checks.set(id, { ...row, value, generation: this.#next(), criticalSinceMs: since });
    if (waits) this.#defer(id, nowMs);
    else {
      this.#dirtyChecks.add(id);
      this.#deferred.delete(id);
    }
    if (check.status !== status || plan.kind !== "alias") this.#followAliases(nowMs);
  }

  #defer(id: string, nowMs: number): void {
    if (this.#deferred.has(id)) return;
    const interval = this.#options.checkUpdateIntervalMs;
    this.#deferred.set(id, nowMs + interval / 2 + this.#options.random.below(Math.max(1, Math.trunc(interval))));
  }

  #followAliases(nowMs: number): void {
    if (this.#aliases.size === 0) return;
    for (const id of [...this.#aliases]) {
      const value = this.#checks.get(id)?.value;
      if (value === undefined) continue;
      const { status, output } = aliasStatus(value, this.checksOf(value.plan.aliasService));
      if (value.check.status !== status || value.check.output !== output) this.#setStatus(id, status, output, nowMs);
    }
  }

  /** Time passes: TTLs run out, outputs are due to be told, services are given up, which are returned. */
  wake(nowMs: number): readonly GivenUp[] {
    for (let id = this.#ttls.popDue(nowMs); id !== undefined; id = this.#ttls.popDue(nowMs)) {
      const last = this.#checks.get(id)?.said ?? "";
      this.#setStatus(id, "critical", last === "" ? "TTL expired" : `TTL expired (last output before timeout follows): ${last}`, nowMs);
    }
    for (let id = this.#deferred.popDue(nowMs); id !== undefined; id = this.#deferred.popDue(nowMs)) {
      if (this.#checks.has(id)) this.#dirtyChecks.add(id);
    }
    return nowMs >= this.#reapAtMs ? this.#reap(nowMs) : [];
  }

  #reap(nowMs: number): readonly GivenUp[] {
    const gone: GivenUp[] = [];
    for (const { value, criticalSinceMs } of [...this.#checks.values()]) {
      const { plan, check } = value;
      if (plan.deregisterAfterMs === 0 || check.serviceId === "" || nowMs - criticalSinceMs <= plan.deregisterAfterMs) continue;
      const checks = this.removeService(check.serviceId);
      if (checks !== null) gone.push({ service: check.serviceId, checks });
    }
    this.#reapAtMs = [...this.#checks.values()].some(({ value }) => value.plan.deregisterAfterMs > 0) ? nowMs + REAP_MS : Infinity;
    return gone;
  }

  /** What the catalog does not know yet, in the order in which it is to be told. */
  changes(): SyncOp[] {
    const ops: SyncOp[] = [...this.#droppedServices].map((id) => ({ kind: "dropService", id }));
    const told = new Set<string>();
    for (const id of this.#dirtyServices) {
      const row = this.#services.get(id);
      if (row === undefined) continue;
      const checks: { id: string; generation: number; check: HealthCheck }[] = [];
      for (const checkId of this.#checksOf.get(id) ?? []) {
        const checkRow = this.#checks.get(checkId);
        if (checkRow === undefined || !this.#dirtyChecks.has(checkId)) continue;
        told.add(checkId);
        checks.push({ id: checkId, generation: checkRow.generation, check: checkRow.value.check });
      }
      ops.push({ kind: "putService", id, generation: row.generation, service: row.value, checks });
    }
    for (const id of this.#droppedChecks) ops.push({ kind: "dropCheck", id });
    for (const id of this.#dirtyChecks) {
      const row = this.#checks.get(id);
      if (row === undefined || told.has(id)) continue;
      const { value, generation } = row;
      ops.push({ kind: "putCheck", id, generation, check: value.check, service: this.service(value.check.serviceId) });
    }
    return ops;
  }

  /** The catalog has taken it. What changed meanwhile stays marked. */
  done(op: SyncOp): void {
    switch (op.kind) {
      case "dropService":
        this.#droppedServices.delete(op.id);
        break;
      case "dropCheck":
        this.#droppedChecks.delete(op.id);
        break;
      case "putService":
        if (this.#services.get(op.id)?.generation === op.generation) this.#dirtyServices.delete(op.id);
        for (const { id, generation } of op.checks) this.#settleCheck(id, generation);
        break;
      case "putCheck":
        this.#settleCheck(op.id, op.generation);
    }
  }

  #settleCheck(id: string, generation: number): void {
    if (this.#checks.get(id)?.generation === generation) this.#dirtyChecks.delete(id);
  }

  /** Marks what the catalog has otherwise, and what it has of us that we do not know. */
  compare(services: readonly NodeService[], checks: readonly HealthCheck[]): void {
    const theirServices = new Map(services.map((service) => [service.id, service] as const));
    for (const [id, row] of this.#services) {
      const theirs = theirServices.get(id);
      if (theirs !== undefined && row.value.enableTagOverride) {
        // Others may set these tags.
        this.#services.set(id, { ...row, value: { ...row.value, tags: theirs.tags } });
        mark(this.#dirtyServices, id, sameService({ ...row.value, tags: theirs.tags }, theirs));
      } else mark(this.#dirtyServices, id, theirs !== undefined && sameService(row.value, theirs));
    }
    for (const id of theirServices.keys()) if (!this.#services.has(id) && id !== SERVER_SERVICE) this.#droppedServices.add(id);
    const theirChecks = new Map(checks.map((check) => [check.checkId, check] as const));
    for (const [id, row] of this.#checks) {
      const theirs = theirChecks.get(id);
      const ours = row.value.check;
      // An output that waits to be told is no difference.
      mark(this.#dirtyChecks, id, theirs !== undefined && sameCheck(this.#deferred.has(id) ? { ...ours, output: theirs.output } : ours, theirs));
    }
    for (const [id, { serviceId }] of theirChecks) {
      if (!this.#checks.has(id) && id !== SERF_HEALTH && !this.#droppedServices.has(serviceId)) this.#droppedChecks.add(id);
    }
  }

  #next(): number {
    this.#generation += 1;
    return this.#generation;
  }
}

function mark(dirty: Set<string>, id: string, same: boolean): void {
  if (same) dirty.delete(id);
  else dirty.add(id);
}

function byId([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return a < b ? -1 : 1;
}
