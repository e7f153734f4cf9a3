/** What a handler process is given: environment and standard input (reference §10.3). Payloads travel here and nowhere else, never in a command line. */
import { concatBytes, EMPTY_BYTES } from "../base/bytes.ts";
import { encodeUtf8 } from "../base/utf8.ts";
import type { Member, SerfEvent } from "../serf/types.ts";

/** Variables to add to the agent's environment. A NUL, which no environment can hold, ends a value. */
export function handlerEnvironment(event: SerfEvent, self: Member): Map<string, string> {
  const env = new Map<string, string>();
  const set = (name: string, value: string): void => {
    env.set(name, value.split("\0", 1)[0] as string);
  };
  set("SERF_EVENT", event.kind === "members" ? event.type : event.kind);
  set("SERF_SELF_NAME", self.name);
  set("SERF_SELF_ROLE", self.tags.get("role") ?? "");
  for (const [tag, value] of self.tags) set(`SERF_TAG_${tagVariable(tag)}`, value);
  if (event.kind === "user") {
    set("SERF_USER_EVENT", event.name);
    set("SERF_USER_LTIME", String(event.lamportTime));
  } else if (event.kind === "query") {
    set("SERF_QUERY_NAME", event.name);
    set("SERF_QUERY_LTIME", String(event.lamportTime));
  }
  return env;
}

/** Upper case, and one "_" for every character that is not A–Z, 0–9 or "_". */
export function tagVariable(tag: string): string {
  // Letter by letter, as Go does: "ß" stays one letter.
  return tag.replace(/./gsu, (char) => (/^[A-Z0-9_]$/.test(char.toUpperCase()) ? char.toUpperCase() : "_"));
}

/** Standard input: a line per member, or the payload, which gets a newline at its end unless it is empty or has one. */
export function handlerStdin(event: SerfEvent): Uint8Array {
  if (event.kind === "members") return encodeUtf8(event.members.map(memberLine).join(""));
  const payload = event.payload ?? EMPTY_BYTES;
  if (payload.length === 0 || payload.at(-1) === 0x0a) return payload;
  return concatBytes([payload, encodeUtf8("\n")]);
}

/** `NAME<TAB>IP<TAB>ROLE<TAB>k=v,k2=v2<LF>`; tags in the order of the map. */
function memberLine(member: Member): string {
  const tags = [...member.tags].map(([name, value]) => `${name}=${value}`).join(",");
  return `${[escapeField(member.name), member.ip, escapeField(member.tags.get("role") ?? ""), escapeField(tags)].join("\t")}\n`;
}

function escapeField(text: string): string {
  return text.replaceAll("\t", "\\t").replaceAll("\n", "\\n");
}
