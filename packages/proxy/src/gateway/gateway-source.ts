import {
  selectServerChain,
  withoutPort,
  type ConnectionFacts,
  type EdgeSettings,
  type HttpChain,
  type InboundChain,
  type ServerTls,
  type Snapshot,
  type SnapshotSource,
  type TcpChain,
  type WorkloadLabels,
} from "@tulle/engine";

import type { ConnectionSet } from "../connection/connection-set.js";
import type { RequestSource } from "../stream/contract.js";
import type { TcpSource } from "../tcp/contract.js";

/** A connection of a client outside the mesh, once it is known what it is. */
export interface GatewayConnection {
  readonly configuration: SnapshotSource;
  readonly connections: ConnectionSet;
  /** The port as Gateways name it. */
  readonly port: number;
  /** The chain that took it. */
  readonly chain: InboundChain;
  /** SNI; "" without TLS, or without a name. */
  readonly serverName: string;
  readonly localAddress: string;
  readonly remoteAddress: string;
  /** Address of the client, without its port. */
  readonly clientHost: string;
  /** What policies may ask of it. */
  readonly facts: ConnectionFacts;
  readonly peerSpiffeId: string;
  readonly forwardedClientCert: string;
}

/** What serves such a connection at present: the chain of today for what it showed when it came. */
class ServingChain {
  readonly #connection: GatewayConnection;
  #snapshot: Snapshot | undefined;
  #chain: InboundChain | undefined | null;

  constructor(connection: GatewayConnection) {
    this.#connection = connection;
  }

  /** Undefined before there is configuration; null when its clients would not be let in as this one was. */
  get current(): InboundChain | undefined | null {
    const { configuration, chain, serverName, port, clientHost } = this.#connection;
    const snapshot = configuration.current;
    if (snapshot === this.#snapshot) return this.#chain;
    this.#snapshot = snapshot;
    const tls = chain.transport !== "plaintext";
    const now = selectServerChain(snapshot, port, serverName, tls, clientHost);
    const admitted =
      now !== undefined && now.transport === chain.transport && asksTheSame(now.tls, chain.tls);
    this.#chain = admitted ? now : null;
    return this.#chain;
  }

  /** Whether a request for `authority` belongs to another server of the port than the one that TLS was ended for. */
  isMisdirected(authority: string): boolean {
    const { configuration, chain, serverName, port, clientHost } = this.#connection;
    if (chain.transport === "plaintext") return false;
    const host = withoutPort(authority);
    if (host === serverName) return false;
    const other = selectServerChain(configuration.current, port, host, true, clientHost);
    return other !== undefined && other.name !== chain.name;
  }
}

function asksTheSame(now: ServerTls | undefined, then: ServerTls | undefined): boolean {
  return now?.checks === then?.checks;
}

/** Requests of clients outside the mesh. One object per connection. */
export class GatewaySource implements RequestSource {
  readonly direction = "outbound";
  readonly ownCaller: boolean;
  readonly fixedAuthority = "";
  readonly connects = undefined;
  readonly secure: boolean;
  readonly edge: EdgeSettings | undefined;
  readonly serverName: string;
  readonly localAddress: string;
  readonly remoteAddress: string;
  readonly connection: ConnectionFacts;
  readonly peerSpiffeId: string;
  readonly forwardedClientCert: string;
  readonly forwardedFor = "";
  readonly #connections: ConnectionSet;
  readonly #serving: ServingChain;
  // The answer for the last authority: on one connection it is nearly always the same.
  #asked = "";
  #misdirected = false;
  #ended = false;

  constructor(connection: GatewayConnection) {
    const { chain } = connection;
    this.#connections = connection.connections;
    this.#serving = new ServingChain(connection);
    this.secure = chain.transport !== "plaintext";
    this.edge = chain.http?.edge;
    this.ownCaller = connection.peerSpiffeId !== "";
    this.serverName = connection.serverName;
    this.localAddress = connection.localAddress;
    this.remoteAddress = connection.remoteAddress;
    this.connection = connection.facts;
    this.peerSpiffeId = connection.peerSpiffeId;
    this.forwardedClientCert = connection.forwardedClientCert;
  }

  get closing(): boolean {
    return this.#connections.draining || this.revoked;
  }

  get revoked(): boolean {
    return this.#ended || this.#serving.current === null;
  }

  /** Takes no more requests: its client's certificate does not count any more. */
  end(): void {
    this.#ended = true;
  }

  isOwnAddress(): boolean {
    return false;
  }

  peerOf(): WorkloadLabels | undefined {
    return undefined;
  }

  isMisdirected(authority: string): boolean {
    if (!this.secure) return false;
    if (authority !== this.#asked) {
      this.#misdirected = this.#serving.isMisdirected(authority);
      this.#asked = authority;
    }
    return this.#misdirected;
  }

  chain(): HttpChain | undefined | null {
    if (this.#ended) return null;
    const chain = this.#serving.current;
    return chain === undefined ? undefined : (chain?.http ?? null);
  }
}

/** A connection of a client outside the mesh that carries bytes. */
export class GatewayTcpSource implements TcpSource {
  readonly direction = "outbound";
  readonly localAddress: string;
  readonly remoteAddress: string;
  readonly connection: ConnectionFacts;
  readonly peerSpiffeId: string;
  readonly serverName: string;
  readonly originalDestination = undefined;
  readonly peer = undefined;
  readonly #serving: ServingChain;

  constructor(connection: GatewayConnection) {
    this.#serving = new ServingChain(connection);
    this.localAddress = connection.localAddress;
    this.remoteAddress = connection.remoteAddress;
    this.connection = connection.facts;
    this.peerSpiffeId = connection.peerSpiffeId;
    this.serverName = connection.serverName;
  }

  /** Whether such a connection would still be let in. */
  get admitted(): boolean {
    return this.#serving.current !== null;
  }

  chain(): TcpChain | undefined | null {
    const chain = this.#serving.current;
    return chain === undefined ? undefined : (chain?.tcp ?? null);
  }
}
