import { getTextEncoding } from "@bufbuild/protobuf/wire";

/** What stays percent-encoded: nothing, the slash, or all of RFC 6570's reserved characters. */
export type Kept = "nothing" | "slash" | "reserved";

const RESERVED: ReadonlySet<number> = new Set(Array.from("!#$&'()*+,/:;=?@[]", (each) => each.charCodeAt(0)));
const SLASH = 0x2f;
const PERCENT = 0x25;
const PLUS = 0x2b;
const BLANK = 0x20;

/** The text of a part of a URL. Escapes that are none are left as they are. `plus`: a `+` is a blank. */
export function decodePercent(text: string, kept: Kept, plus = false): string {
  if (!text.includes("%") && !(plus && text.includes("+"))) return text;
  const encoding = getTextEncoding();
  const bytes = encoding.encodeUtf8(text);
  let length = 0;
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at]!;
    const decoded = byte === PERCENT ? hexByte(bytes, at + 1) : -1;
    if (decoded < 0 || stays(decoded, kept)) {
      bytes[length++] = plus && byte === PLUS ? BLANK : byte;
      continue;
    }
    bytes[length++] = decoded;
    at += 2;
  }
  return encoding.decodeUtf8(bytes.subarray(0, length));
}

function stays(byte: number, kept: Kept): boolean {
  if (kept === "nothing") return false;
  return kept === "slash" ? byte === SLASH : RESERVED.has(byte);
}

/** -1 when there are no two hexadecimal digits. */
function hexByte(bytes: Uint8Array, at: number): number {
  const high = digit(bytes[at]);
  const low = digit(bytes[at + 1]);
  return high < 0 || low < 0 ? -1 : high * 16 + low;
}

function digit(code = 0): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  const lower = code | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}
