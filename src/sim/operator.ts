/**
 * The people and scripts around a simulated cluster: they start and stop processes, give commands, retry joins, answer queries. All that
 * they decide at random comes from the simulation's script source.
 */
import { shuffle, type SeededRandom } from "../base/random.ts";
import { encodeUtf8 } from "../base/utf8.ts";
import type { SerfEvent } from "../serf/types.ts";
import { AdoptedMembers, type AdoptedMember } from "../swim/adopted-members.ts";
import type { Host } from "./host.ts";
import type { Ledger } from "./ledger.ts";
import type { LinkRule } from "./network.ts";
import type { Selector } from "./scenario.ts";
import type { SimMachine } from "./sim-machine.ts";
import type { Simulation, SimObserver } from "./simulation.ts";

/** A join that found nobody is tried again, as with `-retry-join`. */
const JOIN_RETRY_US = 5_000_000;
/** A process that came back with its snapshot and found nobody by itself is helped after this time. */
const REJOIN_HELP_US = 30_000_000;
/** So often in a row most others must miss it, when it knows somebody whom it could reach by itself. */
const REJOIN_HELP_MISSED = 4;
/** Half of the handlers answer a query, after a moment. */
const RESPOND_AFTER_US = 2_000;
const CUT_PPM = 1_000_000;

export class Operator implements SimObserver {
  readonly #sim: Simulation;
  readonly #ledger: Ledger;
  readonly #random: SeededRandom;
  readonly #snapshots: boolean;

  /** `snapshots`: processes keep a snapshot file, for scenarios that start some anew. */
  constructor(sim: Simulation, ledger: Ledger, snapshots: boolean) {
    this.#snapshots = snapshots;
    this.#sim = sim;
    this.#ledger = ledger;
    this.#random = sim.scriptRandom;
  }

  select(selector: Selector, from: readonly Host[]): Host[] {
    switch (selector.kind) {
      case "all":
        return [...from];
      case "others":
        return from.filter(({ index }) => index !== 0);
      case "earlier":
        return [];
      case "range":
        return from.filter(({ index }) => index >= selector.first && index <= selector.last);
      case "random":
        return this.#sample(from, selector.count);
      case "share":
        return this.#sample(from, Math.max(1, Math.round((this.#sim.hosts.length * selector.perMille) / 1000)));
    }
  }

  get runningHosts(): Host[] {
    return this.#sim.hosts.filter((host) => host.running && !host.leaving);
  }

  get stoppedHosts(): Host[] {
    return this.#sim.hosts.filter((host) => !host.running);
  }

  #sample(from: readonly Host[], count: number): Host[] {
    return shuffle([...from], this.#random).slice(0, count);
  }

  start(host: Host): void {
    if (host.running) return;
    this.#ledger.noteFault("start", this.#sim.nowUs);
    this.#sim.start(host, this.#snapshots);
    if (host.index === 0) host.joinedAtUs = this.#sim.nowUs;
  }

  /** Starts all processes as members of long standing: each knows each. */
  startConverged(): void {
    const machines: SimMachine[] = [];
    const members: AdoptedMember[] = [];
    for (const host of this.#sim.hosts) {
      this.#sim.start(host, this.#snapshots);
      host.joinedAtUs = this.#sim.nowUs;
      const { machine, elsewhere } = host;
      if (machine !== null) machines.push(machine);
      const member = machine?.self ?? elsewhere;
      if (member !== null) members.push(member);
    }
    const adopted = new AdoptedMembers(members);
    for (const machine of machines) machine.adopt(adopted);
  }

  /** Joins one node of `to`, until it worked or the process is gone. */
  join(host: Host, to: Selector): void {
    const target = to.kind === "earlier" ? this.#earlier(host) : this.#sample(this.select(to, this.#members(host)), 1)[0];
    if (!host.running || host.leaving) return;
    const { run } = host;
    const retry = (): void => this.#sim.after(JOIN_RETRY_US, () => host.run === run && this.join(host, to));
    if (target === undefined) return retry();
    const targets = [{ name: "", to: target.endpoint }];
    this.#sim.command(
      host,
      (request) => ({ kind: "join", request, targets, ignoreOld: true, errors: [] }),
      (effect) => {
        if (effect.kind !== "reply") return;
        if (effect.errors.length > 0) return retry();
        host.joinedAtUs = this.#sim.nowUs;
      },
    );
  }

  /** Whom an operator would name to join: nodes in use, not one that has just been started and is alone itself; the first node always. */
  #members(besides: Host): Host[] {
    return this.#sim.hosts.filter((host) => host !== besides && ((host.running && !host.leaving && host.joinedAtUs >= 0) || host.index === 0));
  }

  #earlier(host: Host): Host | undefined {
    return host.index === 0 ? undefined : this.#sim.hosts[this.#random.below(host.index)];
  }

  /** Starts a process that ended. Without its snapshot it is told whom to join. */
  restart(host: Host, snapshot: boolean): void {
    if (host.running) return;
    this.#ledger.noteFault("restart", this.#sim.nowUs);
    if (!snapshot) host.disk.erase();
    this.#sim.start(host, this.#snapshots);
    if (!snapshot) this.join(host, { kind: "random", count: 1 });
    this.#help(host, host.run, 0, snapshot);
  }

  /**
   * Looks after a process that was started again. With its snapshot: one that left before, or lost its lines with the power, knows nobody, or only others
   * in the same situation. Without: it may have joined one that was alone itself and left since. Its own attempts and those of the others come first: it
   * is told whom to join once most of them have not shown it for two minutes; at once if there is nobody whom it could try.
   */
  #help(host: Host, run: number, missed: number, snapshot: boolean): void {
    this.#sim.after(REJOIN_HELP_US, () => {
      if (host.run !== run || !host.running || host.leaving) return;
      // Its first join is still being tried.
      if (!snapshot && host.joinedAtUs < 0) return this.#help(host, run, 0, snapshot);
      const isAlone = host.machine?.view.members().every(({ name, status }) => name === host.name || (status !== "alive" && status !== "failed")) ?? false;
      const others = this.runningHosts.filter((other) => other !== host);
      const shown = others.filter((other) => other.machine?.view.gauges.table.stateOf(host.name) === "alive").length;
      const missedNow = 2 * shown >= others.length ? 0 : missed + 1;
      if (isAlone || missedNow >= REJOIN_HELP_MISSED) this.join(host, { kind: "random", count: 1 });
      this.#help(host, run, missedNow, snapshot);
    });
  }

  leave(host: Host): void {
    if (!host.running || host.leaving) return;
    host.leaving = true;
    this.#ledger.noteFault("leave", this.#sim.nowUs);
    this.#ledger.leaveRun[host.index] = host.run;
    this.#sim.command(
      host,
      (request) => ({ kind: "leave", request }),
      (effect) => {
        if (effect.kind !== "reply") return;
        host.left = true;
        this.#sim.stop(host, false);
      },
    );
  }

  kill(host: Host, power: boolean): void {
    this.#ledger.noteFault(power ? "power off" : "kill", this.#sim.nowUs);
    this.#sim.stop(host, power);
  }

  pause(host: Host, forUs: number): void {
    this.#ledger.noteFault("pause", this.#sim.nowUs, forUs);
    this.#sim.stall(host, this.#sim.nowUs + forUs);
  }

  /** The disk of the machine stands still; a later stall may make it longer, not shorter. */
  stallDisk(host: Host, forUs: number): void {
    const untilUs = this.#sim.nowUs + forUs;
    this.#ledger.noteFault("disk stall", this.#sim.nowUs, forUs);
    host.diskStalledUntilUs = Math.max(host.diskStalledUntilUs, untilUs);
    host.disk.stall();
    this.#sim.after(forUs, () => {
      if (this.#sim.nowUs >= host.diskStalledUntilUs) host.disk.resume();
    });
  }

  sendEvent(host: Host, bytes: number): void {
    if (!host.running || host.leaving) return;
    const { name } = this.#ledger.sendEvent(host, this.#sim.nowUs);
    const payload = new Uint8Array(bytes).fill(0x78);
    this.#sim.command(host, (request) => ({ kind: "userEvent", request, name, payload, coalesce: false }));
  }

  sendQuery(host: Host): void {
    if (!host.running || host.leaving) return;
    const name = this.#ledger.sendQuery();
    const params = { filterNodes: [], filterTags: new Map<string, string>(), requestAck: true, relayFactor: this.#random.below(3), timeoutMs: 0 };
    const answered = new Set<string>();
    this.#sim.command(
      host,
      (request) => ({ kind: "query", request, name, payload: null, params }),
      (effect) => {
        if (effect.kind !== "queryAck" && effect.kind !== "queryResponse") return;
        const key = `${effect.kind} ${effect.from}`;
        if (answered.has(key)) this.#sim.violate("once", `${host.name} got a second ${effect.kind} of ${effect.from} to ${name}`);
        answered.add(key);
        if (effect.kind === "queryAck") this.#ledger.queryAcks += 1;
        else this.#ledger.queryResponses += 1;
      },
    );
  }

  changeTags(host: Host): void {
    if (!host.running || host.leaving) return;
    const tags = new Map([["version", `${this.#random.below(1_000)}`]]);
    host.tags = tags;
    this.#sim.command(host, (request) => ({ kind: "setTags", request, tags }));
  }

  /** Adds a rule for `forUs`. */
  disturb(from: readonly Host[], to: readonly Host[], lossPpm: number, delayUs: number, forUs: number): void {
    this.#ledger.noteFault("link disturbed", this.#sim.nowUs, forUs);
    this.#addRule(from, to, lossPpm, delayUs, forUs);
  }

  #addRule(from: readonly Host[], to: readonly Host[], lossPpm: number, delayUs: number, forUs: number): void {
    const rule: LinkRule = { from: this.#mask(from), to: this.#mask(to), lossPpm, delayUs };
    this.#sim.network.addRule(rule);
    this.#sim.after(forUs, () => {
      this.#sim.network.removeRule(rule);
      this.#ledger.disturbedUntilUs = this.#sim.nowUs;
    });
  }

  /** Splits the hosts in groups of (nearly) equal size that hear nothing of each other. */
  partition(groupCount: number, forUs: number): void {
    this.#ledger.noteFault("partition", this.#sim.nowUs, forUs);
    const order = shuffle([...this.#sim.hosts], this.#random);
    for (let group = 0; group < groupCount; group += 1) {
      const inside = order.filter((_, i) => i % groupCount === group);
      const outside = order.filter((_, i) => i % groupCount !== group);
      this.#addRule(inside, outside, CUT_PPM, 0, forUs);
    }
  }

  /** Nothing passes between the network's zones. */
  cutZones(forUs: number): void {
    this.#ledger.noteFault("zone cut", this.#sim.nowUs, forUs);
    const { zones } = this.#sim.network.config;
    for (let zone = 0; zone < zones; zone += 1) {
      const inside = this.#sim.hosts.filter(({ index }) => index % zones === zone);
      const outside = this.#sim.hosts.filter(({ index }) => index % zones !== zone);
      this.#addRule(inside, outside, CUT_PPM, 0, forUs);
    }
  }

  #mask(hosts: readonly Host[]): Uint8Array {
    const mask = new Uint8Array(this.#sim.hosts.length);
    for (const { index } of hosts) mask[index] = 1;
    return mask;
  }

  delivered(node: number, event: SerfEvent): void {
    if (event.kind === "query" && this.#random.below(2) !== 0) this.#respondSoon(this.#sim.hosts[node] as Host, event.token);
  }

  /** Apart from `delivered`, which would make an object for what this knows in each of its calls. */
  #respondSoon(host: Host, token: number): void {
    const { run } = host;
    this.#sim.after(RESPOND_AFTER_US, () => {
      if (host.run !== run) return;
      this.#sim.command(host, (request) => ({ kind: "respond", request, token, payload: encodeUtf8(host.name) }));
    });
  }
}
