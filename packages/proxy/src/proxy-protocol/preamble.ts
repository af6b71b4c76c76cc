import type { EndpointPart, ProxyTlv, UpstreamTlvs } from "@tulle/engine";

import { parseHostPort, proxyHeader } from "./write.js";

/** `host:port` of both ends of a client's connection. */
export interface ConnectionEnds {
  readonly remoteAddress: string;
  readonly localAddress: string;
  /** What the PROXY header that it came with says besides, as far as it may be passed on. */
  readonly proxyTlvs?: readonly ProxyTlv[] | undefined;
}

/** The PROXY header that a connection to `endpoint` on behalf of a client begins with; undefined = none. */
export function preambleOf(
  endpoint: EndpointPart,
  { remoteAddress, localAddress, proxyTlvs }: ConnectionEnds,
): Buffer | undefined {
  if (endpoint.proxyProtocol === undefined) return undefined;
  const source = parseHostPort(remoteAddress);
  const destination = parseHostPort(localAddress);
  const known = source !== undefined && destination !== undefined;
  const addresses = known ? { source, destination } : undefined;
  return proxyHeader(endpoint.proxyProtocol, addresses, tlvsFor(endpoint.proxyTlvs, proxyTlvs));
}

function tlvsFor(said: UpstreamTlvs | undefined, own: readonly ProxyTlv[] = []): readonly ProxyTlv[] {
  if (said === undefined) return [];
  const { passed, added } = said;
  const isPassed = ({ type }: ProxyTlv): boolean =>
    passed !== undefined &&
    (passed === "all" || passed.has(type)) &&
    !added.some((each) => each.type === type);
  return [...added, ...own.filter(isPassed)];
}
