/** What a process costs, as Linux tells in /proc. */
import { readdirSync, readFileSync } from "node:fs";
import { ipToBytes, type Endpoint } from "../../src/base/endpoint.ts";

/** USER_HZ: 100 on every architecture Node runs on. One tick of the clock is the resolution of all CPU figures. */
export const CLOCK_TICK_US = 10_000;
const KIB_PER_MIB = 1024;

/** User and system time of a process with all its threads, in µs, by its stat line. */
export function cpuUsOfStat(stat: string): number {
  // The command's name stands in parentheses and may contain anything; fields are counted from behind it.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * CLOCK_TICK_US;
}

/** Resident MiB by the text of a status file; 0 when it has none (a process that is ending). */
export function rssMibOfStatus(status: string): number {
  const match = /^VmRSS:\s+(\d+) kB$/m.exec(status);
  return match === null ? 0 : Number(match[1]) / KIB_PER_MIB;
}

/** Datagrams dropped for lack of buffer at the UDP socket bound to an IPv4 endpoint, by the text of /proc/net/udp; null when there is no such socket. */
export function udpDropsOf(table: string, { ip, port }: Endpoint): number | null {
  const hex = (value: number, digits: number): string => value.toString(16).toUpperCase().padStart(digits, "0");
  const address = [...(ipToBytes(ip) ?? [])].toReversed().map((byte) => hex(byte, 2));
  const local = `${address.join("")}:${hex(port, 4)}`;
  for (const line of table.split("\n")) {
    const fields = line.trim().split(/\s+/);
    if (fields[1] === local) return Number(fields.at(-1));
  }
  return null;
}

export function cpuUs(pid: number): number {
  return cpuUsOfStat(readFileSync(`/proc/${pid}/stat`, "latin1"));
}

/** Resident MiB of a process and all its descendants. Pages they share count several times. */
export function rssMib(pid: number): number {
  return processTree(pid).reduce((sum, each) => sum + rssMibOfStatus(readOr(`/proc/${each}/status`, "")), 0);
}

export function udpDrops(endpoint: Endpoint): number | null {
  return udpDropsOf(readOr("/proc/net/udp", ""), endpoint);
}

function processTree(pid: number): number[] {
  const pids = [pid];
  for (const parent of pids) {
    for (const thread of threadsOf(parent)) {
      const children = readOr(`/proc/${parent}/task/${thread}/children`, "").split(" ");
      pids.push(...children.filter((child) => child !== "").map(Number));
    }
  }
  return pids;
}

function threadsOf(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/task`);
  } catch {
    return []; // It has ended.
  }
}

function readOr(path: string, missing: string): string {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return missing;
  }
}
