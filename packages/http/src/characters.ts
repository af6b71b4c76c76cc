/**
 * Character classes of HTTP/1.1 as 256-entry tables, indexed by byte (or by a Latin-1 character code): 1 = member.
 * A table load beats every comparison chain and every regular expression in the parser's loops.
 */

/** `tchar` (RFC 9110 section 5.6.2): methods, field names, coding and protocol names. */
export const TOKEN = table("!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz");

/** What a field value or reason phrase may hold: HTAB, SP, VCHAR and obs-text (RFC 9110 section 5.5). */
export const FIELD = range(table("\t"), 0x20, 0x7e, 0x80, 0xff);

/**
 * What a request target may hold: visible ASCII without `#`. Wider than RFC 3986, since clients send `|`, `{` or `"`
 * unescaped; narrower than what peers let through, since raw bytes above 0x7f and fragments read differently everywhere.
 */
export const TARGET = exclude(range(table(""), 0x21, 0x7e), "#");

/** A registered name in an authority: letters, digits and `-._~`. No escapes, no sub-delimiters: no host uses them. */
export const HOST_NAME = table("-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz");

/** Inside the brackets of an IPv6 literal. */
export const IPV6 = table(":.0123456789ABCDEFabcdef");

/** Value of a hexadecimal digit, 255 for what is none. */
export const HEX_VALUE = hexValues();

/** Whether every character of `text` is in `members`. The empty text is not. */
export function isMadeOf(members: Uint8Array, text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code > 0xff || members[code] === 0) return false;
  }
  return text.length > 0;
}

/** Whether two ASCII texts are equal when case is ignored; `lower` is lower-case already. */
export function equalsIgnoringCase(text: string, lower: string): boolean {
  if (text === lower) return true;
  if (text.length !== lower.length) return false;
  for (let i = 0; i < text.length; i++) {
    let code = text.charCodeAt(i);
    if (code >= 0x41 && code <= 0x5a) code |= 0x20;
    if (code !== lower.charCodeAt(i)) return false;
  }
  return true;
}

function table(members: string): Uint8Array {
  const result = new Uint8Array(256);
  for (let i = 0; i < members.length; i++) result[members.charCodeAt(i)] = 1;
  return result;
}

function range(members: Uint8Array, ...bounds: number[]): Uint8Array {
  for (let i = 0; i < bounds.length; i += 2) members.fill(1, bounds[i], bounds[i + 1]! + 1);
  return members;
}

function exclude(members: Uint8Array, excluded: string): Uint8Array {
  for (let i = 0; i < excluded.length; i++) members[excluded.charCodeAt(i)] = 0;
  return members;
}

function hexValues(): Uint8Array {
  const result = new Uint8Array(256).fill(255);
  for (let digit = 0; digit < 10; digit++) result[0x30 + digit] = digit;
  for (let digit = 10; digit < 16; digit++) {
    result[0x41 + digit - 10] = digit;
    result[0x61 + digit - 10] = digit;
  }
  return result;
}
