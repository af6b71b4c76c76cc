import type { ProxyTlv } from "@tulle/engine";

import type { ListenAddress } from "../options.js";

// The PROXY protocol, versions 1 and 2: https://www.haproxy.org/download/2.8/doc/proxy-protocol.txt

export type ProxyProtocolVersion = 1 | 2;

/** Who talks to whom in front of a proxy. */
export interface ProxyAddresses {
  readonly source: ListenAddress;
  readonly destination: ListenAddress;
}

/** What a proxy says at the beginning of a connection. */
export interface ProxyHeader {
  readonly version: ProxyProtocolVersion;
  /** Undefined: the connection's own addresses count (the proxy's own check, a family without IP addresses). */
  readonly addresses: ProxyAddresses | undefined;
  /** What else it says, in its order; undefined = nothing. */
  readonly tlvs?: readonly ProxyTlv[] | undefined;
}

export const V1_SIGNATURE = Buffer.from("PROXY ", "latin1");
export const V2_SIGNATURE = Buffer.from("\r\n\r\n\0\r\nQUIT\n", "latin1");

/** Version 2: signature, version and command, family, length. */
export const V2_FIXED_BYTES = 16;
export const V2_LOCAL = 0x20;
export const V2_PROXY = 0x21;
export const V2_TCP4 = 0x11;
export const V2_TCP6 = 0x21;
/** Type and length of a TLV. */
export const TLV_HEADER_BYTES = 3;
/** The header's checksum, and padding: of one header alone. */
export const TLV_CRC32C = 0x03;
export const TLV_NOOP = 0x04;
