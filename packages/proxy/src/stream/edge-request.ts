import { isIP } from "node:net";

import type { EdgeSettings } from "@tulle/engine";
import { getHeader, type HeaderList } from "@tulle/http";

import { plainAddress } from "../listener/plain-address.js";
import { clientAddress } from "./affinity.js";

/** What is believed of where a request from outside the mesh comes from. */
export interface EdgeRequest {
  /** Address of the client: the connection's, or what the proxies before this one say that are believed. */
  readonly clientAddress: string;
  /** `x-forwarded-for` for the next hop: what is believed of the one received, and the connection's address. */
  readonly forwardedFor: string;
  readonly scheme: "http" | "https";
  /** Whether proxies before this one are believed at all. */
  readonly trusts: boolean;
}

/** `x-forwarded-for` with more than this is nobody's way through the world; its end is what counts. */
const MAX_FORWARDED_FOR = 8192;

/**
 * Reads where a request came from (Envoy's `use_remote_address` with `xff_num_trusted_hops`): each of so many proxies before
 * this one has added an address to the end of `x-forwarded-for`, and the first of these is the client's. What stands before
 * them anybody could have written: it goes no further.
 */
export function readEdge(
  headers: HeaderList,
  { trustedHops }: EdgeSettings,
  connection: { readonly remoteAddress: string; readonly secure: boolean },
): EdgeRequest {
  const peer = plainAddress(clientAddress("", connection.remoteAddress));
  const scheme = connection.secure ? "https" : "http";
  if (trustedHops === 0) return { clientAddress: peer, forwardedFor: peer, scheme, trusts: false };
  const believed = forwardedFor(headers, trustedHops);
  // Who came past the proxies that should be there is believed nothing.
  if (believed.length < trustedHops)
    return { clientAddress: peer, forwardedFor: peer, scheme, trusts: false };
  const [first = peer] = believed;
  const told = getHeader(headers, "x-forwarded-proto")?.toLowerCase();
  return {
    clientAddress: first,
    forwardedFor: [...believed, peer].join(","),
    scheme: told === "http" || told === "https" ? told : scheme,
    trusts: true,
  };
}

/** The last addresses of all `x-forwarded-for` fields together; fewer where something else stands among them. */
function forwardedFor(headers: HeaderList, count: number): readonly string[] {
  const values: string[] = [];
  for (let i = 0; i < headers.length; i += 2) {
    if ((headers[i] as string).toLowerCase() === "x-forwarded-for") values.push(headers[i + 1] as string);
  }
  const text = values.join(",").slice(-MAX_FORWARDED_FOR);
  const last = text.split(",").slice(-count);
  const addresses = last.map((each) => plainAddress(withoutPort(each.trim())));
  return addresses.every((address) => isIP(address) !== 0) ? addresses : [];
}

/** Some proxies write the port, too: `192.0.2.1:4711`, `[2001:db8::1]:4711`. */
function withoutPort(text: string): string {
  const bracketed = /^\[([^\]]*)\](?::\d{1,5})?$/.exec(text);
  if (bracketed !== null) return bracketed[1] ?? "";
  return /^\d+\.\d+\.\d+\.\d+:\d{1,5}$/.test(text) ? text.slice(0, text.indexOf(":")) : text;
}

/** Whether an address is of the outside world: none of a private, shared, local or reserved network. */
export function isExternal(address: string): boolean {
  if (address.includes(":")) return !/^(?:f[cd]|fe[89ab]|::1?$)/.test(address);
  return !/^(?:0|10|127|169\.254|192\.168|172\.(?:1[6-9]|2\d|3[01])|100\.(?:6[4-9]|[7-9]\d|1[01]\d|12[0-7]))\./.test(
    address,
  );
}
