import {
  chainsFor,
  INBOUND_LISTENER,
  selectChain,
  type ConnectionFacts,
  type HttpChain,
  type InboundChain,
  type ProxyTlv,
  type Snapshot,
  type SnapshotSource,
  type WorkloadLabels,
} from "@tulle/engine";

import type { ConnectionSet } from "../connection/connection-set.js";
import type { PeerMetadataCache } from "../filters/peer-metadata.js";
import type { RequestSource } from "../stream/contract.js";

export { chainsFor, INBOUND_LISTENER, selectChain } from "@tulle/engine";

/** What plaintext HTTP is found as, of the chains' application protocols. */
export const PLAINTEXT_HTTP = "http/1.1";

export interface InboundSourceOptions {
  readonly transport: InboundChain["transport"];
  readonly serverName: string;
  /** For a redirected connection: the port that it was made to. */
  readonly destinationPort: number | undefined;
  /** ALPN's, or what was found in plaintext; "" when neither says. */
  readonly applicationProtocol: string;
  readonly localAddress: string;
  readonly remoteAddress: string;
  readonly peerSpiffeId: string;
  readonly forwardedClientCert: string;
  readonly forwardedFor: string;
  readonly proxyTlvs: readonly ProxyTlv[] | undefined;
  readonly connection: ConnectionFacts;
  readonly configuration: SnapshotSource;
  readonly connections: ConnectionSet;
  readonly peers: PeerMetadataCache;
}

/** Requests from other workloads. One object per connection. */
export class InboundSource implements RequestSource {
  readonly direction = "inbound";
  readonly ownCaller: boolean;
  readonly fixedAuthority = "";
  readonly connects = undefined;
  readonly serverName: string;
  readonly secure: boolean;
  readonly localAddress: string;
  readonly remoteAddress: string;
  readonly peerSpiffeId: string;
  readonly forwardedClientCert: string;
  readonly forwardedFor: string;
  readonly proxyTlvs: readonly ProxyTlv[] | undefined;
  readonly connection: ConnectionFacts;
  readonly #options: InboundSourceOptions;
  #snapshot: Snapshot | undefined;
  #chain: HttpChain | undefined | null;
  // A client says the same of itself with every request.
  #peerValue = "";
  #peer: WorkloadLabels | undefined;
  #ended = false;

  constructor(options: InboundSourceOptions) {
    this.#options = options;
    this.serverName = options.serverName;
    this.localAddress = options.localAddress;
    this.remoteAddress = options.remoteAddress;
    this.peerSpiffeId = options.peerSpiffeId;
    this.secure = options.transport === "mtls";
    this.ownCaller = options.peerSpiffeId !== "";
    this.forwardedClientCert = options.forwardedClientCert;
    this.forwardedFor = options.forwardedFor;
    this.proxyTlvs = options.proxyTlvs;
    this.connection = options.connection;
  }

  /** Draining, or the chain that let this connection in has gone (plaintext, after a change to strict), or the peer's certificate. */
  get closing(): boolean {
    return this.#options.connections.draining || this.revoked;
  }

  get revoked(): boolean {
    return this.chain() === null;
  }

  /** Takes no more requests: its peer's certificate does not count any more. */
  end(): void {
    this.#ended = true;
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
    if (this.#ended) return null;
    const snapshot = this.#options.configuration.current;
    if (snapshot !== this.#snapshot) {
      this.#snapshot = snapshot;
      const { transport, serverName, applicationProtocol, destinationPort } = this.#options;
      const chain = selectChain(snapshot, transport, serverName, applicationProtocol, destinationPort);
      this.#chain = chain?.http ?? missing(snapshot);
    }
    return this.#chain;
  }
}

function missing(snapshot: Snapshot): undefined | null {
  return snapshot.inbound(INBOUND_LISTENER) === undefined ? undefined : null;
}

/** Whether a chain names the port; connections to any other are carried as they are. */
export function isDeclared(snapshot: Snapshot, port: number): boolean {
  return chainsFor(snapshot, port).some(({ destinationPort }) => destinationPort === port);
}

/** Whether connections to a port are bytes in any case: nothing can be told from them, and the server may speak first. */
export function isUnread(snapshot: Snapshot, port: number): boolean {
  const chains = chainsFor(snapshot, port);
  return (
    chains.length > 0 && chains.every((chain) => chain.transport === "plaintext" && chain.tcp !== undefined)
  );
}
