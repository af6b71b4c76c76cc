import { HOST_NAME, IPV6, isMadeOf } from "./characters.js";

/** An authority taken apart, in canonical form. */
export interface Authority {
  /** Lower-case name without trailing dot, IPv4 address, or IPv6 address in brackets. */
  readonly host: string;
  /** 1 to 65535, or undefined when none was written. */
  readonly port: number | undefined;
}

/**
 * Takes `host[:port]` apart (RFC 9110 section 7.2) and makes it canonical: lower case, one trailing dot removed.
 * Undefined for everything else: user information, escapes, lists, an empty host, a port of 0, above 65535 or with a
 * leading zero. `host:` (empty port) counts as no port.
 */
export function parseAuthority(text: string): Authority | undefined {
  if (text.length === 0 || text.length > 255 + 6) return undefined;
  const bracket = text.charCodeAt(0) === 0x5b;
  const hostEnd = bracket ? text.indexOf("]") + 1 : endOfName(text);
  if (hostEnd === 0) return undefined;
  const port = parsePort(text, hostEnd);
  if (port === "invalid") return undefined;
  const host = bracket ? parseIpv6(text.slice(0, hostEnd)) : parseName(text.slice(0, hostEnd));
  return host === undefined ? undefined : { host, port };
}

function endOfName(text: string): number {
  const colon = text.indexOf(":");
  return colon < 0 ? text.length : colon;
}

function parseName(text: string): string | undefined {
  if (!isMadeOf(HOST_NAME, text)) return undefined;
  const name = text.endsWith(".") ? text.slice(0, -1) : text;
  if (name === "" || name.startsWith(".") || name.endsWith(".") || name.includes("..")) return undefined;
  return name.toLowerCase();
}

function parsePort(text: string, at: number): number | undefined | "invalid" {
  if (at === text.length) return undefined;
  if (text.charCodeAt(at) !== 0x3a) return "invalid";
  if (at + 1 === text.length) return undefined;
  if (text.length - at > 6) return "invalid";
  let port = 0;
  for (let i = at + 1; i < text.length; i++) {
    const digit = text.charCodeAt(i) - 0x30;
    if (digit < 0 || digit > 9 || (port === 0 && digit === 0)) return "invalid";
    port = port * 10 + digit;
  }
  return port > 65_535 ? "invalid" : port;
}

/** RFC 4291 section 2.2 without zones: eight groups, one `::` may stand for several, the last two may be IPv4. */
function parseIpv6(text: string): string | undefined {
  const inner = text.slice(1, -1);
  if (!isMadeOf(IPV6, inner)) return undefined;
  const gap = inner.indexOf("::");
  if (gap >= 0 && inner.includes("::", gap + 1)) return undefined;
  const groups =
    gap < 0
      ? countGroups(inner, true)
      : countGroups(inner.slice(0, gap), false) + countGroups(inner.slice(gap + 2), true);
  const valid = gap < 0 ? groups === 8 : groups <= 7;
  return valid ? text.toLowerCase() : undefined;
}

/** Groups of 16 bits in a colon-separated list; NaN when one is malformed. */
function countGroups(text: string, mayEndInIpv4: boolean): number {
  if (text === "") return 0;
  const parts = text.split(":");
  let count = 0;
  for (let i = 0; i < parts.length; i++) {
    const part = parts[i]!;
    if (part.includes(".")) {
      if (!mayEndInIpv4 || i !== parts.length - 1 || !isIpv4(part)) return Number.NaN;
      count += 2;
    } else {
      if (part === "" || part.length > 4) return Number.NaN;
      count++;
    }
  }
  return count;
}

function isIpv4(text: string): boolean {
  const parts = text.split(".");
  return parts.length === 4 && parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) <= 255);
}
