/** The whole rehearsal: first on the wire, which every join needs first, then the play. */
import { encodeUtf8 } from "../../base/utf8.ts";
import { NodeSealer } from "../node-sealer.ts";
import type { SerfAgentApi, SerfAgentOptions } from "../serf-agent-api.ts";
import { streamCodec } from "../stream-codec.ts";
import { play } from "./play.ts";
import { practiseOnWire } from "./wire-practice.ts";

/** `options` are those of the agent that practises; `start` starts another one. */
export async function* rehearsalActs(options: SerfAgentOptions, start: (options: SerfAgentOptions) => Promise<SerfAgentApi>): AsyncGenerator<void, void> {
  const { compression, label = "", verifyIncoming = true, verifyOutgoing = true, keys } = options;
  const format = { compress: compression, label: encodeUtf8(label), verifyIncoming, verifyOutgoing };
  try {
    yield* practiseOnWire(streamCodec(format, new NodeSealer(keys), null));
  } catch {
    // Sockets that the system does not give are none of this agent's troubles: its own ones are open. The play needs them, too.
    return;
  }
  yield* play(options, start);
}
