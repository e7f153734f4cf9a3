/** What happens to servers in a night, to one of three at a time: each begins at once, and what it returns ends it. */
import { pause, type Cluster, type Member } from "./failover-cluster.ts";

export type Fault = (cluster: Cluster, victim: Member) => Promise<() => void>;

const FLAPS = 4;
const FLAP_MS = 600;

function others(cluster: Cluster, victim: Member): readonly Member[] {
  return cluster.members.filter((member) => member !== victim);
}

/** What each of `pairs` sends is lost without a word. */
function silenced(cluster: Cluster, pairs: readonly (readonly [from: Member, to: Member])[]): () => void {
  for (const [from, to] of pairs) cluster.silence(from, to);
  return () => {
    for (const [from, to] of pairs) cluster.unsilence(from, to);
  };
}

export const FAULTS: Readonly<Record<string, Fault>> = {
  kill: async (cluster, victim) => {
    await cluster.kill(victim);
    return () => cluster.start(victim);
  },
  /** Two of three, so nobody is left who could decide. */
  "kill two": async (cluster, victim) => {
    const both = [victim, others(cluster, victim)[0] as Member];
    for (const member of both) await cluster.kill(member);
    return () => both.forEach((member) => cluster.start(member));
  },
  pause: async (cluster, victim) => {
    cluster.pause(victim);
    return () => cluster.resume(victim);
  },
  cut: async (cluster, victim) => {
    cluster.cut(victim);
    return () => cluster.heal(victim);
  },
  /** It hears, and is not heard. */
  mute: async (cluster, victim) => silenced(cluster, others(cluster, victim).map((other) => [victim, other])),
  /** It is heard, and does not hear. */
  deaf: async (cluster, victim) => silenced(cluster, others(cluster, victim).map((other) => [other, victim])),
  /** It and one other lose each other; the third one has both. */
  bridge: async (cluster, victim) => {
    const other = others(cluster, victim)[0] as Member;
    return silenced(cluster, [[victim, other], [other, victim]]);
  },
  flap: async (cluster, victim) => {
    for (let i = 0; i < FLAPS; i += 1) {
      cluster.cut(victim);
      await pause(FLAP_MS);
      cluster.heal(victim);
      await pause(FLAP_MS);
    }
    return () => undefined;
  },
};
