import type { EngineRequest } from "../contract.js";
import type { InboundChain, Snapshot } from "../snapshot/contract.js";
import { INBOUND_LISTENER, selectServerChain } from "./inbound-chains.js";
import { withoutPort } from "./virtual-hosts.js";

/** Ports that URLs without one mean. */
const DEFAULT_PORTS = { http: 80, https: 443 } as const;

/** Whether a snapshot is a gateway's. */
export function isGateway(snapshot: Snapshot): boolean {
  return snapshot.inbound(INBOUND_LISTENER)?.direction === "outbound";
}

/**
 * The chain of a gateway that a request would come to, which is written with its URL alone: at the URL's port, where the
 * gateway has it, else at its scheme's, else at the first that takes it. `serverName`: default the URL's host.
 */
export function gatewayChain(
  snapshot: Snapshot,
  { authority, scheme }: EngineRequest,
  serverName: string = withoutPort(authority),
  source = "",
): InboundChain | undefined {
  const tls = scheme === "https";
  const written = Number(authority.slice(withoutPort(authority).length + 1));
  const all = (snapshot.inbound(INBOUND_LISTENER)?.addresses ?? []).map(({ port }) => port);
  const meant = [written, DEFAULT_PORTS[scheme]].find((port) => all.includes(port));
  for (const port of meant === undefined ? all : [meant]) {
    const chain = selectServerChain(snapshot, port, tls ? serverName : "", tls, source);
    if (chain !== undefined) return chain;
  }
  return undefined;
}
