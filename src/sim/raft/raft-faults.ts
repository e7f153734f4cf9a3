/** What goes wrong in the Raft simulation, drawn from the seed: stretches of faults, each followed by a calm one in which the cluster must recover. */
import { chance, type SeededRandom } from "../../base/random.ts";
import type { ConfigurationCommand } from "../../raft/types.ts";
import { FigureEight } from "./raft-figure-eight.ts";
import { putCommand } from "./kv.ts";
import type { RaftServer } from "./raft-server.ts";
import type { RaftSimulation } from "./raft-simulation.ts";

const SECOND_US = 1_000_000;

export class RaftFaults {
  readonly #sim: RaftSimulation;
  readonly #random: SeededRandom;
  readonly #figureEight: FigureEight;
  #untilUs = 0;
  #fragileUntilUs = 0;

  constructor(sim: RaftSimulation, random: SeededRandom) {
    this.#sim = sim;
    this.#random = random;
    this.#figureEight = new FigureEight(sim, random);
    sim.onApplied = (server) => this.#figureEight.applied(server);
    sim.onVote = ({ node }) => this.#mayDie(node, 1, 3000);
  }

  elected(server: RaftServer): void {
    const { node } = server;
    this.#figureEight.elected(server);
    this.#mayDie(node, 1 + this.#random.below(20_000), 500_000);
  }

  #mayDie(node: number, afterUs: number, deadUsMax: number): void {
    if (this.#sim.nowUs >= this.#fragileUntilUs || chance(this.#random, 1, 2)) return;
    this.#sim.at(this.#sim.nowUs + afterUs, () => {
      this.#sim.kill(node);
      this.#sim.at(this.#sim.nowUs + this.#random.below(deadUsMax), () => this.#sim.start(node));
    });
  }

  /** Faults until `untilUs`; afterwards `calm`. */
  play(untilUs: number): void {
    this.#untilUs = untilUs;
    this.#next();
  }

  /** Everything works again. */
  calm(): void {
    const { servers, network, nowUs } = this.#sim;
    network.heal();
    for (const server of servers) {
      server.disk.full = false;
      server.stalledUntilUs = Math.min(server.stalledUntilUs, nowUs);
      server.pausedUntilUs = Math.min(server.pausedUntilUs, nowUs);
      this.#sim.start(server.node);
    }
  }

  #next(): void {
    this.#sim.at(this.#sim.nowUs + this.#random.below(20 * SECOND_US), () => {
      if (this.#sim.nowUs >= this.#untilUs) return;
      this.#fault();
      this.#next();
    });
  }

  #anyone(): number {
    return this.#random.below(this.#sim.servers.length);
  }

  /** Somebody who believes to lead, else anybody. */
  #leader(): number {
    const leaders = this.#sim.servers.filter((server) => server.raft?.status(0).role === "leader");
    return leaders.length === 0 ? this.#anyone() : (leaders[this.#random.below(leaders.length)] as { node: number }).node;
  }

  #someone(): number {
    return chance(this.#random, 1, 2) ? this.#leader() : this.#anyone();
  }

  /** In µs; never beyond the calm, whose beginning undoes everything. */
  #for(secondsMax: number): number {
    return Math.min(this.#untilUs, this.#sim.nowUs + this.#random.below(secondsMax * SECOND_US));
  }

  #fault(): void {
    const { network, servers } = this.#sim;
    const { weather } = network;
    switch (this.#random.below(21)) {
      case 0:
      case 1:
        return this.#killFor(this.#someone(), chance(this.#random, 1, 3) ? 1 : 60);
      case 2:
        return this.#killFor(this.#leader(), 30);
      case 3:
        return this.#isolate(this.#someone());
      case 4:
        return this.#partition();
      case 5: {
        // One direction between two servers.
        network.cut(this.#someone(), this.#anyone());
        return;
      }
      case 6:
        weather.lossPerMille = this.#random.below(200);
        this.#sim.at(this.#for(60), () => (weather.lossPerMille = 0));
        return;
      case 7:
        weather.delaySpreadUs = this.#random.below(200_000);
        weather.spikePerMille = this.#random.below(100);
        weather.spikeUs = 1 + this.#random.below(8 * SECOND_US);
        this.#sim.at(this.#for(60), () => {
          weather.delaySpreadUs = 800;
          weather.spikePerMille = 0;
        });
        return;
      case 8: {
        const server = this.#sim.server(this.#someone());
        server.stalledUntilUs = this.#for(25);
        return;
      }
      case 9: {
        const server = this.#sim.server(this.#someone());
        server.disk.full = true;
        this.#sim.at(this.#for(60), () => (server.disk.full = false));
        return;
      }
      case 10: {
        const server = this.#sim.server(this.#someone());
        server.pausedUntilUs = this.#for(15);
        return;
      }
      case 11: {
        const node = this.#someone();
        const all = chance(this.#random, 1, 2);
        const other = this.#anyone();
        return this.#sim.closeConnections((from, to) => (from === node || to === node) && (all || from === other || to === other));
      }
      case 12:
        // The power fails, and comes back.
        for (const { node } of servers) this.#killFor(node, 10);
        return;
      case 13:
        return network.heal();
      case 14:
        return this.#change();
      case 15:
        return this.#ask();
      case 16:
        return this.#reject(this.#leader());
      case 17:
      case 18:
        return this.#turmoil();
      case 19:
        // Whoever votes for another, or is elected, may die of it, and comes back at once.
        this.#fragileUntilUs = this.#for(30);
        weather.delaySpreadUs = 1 + this.#random.below(20_000);
        return this.#turmoil();
      case 20:
        return this.#figureEight.play(this.#leader(), this.#untilUs);
    }
  }

  /** Elections, deaths and short cuts in quick succession, while writes are under way: leaders that get only halfway. */
  #turmoil(): void {
    const endUs = this.#for(15);
    const next = (): void => this.#sim.at(this.#sim.nowUs + this.#random.below(400_000), () => {
      if (this.#sim.nowUs >= endUs) return;
      this.#shock();
      next();
    });
    next();
  }

  #shock(): void {
    const { network } = this.#sim;
    switch (this.#random.below(5)) {
      case 0:
        return this.#killFor(this.#leader(), 1);
      case 1:
      case 2:
        return this.#contest(this.#anyone(), this.#anyone());
      case 3:
        network.cut(this.#leader(), this.#anyone());
        return;
      case 4:
        network.heal();
        return this.#sim.propose(this.#leader(), [putCommand(0, -1)], () => {});
    }
  }

  /** Two candidates of one term, who do not hear of each other. */
  #contest(first: number, second: number): void {
    this.#sim.network.cut(first, second);
    this.#sim.network.cut(second, first);
    this.#sim.timeoutNow(first);
    this.#sim.at(this.#sim.nowUs + this.#random.below(20_000), () => this.#sim.timeoutNow(second));
  }

  #killFor(node: number, secondsMax: number): void {
    this.#sim.kill(node);
    this.#sim.at(this.#for(secondsMax), () => this.#sim.start(node));
  }

  #isolate(node: number): void {
    for (const { node: other } of this.#sim.servers) {
      this.#sim.network.cut(node, other);
      this.#sim.network.cut(other, node);
    }
    this.#healLater();
  }

  /** A firewall falls shut in front of a server: the others' connections to it break and new ones are refused, and it is told nothing. */
  #reject(node: number): void {
    const { network } = this.#sim;
    this.#sim.breakFor(node);
    network.rejecting.add(node);
    this.#sim.at(this.#for(60), () => network.heal());
  }

  #partition(): void {
    const sides = this.#sim.servers.map(() => chance(this.#random, 1, 2));
    for (const [from, a] of sides.entries()) for (const [to, b] of sides.entries()) if (a !== b) this.#sim.network.cut(from, to);
    this.#healLater();
  }

  #healLater(): void {
    this.#sim.at(this.#for(60), () => this.#sim.network.heal());
  }

  /** The operator changes the configuration. */
  #change(): void {
    const leader = this.#leader();
    const voters = this.#sim.safety.voters.length;
    const server = this.#sim.server(this.#anyone());
    const { id, address } = server;
    const shrink: readonly ConfigurationCommand[] = [{ kind: "demoteVoter", id }, { kind: "removeServer", id }];
    const grow: readonly ConfigurationCommand[] = [{ kind: "addVoter", id, address }, { kind: "addNonvoter", id, address }];
    const choices = voters > 3 && chance(this.#random, 1, 3) ? shrink : grow;
    const command = choices[this.#random.below(choices.length)] as ConfigurationCommand;
    this.#sim.command(leader, (request) => ({ kind: "changeConfiguration", request, command, prevIndex: 0 }), () => {});
  }

  #ask(): void {
    const to = chance(this.#random, 1, 2) ? null : this.#sim.server(this.#anyone()).id;
    if (chance(this.#random, 1, 2)) this.#sim.command(this.#leader(), (request) => ({ kind: "transferLeadership", request, to }), () => {});
    else this.#sim.command(this.#anyone(), (request) => ({ kind: "snapshot", request }), () => {});
  }
}
