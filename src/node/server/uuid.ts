/** A random UUID as Consul draws it: 128 random bits in five groups, without version bits. */
import type { Random } from "../../base/random.ts";

export function randomUuid(random: Random): string {
  let hex = "";
  for (let i = 0; i < 4; i += 1) hex += random.below(0x1_0000_0000).toString(16).padStart(8, "0");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}
