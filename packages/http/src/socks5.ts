import { formatAddress } from "@tulle/base";

import { parseAuthority } from "./authority.js";

/** First byte of everything that a client of SOCKS 5 says (RFC 1928). No HTTP request begins with it. */
export const SOCKS5_VERSION = 5;

/** What a request is answered with (RFC 1928 section 6). */
export const Socks5Reply = {
  SUCCEEDED: 0,
  GENERAL_FAILURE: 1,
  NOT_ALLOWED: 2,
  HOST_UNREACHABLE: 4,
  COMMAND_NOT_SUPPORTED: 7,
  ADDRESS_TYPE_NOT_SUPPORTED: 8,
} as const;

const NO_AUTHENTICATION = 0;
const NO_ACCEPTABLE_METHOD = 0xff;
const CONNECT = 1;
const BIND = 2;
const UDP_ASSOCIATE = 3;
const IPV4 = 1;
const NAME = 3;
const IPV6 = 4;
/** Version, command, a reserved byte and the type of the address. */
const FIXED_BYTES = 4;
const PORT_BYTES = 2;

/** The end of what was read of the client: `length` bytes were that; undefined = more is needed. */
export type Socks5Read<Value> = (Value & { readonly length: number }) | Socks5Refusal | undefined;

/** The client is told `bytes`, which may be none, and the connection closed. */
export interface Socks5Refusal {
  readonly refused: "malformed" | "methods" | "command" | "address type";
  readonly bytes: Buffer;
}

/** Where a client wants to be connected to. */
export interface Socks5Destination {
  /** Canonical, as {@link parseAuthority} gives it; IPv6 without brackets. */
  readonly host: string;
  readonly port: number;
}

/**
 * Reads the methods of authentication that a client offers (RFC 1928 section 3): no authentication must be among them, which
 * {@link socks5Greeting} answers. `bytes`: all that came, at most 257 of which are looked at.
 */
export function readSocks5Greeting(bytes: Buffer): Socks5Read<object> {
  if (bytes.length > 0 && bytes[0] !== SOCKS5_VERSION) return MALFORMED;
  const count = bytes[1];
  if (count === undefined) return undefined;
  if (count === 0) return MALFORMED;
  const length = 2 + count;
  if (bytes.length < length) return undefined;
  if (bytes.subarray(2, length).includes(NO_AUTHENTICATION)) return { length };
  return { refused: "methods", bytes: Buffer.from([SOCKS5_VERSION, NO_ACCEPTABLE_METHOD]) };
}

/** Says that no authentication is asked for. */
export function socks5Greeting(): Buffer {
  return Buffer.from([SOCKS5_VERSION, NO_AUTHENTICATION]);
}

/** Reads a request (RFC 1928 section 4): CONNECT alone. `bytes`: all that came behind the greeting; 262 at most are looked at. */
export function readSocks5Request(bytes: Buffer): Socks5Read<Socks5Destination> {
  const [version, command, reserved, type] = bytes;
  if (version !== undefined && version !== SOCKS5_VERSION) return MALFORMED;
  if (command === undefined) return undefined;
  if (command === BIND || command === UDP_ASSOCIATE)
    return refusal("command", Socks5Reply.COMMAND_NOT_SUPPORTED);
  if (command !== CONNECT || (reserved !== undefined && reserved !== 0)) return MALFORMED_REQUEST;
  if (type === undefined) return undefined;
  if (type === NAME && bytes[FIXED_BYTES] === undefined) return undefined;
  const host = hostBytes(bytes, type);
  if (host === undefined) return refusal("address type", Socks5Reply.ADDRESS_TYPE_NOT_SUPPORTED);
  const length = host.end + PORT_BYTES;
  if (bytes.length < length) return undefined;
  const text = hostText(bytes.subarray(host.start, host.end), type);
  // A port of 0, a name that is none: what HTTP would refuse, too.
  const authority = parseAuthority(formatAddress(text, bytes.readUInt16BE(host.end)));
  if (authority?.port === undefined) return MALFORMED_REQUEST;
  return { host: authority.host.replace(/^\[|\]$/g, ""), port: authority.port, length };
}

/** The answer to a request, with no address: the client has no use for one (RFC 1928 section 6). */
export function socks5Reply(reply: number): Buffer {
  return Buffer.from([SOCKS5_VERSION, reply, 0, IPV4, 0, 0, 0, 0, 0, 0]);
}

function refusal(refused: Socks5Refusal["refused"], reply: number): Socks5Refusal {
  return { refused, bytes: socks5Reply(reply) };
}

/** Whoever speaks something else would not understand an answer. */
const MALFORMED: Socks5Refusal = { refused: "malformed", bytes: Buffer.alloc(0) };
const MALFORMED_REQUEST = refusal("malformed", Socks5Reply.GENERAL_FAILURE);

/** Where the host lies; undefined = of no known type. */
function hostBytes(bytes: Buffer, type: number): { start: number; end: number } | undefined {
  switch (type) {
    case IPV4:
      return { start: FIXED_BYTES, end: FIXED_BYTES + 4 };
    case IPV6:
      return { start: FIXED_BYTES, end: FIXED_BYTES + 16 };
    case NAME:
      return { start: FIXED_BYTES + 1, end: FIXED_BYTES + 1 + (bytes[FIXED_BYTES] ?? 0) };
    default:
      return undefined;
  }
}

function hostText(bytes: Buffer, type: number): string {
  if (type === NAME) return bytes.toString("latin1");
  if (type === IPV4) return bytes.join(".");
  const groups: string[] = [];
  for (let at = 0; at < 16; at += 2) groups.push(bytes.readUInt16BE(at).toString(16));
  return groups.join(":");
}
