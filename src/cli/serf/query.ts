import { decodeUtf8, encodeUtf8 } from "../../base/utf8.ts";
import { defineCommand } from "../command.ts";
import { fail } from "../context.ts";
import { goJson, sortedObject } from "../go-text.ts";
import { parseTagFlags } from "./config/tag-flags.ts";
import { FORMAT_FLAG } from "./format.ts";
import { RPC_FLAGS, withClient } from "./rpc.ts";

export const command = defineCommand({
  synopsis: "serf query [options] name [payload]",
  about: ["Asks the whole cluster, or a part of it, and prints who got the question and", "what came back until the time is over."],
  flags: {
    format: FORMAT_FLAG,
    node: { kind: "list", value: "<name>", help: "Ask only this node; may be repeated." },
    tag: { kind: "list", value: "<key>=<regexp>", help: "Ask only nodes whose tag matches somewhere; may be repeated." },
    timeout: { kind: "duration", value: "15s", help: "How long answers are taken. Default: grows with the cluster." },
    "no-ack": { kind: "bool", value: "", help: "Ask for no acknowledgements." },
    "relay-factor": { kind: "int", value: "0", help: "Nodes through which each answer is sent once more, 0 to 255." },
    ...RPC_FLAGS,
  },
  examples: ["serf query -tag role=web uptime", "serf query -format=json -timeout=2s version"],
  async run(context, flags, args, usage) {
    const tags = parseTagFlags(flags.tag ?? []);
    if (!tags.ok) return fail(context, `Error: ${tags.error}`, "a tag filter is KEY=REGEXP, such as -tag role=web");
    const relayFactor = flags["relay-factor"] ?? 0;
    if (relayFactor < 0 || relayFactor > 255) return fail(context, "Relay factor must be between 0 and 255", "for example -relay-factor=2");
    const [name, payload] = args;
    if (name === undefined) return fail(context, `A query name must be specified.\n\n${usage()}`, "serf query NAME [PAYLOAD]");
    if (args.length > 2) {
      return fail(context, `Too many command line arguments. Only a name and payload must be specified.\n\n${usage()}`, "quote a payload that contains spaces");
    }
    const format = flags.format ?? "text";
    const requestAck = !(flags["no-ack"] ?? false);
    return withClient(context, flags, "Error sending query", async (client) => {
      if (format !== "text" && format !== "json") return fail(context, `Invalid format: ${format}`, "the formats are -format=text and -format=json");
      const say = (line: string): void => (format === "text" ? context.out(line) : undefined);
      const stream = await client.query(name, payload === undefined ? null : encodeUtf8(payload), {
        ...{ filterNodes: flags.node ?? null, filterTags: tags.value, requestAck, relayFactor, timeoutMs: flags.timeout ?? 0 },
      });
      context.onInterrupt(() => void stream.stop());
      say(`Query '${name}' dispatched`);
      const acks: string[] = [];
      const responses = new Map<string, string>();
      let responseCount = 0;
      for await (const record of stream) {
        if (record.kind === "ack") {
          acks.push(record.from);
          say(`Ack from '${record.from}'`);
        } else {
          const text = decodeUtf8(record.payload ?? new Uint8Array(0));
          responseCount += 1;
          responses.set(record.from, text);
          say(`Response from '${record.from}': ${text.endsWith("\n") ? text.slice(0, -1) : text}`);
        }
      }
      if (requestAck) say(`Total Acks: ${acks.length}`);
      say(`Total Responses: ${responseCount}`);
      if (format === "json") context.out(goJson({ Acks: acks.length === 0 ? null : acks, Responses: sortedObject(responses) }));
      return 0;
    });
  },
});
