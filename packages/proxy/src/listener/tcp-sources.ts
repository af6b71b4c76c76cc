import type { Socket } from "node:net";

import { formatAddress } from "@tulle/base";
import {
  chainForServerName,
  type ConnectionFacts,
  type InboundChain,
  type ProxyTlv,
  type SnapshotSource,
  type TcpChain,
  type WorkloadLabels,
} from "@tulle/engine";

import type { ClientHello } from "../detection/client-hello.js";
import type { ListenAddress } from "../options.js";
import type { TcpSource } from "../tcp/contract.js";
import { INBOUND_LISTENER, selectChain } from "./inbound-source.js";
import { plainAddress } from "./plain-address.js";

/** A connection of the application to a service. */
export class OutboundTcpSource implements TcpSource {
  readonly direction = "outbound";
  readonly localAddress: string;
  readonly remoteAddress: string;
  readonly peerSpiffeId = "";
  readonly originalDestination: ListenAddress | undefined;
  readonly peer = undefined;
  /** Of a connection whose first bytes were looked at and are TLS. */
  hello: ClientHello | undefined = undefined;
  readonly #authority: string;
  readonly #configuration: SnapshotSource;

  constructor(
    socket: Socket,
    authority: string,
    configuration: SnapshotSource,
    localAddress = formatAddress(socket.localAddress ?? "", socket.localPort ?? 0),
    originalDestination?: ListenAddress,
  ) {
    this.originalDestination = originalDestination;
    this.localAddress = localAddress;
    this.remoteAddress = formatAddress(socket.remoteAddress ?? "", socket.remotePort ?? 0);
    this.#authority = authority;
    this.#configuration = configuration;
  }

  get serverName(): string {
    return this.hello?.serverName ?? "";
  }

  chain(): TcpChain | undefined | null {
    const chain = this.#configuration.current.outbound(this.#authority);
    if (chain?.protocol === "http") return null;
    if (chain?.protocol !== "detected") return chain;
    return this.hello === undefined ? chain.tcp : chainForServerName(chain, this.hello.serverName);
  }
}

export interface InboundTcpSourceOptions {
  readonly socket: Socket;
  readonly transport: InboundChain["transport"];
  readonly serverName: string;
  readonly peerSpiffeId: string;
  readonly origin: Origin;
  readonly configuration: SnapshotSource;
}

/** What is known of a connection of another workload besides its socket. */
export interface Origin {
  /** Where it was made to before it was redirected; undefined: to the listener. */
  readonly destination: ListenAddress | undefined;
  /** The client whom a PROXY header names; undefined: the peer itself. */
  readonly client: ListenAddress | undefined;
  /** What that header says besides; undefined = nothing that may be passed on. */
  readonly tlvs?: readonly ProxyTlv[] | undefined;
}

/** A connection of another workload. */
export class InboundTcpSource implements TcpSource {
  readonly direction = "inbound";
  readonly localAddress: string;
  readonly remoteAddress: string;
  readonly peerSpiffeId: string;
  readonly serverName: string;
  readonly originalDestination: ListenAddress | undefined;
  readonly connection: ConnectionFacts;
  readonly peer: WorkloadLabels | undefined;
  readonly proxyTlvs: readonly ProxyTlv[] | undefined;
  readonly #options: InboundTcpSourceOptions;

  constructor(options: InboundTcpSourceOptions) {
    const { socket, peerSpiffeId, origin } = options;
    this.#options = options;
    this.originalDestination = origin.destination;
    this.localAddress = localAddressOf(socket, origin);
    this.remoteAddress = remoteAddressOf(socket, origin);
    this.peerSpiffeId = peerSpiffeId;
    this.serverName = options.serverName;
    this.connection = connectionFactsOf(socket, origin, options.serverName);
    this.peer = workloadOf(peerSpiffeId);
    this.proxyTlvs = origin.tlvs;
  }

  chain(): TcpChain | undefined | null {
    const chain = this.#select();
    return chain === undefined ? undefined : (chain?.tcp ?? null);
  }

  /** Whether such a connection would still be let in, whatever it carries: false after a change to strict, for plaintext. */
  get admitted(): boolean {
    return this.#select() !== null;
  }

  /** Undefined before there is configuration, null when no chain takes it. */
  #select(): InboundChain | undefined | null {
    const { configuration, transport, serverName, origin } = this.#options;
    const snapshot = configuration.current;
    if (snapshot.inbound(INBOUND_LISTENER) === undefined) return undefined;
    return selectChain(snapshot, transport, serverName, "", origin.destination?.port) ?? null;
  }
}

/** What policies may ask of a connection. */
export function connectionFactsOf(
  { remoteAddress, localAddress, localPort }: Socket,
  { destination }: Origin,
  serverName: string,
): ConnectionFacts {
  return {
    sourceAddress: remoteAddress,
    destinationAddress: destination?.host ?? localAddress,
    destinationPort: destination?.port ?? localPort,
    serverName,
  };
}

/** The address that a connection was made to, as `host:port`. */
export function localAddressOf(socket: Socket, { destination }: Origin): string {
  return endOf(destination, socket.localAddress, socket.localPort);
}

/** The address that a connection came from, as `host:port`. */
export function remoteAddressOf(socket: Socket, { client }: Origin): string {
  return endOf(client, socket.remoteAddress, socket.remotePort);
}

/** Address of the client without its port; "" when the connection is gone. */
export function clientHostOf(socket: Socket, { client }: Origin): string {
  return client?.host ?? socket.remoteAddress ?? "";
}

/** A listener on all addresses shows IPv4 as `::ffff:…`; nobody else knows it by that. */
function endOf(known: ListenAddress | undefined, host = "", port = 0): string {
  if (known !== undefined) return formatAddress(known.host, known.port);
  return formatAddress(host.startsWith("::ffff:") ? plainAddress(host) : host, port);
}

/** All that is known of a client that sends no headers: what its certificate says. */
function workloadOf(spiffeId: string): WorkloadLabels | undefined {
  const match = /\/ns\/([^/]+)\/sa\//.exec(spiffeId);
  if (match?.[1] === undefined) return undefined;
  return {
    workload: "unknown",
    namespace: match[1],
    canonicalName: "unknown",
    canonicalRevision: "latest",
  };
}
