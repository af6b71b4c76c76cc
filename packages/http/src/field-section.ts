import { FIELD, TOKEN, equalsIgnoringCase, isMadeOf } from "./characters.js";
import type { HeaderList, Http1Error } from "./contract.js";
import { FieldKind, internName, internedKind, internedName, isSame, lowerName } from "./field-names.js";
import { splitList } from "./headers.js";
import { isForbiddenInTrailers } from "./hop-by-hop.js";
import { HTTP1_ERRORS } from "./http1-errors.js";
import { latin1Slice } from "./latin1.js";

const SP = 0x20;
const HTAB = 0x09;
const CR = 0x0d;
const LF = 0x0a;
const COLON = 0x3a;
const MAX_LENGTH = Number.MAX_SAFE_INTEGER;

/**
 * Reads field lines (RFC 9112 section 5) and notes what framing and connection handling need. One per parser, reset
 * by every `read`; only the lists of fields are new.
 */
export class FieldSection {
  /** Value of Content-Length, or -1. */
  contentLength = -1;
  /** `Transfer-Encoding: chunked` was there. */
  chunked = false;
  /** Options of Connection. */
  close = false;
  keepAlive = false;
  connectionUpgrade = false;
  /** How often these were there, and the last value. */
  hostCount = 0;
  host = "";
  expectCount = 0;
  expect = "";
  upgradeCount = 0;
  upgrade = "";
  /** A Host that was seen before: when it comes again, `host` is this very string. */
  knownHost = "";
  /** Set when `read` or `readTrailers` returned undefined. */
  error: Http1Error | undefined = undefined;
  readonly #maxCount: number;
  #count = 0;

  constructor(maxCount: number) {
    this.#maxCount = maxCount;
  }

  /**
   * Reads the field lines of `bytes[at, end)`, which ends with the empty line. `text` is the Latin-1 text of
   * `bytes[base, end)`: values are cut from it.
   */
  read(bytes: Buffer, at: number, end: number, text: string, base: number): HeaderList | undefined {
    this.contentLength = -1;
    this.chunked = false;
    this.close = false;
    this.keepAlive = false;
    this.connectionUpgrade = false;
    this.hostCount = 0;
    this.host = "";
    this.expectCount = 0;
    this.expect = "";
    this.upgradeCount = 0;
    this.upgrade = "";
    this.error = undefined;
    this.#count = 0;
    return this.#readLines(bytes, at, end, text, base, true);
  }

  /**
   * Reads trailer fields. They count towards the head's limit of fields. None of them acts; those that would mean
   * something elsewhere (framing, routing, authentication) are dropped (RFC 9110 section 6.5.1).
   */
  readTrailers(bytes: Buffer, at: number, end: number): HeaderList | undefined {
    this.error = undefined;
    return this.#readLines(bytes, at, end, latin1Slice(bytes, at, end), at, false);
  }

  #readLines(
    bytes: Buffer,
    at: number,
    end: number,
    text: string,
    base: number,
    acting: boolean,
  ): HeaderList | undefined {
    const list: HeaderList = [];
    // CR is in no table: both loops below stop at the latest at the empty line.
    const emptyLine = end - 2;
    while (at < emptyLine) {
      const nameStart = at;
      let hash = 0;
      let byte = bytes[at]!;
      while (TOKEN[byte] === 1) {
        hash = (Math.imul(hash, 31) + byte) | 0;
        byte = bytes[++at]!;
      }
      const nameEnd = at;
      if (byte !== COLON || nameEnd === nameStart) return this.#refuseName(byte, nameEnd === nameStart);
      byte = bytes[++at]!;
      while (byte === SP || byte === HTAB) byte = bytes[++at]!;
      const valueStart = at;
      while (FIELD[byte] === 1) byte = bytes[++at]!;
      if (byte !== CR || bytes[at + 1] !== LF) return this.#refuse(HTTP1_ERRORS.fieldValue);
      let valueEnd = at;
      while (valueEnd > valueStart && (bytes[valueEnd - 1] === SP || bytes[valueEnd - 1] === HTAB))
        valueEnd--;
      at += 2;
      if (++this.#count > this.#maxCount) return this.#refuse(HTTP1_ERRORS.tooManyFields);
      const slot = internName(bytes, nameStart, nameEnd, hash);
      const name = slot < 0 ? text.substring(nameStart - base, nameEnd - base) : internedName(slot);
      const kind = slot < 0 ? FieldKind.OTHER : internedKind(slot);
      const value =
        kind === FieldKind.HOST && isSame(bytes, valueStart, valueEnd, this.knownHost)
          ? this.knownHost
          : text.substring(valueStart - base, valueEnd - base);
      if (acting) {
        if (kind !== FieldKind.OTHER) this.#act(kind, value);
        if (this.error !== undefined) return undefined;
      } else if (isForbiddenInTrailers(lowerName(name))) continue;
      list.push(name, value);
    }
    return list;
  }

  #act(kind: number, value: string): void {
    switch (kind) {
      case FieldKind.CONTENT_LENGTH: {
        if (this.contentLength >= 0) this.error = HTTP1_ERRORS.duplicateLength;
        else this.#setContentLength(value);
        return;
      }
      case FieldKind.TRANSFER_ENCODING: {
        this.#setTransferEncoding(value);
        return;
      }
      case FieldKind.CONNECTION: {
        this.#addConnection(value);
        return;
      }
      case FieldKind.HOST: {
        this.hostCount++;
        this.host = value;
        return;
      }
      case FieldKind.EXPECT: {
        this.expectCount++;
        this.expect = value;
        return;
      }
      case FieldKind.UPGRADE: {
        this.upgradeCount++;
        this.upgrade = value;
        return;
      }
      case FieldKind.LOOKALIKE: {
        this.error = HTTP1_ERRORS.fieldName;
        return;
      }
      default:
    }
  }

  /** Decimal digits only, no leading zero: peers read `010`, `+5` and `5, 5` in different ways. */
  #setContentLength(value: string): void {
    let length = 0;
    for (let i = 0; i < value.length; i++) {
      const digit = value.charCodeAt(i) - 0x30;
      if (digit < 0 || digit > 9 || (i === 1 && length === 0)) {
        this.error = HTTP1_ERRORS.contentLength;
        return;
      }
      length = length * 10 + digit;
      if (length > MAX_LENGTH) {
        this.error = HTTP1_ERRORS.contentLength;
        return;
      }
    }
    if (value.length === 0) this.error = HTTP1_ERRORS.contentLength;
    else this.contentLength = length;
  }

  #setTransferEncoding(value: string): void {
    if (this.chunked) this.error = HTTP1_ERRORS.transferEncoding;
    else if (equalsIgnoringCase(value, "chunked")) this.chunked = true;
    else {
      const codings = value.split(",").map((coding) => coding.replace(/^[ \t]+|[ \t]+$/g, ""));
      const wellFormed = codings.every((coding) => isMadeOf(TOKEN, coding));
      const chunkedAmong = codings.filter((coding) => equalsIgnoringCase(coding, "chunked")).length;
      this.error =
        wellFormed && chunkedAmong <= 1 ? HTTP1_ERRORS.unknownCoding : HTTP1_ERRORS.transferEncoding;
    }
  }

  #addConnection(value: string): void {
    if (equalsIgnoringCase(value, "keep-alive")) this.keepAlive = true;
    else if (equalsIgnoringCase(value, "close")) this.close = true;
    else {
      for (const option of splitList(value)) {
        if (!isMadeOf(TOKEN, option)) this.error = HTTP1_ERRORS.connection;
        else if (equalsIgnoringCase(option, "close")) this.close = true;
        else if (equalsIgnoringCase(option, "keep-alive")) this.keepAlive = true;
        else if (equalsIgnoringCase(option, "upgrade")) this.connectionUpgrade = true;
      }
    }
  }

  #refuseName(byte: number, atStart: boolean): undefined {
    if (atStart && (byte === SP || byte === HTAB)) return this.#refuse(HTTP1_ERRORS.folding);
    return this.#refuse(byte === CR || byte === LF ? HTTP1_ERRORS.lineEnding : HTTP1_ERRORS.fieldName);
  }

  #refuse(error: Http1Error): undefined {
    this.error = error;
    return undefined;
  }
}
