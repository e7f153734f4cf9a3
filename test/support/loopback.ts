/**
 * Loopback addresses for the real sockets of one test file. Test files run in processes of their own and several at a time, also from other checkouts on the
 * same machine: the process id picks the network, so that agents of two files never gossip with each other. Ports can then be the usual ones.
 */
const NETWORK = `127.${64 + ((process.pid >>> 8) & 0x7f)}.${process.pid & 0xff}`;
const LAST_HOST = 254;

let host = 0;

/** The next unused address of this process. */
export function nextLoopbackIp(): string {
  host += 1;
  if (host > LAST_HOST) throw new Error("this test file has used up its loopback addresses");
  return `${NETWORK}.${host}`;
}
