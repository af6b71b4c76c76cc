import type { EndpointPart } from "@tulle/engine";

import { parseHostPort, proxyHeader } from "./write.js";

/** `host:port` of both ends of a client's connection. */
export interface ConnectionEnds {
  readonly remoteAddress: string;
  readonly localAddress: string;
}

/** The PROXY header that a connection to `endpoint` on behalf of a client begins with; undefined = none. */
export function preambleOf(
  endpoint: EndpointPart,
  { remoteAddress, localAddress }: ConnectionEnds,
): Buffer | undefined {
  if (endpoint.proxyProtocol === undefined) return undefined;
  const source = parseHostPort(remoteAddress);
  const destination = parseHostPort(localAddress);
  const known = source !== undefined && destination !== undefined;
  return proxyHeader(endpoint.proxyProtocol, known ? { source, destination } : undefined);
}
