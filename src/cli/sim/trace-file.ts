/** A trace of a run on its way to a file: some megabytes per virtual minute, so it is written in pieces. */
import { closeSync, openSync, writeSync } from "node:fs";
import { encodeUtf8 } from "../../base/utf8.ts";

const PIECE_CHARS = 1 << 16;

export interface TraceFile {
  line(text: string): void;
  close(): void;
}

/** Creates or empties the file; throws when that is not possible. */
export function openTrace(path: string): TraceFile {
  const file = openSync(path, "w");
  let piece = "";
  const flush = (): void => {
    const bytes = encodeUtf8(piece);
    for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at);
    piece = "";
  };
  return {
    line(text) {
      piece += `${text}\n`;
      if (piece.length >= PIECE_CHARS) flush();
    },
    close() {
      flush();
      closeSync(file);
    },
  };
}
