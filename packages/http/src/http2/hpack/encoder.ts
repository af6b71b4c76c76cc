import { FIELD } from "../../characters.js";
import type { HeaderList } from "../../contract.js";
import { trimSpace } from "../../headers.js";
import { latin1Write } from "../../latin1.js";
import { NameMemo } from "../../name-memo.js";
import type { Http2Request } from "../contract.js";
import { INITIAL_TABLE_BYTES } from "../limits.js";
import { EncodingTable, Pair } from "./encoding-table.js";
import { huffmanLength, writeHuffman } from "./huffman-encoder.js";
import { type NamePolicy, Mode, policyOf, pseudoPolicy } from "./name-policy.js";
import { STATIC_COUNT } from "./static-table.js";

const INDEXED = 0x80;
const WITH_INDEXING = 0x40;
const SIZE_UPDATE = 0x20;
const NEVER_INDEXED = 0x10;
const WITHOUT_INDEXING = 0x00;

const METHOD = pseudoPolicy(":method", Mode.AT_ONCE);
const SCHEME = pseudoPolicy(":scheme", Mode.AT_ONCE);
const AUTHORITY = pseudoPolicy(":authority", Mode.AT_ONCE);
const PATH = pseudoPolicy(":path", Mode.SECOND_SIGHT);
const PROTOCOL = pseudoPolicy(":protocol", Mode.AT_ONCE);
const STATUS = pseudoPolicy(":status", Mode.AT_ONCE);
/** Statuses of the static table, by index from 8 on. */
const STATIC_STATUSES: readonly number[] = [200, 204, 206, 304, 400, 404, 500];

/** Bytes that a field may take beyond its texts: two integers and a first byte. */
const FIELD_OVERHEAD = 12;
/** Pseudo fields and two size updates. */
const BLOCK_OVERHEAD = 96;
/** From here on, one test and one copy in the runtime beat the loop (see `GrowingBuffer.writeFieldText`). */
const LONG_TEXT = 32;
const NOT_FIELD_TEXT = /[^\t\x20-\x7e\x80-\xff]/;

/**
 * Encodes header blocks (RFC 7541). One per connection. What repeats costs one byte, an id its plain text.
 *
 * Huffman code is used where a field goes into the table: it is then sent once. Elsewhere it does not pay: an id of 36
 * characters costs 76 ns more here and 50 more at the peer, to save 10 bytes.
 *
 * No value can break the peer's reading: names are made valid, values trimmed, and every control character is written as
 * a space, as in HTTP/1.1.
 *
 * Measured (Node 20, `bench/micro/http2.mjs`, streams and frames included): a request of 12 fields, two of them ids and
 * one a cookie, is 165 bytes and takes 0.7 us to write and 0.66 us to read; one of two fields 15 bytes, 0.2 us and 0.22
 * us; a whole exchange of both sides 2.0 us and 1.0 us.
 */
export class HpackEncoder {
  readonly #table: EncodingTable;
  readonly #maxTableBytes: number;
  /** Smallest size since the last block, announced first when the table shrank and grew again (section 4.2). */
  #smallestBytes: number;
  #sizeChanged: boolean;
  #bytes: Buffer = EMPTY;
  readonly #policies = new NameMemo(policyOf);

  /** `maxTableBytes`: most of the table that the peer offers is used up to this. */
  constructor(maxTableBytes: number) {
    this.#maxTableBytes = maxTableBytes;
    const size = Math.min(maxTableBytes, INITIAL_TABLE_BYTES);
    this.#table = new EncodingTable(size);
    this.#smallestBytes = size;
    this.#sizeChanged = size !== INITIAL_TABLE_BYTES;
  }

  /** Bytes in the dynamic table. */
  get tableBytes(): number {
    return this.#table.bytes;
  }

  /** The peer's SETTINGS_HEADER_TABLE_SIZE. The next block announces the change. */
  setPeerTableSize(bytes: number): void {
    const size = Math.min(bytes, this.#maxTableBytes);
    if (size === this.#table.maxBytes) return;
    this.#table.resize(size);
    this.#smallestBytes = Math.min(this.#smallestBytes, size);
    this.#sizeChanged = true;
  }

  /** Writes a request's block into `bytes` at `at`, where `requestBound` bytes are free; returns where it ends. */
  writeRequest(bytes: Buffer, at: number, request: Http2Request): number {
    const { method, scheme, path, protocol } = request;
    this.#bytes = bytes;
    at = this.#begin(at);
    if (method === "GET") bytes[at++] = INDEXED | 2;
    else if (method === "POST") bytes[at++] = INDEXED | 3;
    else at = this.#pair(METHOD, wordOf(method), at);
    if (protocol !== "") at = this.#pair(PROTOCOL, wordOf(protocol), at);
    if (scheme === "http") bytes[at++] = INDEXED | 6;
    else if (scheme === "https") bytes[at++] = INDEXED | 7;
    else if (scheme !== "") at = this.#pair(SCHEME, wordOf(scheme), at);
    if (request.authority !== "") at = this.#pair(AUTHORITY, wordOf(request.authority), at);
    if (path === "/") bytes[at++] = INDEXED | 4;
    else if (path !== "") at = this.#pair(PATH, wordOf(path), at);
    return this.#fields(request.headers, at);
  }

  /** Writes a response's block, as `writeRequest` does. */
  writeResponse(bytes: Buffer, at: number, status: number, headers: HeaderList): number {
    this.#bytes = bytes;
    at = this.#begin(at);
    const known = STATIC_STATUSES.indexOf(status);
    if (known >= 0) bytes[at++] = INDEXED | (8 + known);
    else at = this.#pair(STATUS, String(status), at);
    return this.#fields(headers, at);
  }

  /** Writes the block of a trailer section, as `writeRequest` does. */
  writeTrailers(bytes: Buffer, at: number, trailers: HeaderList): number {
    this.#bytes = bytes;
    return this.#fields(trailers, this.#begin(at));
  }

  #begin(at: number): number {
    if (!this.#sizeChanged) return at;
    this.#sizeChanged = false;
    const size = this.#table.maxBytes;
    if (this.#smallestBytes < size) at = this.#integer(at, SIZE_UPDATE, 0x1f, this.#smallestBytes);
    this.#smallestBytes = size;
    return this.#integer(at, SIZE_UPDATE, 0x1f, size);
  }

  #fields(headers: HeaderList, at: number): number {
    for (let i = 0; i < headers.length; i += 2) {
      const policy = this.#policies.at(i >> 1, headers[i]!);
      let value = headers[i + 1]!;
      if (mustTrim(value)) value = trimSpace(value.replace(NOT_FIELD_TEXT_ALL, " "));
      switch (policy.mode) {
        case Mode.LITERAL: {
          at = this.#literal(policy, value, at);
          break;
        }
        case Mode.SECRET: {
          at = this.#plain(policy, value, at, NEVER_INDEXED);
          break;
        }
        case Mode.LEFT_OUT: {
          break;
        }
        case Mode.TE: {
          if (value.toLowerCase() === "trailers") at = this.#pair(policy, "trailers", at);
          break;
        }
        default: {
          at = this.#pair(policy, value, at);
        }
      }
    }
    this.#bytes = EMPTY;
    return at;
  }

  /** A field that may repeat. */
  #pair(policy: NamePolicy, value: string, at: number): number {
    const table = this.#table;
    const position = table.find(policy, value);
    if (position >= 0) return this.#integer(at, INDEXED, 0x7f, position + STATIC_COUNT + 1);
    const size = policy.name.length + value.length + 32;
    if ((position === Pair.NEW && policy.mode === Mode.SECOND_SIGHT) || !table.fits(size)) {
      return this.#plain(policy, value, at, WITHOUT_INDEXING);
    }
    // The name's index is read before the table changes.
    at = this.#name(policy, at, WITH_INDEXING, 0x3f);
    table.addPair(policy, value, size);
    return this.#huffmanText(value, at);
  }

  /** A field whose value never repeats: the first one takes the name into the table. */
  #literal(policy: NamePolicy, value: string, at: number): number {
    const table = this.#table;
    const size = policy.name.length + value.length + 32;
    if (policy.staticIndex > 0 || table.positionOfName(policy) >= 0 || !table.fits(size)) {
      return this.#plain(policy, value, at, WITHOUT_INDEXING);
    }
    at = this.#name(policy, at, WITH_INDEXING, 0x3f);
    table.addName(policy, size);
    return this.#huffmanText(value, at);
  }

  #plain(policy: NamePolicy, value: string, at: number, form: number): number {
    at = this.#name(policy, at, form, 0x0f);
    at = this.#integer(at, 0, 0x7f, value.length);
    return this.#text(value, at);
  }

  #name(policy: NamePolicy, at: number, form: number, mask: number): number {
    if (policy.staticIndex > 0) return this.#integer(at, form, mask, policy.staticIndex);
    const position = this.#table.positionOfName(policy);
    if (position >= 0) return this.#integer(at, form, mask, position + STATIC_COUNT + 1);
    const { literal } = policy;
    const bytes = this.#bytes;
    bytes[at++] = form;
    for (let i = 0; i < literal.length; i++) bytes[at++] = literal[i]!;
    return at;
  }

  #integer(at: number, form: number, mask: number, value: number): number {
    const bytes = this.#bytes;
    if (value < mask) {
      bytes[at] = form | value;
      return at + 1;
    }
    bytes[at++] = form | mask;
    let rest = value - mask;
    for (; rest >= 0x80; rest >>>= 7) bytes[at++] = 0x80 | (rest & 0x7f);
    bytes[at] = rest;
    return at + 1;
  }

  #text(value: string, at: number): number {
    const bytes = this.#bytes;
    const length = value.length;
    if (length > LONG_TEXT && !NOT_FIELD_TEXT.test(value)) {
      latin1Write(bytes, value, at);
      return at + length;
    }
    for (let i = 0; i < length; i++) {
      const code = value.charCodeAt(i);
      bytes[at++] = FIELD[code] === 1 ? code : 0x20;
    }
    return at;
  }

  #huffmanText(value: string, at: number): number {
    const text = NOT_FIELD_TEXT.test(value) ? value.replace(NOT_FIELD_TEXT_ALL, " ") : value;
    const length = huffmanLength(text);
    if (length >= text.length) {
      at = this.#integer(at, 0, 0x7f, text.length);
      return this.#text(text, at);
    }
    at = this.#integer(at, 0x80, 0x7f, length);
    return writeHuffman(this.#bytes, at, text);
  }
}

/** Bytes that a block of these fields takes at most, pseudo fields of `extra` characters included. */
export function blockBound(headers: HeaderList, extra: number): number {
  let bound = BLOCK_OVERHEAD + extra;
  for (let i = 0; i < headers.length; i += 2) {
    // A name's literal is Huffman code: at most 15 bits for a character of a token.
    bound += headers[i]!.length * 2 + headers[i + 1]!.length + FIELD_OVERHEAD;
  }
  return bound;
}

const NOT_FIELD_TEXT_ALL = new RegExp(NOT_FIELD_TEXT.source, "g");
const EMPTY: Buffer = Buffer.alloc(0);

function mustTrim(value: string): boolean {
  const length = value.length;
  if (length === 0) return false;
  return isBlank(value.charCodeAt(0)) || isBlank(value.charCodeAt(length - 1));
}

/** Spaces, and what is written as one: at an end they must go, a peer refuses such values (RFC 9113 section 8.2.1). */
function isBlank(code: number): boolean {
  return code <= 0x20 || code === 0x7f || code > 0xff;
}

/** A method, scheme, authority or path: visible ASCII, everything else as `_`. */
function wordOf(text: string): string {
  return NOT_WORD.test(text) ? text.replace(NOT_WORD_ALL, "_") : text;
}

const NOT_WORD = /[^\x21-\x7e]/;
const NOT_WORD_ALL = new RegExp(NOT_WORD.source, "g");
