import { randomBytes } from "node:crypto";
import { defineCommand } from "../command.ts";

const KEY_BYTES = 32;

export const command = defineCommand({
  synopsis: "serf keygen",
  about: ["Prints a new random key for gossip encryption, in the form that the agent's", "-encrypt flag and keyring file take."],
  flags: {},
  examples: ["serf agent -encrypt=$(serf keygen)"],
  run: (context) => {
    context.out(randomBytes(KEY_BYTES).toString("base64"));
    return Promise.resolve(0);
  },
});
