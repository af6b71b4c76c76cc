import type { DetectedChain, TcpChain } from "../snapshot/contract.js";

/**
 * How well one of `names` fits a server name, as Envoy matches them: an exact one best, then the longest `*.suffix`;
 * 0 when any will do, -1 for not at all.
 */
export function serverNameRank(names: readonly string[], serverName: string): number {
  if (names.length === 0) return 0;
  let rank = -1;
  for (const name of names) {
    if (name === serverName) return Number.MAX_SAFE_INTEGER;
    if (name.startsWith("*.") && serverName.endsWith(name.slice(1))) rank = Math.max(rank, name.length);
  }
  return rank;
}

/** What carries TLS that asks for a server name, lower-case; "" = none. */
export function chainForServerName({ tls, tcp }: DetectedChain, serverName: string): TcpChain {
  let best = tcp;
  let bestRank = -1;
  for (const chain of tls) {
    const rank = serverNameRank(chain.serverNames, serverName);
    if (rank > bestRank) {
      best = chain.tcp;
      bestRank = rank;
    }
  }
  return best;
}
