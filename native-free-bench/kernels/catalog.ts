/** The replicated state machine with 100,000 keys of 100 bytes: what one committed write costs, a read, a list, a piece of a snapshot. */
import type { Random } from "../../src/base/random.ts";
import { createStateMachine } from "../../src/catalog/state-machine.ts";
import type { StateMachine } from "../../src/catalog/types.ts";
import { encodeKvRequest } from "../../src/wire/fsm-codec.ts";
import type { Kernel } from "../kernel.ts";

export const KEYS = 100_000;
const VALUE_BYTES = 100;
const INPUTS = 8_192;
const WATCHERS = 1_000;

export function keyName(i: number): string {
  return `bench/key/${String(i).padStart(8, "0")}`;
}

/** A `set` command; its value is the last 100 bytes before the trailing op and token. */
export function setCommand(key: string, fill: number): Uint8Array {
  const entry = { key, value: new Uint8Array(VALUE_BYTES).fill(fill), flags: 0, lockIndex: 0, session: "", createIndex: 0, modifyIndex: 0 };
  return encodeKvRequest({ datacenter: "dc1", op: "set", entry, token: "" }).slice();
}

function filled(): StateMachine {
  const machine = createStateMachine();
  for (let i = 0; i < KEYS; i += 1) machine.apply(i + 1, setCommand(keyName(i), 65), 0);
  return machine;
}

function overwrites(random: Random): Uint8Array[] {
  return Array.from({ length: INPUTS }, () => setCommand(keyName(random.below(KEYS)), 66));
}

/** Makes the command's value another one than last time. */
function changeValue(command: Uint8Array): void {
  const at = command.length - 40;
  command[at] = ((command[at] as number) + 1) & 127;
}

const set: Kernel = {
  name: `catalog: apply a KV set of ${VALUE_BYTES} B, ${KEYS} keys`,
  prepare(random) {
    const machine = filled();
    const commands = overwrites(random);
    return {
      inputCount: INPUTS,
      run(index) {
        const command = commands[index] as Uint8Array;
        changeValue(command);
        machine.apply(machine.appliedIndex + 1, command, 0);
        return machine.kvCount;
      },
    };
  },
};

const setWatched: Kernel = {
  name: `catalog: apply a KV set, ${WATCHERS} watchers of other keys`,
  prepare(random) {
    const machine = filled();
    const commands = overwrites(random);
    for (let i = 0; i < WATCHERS; i += 1) machine.watch([{ kind: "key", key: `${keyName(random.below(KEYS))}/watched` }], () => {});
    return {
      inputCount: INPUTS,
      run(index) {
        const command = commands[index] as Uint8Array;
        changeValue(command);
        machine.apply(machine.appliedIndex + 1, command, 0);
        return machine.kvCount;
      },
    };
  },
};

const get: Kernel = {
  name: `catalog: read a key, ${KEYS} keys`,
  prepare(random) {
    const machine = filled();
    const names = Array.from({ length: INPUTS }, () => keyName(random.below(KEYS)));
    return { inputCount: INPUTS, run: (index) => machine.kvGet(names[index] as string).value?.modifyIndex ?? 0 };
  },
};

const list: Kernel = {
  name: `catalog: list a prefix of 100 keys, ${KEYS} keys`,
  prepare(random) {
    const machine = filled();
    const prefixes = Array.from({ length: 256 }, () => keyName(random.below(KEYS / 100) * 100).slice(0, -2));
    return {
      inputCount: prefixes.length,
      run(index) {
        let sum = 0;
        for (const { modifyIndex } of machine.kvList(prefixes[index] as string).value) sum += modifyIndex;
        return sum;
      },
    };
  },
};

const snapshotPiece: Kernel = {
  name: `catalog: a 64 KiB piece of a snapshot, ${KEYS} keys`,
  prepare() {
    const machine = filled();
    let encoder = machine.snapshot().encode();
    return {
      inputCount: 250,
      run() {
        const piece = encoder.next();
        if (piece.done !== true) return piece.value.length;
        encoder = machine.snapshot().encode();
        return 0;
      },
    };
  },
};

export const catalogKernels: readonly Kernel[] = [set, setWatched, get, list, snapshotPiece];
