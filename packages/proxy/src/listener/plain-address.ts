import { parseIpBytes } from "@tulle/base";

/**
 * The one spelling of an IP address that addresses are compared in: IPv4 that is mapped into IPv6 (`::ffff:127.0.0.1`,
 * `::ffff:7f00:1`) is IPv4, groups are short, letters small, a zone (`%eth0`) is left out. What is no IP address stays as
 * it is.
 */
export function plainAddress(text: string): string {
  const bytes = parseIpBytes(text.replace(/%.*$/s, ""));
  if (bytes === undefined) return text;
  return bytes.length === 4 ? bytes.join(".") : plainIpv6(bytes);
}

/** As {@link plainAddress}, of 16 bytes. */
export function plainIpv6(bytes: Uint8Array): string {
  if (isMapped(bytes)) return bytes.subarray(12).join(".");
  const groups: string[] = [];
  for (let at = 0; at < 16; at += 2) groups.push(((bytes[at]! << 8) | bytes[at + 1]!).toString(16));
  return new URL(`http://[${groups.join(":")}]`).hostname.slice(1, -1);
}

/** Whether an address means every address of a machine. */
export function isUnspecified(address: string): boolean {
  const plain = plainAddress(address);
  return plain === "0.0.0.0" || plain === "::";
}

/** RFC 4291, 2.5.5.2. */
function isMapped(bytes: Uint8Array): boolean {
  return bytes[10] === 0xff && bytes[11] === 0xff && bytes.subarray(0, 10).every((byte) => byte === 0);
}
