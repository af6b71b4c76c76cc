import { FIELD, TOKEN } from "../../characters.js";
import { internName, internedName } from "../../field-names.js";
import { latin1Slice } from "../../latin1.js";
import { INITIAL_TABLE_BYTES } from "../limits.js";
import { DecodingTable } from "./decoding-table.js";
import { Kind, kindOfName } from "./field-kind.js";
import { decodeHuffman } from "./huffman-decoder.js";
import { STATIC_COUNT, STATIC_NAMES, STATIC_VALUES } from "./static-table.js";

/** Takes the fields of a block in their order. */
export interface FieldTarget {
  /** `kind` is one of `Kind`; it alone says whether name and value are valid. */
  onField(name: string, value: string, kind: number): void;
  /** What follows is only decoded to keep the table right: texts that nobody keeps may be "". */
  readonly discarding: boolean;
  /** Stop: the block is not worth decoding any further, the connection ends. */
  readonly flooded: boolean;
}

/** Outcome of `HpackDecoder.decode`. */
export const Decoded = { OK: 0, INVALID: 1, FLOODED: 2 } as const;

const NAME_CHARACTER = lowerTokens();
const STATIC_KINDS = Uint8Array.from(STATIC_NAMES, (name) => (name === "" ? Kind.OTHER : kindOfName(name)));
/** An integer has at most four bytes after its prefix: 2^28 and a little, far above every limit. */
const MAX_INTEGER_SHIFT = 28;

/** What becomes of a string literal. */
const enum Use {
  NAME,
  /** A value that only this head holds: it may be cut from the text of all of it. */
  CUT,
  /** A value that the table holds: text of its own. */
  KEPT,
  /** A value that nobody holds. */
  NOTHING,
}

/** Huffman output of the string at hand; decoders run one at a time. Grows to the largest string, 1.6 x the block limit. */
let scratch: Buffer = Buffer.alloc(0);

/**
 * Decodes header blocks (RFC 7541). One per connection; the table lives as long as it. Names and values are checked when a
 * literal is read, and the verdict is kept with the table's entry: an indexed field costs two array loads.
 */
export class HpackDecoder {
  readonly #table = new DecodingTable(INITIAL_TABLE_BYTES);
  /** What a size update may ask for. */
  #maxTableBytes: number;
  readonly #announcedBytes: number;
  #mustShrink = false;
  // The decoder's registers: results of the last integer, name or value read.
  #at = 0;
  #integer = 0;
  #name = "";
  #nameKind: number = Kind.OTHER;
  #value = "";
  #valueIsGood = true;
  /** Text of the whole block, made when its first literal value is read: the others are cut from it. */
  #text = "";
  #textStart = -1;
  #textEnd = 0;

  /** `announcedBytes`: SETTINGS_HEADER_TABLE_SIZE as sent to the peer. */
  constructor(announcedBytes: number) {
    this.#announcedBytes = announcedBytes;
    // Until the peer has read our SETTINGS it may still use the default.
    this.#maxTableBytes = Math.max(announcedBytes, INITIAL_TABLE_BYTES);
  }

  /** Bytes in the dynamic table. */
  get tableBytes(): number {
    return this.#table.bytes;
  }

  /** The peer acknowledged our SETTINGS: from now on the announced size holds (section 4.2). */
  onSettingsAcknowledged(): void {
    this.#maxTableBytes = this.#announcedBytes;
    this.#mustShrink = this.#table.maxBytes > this.#announcedBytes;
  }

  /** Decodes the whole block `bytes[start, end)`; one of `Decoded`. After anything but OK the connection is unusable. */
  decode(bytes: Buffer, start: number, end: number, target: FieldTarget): number {
    let updates = 0;
    let inFields = false;
    this.#at = start;
    this.#textStart = -1;
    this.#textEnd = end;
    while (this.#at < end) {
      const first = bytes[this.#at++]!;
      if (first >= 0x80) {
        if (!this.#readIndexed(bytes, first, end, target)) return Decoded.INVALID;
      } else if (first >= 0x20 && first < 0x40) {
        if (inFields || ++updates > 2 || !this.#readSizeUpdate(bytes, first, end)) return Decoded.INVALID;
        continue;
      } else if (!this.#readLiteral(bytes, first, end, target)) return Decoded.INVALID;
      inFields = true;
      if (this.#mustShrink) return Decoded.INVALID;
      if (target.flooded) return Decoded.FLOODED;
    }
    return Decoded.OK;
  }

  #readIndexed(bytes: Buffer, first: number, end: number, target: FieldTarget): boolean {
    let index = first & 0x7f;
    if (index === 0x7f) {
      if (!this.#readInteger(bytes, end, 0x7f)) return false;
      index = this.#integer;
    }
    if (index <= STATIC_COUNT) {
      if (index === 0) return false;
      target.onField(STATIC_NAMES[index]!, STATIC_VALUES[index]!, STATIC_KINDS[index]!);
      return true;
    }
    const table = this.#table;
    const position = index - STATIC_COUNT - 1;
    if (position >= table.count) return false;
    target.onField(table.name(position), table.value(position), table.kind(position));
    return true;
  }

  #readLiteral(bytes: Buffer, first: number, end: number, target: FieldTarget): boolean {
    const indexing = first >= 0x40;
    const mask = indexing ? 0x3f : 0x0f;
    let index = first & mask;
    if (index === mask) {
      if (!this.#readInteger(bytes, end, mask)) return false;
      index = this.#integer;
    }
    const use = indexing ? Use.KEPT : target.discarding ? Use.NOTHING : Use.CUT;
    if (index === 0) {
      if (!this.#readString(bytes, end, Use.NAME)) return false;
    } else if (!this.#takeName(index)) return false;
    // The table may drop the entry that the name came from: the name is held by now.
    if (!this.#readString(bytes, end, use)) return false;
    const kind = this.#valueIsGood || this.#nameKind === Kind.BAD_NAME ? this.#nameKind : Kind.BAD_VALUE;
    if (indexing) this.#table.add(this.#name, this.#value, this.#nameKind, kind);
    target.onField(this.#name, this.#value, kind);
    return true;
  }

  #readSizeUpdate(bytes: Buffer, first: number, end: number): boolean {
    let size = first & 0x1f;
    if (size === 0x1f) {
      if (!this.#readInteger(bytes, end, 0x1f)) return false;
      size = this.#integer;
    }
    if (size > this.#maxTableBytes) return false;
    this.#table.resize(size);
    this.#mustShrink = false;
    return true;
  }

  #takeName(index: number): boolean {
    if (index <= STATIC_COUNT) {
      this.#name = STATIC_NAMES[index]!;
      this.#nameKind = STATIC_KINDS[index]!;
      return true;
    }
    const position = index - STATIC_COUNT - 1;
    if (position >= this.#table.count) return false;
    this.#name = this.#table.name(position);
    this.#nameKind = this.#table.nameKind(position);
    return true;
  }

  /** The bytes after a prefix that was all ones (section 5.1). */
  #readInteger(bytes: Buffer, end: number, prefix: number): boolean {
    let value = prefix;
    for (let shift = 0; shift < MAX_INTEGER_SHIFT; shift += 7) {
      if (this.#at >= end) return false;
      const byte = bytes[this.#at++]!;
      value += (byte & 0x7f) << shift;
      if (byte < 0x80) {
        this.#integer = value;
        return true;
      }
    }
    return false;
  }

  /** A string literal (section 5.2), into the name or the value register. */
  #readString(bytes: Buffer, end: number, use: Use): boolean {
    if (this.#at >= end) return false;
    const first = bytes[this.#at++]!;
    let length = first & 0x7f;
    if (length === 0x7f) {
      if (!this.#readInteger(bytes, end, 0x7f)) return false;
      length = this.#integer;
    }
    const start = this.#at;
    if (length > end - start) return false;
    this.#at = start + length;
    if (first < 0x80) {
      if (use === Use.NAME) this.#takeNameText(bytes, start, this.#at);
      else this.#takeValueText(bytes, start, this.#at, use);
      return true;
    }
    // The shortest code has 5 bits.
    if (scratch.length < length * 1.6)
      scratch = Buffer.allocUnsafeSlow(Math.max(1024, Math.ceil(length * 3.2)));
    const textEnd = decodeHuffman(bytes, start, this.#at, scratch, 0);
    if (textEnd < 0) return false;
    if (use === Use.NAME) this.#takeNameText(scratch, 0, textEnd);
    else this.#takeValueText(scratch, 0, textEnd, use === Use.CUT ? Use.KEPT : use);
    return true;
  }

  #takeNameText(bytes: Buffer, start: number, end: number): void {
    let at = start;
    let hash = 0;
    if (bytes[at] === 0x3a && at < end) at++;
    const pseudo = at > start;
    while (at < end && NAME_CHARACTER[bytes[at]!] === 1) {
      hash = (Math.imul(hash, 31) + bytes[at]!) | 0;
      at++;
    }
    if (at < end || at === start) {
      this.#name = latin1Slice(bytes, start, end);
      this.#nameKind = Kind.BAD_NAME;
      return;
    }
    const slot = pseudo ? -1 : internName(bytes, start, end, hash);
    this.#name = slot < 0 ? latin1Slice(bytes, start, end) : internedName(slot);
    this.#nameKind = kindOfName(this.#name);
  }

  #takeValueText(bytes: Buffer, start: number, end: number, use: Use): void {
    let at = start;
    while (at < end && FIELD[bytes[at]!] === 1) at++;
    this.#valueIsGood =
      at === end && (start === end || (!isSpace(bytes[start]!) && !isSpace(bytes[end - 1]!)));
    if (start === end || use === Use.NOTHING) this.#value = "";
    else if (use === Use.KEPT) this.#value = latin1Slice(bytes, start, end);
    else this.#value = this.#cut(bytes, start, end);
  }

  /** A call into the runtime costs 60 ns, a cut 8 (Node 20): so it is one call for all plain values of a head. */
  #cut(bytes: Buffer, start: number, end: number): string {
    if (this.#textStart < 0) {
      this.#text = latin1Slice(bytes, start, this.#textEnd);
      this.#textStart = start;
    }
    return this.#text.substring(start - this.#textStart, end - this.#textStart);
  }
}

function isSpace(byte: number): boolean {
  return byte === 0x20 || byte === 0x09;
}

function lowerTokens(): Uint8Array {
  const table = TOKEN.slice();
  table.fill(0, 0x41, 0x5b);
  return table;
}
