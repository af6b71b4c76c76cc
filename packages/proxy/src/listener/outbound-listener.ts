import type { Socket } from "node:net";

import { formatAddress } from "@tulle/base";
import type { SnapshotSource } from "@tulle/engine";

import { ConnectionSet } from "../connection/connection-set.js";
import type { ServerConnectionContext } from "../connection/server-connection.js";
import { PlaintextConnection } from "../connection/plaintext-connection.js";
import { isVirtualIp } from "../dns/virtual-ips.js";
import type { ConnectListener, OutsideWays } from "../stream/contract.js";
import type { TcpContext } from "../tcp/contract.js";
import type { Counter } from "../telemetry/metrics.js";
import type { Interception, Redirected } from "./interception.js";
import { OutboundSource, ownAddresses } from "./outbound-source.js";
import { listenTcp, refusals, type ListenTcp, type TcpListener } from "./tcp-listener.js";
import { UpstreamAcceptor } from "./upstream-acceptor.js";

export interface OutboundListenerOptions {
  readonly name: string;
  readonly host: string;
  readonly port: number;
  /** A Unix socket instead. */
  readonly path?: string | undefined;
  /** Authority that this listener stands for; "" = each request names its service in Host or its target. */
  readonly authority: string;
  readonly configuration: SnapshotSource;
  readonly connection: ServerConnectionContext;
  readonly tcp: TcpContext;
  readonly dropped: Counter;
  /** Default: {@link listenTcp}. */
  readonly listen?: ListenTcp;
  /** A request named this authority (listeners without one of their own). */
  readonly onUse: (authority: string) => void;
  /** Hosts outside of the mesh, and of services without endpoints; undefined: nobody gets there from here. */
  readonly outside?: OutsideWays | undefined;
  /** Connections may have been redirected here. */
  readonly interception?: Interception | undefined;
}

export interface HttpListener {
  readonly name: string;
  readonly tcp: TcpListener;
  readonly connections: ConnectionSet;
  /**
   * What connections are carried as at present: `http`, `tcp`, both (`http,tcp`), `auto` for what their first bytes say,
   * or `unknown` before configuration.
   */
  protocol(): string;
  /** By what name its connections are remembered where their protocol was found out; "" = by where each one leads. */
  readonly learntAs: string;
  /** Takes no more connections. Those with a request stay. */
  stopAccepting(): void;
}

/** A loopback listener for the application's calls. */
export async function listenOutbound(options: OutboundListenerOptions): Promise<HttpListener> {
  const connections = new ConnectionSet();
  let own: ReadonlySet<string> = new Set();
  const serve = (socket: Socket, authority: string, extend: (source: OutboundSource) => void): void => {
    const source = new OutboundSource(
      authority,
      options.path ?? formatAddress(socket.localAddress ?? "", socket.localPort ?? 0),
      options.path === undefined ? formatAddress(socket.remoteAddress ?? "", socket.remotePort ?? 0) : "",
      own,
      options.configuration,
      connections,
      options.authority === "" ? options.onUse : undefined,
    );
    extend(source);
    const connection = new PlaintextConnection(socket, source, options.connection);
    connections.add(connection);
    socket.on("close", () => connections.remove(connection));
    socket.resume();
  };
  /** Connections to one service, whatever it speaks. */
  const acceptorOf = (authority: string): UpstreamAcceptor =>
    new UpstreamAcceptor(
      authority,
      options.tcp,
      connections,
      (socket) => serve(socket, authority, (source) => (source.outside = options.outside)),
      { outside: options.outside },
    );
  const connects: ConnectListener = {
    knows: (authority) => {
      options.onUse(authority);
      const chain = options.configuration.current.outbound(authority);
      if (chain === null && options.outside !== undefined) return options.outside.knows(authority);
      return chain === null ? "unknown-service" : chain && true;
    },
    accept: (socket, authority) => {
      const isOutside = options.configuration.current.outbound(authority) === null;
      (isOutside && options.outside !== undefined ? options.outside : acceptorOf(authority)).accept(
        socket,
        authority,
      );
    },
  };
  /** A connection to the service that its destination stands for; HTTP may name another one by Host. */
  const serveRedirected = (socket: Socket, redirected: Redirected): void => {
    const { authority, destination, serveNobody } = redirected;
    options.onUse(authority);
    const acceptor = new UpstreamAcceptor(
      authority,
      options.tcp,
      connections,
      (http) => serve(http, "", (source) => source.redirectedTo(redirected)),
      {
        localAddress: formatAddress(destination.host, destination.port),
        ...(!isVirtualIp(destination.host) && { destination }),
        ...(serveNobody === undefined ? {} : { serveNobody }),
      },
    );
    acceptor.accept(socket);
  };
  const redirection = { detection: options.tcp.detection, connections, serve: serveRedirected };
  const serveAny = (socket: Socket): void => {
    if (options.interception?.take(socket, redirection) === true) return;
    serve(socket, "", (source) => {
      source.connects = connects;
      source.outside = options.outside;
    });
  };
  const acceptor = options.authority === "" ? undefined : acceptorOf(options.authority);
  const tcp = await (options.listen ?? listenTcp)({
    name: options.name,
    host: options.host,
    port: options.port,
    path: options.path,
    ...refusals(options.connection, options.name, options.dropped),
    onConnection: (socket) => (acceptor === undefined ? serveAny(socket) : acceptor.accept(socket)),
  });
  own = ownAddresses(tcp.address.host, tcp.address.port);
  return {
    name: options.name,
    tcp,
    connections,
    protocol: () => (acceptor === undefined ? "http" : (acceptor.protocol ?? "unknown")),
    learntAs: options.authority,
    stopAccepting: () => tcp.stopAccepting(),
  };
}
