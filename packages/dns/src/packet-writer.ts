import { CLASS_IN, TYPE } from "./codes.js";
import type { ResourceRecord } from "./records.js";

const HEADER_BYTES = 12;
/** Names can be pointed to below this offset only: pointers have 14 bits. */
const MAX_POINTER = 0x3fff;
const SRV_TARGET_OFFSET = 8;
const OPT_BYTES = 11;

/**
 * Writes one DNS message of limited size. dns-packet encodes RDATA; this adds what it has not: compressed owner names
 * (RFC 1035 section 4.1.4), which more than halve an SRV answer, and a limit in bytes.
 */
export class PacketWriter {
  readonly #buffer: Buffer;
  readonly #ttlSeconds: number;
  /** Where each name that was written begins. */
  readonly #names = new Map<string, number>();
  #limit: number;
  #offset = HEADER_BYTES;

  /** `reserveOpt` keeps room for `writeOpt`, whatever records come before. */
  constructor(limitBytes: number, ttlSeconds: number, reserveOpt: boolean) {
    this.#buffer = Buffer.alloc(limitBytes);
    this.#limit = limitBytes - (reserveOpt ? OPT_BYTES : 0);
    this.#ttlSeconds = ttlSeconds;
  }

  /** Copies the question section; it always fits (at most 271 bytes). */
  writeQuestion(question: Buffer): void {
    question.copy(this.#buffer, this.#offset);
    this.#offset += question.length;
  }

  /** Writes a record whole, or nothing and false when it does not fit. */
  writeRecord(record: ResourceRecord): boolean {
    const start = this.#offset;
    const owner = this.#ownerBytes(record.owner);
    const end = start + owner.length + 8 + record.data.length;
    if (end > this.#limit) return false;
    if (record.owner !== undefined && owner.length > 2) this.#names.set(record.owner, start);
    owner.copy(this.#buffer, start);
    let offset = start + owner.length;
    offset = this.#buffer.writeUInt16BE(record.type, offset);
    offset = this.#buffer.writeUInt16BE(CLASS_IN, offset);
    offset = this.#buffer.writeUInt32BE(this.#ttlSeconds, offset);
    record.data.copy(this.#buffer, offset);
    if (record.target !== undefined && !this.#names.has(record.target)) {
      this.#names.set(record.target, offset + SRV_TARGET_OFFSET);
    }
    this.#offset = end;
    return true;
  }

  /** Writes the OPT record (RFC 6891 section 6.1.2) into the room kept for it. */
  writeOpt(udpBytes: number, extendedRcode: number, dnssecOk: boolean): void {
    this.#limit = this.#buffer.length;
    let offset = this.#buffer.writeUInt8(0, this.#offset);
    offset = this.#buffer.writeUInt16BE(TYPE.OPT, offset);
    offset = this.#buffer.writeUInt16BE(udpBytes, offset);
    offset = this.#buffer.writeUInt8(extendedRcode, offset);
    offset = this.#buffer.writeUInt8(0, offset);
    offset = this.#buffer.writeUInt16BE(dnssecOk ? 0x8000 : 0, offset);
    this.#offset = this.#buffer.writeUInt16BE(0, offset);
  }

  /** Fills in the header and returns the message. `counts`: questions, answers, authorities, additionals. */
  finish(id: number, flags: number, counts: readonly [number, number, number, number]): Buffer {
    this.#buffer.writeUInt16BE(id, 0);
    this.#buffer.writeUInt16BE(flags, 2);
    for (const [at, count] of counts.entries()) this.#buffer.writeUInt16BE(count, 4 + 2 * at);
    return this.#buffer.subarray(0, this.#offset);
  }

  /** A pointer where the name stands already, else the name in full. The question's name is at a fixed place. */
  #ownerBytes(owner: string | undefined): Buffer {
    const known = owner === undefined ? HEADER_BYTES : this.#names.get(owner);
    if (known !== undefined && known <= MAX_POINTER) return Buffer.from([0xc0 | (known >> 8), known & 0xff]);
    return encodeName(owner ?? "");
  }
}

function encodeName(name: string): Buffer {
  const parts: Buffer[] = [];
  for (const label of name.split(".")) {
    const bytes = Buffer.from(label);
    parts.push(Buffer.from([bytes.length]), bytes);
  }
  parts.push(Buffer.from([0]));
  return Buffer.concat(parts);
}
