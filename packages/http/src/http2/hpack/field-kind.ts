/** What the session itself must know about a field. Decided once, when a literal is read, and kept in the table. */
export const Kind = {
  OTHER: 0,
  METHOD: 1,
  SCHEME: 2,
  AUTHORITY: 3,
  PATH: 4,
  STATUS: 5,
  PROTOCOL: 6,
  UNKNOWN_PSEUDO: 7,
  CONTENT_LENGTH: 8,
  HOST: 9,
  COOKIE: 10,
  TE: 11,
  /** Belongs to an HTTP/1.1 connection (RFC 9113 section 8.2.2). */
  CONNECTION: 12,
  /** Not a lower-case token; or spelt so that an HTTP/1.1 server may take it for a framing field. */
  BAD_NAME: 13,
  BAD_VALUE: 14,
} as const;

const KINDS = new Map<string, number>([
  [":method", Kind.METHOD],
  [":scheme", Kind.SCHEME],
  [":authority", Kind.AUTHORITY],
  [":path", Kind.PATH],
  [":status", Kind.STATUS],
  [":protocol", Kind.PROTOCOL],
  ["content-length", Kind.CONTENT_LENGTH],
  ["host", Kind.HOST],
  ["cookie", Kind.COOKIE],
  ["te", Kind.TE],
  ["connection", Kind.CONNECTION],
  ["keep-alive", Kind.CONNECTION],
  ["proxy-connection", Kind.CONNECTION],
  ["transfer-encoding", Kind.CONNECTION],
  ["upgrade", Kind.CONNECTION],
  ["content_length", Kind.BAD_NAME],
  ["transfer_encoding", Kind.BAD_NAME],
]);

/** Kind of a name whose characters are valid. */
export function kindOfName(name: string): number {
  return KINDS.get(name) ?? (name.charCodeAt(0) === 0x3a ? Kind.UNKNOWN_PSEUDO : Kind.OTHER);
}
