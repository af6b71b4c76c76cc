import type { HttpChain, InboundChain, Snapshot, SnapshotSource, WorkloadLabels } from "@tulle/engine";

import type { ConnectionSet } from "../connection/connection-set.js";
import type { PeerMetadataCache } from "../filters/peer-metadata.js";
import type { RequestSource } from "../stream/contract.js";

/** Name of the inbound listener's xDS resource. */
export const INBOUND_LISTENER = "virtualInbound";

export interface InboundSourceOptions {
  readonly transport: InboundChain["transport"];
  readonly serverName: string;
  readonly localAddress: string;
  readonly remoteAddress: string;
  readonly peerSpiffeId: string;
  readonly forwardedClientCert: string;
  readonly configuration: SnapshotSource;
  readonly connections: ConnectionSet;
  readonly peers: PeerMetadataCache;
}

/** Requests from other workloads. One object per connection. */
export class InboundSource implements RequestSource {
  readonly direction = "inbound";
  readonly fixedAuthority = "";
  readonly connects = undefined;
  readonly serverName: string;
  readonly localAddress: string;
  readonly remoteAddress: string;
  readonly peerSpiffeId: string;
  readonly forwardedClientCert: string;
  readonly #options: InboundSourceOptions;
  #snapshot: Snapshot | undefined;
  #chain: HttpChain | undefined | null;
  // A client says the same of itself with every request.
  #peerValue = "";
  #peer: WorkloadLabels | undefined;

  constructor(options: InboundSourceOptions) {
    this.#options = options;
    this.serverName = options.serverName;
    this.localAddress = options.localAddress;
    this.remoteAddress = options.remoteAddress;
    this.peerSpiffeId = options.peerSpiffeId;
    this.forwardedClientCert = options.forwardedClientCert;
  }

  /** Draining, or the chain that let this connection in has gone (plaintext, after a change to strict). */
  get closing(): boolean {
    return this.#options.connections.draining || this.revoked;
  }

  get revoked(): boolean {
    return this.chain() === null;
  }

  isOwnAddress(): boolean {
    return false;
  }

  peerOf(value: string): WorkloadLabels | undefined {
    if (value !== this.#peerValue) {
      this.#peer = this.#options.peers.decode(value, this.peerSpiffeId);
      this.#peerValue = value;
    }
    return this.#peer;
  }

  chain(): HttpChain | undefined | null {
    const snapshot = this.#options.configuration.current;
    if (snapshot !== this.#snapshot) {
      this.#snapshot = snapshot;
      const { transport, serverName } = this.#options;
      this.#chain = selectChain(snapshot, transport, serverName)?.http ?? missing(snapshot);
    }
    return this.#chain;
  }
}

function missing(snapshot: Snapshot): undefined | null {
  return snapshot.inbound(INBOUND_LISTENER) === undefined ? undefined : null;
}

/**
 * The filter chain for a connection, as Envoy matches SNI: the exact name, else the longest `*.suffix`, else one that
 * takes any.
 */
export function selectChain(
  snapshot: Snapshot,
  transport: InboundChain["transport"],
  serverName: string,
): InboundChain | undefined {
  let best: InboundChain | undefined;
  let bestRank = -1;
  for (const chain of snapshot.inbound(INBOUND_LISTENER)?.chains ?? []) {
    if (chain.transport !== transport) continue;
    const rank = matchRank(chain.serverNames, serverName);
    if (rank > bestRank) {
      best = chain;
      bestRank = rank;
    }
  }
  return best;
}

/** How well one of `names` fits: its length, more for an exact one; 0 when any will do, -1 for not at all. */
function matchRank(names: readonly string[], serverName: string): number {
  if (names.length === 0) return 0;
  let rank = -1;
  for (const name of names) {
    if (name === serverName) return Number.MAX_SAFE_INTEGER;
    if (name.startsWith("*.") && serverName.endsWith(name.slice(1))) rank = Math.max(rank, name.length);
  }
  return rank;
}
