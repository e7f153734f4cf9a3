/** `/v1/coordinate` (reference: consul-agent §2.7). */
import type { NodeCoordinate } from "../../wire/coordinate-command.ts";
import { jsonAnswer, refuse, textAnswer } from "./answers.ts";
import { decodeBody, GO_FLOAT64, GO_STRING, goList, goStruct, type DecodedStruct } from "./go-decode.ts";
import type { Json } from "./json.ts";
import { datacenterOf, nodesArgsOf, type Parsed } from "./parsed.ts";
import { FAILED_META, metaHeaders, readOptions } from "./read-options.ts";
import { callOrFail, callServer } from "./rpc-plan.ts";
import type { HttpPlan } from "./types.ts";

const COORDINATE = goStruct("coordinate.Coordinate", { Vec: goList(GO_FLOAT64), Error: GO_FLOAT64, Adjustment: GO_FLOAT64, Height: GO_FLOAT64 }, true);
const UPDATE = goStruct("structs.CoordinateUpdateRequest", { Datacenter: GO_STRING, Node: GO_STRING, Segment: GO_STRING, Coord: COORDINATE, Token: GO_STRING }, true);

function shape({ node, segment, coord }: NodeCoordinate): Json {
  return { Node: node, Segment: segment, Coord: { Vec: coord.vec, Error: coord.error, Adjustment: coord.adjustment, Height: coord.height } };
}

export function handleCoordinateDatacenters(parsed: Parsed): HttpPlan {
  return callOrFail("Coordinate.ListDatacenters", { datacenter: parsed.context.datacenter }, (datacenters) =>
    jsonAnswer(datacenters.map(({ datacenter, areaId, coordinates }) => ({ Datacenter: datacenter, AreaID: areaId, Coordinates: coordinates.map(shape) })), parsed.pretty));
}

/** A segment that is asked for must match, also the empty one. */
function inSegment(parsed: Parsed): (row: NodeCoordinate) => boolean {
  const segment = parsed.query.get("segment");
  return parsed.query.has("segment") ? (row) => row.segment === segment : () => true;
}

export function handleCoordinateNodes(parsed: Parsed): HttpPlan {
  const read = readOptions(parsed.request, parsed.query);
  if (!read.ok) return refuse(400, read.error);
  return callServer("Coordinate.ListNodes", nodesArgsOf(parsed, read.options), (outcome) => {
    if (!outcome.ok) return textAnswer(500, outcome.error, metaHeaders(FAILED_META));
    return jsonAnswer(outcome.value.value.filter(inSegment(parsed)).map(shape), parsed.pretty, metaHeaders(outcome.value.meta));
  });
}

export function handleCoordinateNode(parsed: Parsed): HttpPlan {
  const read = readOptions(parsed.request, parsed.query);
  if (!read.ok) return refuse(400, read.error);
  return callServer("Coordinate.Node", { datacenter: datacenterOf(parsed), node: parsed.rest, options: read.options }, (outcome) => {
    if (!outcome.ok) return textAnswer(500, outcome.error, metaHeaders(FAILED_META));
    const rows = outcome.value.value.filter(inSegment(parsed));
    return rows.length === 0 ? textAnswer(404, "") : jsonAnswer(rows.map(shape), parsed.pretty, metaHeaders(outcome.value.meta));
  });
}

export function handleCoordinateUpdate(parsed: Parsed): HttpPlan {
  const decoded = decodeBody(parsed.request.body, UPDATE);
  if (!decoded.ok) return refuse(400, `Request decode failed: ${decoded.error}`);
  const body = (decoded.value ?? {}) as DecodedStruct;
  const coord = body["Coord"] as DecodedStruct | undefined;
  // The original breaks the connection off here.
  if (coord === undefined) return refuse(400, "Request decode failed: missing Coord");
  const datacenter = text(body, "Datacenter") || datacenterOf(parsed);
  const vec = (coord["Vec"] as readonly number[] | undefined) ?? [];
  const args = {
    datacenter, node: text(body, "Node"), segment: text(body, "Segment"),
    coord: { vec, error: number(coord, "Error"), adjustment: number(coord, "Adjustment"), height: number(coord, "Height") },
  };
  return callOrFail("Coordinate.Update", args, () => textAnswer(200, ""));
}

function text(body: DecodedStruct, name: string): string {
  const value = body[name];
  return typeof value === "string" ? value : "";
}

function number(body: DecodedStruct, name: string): number {
  const value = body[name];
  return typeof value === "number" ? value : 0;
}
