/**
 * The agent's own services and checks as a running thing: changes are kept on disk, then in the local state, then told to the catalog before they are
 * acknowledged; timers and probes drive the checks; once a minute or two the catalog is compared with what is here (anti-entropy, reference: consul-agent §5.5).
 */
import type { LocalAgent, LocalCheck } from "../api/http/local-agent.ts";
import type { NodeWithServices, Outcome, Queried, QueryOptions, RpcMethod, RpcMethods } from "../api/rpc/types.ts";
import { LocalState, type GivenUp } from "../node/agent/local-state.ts";
import type { SyncOp } from "../node/agent/types.ts";
import type { HealthCheck, NodeService, RegisterRequest } from "../wire/fsm-commands.ts";
import { goQuote } from "../base/go-quote.ts";
import { CheckProbes } from "./check-probes.ts";
import { CheckStates } from "./check-states.ts";
import { monotonicMs } from "./clock.ts";
import type { ConsulAgentOptions } from "./consul-agent-options.ts";
import { LocalStore } from "./consul-local-store.ts";
import { isOwnNode, ownNode } from "./consul-own-node.ts";
import type { ConsulServer } from "./consul-server.ts";
import { SystemRandom } from "./entropy.ts";
import { compileExpression } from "./matcher.ts";

/** One look each minute, and up to another minute of jitter, as the original. */
const INTERVAL_MS = 60_000;
const RETRY_MS = 200;
/** After a change that the catalog did not take. */
const FAILED_RETRY_MS = 15_000;
/** `check_update_interval`. */
const CHECK_UPDATE_INTERVAL_MS = 300_000;
/** A timer further away than this is set again. */
const TIMER_MAX_MS = 60_000;

const READ: QueryOptions = { minQueryIndex: 0, maxQueryTimeMs: 0, allowStale: false, requireConsistent: false, maxStaleMs: 0, filter: "" };

export class LocalSync implements LocalAgent {
  readonly compileExpression = compileExpression;
  readonly #options: ConsulAgentOptions;
  readonly #server: ConsulServer;
  readonly #node: RegisterRequest;
  readonly #state: LocalState;
  readonly #store: LocalStore;
  readonly #checkStates: CheckStates;
  readonly #probes: CheckProbes;
  #lookTimer: NodeJS.Timeout | null = null;
  #wakeTimer: NodeJS.Timeout | null = null;
  #stopped = false;
  #nodeKnown = false;
  #round: Promise<void> | null = null;
  #nextRound: Promise<void> | null = null;
  readonly #watchers = new Map<string, Set<() => void>>();

  constructor(options: ConsulAgentOptions, server: ConsulServer) {
    this.#options = options;
    this.#server = server;
    this.#node = ownNode(options);
    this.#state = new LocalState({ node: options.nodeName, checkUpdateIntervalMs: CHECK_UPDATE_INTERVAL_MS, random: new SystemRandom() });
    this.#store = new LocalStore({ dataDir: options.dataDir, node: options.nodeName, report: (text) => options.log.write("warn", `agent: ${text}`) });
    this.#checkStates = new CheckStates({ dataDir: options.dataDir, report: (level, text) => options.log.write(level, `agent: ${text}`) });
    this.#probes = new CheckProbes({
      planOf: (id) => this.#state.check(id)?.plan ?? null,
      found: (id, status, output) => {
        this.#state.probed(id, status, output, monotonicMs());
        void this.#changed();
      },
    });
  }

  /** Takes up what was registered before a restart. */
  async start(): Promise<void> {
    const { services, checks: loaded } = await this.#store.load();
    const checks: LocalCheck[] = [];
    for (const check of loaded) checks.push(await this.#resumed(check));
    const nowMs = monotonicMs();
    for (const service of services) this.#state.addService(service, [], false, nowMs);
    for (const check of checks) {
      const error = this.#state.addCheck(check, nowMs);
      if (error === null) this.#probes.start(check.check.checkId, check.plan);
      else this.#options.log.write("warn", `agent: a check of before the restart is left out: check=${check.check.checkId} error=${JSON.stringify(error)}`);
    }
    this.#options.log.write("info", "agent: started state syncer");
    this.#server.onLeader = () => this.#look();
    this.#look();
    this.#armWake();
  }

  /** A TTL check goes on with what it was told last, if that still counts; its time begins anew. */
  async #resumed(local: LocalCheck): Promise<LocalCheck> {
    const { check, plan } = local;
    const told = plan.kind === "ttl" && this.#state.check(check.checkId) === null ? await this.#checkStates.read(check.checkId) : null;
    return told === null ? local : { plan, check: { ...check, status: told.status, output: told.output } };
  }

  /** Resolves once all that checks were told is on disk. */
  kept(): Promise<void> {
    return this.#checkStates.idle();
  }

  stop(): void {
    this.#stopped = true;
    this.#probes.stop();
    if (this.#lookTimer !== null) clearTimeout(this.#lookTimer);
    if (this.#wakeTimer !== null) clearTimeout(this.#wakeTimer);
  }

  // What HTTP asks for.

  services(): ReadonlyMap<string, NodeService> {
    return this.#state.services();
  }

  checks(): ReadonlyMap<string, LocalCheck> {
    return this.#state.checks();
  }

  service(id: string): NodeService | null {
    return this.#state.service(id);
  }

  check(id: string): LocalCheck | null {
    return this.#state.check(id);
  }

  checksOf(serviceId: string): readonly HealthCheck[] {
    return this.#state.checksOf(serviceId);
  }

  async addService(service: NodeService, given: readonly LocalCheck[], replace: boolean): Promise<void> {
    await this.#store.putService(service);
    const checks: LocalCheck[] = [];
    for (const check of given) {
      await this.#store.putCheck(check);
      checks.push(await this.#resumed(check));
    }
    const dropped = this.#state.addService(service, checks, replace, monotonicMs());
    await Promise.all(dropped.map((id) => this.#forgetCheck(id)));
    for (const { check, plan } of checks) this.#probes.start(check.checkId, plan);
    this.#notify(service.id);
    await this.#changed();
  }

  async removeService(id: string): Promise<void> {
    const checks = this.#state.removeService(id);
    if (checks === null) return;
    await this.#forgetService({ service: id, checks });
    await this.#changed();
  }

  async #forgetService({ service, checks }: GivenUp): Promise<void> {
    await Promise.all([this.#store.dropService(service), ...checks.map((id) => this.#forgetCheck(id))]);
    this.#notify(service);
  }

  async #forgetCheck(id: string): Promise<void> {
    // In the turn in which the check went: what a new one of this id is told is not lost.
    this.#checkStates.drop(id);
    await this.#store.dropCheck(id);
    await this.#checkStates.kept(id);
  }

  async addCheck(check: LocalCheck): Promise<string | null> {
    const { serviceId, checkId } = check.check;
    if (serviceId !== "" && this.#state.service(serviceId) === null) return `ServiceID ${JSON.stringify(serviceId)} does not exist`;
    await this.#store.putCheck(check);
    const error = this.#state.addCheck(await this.#resumed(check), monotonicMs());
    if (error !== null) return error;
    this.#probes.start(checkId, check.plan);
    await this.#changed();
    return null;
  }

  async removeCheck(id: string): Promise<void> {
    if (!this.#state.removeCheck(id)) return;
    await this.#forgetCheck(id);
    await this.#changed();
  }

  async updateTtl(id: string, status: string, output: string): Promise<boolean> {
    const before = this.#state.check(id)?.check.status;
    if (!this.#state.updateTtl(id, status, output, monotonicMs())) return false;
    const kept = this.#keepState(id, before);
    await this.#changed();
    const error = await kept;
    if (error !== null) throw error;
    return true;
  }

  /** A changed status is kept before it is acknowledged; a beat is not waited for, see `CheckStates`. */
  async #keepState(id: string, before: string | undefined): Promise<Error | null> {
    const local = this.#state.check(id);
    if (local === null) return null;
    this.#checkStates.put(id, local.check, local.plan.ttlMs);
    if (local.check.status === before) return null;
    return this.#checkStates.kept(id).then(() => null, (error: Error) => new Error(`failed persisting state for check ${goQuote(id)}: ${error.message}`));
  }

  changed(serviceId: string, waitMs: number): Promise<void> {
    return new Promise((resolve) => {
      const watchers = this.#watchers.get(serviceId) ?? new Set<() => void>();
      this.#watchers.set(serviceId, watchers);
      const done = (): void => {
        clearTimeout(timer);
        watchers.delete(done);
        if (watchers.size === 0 && this.#watchers.get(serviceId) === watchers) this.#watchers.delete(serviceId);
        resolve();
      };
      const timer = setTimeout(done, waitMs).unref();
      watchers.add(done);
    });
  }

  #notify(serviceId: string): void {
    for (const done of [...(this.#watchers.get(serviceId) ?? [])]) done();
  }

  // Telling the catalog.

  #changed(): Promise<void> {
    this.#armWake();
    return this.#tell();
  }

  /** Tells all that is not known yet. What changes during a round goes into the next, which all who wait share. */
  #tell(): Promise<void> {
    if (this.#stopped) return Promise.resolve();
    if (this.#round === null) {
      this.#round = this.#oneRound().finally(() => (this.#round = null));
      return this.#round;
    }
    this.#nextRound ??= this.#round.then(() => {
      this.#nextRound = null;
      return this.#tell();
    });
    return this.#nextRound;
  }

  async #oneRound(): Promise<void> {
    const told = await Promise.all(this.#state.changes().map((op) => this.#send(op)));
    if (told.includes(false)) this.#again(FAILED_RETRY_MS);
  }

  async #send(op: SyncOp): Promise<boolean> {
    const outcome = await this.#sendTo(op);
    const { log } = this.#options;
    if (outcome.ok) {
      this.#state.done(op);
      log.write("info", `agent: ${SAID[op.kind]}=${op.id}`);
    } else log.write("warn", `agent: the catalog was not told: ${SAID[op.kind]}=${op.id} error=${JSON.stringify(outcome.error)}`);
    return outcome.ok;
  }

  #sendTo(op: SyncOp): Promise<Outcome<null>> {
    const { datacenter, nodeName } = this.#options;
    switch (op.kind) {
      case "dropService":
        return this.#call("Catalog.Deregister", { datacenter, node: nodeName, serviceId: op.id, checkId: "", token: "" });
      case "dropCheck":
        return this.#call("Catalog.Deregister", { datacenter, node: nodeName, serviceId: "", checkId: op.id, token: "" });
      case "putService":
        return this.#call("Catalog.Register", { ...this.#node, service: op.service, checks: op.checks.map(({ check }) => check), skipNodeUpdate: this.#nodeKnown });
      case "putCheck":
        return this.#call("Catalog.Register", { ...this.#node, service: op.service, checks: [op.check], skipNodeUpdate: this.#nodeKnown });
    }
  }

  #call<M extends RpcMethod>(method: M, args: RpcMethods[M]["args"]): Promise<Outcome<RpcMethods[M]["reply"]>> {
    // The server answers a method with that method's reply.
    return new Promise((resolve) => void this.#server.driver.call(method, args, (outcome) => resolve(outcome as Outcome<RpcMethods[M]["reply"]>)));
  }

  // Comparing with the catalog.

  #again(delayMs: number): void {
    if (this.#stopped) return;
    if (this.#lookTimer !== null) clearTimeout(this.#lookTimer);
    this.#lookTimer = setTimeout(() => this.#look(), delayMs).unref();
  }

  #look(): void {
    this.#again(INTERVAL_MS + Math.random() * INTERVAL_MS);
    if (this.#server.driver.leader !== null) void this.#compare();
  }

  async #compare(): Promise<void> {
    const { datacenter, nodeName } = this.#options;
    const args = { datacenter, node: nodeName, options: READ };
    const { generation } = this.#state;
    const [node, checks] = (await Promise.all([this.#call("Catalog.NodeServices", args), this.#call("Health.NodeChecks", args)])) as readonly [
      Outcome<Queried<NodeWithServices | null>>, Outcome<Queried<readonly HealthCheck[]>>,
    ];
    if (!node.ok || !checks.ok) {
      this.#again(RETRY_MS);
      return;
    }
    this.#nodeKnown = node.value.value !== null && isOwnNode(node.value.value.node, this.#node);
    if (!this.#nodeKnown) await this.#registerNode();
    await this.#tell();
    // What has changed since the catalog was read cannot be compared with it.
    if (this.#state.generation !== generation) {
      this.#again(RETRY_MS);
      return;
    }
    this.#state.compare(node.value.value?.services ?? [], checks.value.value);
    await this.#tell();
  }

  async #registerNode(): Promise<void> {
    if (this.#stopped) return;
    const outcome = await this.#call("Catalog.Register", this.#node);
    if (outcome.ok) {
      this.#nodeKnown = true;
      this.#options.log.write("info", "agent: Synced node info");
    } else {
      this.#options.log.write("warn", `agent: Syncing node info failed: error=${JSON.stringify(outcome.error)}`);
      this.#again(RETRY_MS);
    }
  }

  /** What was given up does not come back with a restart. */
  async #giveUp(gone: readonly GivenUp[]): Promise<void> {
    for (const one of gone) {
      const error = await this.#forgetService(one).then(() => null, (reason: unknown) => (reason instanceof Error ? reason.message : String(reason)));
      if (error !== null) this.#options.log.write("warn", `agent: a service that was given up stays on disk: service=${one.service} error=${JSON.stringify(error)}`);
    }
  }

  #armWake(): void {
    if (this.#wakeTimer !== null) clearTimeout(this.#wakeTimer);
    const atMs = this.#state.wakeAtMs;
    if (this.#stopped || atMs === Infinity) return;
    this.#wakeTimer = setTimeout(() => {
      void this.#giveUp(this.#state.wake(monotonicMs()));
      void this.#changed();
    }, Math.min(TIMER_MAX_MS, Math.max(0, Math.ceil(atMs - monotonicMs())))).unref();
  }
}

const SAID: Readonly<Record<SyncOp["kind"], string>> = {
  dropService: "Deregistered service: service", dropCheck: "Deregistered check: check", putService: "Synced service: service", putCheck: "Synced check: check",
};
