/**
 * A log entry as it travels to the log worker and lies on disk (its index is the key):
 *
 *   u32 CRC-32 of what follows · u8 type · f64 term · u32 length of the extensions · extensions · data
 *
 * big endian. Main lays entries out in the batch it hands over; the worker fills the checksum in and writes the same bytes. Terms and indexes are
 * safe integers, which a double holds exactly.
 */
import { crc32 } from "node:zlib";
import { EMPTY_BYTES } from "../../base/bytes.ts";
import { ENTRY_TYPE, type EntryType, type LogEntry } from "../../wire/raft-messages.ts";

const TYPE_AT = 4;
const TERM_AT = 5;
const EXTENSIONS_AT = 13;
export const RECORD_HEADER_BYTES = 17;

export function recordSize(entry: LogEntry): number {
  return RECORD_HEADER_BYTES + entry.extensions.length + entry.data.length;
}

/** Writes `entry` at `at`, checksum left 0; returns the offset behind it. `view` and `bytes` show the same memory. */
export function writeRecord(entry: LogEntry, view: DataView, bytes: Uint8Array, at: number): number {
  const { data, extensions } = entry;
  view.setUint8(at + TYPE_AT, entry.type);
  view.setFloat64(at + TERM_AT, entry.term);
  view.setUint32(at + EXTENSIONS_AT, extensions.length);
  let end = at + RECORD_HEADER_BYTES;
  if (extensions.length > 0) bytes.set(extensions, end);
  end += extensions.length;
  // Below some 50 bytes a loop is quicker than the call.
  if (data.length > 48) bytes.set(data, end);
  else for (let i = 0; i < data.length; i += 1) bytes[end + i] = data[i] as number;
  return end + data.length;
}

/** The record's checksum put in its place, before it goes to disk. */
export function sealRecord(record: Buffer): void {
  record.writeUInt32BE(crc32(record.subarray(TYPE_AT)), 0);
}

/** False: the disk gave back other bytes than were written. */
export function isIntact(record: Buffer): boolean {
  return (
    record.length >= RECORD_HEADER_BYTES &&
    record.readUInt32BE(0) === crc32(record.subarray(TYPE_AT)) &&
    record.readUInt32BE(EXTENSIONS_AT) <= record.length - RECORD_HEADER_BYTES
  );
}

export function recordTerm(record: Buffer): number {
  return record.readDoubleBE(TERM_AT);
}

export function isConfiguration(record: Buffer): boolean {
  return record[TYPE_AT] === ENTRY_TYPE.configuration;
}

/** The entry of an intact record at `[at, end)`; its byte strings are views. `view` and `bytes` show the same memory. */
export function readRecord(index: number, view: DataView, bytes: Uint8Array, at: number, end: number): LogEntry {
  const extensionsAt = at + RECORD_HEADER_BYTES;
  const dataAt = extensionsAt + view.getUint32(at + EXTENSIONS_AT);
  return {
    index,
    term: view.getFloat64(at + TERM_AT),
    type: view.getUint8(at + TYPE_AT) as EntryType,
    data: dataAt === end ? EMPTY_BYTES : bytes.subarray(dataAt, end),
    extensions: dataAt === extensionsAt ? EMPTY_BYTES : bytes.subarray(extensionsAt, dataAt),
  };
}
