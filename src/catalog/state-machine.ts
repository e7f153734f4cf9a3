/** The replicated state machine: commands in, results out (see `types.ts` for its guarantees). */
import { assert } from "../base/assert.ts";
import type { Result } from "../base/result.ts";
import {
  decodeDeregisterRequest,
  decodeOpaque,
  decodeRegisterRequest,
  decodeSessionRequest,
  decodeTombstoneRequest,
  decodeTxnRequest,
} from "../wire/fsm-codec.ts";
import { FSM_TYPE, IGNORE_UNKNOWN_FLAG } from "../wire/fsm-commands.ts";
import { KvCommand } from "../wire/kv-command.ts";
import type { KvOutcome } from "./kv.ts";
import { LockDelays } from "./lock-delays.ts";
import { OpaqueTables } from "./opaque-tables.ts";
import { Reads } from "./reads.ts";
import { RecordDraft } from "./record-slabs.ts";
import { encodeSnapshot } from "./snapshot-encode.ts";
import { SnapshotReader } from "./snapshot-restore.ts";
import { Tables, type TablesView } from "./tables.ts";
import { applyTransaction } from "./txn.ts";
import type { ApplyResult, CatalogSnapshot, Interest, Restorer, StateMachine, WakeReason, Watch } from "./types.ts";
import { Watches } from "./watches.ts";
import { writersFor, type Writers } from "./writers.ts";

/** Rows that one `tidy` looks at in each place. */
const TIDY_ROWS = 256;
const NIL: ApplyResult = { kind: "nil" };
const TRUE: ApplyResult = { kind: "bool", value: true };
const FALSE: ApplyResult = { kind: "bool", value: false };

class Snapshot extends Reads implements CatalogSnapshot {
  readonly appliedIndex: number;

  constructor(tables: TablesView, appliedIndex: number) {
    super(tables);
    this.appliedIndex = appliedIndex;
  }

  encode(): Iterator<Uint8Array, void> {
    return encodeSnapshot(this.tables);
  }
}

export function createStateMachine(): StateMachine {
  return new ConsulStateMachine();
}

class ConsulStateMachine extends Reads implements StateMachine {
  readonly #watches = new Watches();
  readonly #delays = new LockDelays();
  #live: Tables;
  #writers: Writers;
  #appliedIndex = 0;
  readonly #kvCommand = new KvCommand();
  readonly #draft = new RecordDraft();

  constructor() {
    const tables = new Tables();
    super(tables);
    this.#live = tables;
    this.#writers = writersFor(tables, this.#watches, this.#delays);
  }

  get appliedIndex(): number {
    return this.#appliedIndex;
  }

  apply(index: number, data: Uint8Array, nowMs: number, extensions: Uint8Array | null = null): ApplyResult {
    assert(index > this.#appliedIndex, "commands are applied in rising order, once");
    if (extensions !== null && extensions.length > 0) return { kind: "fatal", reason: "commands in several entries are not offered" };
    const result = this.#dispatch(index, data, nowMs);
    this.#appliedIndex = index;
    this.#writers.kv.tidy();
    this.#watches.flush("changed");
    return result;
  }

  #dispatch(index: number, data: Uint8Array, nowMs: number): ApplyResult {
    const type = data[0];
    if (type === undefined) return { kind: "fatal", reason: "empty command" };
    switch (type & ~IGNORE_UNKNOWN_FLAG) {
      case FSM_TYPE.kvs:
        return this.#applyKv(index, data);
      case FSM_TYPE.session:
        return this.#applySession(index, data, nowMs);
      case FSM_TYPE.txn:
        return this.#applyTxn(index, data, nowMs);
      case FSM_TYPE.tombstone:
        return this.#applyTombstone(data);
      case FSM_TYPE.register:
        return this.#applyRegister(index, data, nowMs);
      case FSM_TYPE.deregister:
        return this.#applyDeregister(index, data, nowMs);
      default:
        if (OpaqueTables.knows(type & ~IGNORE_UNKNOWN_FLAG)) return this.#applyOpaque(type & ~IGNORE_UNKNOWN_FLAG, index, data);
        return (type & IGNORE_UNKNOWN_FLAG) !== 0 ? NIL : { kind: "fatal", reason: `unknown command type ${type}` };
    }
  }

  #applyKv(index: number, data: Uint8Array): ApplyResult {
    const command = this.#kvCommand;
    if (!command.read(data)) return malformed("KV command");
    const { kv } = this.#writers;
    const draft = this.#draft;
    draft.keyBytes = data;
    draft.keyAt = command.keyAt;
    draft.keyLength = command.keyLength;
    draft.valueBytes = data;
    draft.valueAt = command.valueAt;
    draft.valueLength = command.valueLength;
    draft.session = command.session;
    draft.setFlags(command.flags);
    draft.lockIndex = command.lockIndex;
    draft.modifyIndex = command.modifyIndex;
    switch (command.op) {
      case "set":
        kv.set(draft, index, false);
        return NIL;
      case "cas":
        return kv.cas(draft, index) ? TRUE : FALSE;
      case "lock":
        return outcomeOf(kv.lock(draft, index));
      case "unlock":
        return outcomeOf(kv.unlock(draft, index));
      case "delete":
        kv.delete(data, command.keyAt, command.keyLength, index);
        return NIL;
      case "delete-cas":
        return kv.deleteCas(data, command.keyAt, command.keyLength, command.modifyIndex, index) ? TRUE : FALSE;
      case "delete-tree":
        kv.deleteTree(data.slice(command.keyAt, command.keyAt + command.keyLength), index);
        return NIL;
      default:
        return { kind: "error", text: `Invalid KVS operation '${command.op}'` };
    }
  }

  #applySession(index: number, data: Uint8Array, nowMs: number): ApplyResult {
    const request = decodeSessionRequest(data);
    if (!request.ok) return malformed("session command", request);
    const { op, session } = request.value;
    if (op === "create") {
      const error = this.#writers.sessions.create(session, index);
      return error === null ? { kind: "text", value: session.id } : { kind: "error", text: error };
    }
    if (op === "destroy") return errorOrNil(this.#writers.sessions.destroy(session.id, index, nowMs));
    return { kind: "error", text: `Invalid Session operation '${op}'` };
  }

  #applyTxn(index: number, data: Uint8Array, nowMs: number): ApplyResult {
    const request = decodeTxnRequest(data);
    if (!request.ok) return malformed("transaction", request);
    const outcome = applyTransaction(this.#live, this, this.#writers, request.value.ops, index, nowMs, () => this.#watches.undo());
    return { kind: "txn", outcome };
  }

  #applyTombstone(data: Uint8Array): ApplyResult {
    const request = decodeTombstoneRequest(data);
    if (!request.ok) return malformed("tombstone command", request);
    if (request.value.op !== "reap") return { kind: "error", text: `Invalid Tombstone operation '${request.value.op}'` };
    this.#writers.kv.reap(request.value.reapIndex);
    return NIL;
  }

  #applyRegister(index: number, data: Uint8Array, nowMs: number): ApplyResult {
    const request = decodeRegisterRequest(data);
    if (!request.ok) return malformed("registration", request);
    let error: string | null = null;
    const done = this.#live.transaction(() => {
      error = this.#writers.catalog.register(request.value, index, nowMs);
      return error === null;
    });
    if (!done) this.#watches.undo();
    return errorOrNil(error);
  }

  #applyDeregister(index: number, data: Uint8Array, nowMs: number): ApplyResult {
    const request = decodeDeregisterRequest(data);
    if (!request.ok) return malformed("deregistration", request);
    const { node, serviceId, checkId } = request.value;
    const { catalog } = this.#writers;
    if (serviceId !== "") catalog.deleteService(node, serviceId, index, nowMs);
    else if (checkId !== "") catalog.deleteCheck(node, checkId, index, nowMs);
    else catalog.deleteNode(node, index, nowMs);
    return NIL;
  }

  #applyOpaque(type: number, index: number, data: Uint8Array): ApplyResult {
    const value = decodeOpaque(data);
    if (!value.ok) return malformed("command", value);
    const outcome = this.#writers.opaque.apply(type, value.value, index);
    if (outcome === null) return NIL;
    if (typeof outcome === "boolean") return outcome ? TRUE : FALSE;
    return { kind: "error", text: outcome.error };
  }

  watch(interests: readonly Interest[], wake: (reason: WakeReason) => void): Watch {
    return this.#watches.watch(interests, wake);
  }

  snapshot(): CatalogSnapshot {
    return new Snapshot(this.#live.view(), this.#appliedIndex);
  }

  beginRestore(): Restorer {
    const tables = new Tables();
    const reader = new SnapshotReader(tables, writersFor(tables, new Watches(), new LockDelays()));
    return {
      push: (piece) => reader.push(piece),
      finish: (appliedIndex) => {
        const error = reader.finish();
        if (error === null) this.#adopt(tables, appliedIndex);
        return error;
      },
    };
  }

  #adopt(tables: Tables, appliedIndex: number): void {
    this.#live = tables;
    this.tables = tables;
    this.#writers = writersFor(tables, this.#watches, this.#delays);
    this.#delays.clear();
    this.#appliedIndex = appliedIndex;
    this.#watches.wakeAll();
  }

  tidy(): boolean {
    const more = this.#writers.kv.tidy(TIDY_ROWS);
    const { kv, tombstones } = this.#live;
    return [kv.tidy(TIDY_ROWS), tombstones.tidy(TIDY_ROWS), more].includes(true);
  }

  lockDelayUntilMs(key: string): number {
    return this.#delays.untilMs(key);
  }

  expireLockDelays(nowMs: number): void {
    this.#delays.expire(nowMs);
  }
}

function malformed(what: string, why?: Result<unknown>): ApplyResult {
  return { kind: "fatal", reason: why === undefined || why.ok ? `malformed ${what}` : `${what}: ${why.error}` };
}

function errorOrNil(error: string | null): ApplyResult {
  return error === null ? NIL : { kind: "error", text: error };
}

function outcomeOf(outcome: KvOutcome): ApplyResult {
  if (typeof outcome === "string") return { kind: "error", text: outcome };
  return outcome ? TRUE : FALSE;
}
