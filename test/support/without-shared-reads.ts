import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import type { Cleanup } from "./temp-dir.ts";

const METHOD = "useUserBuffer";

/** Until the test ends, Node's sockets have no way to read into shared memory: as a Node could be in which that went. */
export async function withoutSharedReads(t: Cleanup): Promise<void> {
  const server = createServer();
  await once(server.listen(0, "127.0.0.1"), "listening");
  const client = connect((server.address() as AddressInfo).port, "127.0.0.1");
  const [accepted] = (await once(server, "connection")) as [Socket & { readonly _handle: object }];
  let owner: object | null = accepted._handle;
  while (owner !== null && !Object.hasOwn(owner, METHOD)) owner = Object.getPrototypeOf(owner) as object | null;
  client.destroy();
  accepted.destroy();
  server.close();
  if (owner === null) return;
  const original = Object.getOwnPropertyDescriptor(owner, METHOD) as PropertyDescriptor;
  Object.defineProperty(owner, METHOD, { ...original, value: undefined });
  t.after(() => void Object.defineProperty(owner, METHOD, original));
}
