import { execFileSync } from "node:child_process";

/**
 * Hosts of their own on this machine: each a network namespace with two interfaces. On the first they talk to each other, and each can be taken off it as if its cable
 * were pulled: nothing arrives any more, and nobody is told. On the second the test reaches them all the time, so it can be a client of a host that is cut off.
 */
export interface CutHost {
  /** Of the namespace, for `ip netns exec`. */
  readonly namespace: string;
  /** Among the hosts. */
  readonly ip: string;
  /** Between the test and the host. */
  readonly clientIp: string;
}

/** Interface names have 15 characters at most. */
const TAG_MAX = 1000;
/** Third byte of both networks. */
const NETWORKS = 250;

/** An Ethernet address, locally administered. */
const NOBODY = "02:00:00:00:00:01";

/** The kernel takes a network down after its names are gone: each of a process has names of its own. */
let made = 0;

export class CutNetwork {
  readonly hosts: readonly CutHost[];
  readonly #tag: string;

  /** Throws when this machine does not let us make namespaces. */
  constructor(count: number) {
    made += 1;
    this.#tag = `mu${process.pid % TAG_MAX}n${made}`;
    const net = (process.pid + made) % NETWORKS;
    this.hosts = Array.from({ length: count }, (_, i) => ({ namespace: `${this.#tag}h${i}`, ip: `10.96.${net}.${i + 1}`, clientIp: `10.97.${net}.${i + 1}` }));
    try {
      for (const side of ["p", "c"]) ip(`link add ${this.#tag}${side} type bridge`);
      ip(`addr add 10.97.${net}.254/24 dev ${this.#tag}c`);
      for (const side of ["p", "c"]) ip(`link set ${this.#tag}${side} up`);
      for (const [i, host] of this.hosts.entries()) {
        ip(`netns add ${host.namespace}`);
        ip(`-n ${host.namespace} link set lo up`);
        this.#connect(i, "p", "eth0", host.ip);
        this.#connect(i, "c", "eth1", host.clientIp);
      }
    } catch (error) {
      this.close();
      throw error;
    }
  }

  #connect(i: number, side: string, name: string, address: string): void {
    const { namespace } = this.hosts[i] as CutHost;
    const outer = `${this.#tag}${side}${i}`;
    ip(`link add ${outer} type veth peer name ${name} netns ${namespace}`);
    ip(`link set ${outer} master ${this.#tag}${side}`);
    ip(`link set ${outer} up`);
    ip(`-n ${namespace} addr add ${address}/24 dev ${name}`);
    ip(`-n ${namespace} link set ${name} up`);
  }

  /** From now on nothing passes between this host and the others. */
  cut(i: number): void {
    ip(`link set ${this.#tag}p${i} nomaster`);
  }

  heal(i: number): void {
    ip(`link set ${this.#tag}p${i} master ${this.#tag}p`);
  }

  /** What host `from` sends to host `to` is lost, and nobody is told: it goes to an address that no interface has. */
  silence(from: number, to: number): void {
    const { namespace, peer } = this.#pair(from, to);
    ip(`-n ${namespace} neigh replace ${peer} lladdr ${NOBODY} dev eth0 nud permanent`);
  }

  unsilence(from: number, to: number): void {
    const { namespace, peer } = this.#pair(from, to);
    ip(`-n ${namespace} neigh del ${peer} dev eth0`);
  }

  #pair(from: number, to: number): { readonly namespace: string; readonly peer: string } {
    return { namespace: (this.hosts[from] as CutHost).namespace, peer: (this.hosts[to] as CutHost).ip };
  }

  /** Removes what there is of it, cables first: a namespace may linger with the sockets of its dead. Processes in it should have ended. */
  close(): void {
    const cables = this.hosts.flatMap((_, i) => [`link del ${this.#tag}p${i}`, `link del ${this.#tag}c${i}`]);
    for (const words of [...cables, ...this.hosts.map(({ namespace }) => `netns del ${namespace}`), `link del ${this.#tag}p`, `link del ${this.#tag}c`]) {
      try {
        ip(words);
      } catch {
        // It was never made.
      }
    }
  }
}

function ip(words: string): void {
  execFileSync("ip", words.split(" "), { stdio: ["ignore", "ignore", "pipe"] });
}
