/** The state machine of the Raft simulation: registers, each with the index of its last write, and a digest of everything applied so far. */
import { ENTRY_TYPE, type LogEntry } from "../../wire/raft-messages.ts";
import { hashBytes } from "../trace-hash.ts";

export const KEYS = 5;
const COMMAND_BYTES = 9;
const HASH_SEED = 0x1b873593;

export interface Register {
  /** Index of the entry that wrote it; 0: never written. */
  readonly version: number;
  readonly value: number;
}

/** State at one index; a value that never changes. */
export interface KvState {
  readonly index: number;
  readonly registers: readonly Register[];
  /** Differs when any applied entry, or their order, differs. */
  readonly digest: number;
}

export const EMPTY_STATE: KvState = { index: 0, registers: new Array<Register>(KEYS).fill({ version: 0, value: 0 }), digest: 0 };

/** `value` is unique in a run; `padding` makes entries large. */
export function putCommand(key: number, value: number, padding = 0): Uint8Array {
  const data = new Uint8Array(COMMAND_BYTES + padding);
  data[0] = key;
  new DataView(data.buffer).setFloat64(1, value);
  return data;
}

export function entryHash(entry: LogEntry): number {
  return hashBytes(entry.data, HASH_SEED + entry.type);
}

export class SimKv {
  #index: number;
  #registers: Register[];
  #digest: number;

  constructor(state: KvState) {
    this.#index = state.index;
    this.#registers = [...state.registers];
    this.#digest = state.digest;
  }

  get index(): number {
    return this.#index;
  }

  get digest(): number {
    return this.#digest;
  }

  register(key: number): Register {
    return this.#registers[key] as Register;
  }

  /** The root a snapshot is made of: what is applied later does not change it. */
  hold(): KvState {
    return { index: this.#index, registers: [...this.#registers], digest: this.#digest };
  }

  apply(entry: LogEntry): void {
    this.#index = entry.index;
    this.#digest = Math.imul(this.#digest ^ entryHash(entry) ^ Math.imul(entry.term, 0x9e3779b1), 0x85ebca77) + entry.index;
    this.#digest |= 0;
    if (entry.type !== ENTRY_TYPE.command) return;
    const view = new DataView(entry.data.buffer, entry.data.byteOffset, entry.data.length);
    this.#registers[view.getUint8(0)] = { version: entry.index, value: view.getFloat64(1) };
  }
}
