import { isIPv4 } from "node:net";

/** What of a TLS ClientHello decides where its connection goes. */
export interface ClientHello {
  /** Lower-case; "" when it names none, or what it names is not a DNS name. */
  readonly serverName: string;
  readonly alpn: readonly string[];
}

/** A ClientHello longer than this is not waited for. */
export const MAX_HELLO_BYTES = 16 * 1024;

/** First byte of a TLS connection: type of its first record. No HTTP method begins with it. */
export const HANDSHAKE_RECORD = 22;
const CLIENT_HELLO = 1;
const RECORD_HEADER_BYTES = 5;
/** RFC 8446 section 5.1. */
const MAX_RECORD_BYTES = 16_384;
const MESSAGE_HEADER_BYTES = 4;
/** Version and random. */
const FIXED_BYTES = 2 + 32;
const SERVER_NAME_EXTENSION = 0;
const ALPN_EXTENSION = 16;
const HOST_NAME = 0;
const NOTHING: ClientHello = { serverName: "", alpn: [] };

/**
 * Reads the ClientHello (RFC 8446 section 4.1.2) that a connection begins with, from its first bytes; it may lie in
 * several records. A number when it is not complete: how many bytes there must be, at least, for it to be worth another
 * look. Undefined when this is no ClientHello.
 */
export function readClientHello(bytes: Buffer): ClientHello | number | undefined {
  const pieces: Buffer[] = [];
  let held = 0;
  let needed = MESSAGE_HEADER_BYTES;
  for (let at = 0; held < needed;) {
    const header = bytes.subarray(at, at + RECORD_HEADER_BYTES);
    if (!mayBeRecord(header)) return undefined;
    if (header.length < RECORD_HEADER_BYTES) return at + RECORD_HEADER_BYTES;
    const length = header.readUInt16BE(3);
    if (length === 0 || length > MAX_RECORD_BYTES) return undefined;
    const record = bytes.subarray(at + RECORD_HEADER_BYTES, at + RECORD_HEADER_BYTES + length);
    if (held === 0 && record.length > 0 && record[0] !== CLIENT_HELLO) return undefined;
    pieces.push(record);
    held += record.length;
    at += RECORD_HEADER_BYTES + length;
    if (needed === MESSAGE_HEADER_BYTES && held >= MESSAGE_HEADER_BYTES) {
      const start = pieces.length === 1 ? record : Buffer.concat(pieces);
      needed = MESSAGE_HEADER_BYTES + start.readUIntBE(1, 3);
      if (needed > MAX_HELLO_BYTES) return NOTHING;
    }
    if (record.length < length && held < needed) return at;
  }
  const message = pieces.length === 1 ? (pieces[0] as Buffer) : Buffer.concat(pieces);
  return readBody(message.subarray(MESSAGE_HEADER_BYTES, needed));
}

/** Type and the version's first byte, as far as they have come. */
function mayBeRecord(header: Buffer): boolean {
  if (header.length > 0 && header[0] !== HANDSHAKE_RECORD) return false;
  return header.length < 2 || header[1] === 3;
}

/** Thrown by {@link Reader} at what is cut short; never leaves this file. */
const TOO_SHORT = new RangeError("too short");

/** Reads lengths and what they count. */
class Reader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get done(): boolean {
    return this.#at === this.#bytes.length;
  }

  number(bytes: 1 | 2): number {
    return this.take(bytes).readUIntBE(0, bytes);
  }

  /** What follows its own length of one or two bytes. */
  counted(bytes: 1 | 2): Buffer {
    return this.take(this.number(bytes));
  }

  take(bytes: number): Buffer {
    const end = this.#at + bytes;
    if (end > this.#bytes.length) throw TOO_SHORT;
    const taken = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return taken;
  }
}

function readBody(body: Buffer): ClientHello | undefined {
  try {
    const reader = new Reader(body);
    reader.take(FIXED_BYTES);
    reader.counted(1);
    reader.counted(2);
    reader.counted(1);
    return reader.done ? NOTHING : readExtensions(reader.counted(2));
  } catch (thrown) {
    if (thrown === TOO_SHORT) return undefined;
    throw thrown;
  }
}

function readExtensions(bytes: Buffer): ClientHello {
  const reader = new Reader(bytes);
  let serverName: string | undefined;
  let alpn: readonly string[] = [];
  while (!reader.done) {
    const type = reader.number(2);
    const extension = reader.counted(2);
    // A second one is forbidden (RFC 8446 section 4.2): which of the two a server takes is anybody's guess.
    if (type === SERVER_NAME_EXTENSION) serverName = serverName === undefined ? readName(extension) : "";
    else if (type === ALPN_EXTENSION) alpn = readProtocols(extension);
  }
  return { serverName: serverName ?? "", alpn };
}

/** RFC 6066 section 3: a list with one name. */
function readName(extension: Buffer): string {
  const list = new Reader(new Reader(extension).counted(2));
  let name: string | undefined;
  while (!list.done) {
    const type = list.number(1);
    const value = list.counted(2);
    if (type === HOST_NAME) name = name === undefined ? nameOf(value) : "";
  }
  return name ?? "";
}

/** RFC 7301 section 3.1. */
function readProtocols(extension: Buffer): readonly string[] {
  const list = new Reader(new Reader(extension).counted(2));
  const names: string[] = [];
  while (!list.done) names.push(list.counted(1).toString("latin1"));
  return names;
}

/** A DNS name, lower-case, or "". Addresses are no names (RFC 6066 section 3). */
function nameOf(value: Buffer): string {
  if (value.length === 0 || value.length > 253) return "";
  const text = value.toString("latin1").toLowerCase();
  const isName = /^[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*$/.test(text);
  return isName && !isIPv4(text) ? text : "";
}
