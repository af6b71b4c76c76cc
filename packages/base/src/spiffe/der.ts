/**
 * Just enough DER (X.690) to write a certificate request and to read a certificate's names and dates, so that the
 * proxy process needs no X.509 library.
 */

/** Tags in use here. */
export const Tag = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  objectIdentifier: 0x06,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const;

/** Encodes one value: tag, length, content. */
export function encodeDer(tag: number, ...content: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(content);
  if (body.length < 0x80) return Buffer.concat([Buffer.from([tag, body.length]), body]);
  const length: number[] = [];
  for (let rest = body.length; rest > 0; rest >>>= 8) length.unshift(rest & 0xff);
  return Buffer.concat([Buffer.from([tag, 0x80 | length.length, ...length]), body]);
}

/** Encodes an object identifier in its dotted form: `2.5.29.17`. */
export function encodeObjectIdentifier(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split(".").map(Number);
  const bytes: number[] = [];
  for (const arc of [first * 40 + second, ...rest]) {
    const groups = [arc & 0x7f];
    for (let high = arc >>> 7; high > 0; high >>>= 7) groups.unshift((high & 0x7f) | 0x80);
    bytes.push(...groups);
  }
  return encodeDer(Tag.objectIdentifier, Buffer.from(bytes));
}

/** One value inside `bytes`: its content is `bytes.subarray(start, end)`. */
export interface DerValue {
  readonly tag: number;
  readonly start: number;
  readonly end: number;
}

/** Not DER, or not of the expected structure. Internal to this folder: public functions answer undefined instead. */
export class DerError extends Error {
  override readonly name = "DerError";
}

/**
 * Reads values one after another within bounds. Strict: definite lengths in their shortest form, one-byte tags,
 * nothing beyond the bounds.
 */
export class DerReader {
  readonly bytes: Uint8Array;
  readonly #end: number;
  #offset: number;

  constructor(bytes: Uint8Array, start = 0, end = bytes.length) {
    this.bytes = bytes;
    this.#offset = start;
    this.#end = end;
  }

  get done(): boolean {
    return this.#offset >= this.#end;
  }

  /** The tag of the next value, or -1 at the end. */
  peek(): number {
    return this.done ? -1 : this.#byte(this.#offset);
  }

  /** Reads the next value, which must have `tag` when one is given. */
  read(tag?: number): DerValue {
    const found = this.#byte(this.#offset);
    if ((found & 0x1f) === 0x1f) throw new DerError("multi-byte tag");
    if (tag !== undefined && found !== tag) throw new DerError(`tag ${found} instead of ${tag}`);
    const first = this.#byte(this.#offset + 1);
    let start = this.#offset + 2;
    let length = first;
    if (first >= 0x80) {
      const size = first & 0x7f;
      if (size === 0 || size > 3) throw new DerError("indefinite or huge length");
      length = 0;
      for (let i = 0; i < size; i++) length = (length << 8) | this.#byte(start++);
      if (length < 0x80 || length >>> ((size - 1) * 8) === 0)
        throw new DerError("length not in its shortest form");
    }
    const end = start + length;
    if (end > this.#end) throw new DerError("value reaches beyond its end");
    this.#offset = end;
    return { tag: found, start, end };
  }

  /** A reader of the next value's content. */
  enter(tag: number): DerReader {
    const value = this.read(tag);
    return new DerReader(this.bytes, value.start, value.end);
  }

  /** Checks that nothing follows. */
  finish(): void {
    if (!this.done) throw new DerError("trailing data");
  }

  #byte(offset: number): number {
    const byte = offset < this.#end ? this.bytes[offset] : undefined;
    if (byte === undefined) throw new DerError("truncated");
    return byte;
  }
}

/** Milliseconds since the epoch (RFC 5280 section 4.1.2.5): seconds given, zone Z, two-digit years up to 2049. */
export function readTime(der: Uint8Array, value: DerValue): number {
  const text = Buffer.from(der.subarray(value.start, value.end)).toString("latin1");
  const digits = value.tag === Tag.utcTime ? 2 : value.tag === Tag.generalizedTime ? 4 : 0;
  const match = (digits === 2 ? UTC_TIME : digits === 4 ? GENERALIZED_TIME : undefined)?.exec(text);
  if (match === null || match === undefined) throw new DerError("date of an unknown form");
  const [year = 0, month = 0, ...rest] = match.slice(1).map(Number);
  const fullYear = digits === 4 ? year : year + (year < 50 ? 2000 : 1900);
  const [day = 0, hour = 0, minute = 0, second = 0] = rest;
  return Date.UTC(fullYear, month - 1, day, hour, minute, second);
}

const UTC_TIME = /^(\d{2})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/;
const GENERALIZED_TIME = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/;

/** A value's content. */
export function hex(bytes: Uint8Array, value: DerValue): string {
  return Buffer.from(bytes.subarray(value.start, value.end)).toString("hex");
}
