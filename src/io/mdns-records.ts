/** The mDNS records of a Serf cluster: what a member answers, and what it reads from others' answers (reference §10.5). */
import type { Answer, Question } from "dns-packet";
import { formatEndpoint, ipToBytes, type Endpoint } from "../base/endpoint.ts";

export interface MdnsService {
  readonly cluster: string;
  /** Name of the node: the service's instance. */
  readonly node: string;
  /** Name of the machine. */
  readonly host: string;
  readonly advertise: Endpoint;
}

const TTL_S = 120;
/** Addresses taken from one answer: a real one holds one or two. */
const ADDRESSES_MAX = 16;

export function serviceName(cluster: string): string {
  return `_serf_${cluster}._tcp.local`;
}

/** The answers to one question; none when it is about something else. */
export function answersTo(question: Question, service: MdnsService): Answer[] {
  const name = serviceName(service.cluster);
  const instance = `${service.node}.${name}`;
  const host = service.host;
  const { ip, port } = service.advertise;
  const pointer: Answer = { type: "PTR", name, ttl: TTL_S, data: instance };
  const place: Answer = { type: "SRV", name: instance, ttl: TTL_S, data: { priority: 10, weight: 1, port, target: host } };
  const address: Answer = { type: ip.includes(":") ? "AAAA" : "A", name: host, ttl: TTL_S, data: ip };
  const text: Answer = { type: "TXT", name: instance, ttl: TTL_S, data: [`Serf '${service.cluster}' cluster`] };
  const { type } = question;
  switch (plain(question.name)) {
    case "_services._dns-sd._udp.local":
      return wants(type, "PTR") ? [{ type: "PTR", name: question.name, ttl: TTL_S, data: name }] : [];
    case plain(name):
      return wants(type, "PTR") ? [pointer, place, address, text] : [];
    case plain(instance):
      return [...(wants(type, "SRV") ? [place, address] : []), ...(wants(type, "TXT") ? [text] : [])];
    case plain(host):
      return wants(type, address.type) ? [address] : [];
    default:
      return [];
  }
}

function wants(asked: string, type: string): boolean {
  return asked === type || asked === "ANY";
}

/** Gossip addresses (`ip:port`) of the cluster's members in a response; whatever is incomplete or about something else is passed over. */
export function membersIn(records: readonly Answer[], cluster: string): string[] {
  const suffix = `.${plain(serviceName(cluster))}`;
  const ips = new Map<string, string[]>();
  for (const record of records) {
    if ((record.type !== "A" && record.type !== "AAAA") || ipToBytes(record.data) === null) continue;
    const key = plain(record.name);
    ips.set(key, [...(ips.get(key) ?? []), record.data]);
  }
  const found: string[] = [];
  for (const record of records) {
    if (record.type !== "SRV" || !plain(record.name).endsWith(suffix)) continue;
    const { target, port } = record.data;
    if (port === 0) continue;
    // One address reaches a member; IPv4 is the one every member has.
    const all = ips.get(plain(target)) ?? [];
    const ip = all.find((candidate) => !candidate.includes(":")) ?? all[0];
    if (ip !== undefined && found.length < ADDRESSES_MAX) found.push(formatEndpoint({ ip, port }));
  }
  return found;
}

/** DNS names compare without case; a dot at the end says nothing here. */
function plain(name: string): string {
  return name.replace(/\.$/, "").toLowerCase();
}
