import { isIPv4 } from "node:net";

import { parseIpBytes } from "@tulle/base";

import type { ProxyTlv } from "@tulle/engine";

import { plainAddress } from "../listener/plain-address.js";
import type { ListenAddress } from "../options.js";
import {
  TLV_HEADER_BYTES,
  V1_SIGNATURE,
  V2_FIXED_BYTES,
  V2_SIGNATURE,
  V2_LOCAL,
  V2_PROXY,
  V2_TCP4,
  V2_TCP6,
  type ProxyAddresses,
  type ProxyProtocolVersion,
} from "./header.js";

/**
 * The header for a connection; addresses undefined: it is the proxy's own, or nobody knows whose. `tlvs` are for version 2 with
 * addresses; those that make it longer than a header may be are left out.
 */
export function proxyHeader(
  version: ProxyProtocolVersion,
  addresses: ProxyAddresses | undefined,
  tlvs: readonly ProxyTlv[] = [],
): Buffer {
  const pair = addresses === undefined ? undefined : sameFamily(addresses);
  return version === 1 ? v1(pair) : v2(pair, tlvs);
}

/** Reads `10.0.0.1:80` or `[fd00::1]:80`; undefined when its host is no IP address. */
export function parseHostPort(text: string): ListenAddress | undefined {
  const [, host = "", port = ""] = /^\[?([^\]]*)\]?:(\d{1,5})$/.exec(text) ?? [];
  const plain = plainAddress(host);
  return parseIpBytes(plain) === undefined ? undefined : { host: plain, port: Number(port) };
}

/** What the length of a header of version 2 can say. */
const MAX_BODY_BYTES = 0xffff;

interface Pair extends ProxyAddresses {
  readonly family: "TCP4" | "TCP6";
}

/** A header has one family: of two, IPv4 is written as IPv6 (RFC 4291, 2.5.5.2). */
function sameFamily({ source, destination }: ProxyAddresses): Pair {
  const family = isIPv4(source.host) && isIPv4(destination.host) ? "TCP4" : "TCP6";
  const inFamily = ({ host, port }: ListenAddress): ListenAddress => ({
    host: family === "TCP6" && isIPv4(host) ? `::ffff:${host}` : host,
    port,
  });
  return { family, source: inFamily(source), destination: inFamily(destination) };
}

function v1(pair: Pair | undefined): Buffer {
  if (pair === undefined) return Buffer.from(`${V1_SIGNATURE.toString()}UNKNOWN\r\n`);
  const { family, source, destination } = pair;
  const words = [family, source.host, destination.host, source.port, destination.port].join(" ");
  return Buffer.from(`${V1_SIGNATURE.toString()}${words}\r\n`);
}

function v2(pair: Pair | undefined, tlvs: readonly ProxyTlv[]): Buffer {
  if (pair === undefined) return Buffer.concat([V2_SIGNATURE, Buffer.from([V2_LOCAL, 0, 0, 0])]);
  const { family, source, destination } = pair;
  const addresses = Buffer.concat([bytesOf(source), bytesOf(destination)]);
  const rest = tlvBytes(tlvs, MAX_BODY_BYTES - addresses.length - 4);
  const header = Buffer.alloc(V2_FIXED_BYTES + addresses.length + 4 + rest.length);
  V2_SIGNATURE.copy(header);
  header[12] = V2_PROXY;
  header[13] = family === "TCP4" ? V2_TCP4 : V2_TCP6;
  header.writeUInt16BE(addresses.length + 4 + rest.length, 14);
  addresses.copy(header, V2_FIXED_BYTES);
  header.writeUInt16BE(source.port, V2_FIXED_BYTES + addresses.length);
  header.writeUInt16BE(destination.port, V2_FIXED_BYTES + addresses.length + 2);
  rest.copy(header, V2_FIXED_BYTES + addresses.length + 4);
  return header;
}

function tlvBytes(tlvs: readonly ProxyTlv[], maxBytes: number): Buffer {
  const parts: Buffer[] = [];
  let length = 0;
  for (const { type, value } of tlvs) {
    length += TLV_HEADER_BYTES + value.length;
    if (length > maxBytes) break;
    parts.push(Buffer.from([type, value.length >> 8, value.length & 0xff]), Buffer.from(value));
  }
  return Buffer.concat(parts);
}

function bytesOf({ host }: ListenAddress): Uint8Array {
  return parseIpBytes(host) ?? new Uint8Array();
}
