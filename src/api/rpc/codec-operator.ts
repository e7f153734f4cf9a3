/** The procedures about coordinates and about the servers themselves (reference: consul-agent §6.4). */
import { autopilotOfRow, encodeAutopilotRequest, readAutopilot, writeAutopilot, type AutopilotSettings } from "../../wire/autopilot-command.ts";
import { readNodeCoordinate, writeNodeCoordinate } from "../../wire/coordinate-command.ts";
import { readCoordinate, writeCoordinate } from "../../wire/serf-coordinate.ts";
import type { Reader, Writer } from "../../wire/msgpack.ts";
import { decodeGoTime, encodeGoTime } from "../../wire/go-time.ts";
import type { WireCoordinate } from "../../wire/serf-messages.ts";
import {
  bool, int, list, nil, nodeArgs, nodesArgs, nothingReply, numberOf, optionFields, OPTION_READS, optionsOf, read, readBool, readInteger, readList, readStruct, readText,
  readUint, SOURCE, struct, text, textOf, type Codec, type Read,
} from "./codec-parts.ts";
import type { ClusterHealth, DatacenterCoordinates, RpcMethods, ServerHealth } from "./types.ts";

/** Never heard of. */
const NO_CONTACT_NS = -1;
const STATUSES: readonly ServerHealth["status"][] = ["none", "alive", "leaving", "left", "failed"];
const NS_PER_MS = 1e6;

/** A read without arguments of its own. */
const plainArgs = {
  writeArgs: (w: Writer, args: RpcMethods["Operator.ServerHealth"]["args"]): void =>
    struct(w, { ...optionFields(args.options), Datacenter: text(args.datacenter), NodeMetaFilters: nil, Source: SOURCE }),
  readArgs: (r: Reader): RpcMethods["Operator.ServerHealth"]["args"] => {
    const found = readStruct(r, OPTION_READS);
    return { datacenter: textOf(found, "Datacenter"), options: optionsOf(found) };
  },
} as const;

const coordinatesReply = {
  valueName: "Coordinates",
  writeValue: (w: Writer, rows: RpcMethods["Coordinate.Node"]["reply"]["value"]) => (rows.length === 0 ? nil : list(rows, writeNodeCoordinate))(w),
  readValue: (r: Reader) => readList(readNodeCoordinate)(r).filter((row) => row !== null),
  empty: [],
} as const;

function writeDatacenter(w: Writer, { datacenter, areaId, coordinates }: DatacenterCoordinates): void {
  struct(w, { AreaID: text(areaId), Coordinates: list(coordinates, writeNodeCoordinate), Datacenter: text(datacenter) });
}

function readDatacenter(r: Reader): DatacenterCoordinates {
  const found = readStruct(r, { AreaID: readText, Coordinates: coordinatesReply.readValue, Datacenter: readText });
  return { datacenter: textOf(found, "Datacenter"), areaId: textOf(found, "AreaID"), coordinates: (found["Coordinates"] as DatacenterCoordinates["coordinates"] | undefined) ?? [] };
}

function writeServerHealth(w: Writer, server: ServerHealth): void {
  struct(w, {
    Address: text(server.address), Healthy: bool(server.healthy), ID: text(server.id),
    LastContact: int(server.lastContactMs === null ? NO_CONTACT_NS : server.lastContactMs * NS_PER_MS), LastIndex: int(server.lastIndex), LastTerm: int(server.lastTerm),
    Leader: bool(server.leader), Name: text(server.name), SerfStatus: int(STATUSES.indexOf(server.status)),
    StableSince: (inner) => void inner.bytes(encodeGoTime(server.stableSinceNs)), Version: text(server.version), Voter: bool(server.voter),
  });
}

const readTime: Read = (r) => decodeGoTime(r.bytes());

function readServerHealth(r: Reader): ServerHealth {
  const found = readStruct(r, {
    Address: readText, Healthy: readBool, ID: readText, LastContact: readInteger, LastIndex: readUint, LastTerm: readUint, Leader: readBool, Name: readText, SerfStatus: readUint,
    StableSince: readTime, Version: readText, Voter: readBool,
  });
  const contact = numberOf(found, "LastContact");
  return {
    id: textOf(found, "ID"), name: textOf(found, "Name"), address: textOf(found, "Address"), status: STATUSES[numberOf(found, "SerfStatus")] ?? "none",
    version: textOf(found, "Version"), leader: found["Leader"] === true, lastContactMs: contact < 0 ? null : contact / NS_PER_MS, lastTerm: numberOf(found, "LastTerm"),
    lastIndex: numberOf(found, "LastIndex"), healthy: found["Healthy"] === true, voter: found["Voter"] === true, stableSinceNs: (found["StableSince"] as bigint | undefined) ?? 0n,
  };
}

type OperatorMethod =
  | "Coordinate.Update" | "Coordinate.ListDatacenters" | "Coordinate.ListNodes" | "Coordinate.Node"
  | "Operator.AutopilotGetConfiguration" | "Operator.AutopilotSetConfiguration" | "Operator.ServerHealth";

export const OPERATOR_CODECS: { readonly [M in OperatorMethod]: Codec<M> } = {
  "Coordinate.Update": {
    writeArgs: (w, { datacenter, node, segment, coord }) =>
      struct(w, { Coord: coord === null ? nil : (inner) => writeCoordinate(inner, coord), Datacenter: text(datacenter), Node: text(node), Segment: text(segment), Token: text("") }),
    readArgs: (r) => {
      const found = readStruct(r, { Datacenter: readText, Node: readText, Segment: readText, Coord: (inner) => (inner.nil() ? null : readCoordinate(inner)) });
      return { datacenter: textOf(found, "Datacenter"), node: textOf(found, "Node"), segment: textOf(found, "Segment"), coord: (found["Coord"] as WireCoordinate | null | undefined) ?? null };
    },
    ...nothingReply,
  },
  "Coordinate.ListDatacenters": {
    // The original asks with an empty struct.
    writeArgs: (w) => struct(w, {}),
    readArgs: (r) => ({ datacenter: textOf(readStruct(r, { Datacenter: readText }), "Datacenter") }),
    writeReply: (w, datacenters) => list(datacenters, writeDatacenter)(w),
    readReply: readList(readDatacenter),
  },
  "Coordinate.ListNodes": read<"Coordinate.ListNodes">({ ...nodesArgs, ...coordinatesReply }),
  "Coordinate.Node": read<"Coordinate.Node">({ ...nodeArgs, ...coordinatesReply }),
  "Operator.AutopilotGetConfiguration": { ...plainArgs, writeReply: writeAutopilot, readReply: readAutopilot },
  "Operator.AutopilotSetConfiguration": {
    writeArgs: (w, request) => void w.raw(encodeAutopilotRequest(request).subarray(1)),
    readArgs: (r) => {
      const found = readStruct(r, { CAS: readBool, Config: readAutopilot, Datacenter: readText, Token: readText });
      return { cas: found["CAS"] === true, config: (found["Config"] as AutopilotSettings | undefined) ?? autopilotOfRow(null), datacenter: textOf(found, "Datacenter"), token: textOf(found, "Token") };
    },
    writeReply: (w, done) => void w.bool(done),
    readReply: (r) => r.bool(),
  },
  "Operator.ServerHealth": {
    ...plainArgs,
    writeReply: (w, { healthy, failureTolerance, servers }) => struct(w, { FailureTolerance: int(failureTolerance), Healthy: bool(healthy), Servers: list(servers, writeServerHealth) }),
    readReply: (r): ClusterHealth => {
      const found = readStruct(r, { FailureTolerance: readUint, Healthy: readBool, Servers: readList(readServerHealth) });
      return { healthy: found["Healthy"] === true, failureTolerance: numberOf(found, "FailureTolerance"), servers: (found["Servers"] as readonly ServerHealth[] | undefined) ?? [] };
    },
  },
};
