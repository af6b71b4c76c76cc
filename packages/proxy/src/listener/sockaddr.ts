import { networkInterfaces } from "node:os";

import { parseIpBytes } from "@tulle/base";

import type { ListenAddress } from "../options.js";
import { plainIpv6 } from "./plain-address.js";

// <bits/socket.h>, <linux/in.h>, <linux/in6.h>
export const AF_INET = 2;
export const AF_INET6 = 10;
export const SOCKADDR_IN_BYTES = 16;
export const SOCKADDR_IN6_BYTES = 28;

/** A `sockaddr_in` or `sockaddr_in6` as the kernel fills it in. */
export function readSockaddr(bytes: Buffer): ListenAddress {
  const port = bytes.readUInt16BE(2);
  if (bytes.length === SOCKADDR_IN_BYTES) return { host: bytes.subarray(4, 8).join("."), port };
  const host = plainIpv6(bytes.subarray(8, 24));
  // A link-local address (RFC 4291, 2.5.6) says nothing without its interface.
  return { host: /^fe[89ab]/.test(host) ? host + zoneOf(bytes.readUInt32LE(24)) : host, port };
}

/** A `sockaddr_in` or `sockaddr_in6` of an IP address without a zone. */
export function writeSockaddr(host: string, port: number): Buffer {
  const address = parseIpBytes(host);
  if (address === undefined) throw new TypeError(`${host} is no IP address, or has a zone`);
  const isV6 = address.length === 16;
  const bytes = Buffer.alloc(isV6 ? SOCKADDR_IN6_BYTES : SOCKADDR_IN_BYTES);
  bytes.writeUInt16LE(isV6 ? AF_INET6 : AF_INET, 0);
  bytes.writeUInt16BE(port, 2);
  bytes.set(address, isV6 ? 8 : 4);
  return bytes;
}

/** `%eth0` for an interface by number; "" when there is none. */
function zoneOf(scopeId: number): string {
  for (const [name, addresses] of Object.entries(networkInterfaces())) {
    if (
      addresses?.some((address) => address.family === "IPv6" && address.scopeid === scopeId && scopeId > 0)
    ) {
      return `%${name}`;
    }
  }
  return "";
}
