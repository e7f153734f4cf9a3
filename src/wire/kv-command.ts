/**
 * The KV command read in place: nearly all commands are this one, and the state machine copies key and value into its own pages anyway, so nothing is
 * made on the way but offsets. `decodeKvRequest` is the same for everyone else.
 */
import type { Wide } from "./fsm-commands.ts";
import { Reader, Schema, structLength } from "./msgpack.ts";

const requestSchema = new Schema("Datacenter", "Op", "DirEnt", "Token");
const entrySchema = new Schema("LockIndex", "Key", "Flags", "Value", "Session", "CreateIndex", "ModifyIndex");

export class KvCommand {
  readonly #reader = new Reader();
  op = "";
  /** Key and value are `data[at, at + length)`; a nil or empty value has length -1. */
  keyAt = 0;
  keyLength = 0;
  valueAt = 0;
  valueLength = -1;
  flags: Wide = 0;
  lockIndex = 0;
  createIndex = 0;
  modifyIndex = 0;
  session = "";

  /** Reads a command; false when it is malformed. */
  read(data: Uint8Array): boolean {
    const r = this.#reader;
    r.reset(data, 1);
    this.op = "";
    this.#clear();
    const head = r.structHead();
    for (let i = 0; i < structLength(head) && !r.failed; i += 1) {
      const field = r.field(requestSchema, head, i);
      if (field === 1) this.op = r.text();
      else if (field === 2) this.#readEntry(r);
      else r.skip();
    }
    return !r.failed;
  }

  #clear(): void {
    this.keyLength = 0;
    this.valueLength = -1;
    this.flags = 0;
    this.lockIndex = 0;
    this.createIndex = 0;
    this.modifyIndex = 0;
    this.session = "";
  }

  /** Reads a DirEntry alone, as snapshots hold it; look at `r.failed`. */
  readRecord(r: Reader): void {
    this.#clear();
    this.#readEntry(r);
  }

  #readEntry(r: Reader): void {
    const head = r.structHead();
    for (let i = 0; i < structLength(head) && !r.failed; i += 1) {
      switch (r.field(entrySchema, head, i)) {
        case 0:
          this.lockIndex = r.index();
          break;
        case 1:
          this.keyLength = Math.max(0, r.span());
          this.keyAt = r.at - this.keyLength;
          break;
        case 2:
          this.flags = r.wide();
          if (this.flags < 0) r.fail();
          break;
        case 3:
          // Go's decoder leaves an empty value nil.
          this.valueLength = r.span() || -1;
          this.valueAt = r.at - Math.max(0, this.valueLength);
          break;
        case 4:
          this.session = r.text();
          break;
        case 5:
          this.createIndex = r.index();
          break;
        case 6:
          this.modifyIndex = r.index();
          break;
        default:
          r.skip();
      }
    }
  }
}
