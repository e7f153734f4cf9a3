/** event-filters: handler specs to scripts, filters against events, `-tag` flags. */
import assert from "node:assert/strict";
import { parseTagFlags } from "../../src/cli/serf/config/tag-flags.ts";
import { isValidFilter, parseEventFilters } from "../../src/api/event-filter.ts";
import { describeScript, matchesEvent, parseEventScripts } from "../../src/io/event-handlers-filter.ts";
import type { MemberEventType, SerfEvent } from "../../src/serf/types.ts";
import { attempt, fieldsOf } from "./compare.ts";
import type { Report } from "./registry.ts";

interface Recording {
  readonly parse: readonly { readonly spec: string; readonly scripts: readonly unknown[] }[];
  readonly match: readonly { readonly filter: string; readonly matches: Readonly<Record<string, boolean>> }[];
  readonly tagFlags: readonly { readonly in: readonly string[]; readonly tags?: unknown; readonly error?: string }[];
}

export function checkEventFilters(data: unknown, report: Report): void {
  const { parse, match, tagFlags } = fieldsOf<Recording>(data, ["parse", "match", "tagFlags"], report);
  for (const item of parse ?? []) {
    const { spec, scripts } = item;
    attempt(`parse ${spec}`, report, () => {
      const ours = parseEventScripts(spec).map((script) => ({
        describe: describeScript(script),
        event: script.filter.event,
        name: script.filter.name,
        script: script.script,
        valid: isValidFilter(script.filter),
      }));
      assert.deepEqual({ scripts: ours, spec }, item);
      assert.equal(ours.length, scripts.length);
    });
  }
  for (const { filter, matches } of match ?? []) {
    for (const [text, expected] of Object.entries(matches)) {
      attempt(`match ${filter} ${text}`, report, () => {
        const event = parseEvent(text);
        assert.equal(parseEventFilters(filter).some((entry) => isValidFilter(entry) && matchesEvent(entry, event)), expected);
      });
    }
  }
  for (const item of tagFlags ?? []) {
    attempt(`tagFlags ${item.in.join(" ")}`, report, () => {
      const parsed = parseTagFlags(item.in);
      assert.deepEqual({ in: item.in, ...(parsed.ok ? { tags: Object.fromEntries(parsed.value) } : { error: parsed.error }) }, item);
    });
  }
}

/** "user deploy", "query load" or a member event. */
function parseEvent(text: string): SerfEvent {
  const [kind, name] = text.split(/ (.*)/s, 2) as [string, string | undefined];
  if (kind === "user") return { kind, lamportTime: 1, name: name ?? "", payload: null, coalesce: false };
  if (kind === "query") return { kind, token: 1, lamportTime: 1, name: name ?? "", payload: null, sourceNode: "", deadlineMs: 0 };
  assert.match(text, /^member-(join|leave|failed|update|reap)$/, "unknown event");
  return { kind: "members", type: text as MemberEventType, members: [] };
}
