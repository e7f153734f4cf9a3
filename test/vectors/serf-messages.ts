/** serf-messages: fields to bytes and back, relays, filters and their evaluation, coordinates in acks. */
import { strict as assert } from "node:assert";
import { toHex } from "../../src/base/bytes.ts";
import { Re2Matcher } from "../../src/io/matcher.ts";
import { decodeFilter, decodeSerfMessage, encodeFilter, encodeRelay, queryConcerns } from "../../src/wire/serf-codec.ts";
import type { QueryFilter } from "../../src/wire/serf-messages.ts";
import { attempt, fieldsOf } from "./compare.ts";
import type { Report } from "./registry.ts";
import { checkCoordinate, checkDecoded, encodeFields, isCanonical } from "./serf-fields.ts";
import { asFields, asList, asNumber, asText, hexBytes, tagBytes, taggedBytes, unwrap, withoutEmptyBytes, type Fields } from "./values.ts";

interface Recording {
  readonly messages: readonly { readonly name: string; readonly type: number; readonly fields: unknown; readonly hex: string }[];
  readonly relay: readonly { readonly destAddr: Fields; readonly destName: string; readonly inner: { readonly type: number; readonly fields: unknown }; readonly hex: string }[];
  readonly filters: readonly { readonly type: number; readonly fields: unknown; readonly hex: string }[];
  readonly filterEvaluation: readonly {
    readonly filters: readonly string[] | null;
    readonly node: string;
    readonly tags: Readonly<Record<string, string>> | null;
    readonly process: boolean;
  }[];
  readonly pingAckPayload: readonly { readonly fields: Fields; readonly hex: string }[];
}

export function checkSerfMessages(data: unknown, report: Report): void {
  const sections = ["messages", "relay", "filters", "filterEvaluation", "pingAckPayload"];
  const { messages, relay, filters, filterEvaluation, pingAckPayload } = fieldsOf<Recording>(data, sections, report);
  for (const { name, type, fields, hex } of messages ?? []) {
    attempt(`decode ${name}`, report, () => checkDecoded(hexBytes(hex), type, fields));
    attempt(`encode ${name}`, report, () => {
      const bytes = encodeFields(type, fields);
      if (isCanonical(type, fields)) assert.equal(toHex(bytes), hex);
      else checkDecoded(bytes, type, fields);
    });
  }
  for (const [i, item] of (relay ?? []).entries()) attempt(`relay ${i}`, report, () => checkRelay(item));
  for (const { type, fields, hex } of filters ?? []) {
    attempt(`filter ${hex}`, report, () => {
      const filter = filterOf(type, fields);
      assert.deepEqual(unwrap(decodeFilter(hexBytes(hex))), filter);
      // A nil list decodes like an empty one, which is what we would write.
      if (fields !== null) assert.equal(toHex(encodeFilter(filter)), hex);
    });
  }
  for (const item of filterEvaluation ?? []) {
    attempt(`filters ${JSON.stringify(item)}`, report, () => {
      const concerned = queryConcerns(item.filters?.map(hexBytes) ?? null, item.node, new Map(Object.entries(item.tags ?? {})), new Re2Matcher());
      assert.equal(concerned, item.process);
    });
  }
  for (const { fields, hex } of pingAckPayload ?? []) attempt(`coordinate ${hex}`, report, () => checkCoordinate(hexBytes(hex), fields));
}

function checkRelay({ destAddr, destName, inner, hex }: Recording["relay"][number]): void {
  const { IP, Port, Zone, ...rest } = destAddr;
  assert.deepEqual(rest, {});
  const message = unwrap(decodeSerfMessage(hexBytes(hex)));
  assert.ok(message.kind === "relay");
  assert.deepEqual({ IP: tagBytes(message.destAddr), Port: message.destPort, name: message.destName }, { IP: withoutEmptyBytes(IP), Port, name: destName });
  checkDecoded(message.message, inner.type, inner.fields);
  if (Zone !== "") return; // We never send a zone: it means nothing on another machine.
  if (IP === null) return; // Decodes like an empty address, which is what we would write; nobody can be reached there.
  const relayed = { destAddr: taggedBytes(IP) as Uint8Array, destPort: asNumber(Port), destName, message: encodeFields(inner.type, inner.fields) };
  assert.equal(toHex(encodeRelay(relayed)), hex);
}

function filterOf(type: number, fields: unknown): QueryFilter {
  if (type === 0) return { kind: "nodes", nodes: asList(fields ?? []).map(asText) };
  assert.equal(type, 1, "unknown filter type");
  const { Expr, Tag } = asFields(fields);
  return { kind: "tag", tag: asText(Tag), expr: asText(Expr) };
}
