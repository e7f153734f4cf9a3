import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { test } from "node:test";
import { SHARED_READ_BYTES, SharedReads } from "../../src/io/shared-reads.ts";
import { withoutSharedReads } from "../support/without-shared-reads.ts";
import type { Cleanup } from "../support/temp-dir.ts";

const HIGH_WATER_MARK = 65_536;

interface Served {
  readonly socket: Socket;
  /** Copies of what was read. */
  readonly chunks: Buffer[];
  /** Buffers in which it came. */
  readonly memory: Set<ArrayBufferLike>;
}

/** A client, and its connection on the server's side. */
interface Pair {
  readonly client: Socket;
  readonly served: Served;
}

interface Bench {
  readonly server: Server;
  open(): Promise<Pair>;
}

async function bench(t: Cleanup): Promise<Bench> {
  const reads = new SharedReads();
  const served: Served[] = [];
  const server = createServer({ pauseOnConnect: true, highWaterMark: HIGH_WATER_MARK }, (accepted) => {
    const chunks: Buffer[] = [];
    const memory = new Set<ArrayBufferLike>();
    const socket = reads.read(accepted, HIGH_WATER_MARK, (bytes) => {
      chunks.push(Buffer.from(bytes));
      memory.add(bytes.buffer);
    });
    served.push({ socket, chunks, memory });
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  t.after(() => void server.close());
  const { port } = server.address() as AddressInfo;
  return {
    server,
    async open() {
      const client = connect(port, "127.0.0.1");
      await Promise.all([once(client, "connect"), once(server, "connection")]);
      t.after(() => void client.destroy());
      const last = served.at(-1) as Served;
      t.after(() => void last.socket.destroy());
      return { client, served: last };
    },
  };
}

function bytesOf({ chunks }: Served): number {
  return chunks.reduce((sum, chunk) => sum + chunk.length, 0);
}

function connectionCount(server: Server): Promise<number> {
  return new Promise((resolve, reject) => server.getConnections((error, count) => (error === null ? resolve(count) : reject(error))));
}


for (const shared of [true, false]) {
  const how = shared ? "shared memory" : "memory of their own, where Node cannot share";

  test(`reads into ${how}: in order, of any size, also when paused`, async (t) => {
    if (!shared) await withoutSharedReads(t);
    const b = await bench(t);
    const pairs = [await b.open(), await b.open()];
    const sent = pairs.map((_, n) => Buffer.from(Array.from({ length: 3 * SHARED_READ_BYTES + 7 }, (_, i) => (i * 31 + n) % 251)));
    pairs[0]?.served.socket.pause();
    for (const [n, { client }] of pairs.entries()) {
      client.write((sent[n] as Buffer).subarray(0, 5));
      client.end((sent[n] as Buffer).subarray(5));
    }
    await once(pairs[1]?.served.socket as Socket, "end");
    assert.equal(bytesOf(pairs[0]?.served as Served), 0, "nothing is read while paused");
    pairs[0]?.served.socket.resume();
    await once(pairs[0]?.served.socket as Socket, "end");
    for (const [n, { served }] of pairs.entries()) assert.deepEqual(Buffer.concat(served.chunks), sent[n]);
    const memory = new Set(pairs.flatMap(({ served }) => [...served.memory]));
    if (shared) assert.equal(memory.size, 1);
    else assert.ok(memory.size > 1);
  });

  test(`reads into ${how}: the server counts a connection until it is closed, by whichever side`, async (t) => {
    if (!shared) await withoutSharedReads(t);
    const b = await bench(t);
    const pairs = [await b.open(), await b.open(), await b.open()];
    assert.equal(await connectionCount(b.server), 3);
    const [left, reset, destroyed] = pairs as [Pair, Pair, Pair];
    assert.equal(left.served.socket.remotePort, left.client.localPort);
    const closed = pairs.map(({ served: { socket } }) => new Promise((resolve) => void socket.on("error", () => undefined).on("close", resolve)));
    left.client.end();
    reset.client.resetAndDestroy();
    destroyed.served.socket.destroy();
    await Promise.all(closed);
    await new Promise((resolve) => b.server.close(resolve));
    assert.equal(await connectionCount(b.server), 0);
  });

  test(`reads into ${how}: what is written arrives, with 'drain' once it has left`, async (t) => {
    if (!shared) await withoutSharedReads(t);
    const { client, served } = await (await bench(t)).open();
    const piece = Buffer.alloc(HIGH_WATER_MARK, 7);
    let written = 0;
    do written += piece.length;
    while (served.socket.write(piece));
    // The client does not read before this.
    const drained = once(served.socket, "drain");
    let received = 0;
    client.on("data", (chunk) => (received += chunk.length));
    await drained;
    served.socket.end();
    await once(client, "end");
    assert.equal(received, written);
  });
}
