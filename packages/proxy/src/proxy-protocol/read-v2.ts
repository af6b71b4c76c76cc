import type { ProxyTlv } from "@tulle/engine";

import { plainIpv6 } from "../listener/plain-address.js";
import { crc32c } from "./crc32c.js";
import {
  TLV_CRC32C,
  TLV_HEADER_BYTES,
  TLV_NOOP,
  V2_FIXED_BYTES,
  V2_LOCAL,
  V2_PROXY,
  V2_TCP4,
  V2_TCP6,
  type ProxyHeader,
} from "./header.js";
import { malformed } from "./malformed.js";

/** The longest that is read: addresses of any family, and a few KiB of TLVs (a client certificate). */
const MAX_BYTES = 8192;
/** Bytes of two addresses with their ports, by family. */
const ADDRESS_BYTES = [0, 12, 36, 216];
const STREAM = 1;
const CRC_BYTES = 4;

/**
 * Reads a header of version 2 from the beginning of `bytes`: what it says and how long it is; undefined when more is
 * needed. Its TLVs must fill it exactly; the checksum is looked at, the others are handed on as they are. Throws
 * `invalid` PROXY_PROTOCOL_MALFORMED.
 */
export function readV2(bytes: Buffer): { readonly header: ProxyHeader; readonly length: number } | undefined {
  if (bytes.length < V2_FIXED_BYTES) return undefined;
  const command = bytes[12];
  if (command !== V2_LOCAL && command !== V2_PROXY) {
    throw malformed("neither LOCAL nor PROXY of version 2");
  }
  const length = V2_FIXED_BYTES + bytes.readUInt16BE(14);
  if (length > MAX_BYTES) throw malformed(`it is longer than ${MAX_BYTES} bytes`);
  if (bytes.length < length) return undefined;
  // The proxy's own connection: nothing else in the header counts.
  const said = command === V2_LOCAL ? undefined : readBody(bytes.subarray(0, length));
  return { header: { version: 2, addresses: said?.addresses, tlvs: said?.tlvs }, length };
}

function readBody(header: Buffer): Omit<ProxyHeader, "version"> | undefined {
  const kind = header[13] as number;
  const size = ADDRESS_BYTES[kind >> 4];
  const protocol = kind & 0xf;
  if (size === undefined || protocol > 2) throw malformed("its family or transport is unknown");
  if (protocol === 2) throw malformed("it is of datagrams, not of a stream");
  // Without a family nobody knows where addresses end.
  if (size === 0) return undefined;
  if (header.length < V2_FIXED_BYTES + size) throw malformed("it is too short for its addresses");
  const tlvs = readTlvs(header, V2_FIXED_BYTES + size);
  if (protocol !== STREAM) return undefined;
  return { addresses: readPairOf(kind, header), tlvs };
}

function readPairOf(kind: number, header: Buffer): ProxyHeader["addresses"] {
  if (kind === V2_TCP4) return readPair(header, 4, (bytes) => bytes.join("."));
  return kind === V2_TCP6 ? readPair(header, 16, plainIpv6) : undefined;
}

function readPair(header: Buffer, size: number, read: (bytes: Buffer) => string): ProxyHeader["addresses"] {
  const at = V2_FIXED_BYTES;
  const ports = at + 2 * size;
  return {
    source: { host: read(header.subarray(at, at + size)), port: header.readUInt16BE(ports) },
    destination: { host: read(header.subarray(at + size, ports)), port: header.readUInt16BE(ports + 2) },
  };
}

function readTlvs(header: Buffer, start: number): ProxyHeader["tlvs"] {
  let checksumAt: number | undefined;
  let tlvs: ProxyTlv[] | undefined;
  for (let at = start; at < header.length;) {
    if (header.length - at < TLV_HEADER_BYTES) throw malformed("a TLV is cut");
    const length = header.readUInt16BE(at + 1);
    const value = at + TLV_HEADER_BYTES;
    if (length > header.length - value) throw malformed("a TLV is longer than the header");
    if (header[at] === TLV_CRC32C) {
      if (length !== CRC_BYTES || checksumAt !== undefined)
        throw malformed("its checksum is not one of 4 bytes");
      checksumAt = value;
    } else if (header[at] !== TLV_NOOP) {
      // A copy: the header is part of a larger piece of memory, which would stay as long as the connection.
      (tlvs ??= []).push({
        type: header[at]!,
        value: Uint8Array.from(header.subarray(value, value + length)),
      });
    }
    at = value + length;
  }
  if (checksumAt === undefined) return tlvs;
  const blank = Buffer.from(header);
  blank.fill(0, checksumAt, checksumAt + CRC_BYTES);
  if (crc32c(blank) !== header.readUInt32BE(checksumAt)) throw malformed("its checksum is wrong");
  return tlvs;
}
