import { isIPv4, isIPv6 } from "node:net";

import { plainAddress } from "../listener/plain-address.js";
import type { ListenAddress } from "../options.js";
import type { ProxyHeader } from "./header.js";
import { malformed } from "./malformed.js";

/** The longest line, with its CRLF. */
const MAX_BYTES = 107;
const LF = 0x0a;

/**
 * Reads a header of version 1, which is one line, from the beginning of `bytes`: what it says and how long it is;
 * undefined when more is needed. Throws `invalid` PROXY_PROTOCOL_MALFORMED.
 */
export function readV1(bytes: Buffer): { readonly header: ProxyHeader; readonly length: number } | undefined {
  const end = bytes.subarray(0, MAX_BYTES).indexOf(LF);
  if (end < 0) {
    if (bytes.length >= MAX_BYTES) throw malformed(`the line has more than ${MAX_BYTES} bytes`);
    return undefined;
  }
  const line = bytes.toString("latin1", 0, end + 1);
  if (!line.endsWith("\r\n")) throw malformed("the line does not end with CRLF");
  return { header: { version: 1, addresses: addressesOf(line.slice(0, -2)) }, length: end + 1 };
}

function addressesOf(line: string): ProxyHeader["addresses"] {
  const [, family, source, destination, sourcePort, destinationPort, ...rest] = line.split(" ");
  // What follows is to be ignored up to the end of the line.
  if (family === "UNKNOWN") return undefined;
  if (family !== "TCP4" && family !== "TCP6") throw malformed("the family is not TCP4, TCP6 or UNKNOWN");
  if (rest.length > 0) throw malformed("the line has more than two addresses and two ports");
  const isValid = family === "TCP4" ? isIPv4 : isIPv6;
  return {
    source: { host: address(source, isValid), port: port(sourcePort) },
    destination: { host: address(destination, isValid), port: port(destinationPort) },
  };
}

function address(text: string | undefined, isValid: (text: string) => boolean): ListenAddress["host"] {
  if (text === undefined || !isValid(text) || text.includes("%")) {
    throw malformed("an address is missing or not of the family");
  }
  return plainAddress(text);
}

function port(text: string | undefined): number {
  // Zeros in front are not allowed: they might mean an octal number.
  if (text === undefined || !/^(?:0|[1-9]\d{0,4})$/.test(text) || Number(text) > 65_535) {
    throw malformed("a port is missing or not a number from 0 to 65535");
  }
  return Number(text);
}
