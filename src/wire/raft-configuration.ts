/** The configuration of a Raft cluster as the data of a log entry or a snapshot's header: msgpack, old dialect (reference: consul-agent §7.2). */
import { fail, ok, type Result } from "../base/result.ts";
import { Reader, Schema, Writer, structLength } from "./msgpack.ts";
import type { RaftConfiguration, RaftServer, Suffrage } from "./raft-messages.ts";

/** More servers in one configuration are refused: no cluster has them, and a leader keeps state for each. */
export const SERVERS_MAX = 1024;

const configurationSchema = new Schema("Servers");
const serverSchema = new Schema("Suffrage", "ID", "Address");
const suffrages: readonly Suffrage[] = ["voter", "nonvoter", "staging"];

const reader = new Reader();
const writer = new Writer("gossip");

export function encodeConfiguration(configuration: RaftConfiguration): Uint8Array {
  writeConfiguration(writer, configuration);
  return writer.finish();
}

/** Fails on malformed bytes, on bytes behind the value and on two servers with one id or address. */
export function decodeConfiguration(bytes: Uint8Array): Result<RaftConfiguration> {
  reader.reset(bytes);
  const configuration = readConfiguration(reader);
  if (reader.failed || reader.left > 0) return fail("malformed raft configuration");
  return isUnambiguous(configuration.servers) ? ok(configuration) : fail("raft configuration names a server twice");
}

export function writeConfiguration(w: Writer, configuration: RaftConfiguration): void {
  w.mapHead(1).text("Servers").arrayHead(configuration.servers.length);
  for (const { address, id, suffrage } of configuration.servers) {
    w.mapHead(3).text("Address").text(address).text("ID").text(id).text("Suffrage").int(suffrages.indexOf(suffrage));
  }
}

/** For a configuration inside other bytes: look at `r.failed` afterwards. */
export function readConfiguration(r: Reader): RaftConfiguration {
  let servers: readonly RaftServer[] = [];
  const head = r.structHead();
  for (let i = 0; i < structLength(head) && !r.failed; i += 1) {
    if (r.field(configurationSchema, head, i) === 0) servers = readServers(r);
    else r.skip();
  }
  return { servers };
}

function readServers(r: Reader): RaftServer[] {
  const count = r.arrayHead();
  if (count > SERVERS_MAX) r.fail();
  const servers: RaftServer[] = [];
  for (let i = 0; i < count && !r.failed; i += 1) servers.push(readServer(r));
  return servers;
}

function readServer(r: Reader): RaftServer {
  let suffrage: Suffrage = "voter";
  let id = "";
  let address = "";
  const head = r.structHead();
  for (let i = 0; i < structLength(head) && !r.failed; i += 1) {
    switch (r.field(serverSchema, head, i)) {
      case 0:
        suffrage = suffrages[r.uint(suffrages.length - 1)] ?? "voter";
        break;
      case 1:
        id = r.text();
        break;
      case 2:
        address = r.text();
        break;
      default:
        r.skip();
    }
  }
  return { id, address, suffrage };
}

function isUnambiguous(servers: readonly RaftServer[]): boolean {
  const ids = new Set(servers.map((server) => server.id));
  const addresses = new Set(servers.map((server) => server.address));
  return ids.size === servers.length && addresses.size === servers.length;
}
