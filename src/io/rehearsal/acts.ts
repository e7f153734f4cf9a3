/** The whole rehearsal: first on the wire, which every join needs first, then the play, then, where there is time for it, the drill. */
import { encodeUtf8 } from "../../base/utf8.ts";
import { NodeSealer } from "../node-sealer.ts";
import type { SerfAgentApi, SerfAgentOptions } from "../serf-agent-api.ts";
import { streamCodec } from "../stream-codec.ts";
import { drill } from "./drill.ts";
import type { Lesson } from "./lesson.ts";
import { play } from "./play.ts";
import { practiseOnWire } from "./wire-practice.ts";

/** `options` are those of the agent that practises; `start` starts another one, `patient` says that there is time. */
export async function* rehearsalActs(options: SerfAgentOptions, start: (options: SerfAgentOptions) => Promise<SerfAgentApi>, patient: boolean): AsyncGenerator<Lesson, void> {
  const { compression, label = "", verifyIncoming = true, verifyOutgoing = true, keys } = options;
  const format = { compress: compression, label: encodeUtf8(label), verifyIncoming, verifyOutgoing };
  try {
    for await (const _ of practiseOnWire(streamCodec(format, new NodeSealer(keys), null))) yield "shapes";
  } catch {
    // Sockets that the system does not give are none of this agent's troubles: its own ones are open. The play needs them, too.
    return;
  }
  for await (const _ of play(options, start)) yield "shapes";
  if (patient) yield* drill(options, start);
}
