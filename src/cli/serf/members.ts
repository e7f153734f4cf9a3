import { formatEndpoint } from "../../base/endpoint.ts";
import type { SerfMember } from "../../client/serf-client.ts";
import { columns } from "../columns.ts";
import { defineCommand } from "../command.ts";
import { fail } from "../context.ts";
import { sortedObject } from "../go-text.ts";
import { FORMAT_FLAG, printFormatted } from "./format.ts";
import { RPC_FLAGS, withClient } from "./rpc.ts";
import { parseTagFlags } from "./config/tag-flags.ts";

export const command = defineCommand({
  synopsis: "serf members [options]",
  about: ["Lists the members of the cluster that a running agent knows, failed and left", "ones included. Expressions must match the whole text."],
  flags: {
    detailed: { kind: "bool", value: "", help: "Also show protocol versions (text only)." },
    format: FORMAT_FLAG,
    name: { kind: "string", value: "<regexp>", help: "Only members with a matching name." },
    role: { kind: "string", value: "<regexp>", help: "Only members with a matching role. Deprecated: use -tag role=<regexp>." },
    status: { kind: "string", value: "<regexp>", help: "Only members with a matching status: alive, leaving, left or failed." },
    tag: { kind: "list", value: "<key>=<regexp>", help: "Only members whose tag matches; may be repeated." },
    ...RPC_FLAGS,
  },
  examples: ["serf members -status=alive -tag role=web", "serf members -format=json"],
  async run(context, flags) {
    const tags = parseTagFlags(flags.tag ?? []);
    const role = flags.role ?? "";
    if (role !== "") context.out("Deprecation warning: 'Role' has been replaced with 'Tags'");
    if (!tags.ok) return fail(context, `Error: ${tags.error}`, "a tag filter is KEY=REGEXP, such as -tag role=web");
    const filter = new Map(tags.value);
    if (role !== "") filter.set("role", role);
    return withClient(context, flags, "Error retrieving members", async (client) => {
      const members = await client.membersFiltered({ name: flags.name ?? "", status: flags.status ?? "", tags: filter });
      return printFormatted(
        context,
        flags.format ?? "text",
        () => columns(members.map((member) => textRow(member, flags.detailed ?? false))),
        () => ({ members: members.length === 0 ? null : members.map(jsonMember) }),
      );
    });
  },
});

function addressOf({ ip, port }: SerfMember): string {
  return formatEndpoint({ ip, port });
}

function textRow(member: SerfMember, detailed: boolean): string {
  // The original prints tags in random order; sorted, two runs can be compared.
  const tags = [...member.tags].sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, value]) => `${key}=${value}`);
  const row = `${member.name}|${addressOf(member)}|${member.status}|${tags.join(",")}`;
  if (!detailed) return row;
  return `${row}|Protocol Version: ${member.delegateCur}|Available Protocol Range: [${member.delegateMin}, ${member.delegateMax}]`;
}

function jsonMember(member: SerfMember): unknown {
  return {
    name: member.name,
    addr: addressOf(member),
    port: member.port,
    tags: sortedObject(member.tags),
    status: member.status,
    protocol: { max: member.delegateMax, min: member.delegateMin, version: member.delegateCur },
  };
}
