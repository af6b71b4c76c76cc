import { stringThat } from "./strings.js";

const IPV4 = /^(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)\.){3}(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)$/;
const HEXTET = /^[0-9A-Fa-f]{1,4}$/;

/** Whether `value` is an IPv4 address in dotted form. */
export function isIpv4(value: string): boolean {
  return IPV4.test(value);
}

/** Whether `value` is an IPv6 address (RFC 4291 section 2.2), without zone or brackets. */
export function isIpv6(value: string): boolean {
  if (value.length > 45 || !value.includes(":")) return false;
  const halves = value.split("::");
  if (halves.length > 2) return false;
  let groups = 0;
  for (const [index, half] of halves.entries()) {
    if (half === "") continue;
    const parts = half.split(":");
    const last = parts.at(-1) ?? "";
    const embedded = index === halves.length - 1 && isIpv4(last);
    if (!(embedded ? parts.slice(0, -1) : parts).every((part) => HEXTET.test(part))) return false;
    groups += parts.length + (embedded ? 1 : 0);
  }
  return halves.length === 2 ? groups <= 7 : groups === 8;
}

export function isIpAddress(value: string): boolean {
  return isIpv4(value) || isIpv6(value);
}

/** Whether `value` is an address with a prefix length, `10.0.0.0/8`. */
export function isCidr(value: string): boolean {
  const [address = "", length, ...rest] = value.split("/");
  if (length === undefined || rest.length > 0 || !/^\d{1,3}$/.test(length)) return false;
  return isIpv4(address) ? Number(length) <= 32 : isIpv6(address) && Number(length) <= 128;
}

export const subnet = stringThat(
  (value) => isIpAddress(value) || isCidr(value),
  'an IP address or a block such as "10.1.0.0/16"',
);
