import type { InboundChain, Snapshot } from "../snapshot/contract.js";
import { serverNameRank } from "./server-names.js";

/** Name of the inbound listener's xDS resource. */
export const INBOUND_LISTENER = "virtualInbound";

/**
 * The filter chains among which the port of a connection leaves the choice, as in Envoy: those that name it, and the
 * default; where none does, those that name no port. `destinationPort` undefined: the connection was made to the listener.
 */
export function chainsFor(snapshot: Snapshot, destinationPort: number | undefined): readonly InboundChain[] {
  const listener = snapshot.inbound(INBOUND_LISTENER);
  if (listener === undefined) return [];
  const port = destinationPort ?? listener.port;
  const naming = listener.chains.some((chain) => chain.destinationPort === port) ? port : undefined;
  return listener.chains.filter((chain) => chain.destinationPort === naming || chain.isDefault);
}

/**
 * The filter chain for a connection, among those that its port leaves ({@link chainsFor}), as Envoy matches SNI: the
 * exact name, else the longest `*.suffix`, else one that takes any; of equal ones the chain that asks for the
 * application protocol ("" = none is known).
 */
export function selectChain(
  snapshot: Snapshot,
  transport: InboundChain["transport"],
  serverName: string,
  applicationProtocol: string,
  destinationPort?: number,
): InboundChain | undefined {
  let best: InboundChain | undefined;
  let bestRank = -1;
  for (const chain of chainsFor(snapshot, destinationPort)) {
    if (chain.transport !== transport) continue;
    const asks = chain.applicationProtocols.length > 0;
    if (asks && !chain.applicationProtocols.includes(applicationProtocol)) continue;
    const rank = serverNameRank(chain.serverNames, serverName);
    if (rank > bestRank || (rank === bestRank && asks)) {
      best = chain;
      bestRank = rank;
    }
  }
  return best;
}

/**
 * The filter chain of a gateway for a connection to one of its ports: in plaintext the port's, with TLS by the server name
 * that it asks for ("" = none), whatever becomes of the TLS. Of several chains the one whose block of source addresses is the
 * narrowest that has the client's (`source`), else one that takes any; as in Envoy, a worse name is not looked at for it.
 */
export function selectServerChain(
  snapshot: Snapshot,
  port: number,
  serverName: string,
  tls: boolean,
  source: string,
): InboundChain | undefined {
  let best: InboundChain | undefined;
  let bestRank = -1;
  let bestBits = -2;
  for (const chain of chainsFor(snapshot, port)) {
    if ((chain.transport !== "plaintext") !== tls || chain.destinationPort !== port) continue;
    const rank = serverNameRank(chain.serverNames, serverName);
    if (rank < bestRank || rank < 0) continue;
    if (rank > bestRank) {
      best = undefined;
      bestRank = rank;
      bestBits = -2;
    }
    const bits = chain.sources === undefined ? -1 : chain.sources.match(source);
    if ((bits < 0 && chain.sources !== undefined) || bits <= bestBits) continue;
    best = chain;
    bestBits = bits;
  }
  return best;
}
