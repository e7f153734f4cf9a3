/**
 * Sends every datagram back to where it came from and does nothing else: what its peer measures is the machine and the peer. A process of its own, to be killed.
 * Prints `ECHO` when it listens.
 *
 *   node dist/test/load/echo.js OWN_IP
 */
import { createSocket } from "node:dgram";

const GOSSIP_PORT = 7946;

const [ownIp = ""] = process.argv.slice(2);
const socket = createSocket({ type: "udp4", lookup: (host, _options, done) => done(null, host, 4) });
socket.on("message", (packet, { address, port }) => socket.send(packet, port, address));
socket.bind(GOSSIP_PORT, ownIp, () => process.stdout.write("ECHO\n"));
