/** Outputs of checks are bounded. */
import { decodeUtf8, encodeUtf8 } from "../../base/utf8.ts";

/** `check_output_max_size`. */
export const OUTPUT_BYTES_MAX = 4096;

/** The first bytes, and how many there were. */
export function cutOutput(output: string, bytesMax: number): string {
  if (output.length * 3 <= bytesMax) return output;
  const bytes = encodeUtf8(output);
  if (bytes.length <= bytesMax) return output;
  return `${decodeUtf8(bytes, 0, bytesMax)} ... (captured ${bytesMax} of ${bytes.length} bytes)`;
}
