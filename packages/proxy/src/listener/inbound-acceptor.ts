import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";

import { DisposableStack, formatAddress, systemErrorCode, type Disposable, type Logger } from "@tulle/base";
import type { InboundChain, SnapshotSource } from "@tulle/engine";

import { ConnectionSet } from "../connection/connection-set.js";
import { Http1ServerConnection } from "../connection/http1-server-connection.js";
import { Http2ServerConnection } from "../connection/http2-server-connection.js";
import type { ServerConnectionContext } from "../connection/server-connection.js";
import { PlaintextConnection } from "../connection/plaintext-connection.js";
import { HANDSHAKE_RECORD } from "../detection/client-hello.js";
import { PeerMetadataCache } from "../filters/peer-metadata.js";
import type { LimitName } from "../limits/limit-table.js";
import type { TcpContext, TcpEnd } from "../tcp/contract.js";
import { TcpSession } from "../tcp/tcp-session.js";
import type { Counter, Family } from "../telemetry/metrics.js";
import { MeshServer } from "../tls/mesh-server.js";
import type { WorkloadTls } from "../tls/workload-tls.js";
import { InboundHandshakes } from "./inbound-handshakes.js";
import type { InboundInterception } from "./inbound-interception.js";
import { InboundSource, isDeclared, isUnread, PLAINTEXT_HTTP, selectChain } from "./inbound-source.js";
import { verifiedPeer } from "./mutual-tls-peer.js";
import { PlaintextDetection } from "./plaintext-detection.js";
import { ProxyHeaderGate } from "./proxy-header-gate.js";
import { SilentConnections } from "./silent-connections.js";
import {
  connectionFactsOf,
  InboundTcpSource,
  localAddressOf,
  remoteAddressOf,
  type Origin,
} from "./tcp-sources.js";

const NOTHING = Buffer.alloc(0);

const DIRECT: Origin = { destination: undefined, client: undefined };
const HANDSHAKE_TIMEOUT: LimitName = "listener.handshakeTimeoutMs";

export interface InboundAcceptorOptions {
  readonly configuration: SnapshotSource;
  readonly tls: WorkloadTls;
  readonly connection: ServerConnectionContext;
  readonly tcp: TcpContext;
  readonly logger: Logger;
  /** Connections refused, by `reason`. */
  readonly refused: Family<Counter>;
  /** Connections may have been redirected here. */
  readonly interception?: InboundInterception | undefined;
  /** Networks whose PROXY headers are believed; undefined: nobody's, unless the configuration says so. */
  readonly proxyProtocolFrom?: readonly string[] | undefined;
}

/**
 * Finds out what a connection of the inbound listener is, and whether it is let in: where it was going, who sent it on,
 * mutual TLS or plaintext, and which chain takes it.
 */
export class InboundAcceptor implements Disposable {
  readonly connections = new ConnectionSet();
  readonly #options: InboundAcceptorOptions;
  readonly #peers = new PeerMetadataCache();
  readonly #owned = new DisposableStack();
  readonly #silent: SilentConnections;
  readonly #sessions = new Set<TcpSession<InboundTcpSource>>();
  /** Of connections that were redirected, or come by way of somebody else. */
  readonly #origins = new WeakMap<Socket, Origin>();
  readonly #gate: ProxyHeaderGate;
  readonly #handshakes: InboundHandshakes;
  readonly #detection: PlaintextDetection;

  constructor(options: InboundAcceptorOptions) {
    this.#options = options;
    const { proxyProtocolFrom, configuration, connection } = options;
    this.#silent = new SilentConnections(connection.coarseWheel);
    this.#gate = new ProxyHeaderGate(proxyProtocolFrom, configuration, connection.coarseWheel);
    this.#detection = new PlaintextDetection(options.configuration, options.tcp.detection, {
      connections: this.connections,
      select: (socket, transport, serverName, protocol) =>
        this.#select(socket, transport, serverName, protocol),
      createSession: (socket) =>
        this.#session({ socket, transport: socket }, "plaintext", "", "", this.#originOf(socket)),
      beginSession: (session, head) => this.#begin(session, head),
      startTls: (socket) => this.#startTls(socket),
      startHttp: (socket) => this.#startPlaintext(socket),
      isPretence: (head) => this.#gate.isPretence(head),
      refuse: (socket, reason) => this.#refuse(socket, reason),
    });
    this.#owned.use(options.tcp.onConfigurationChanged(() => this.#dropUnadmitted()));
    const mesh = this.#owned.use(
      new MeshServer(options.tls, configuration, options.tcp.onConfigurationChanged),
    );
    this.#handshakes = this.#owned.use(
      new InboundHandshakes(mesh, this.#handshakeTimeoutMs, {
        onSecure: (socket, transport) => this.#onSecure(socket, transport),
        onFailed: (socket, error) => {
          options.logger.debug("TLS handshake failed", { error, remote: socket.remoteAddress });
          if (systemErrorCode(error) === "ERR_TLS_HANDSHAKE_TIMEOUT") this.#refuseLate(socket, "handshake");
          else this.#refuse(socket, "handshake");
        },
      }),
    );
  }

  accept(socket: Socket): void {
    const destination = this.#options.interception?.destinationOf(socket);
    if (destination === null) {
      this.#refuse(socket, "destination");
      return;
    }
    const { current } = this.#options.configuration;
    if (destination !== undefined) {
      this.#origins.set(socket, { destination, client: undefined });
      if (!isDeclared(current, destination.port)) {
        this.#startPlaintext(socket);
        return;
      }
    }
    const begin = (): void => {
      if (destination !== undefined && isUnread(current, destination.port)) this.#startPlaintext(socket);
      else this.#awaitFirst(socket);
    };
    const demand = this.#gate.demandOf(socket);
    if (demand === undefined) {
      begin();
      return;
    }
    this.#silent.add(socket);
    this.#gate.read(socket, demand, {
      onPassed: (client, tlvs) => {
        this.#silent.remove(socket);
        this.#origins.set(socket, { destination, client, tlvs });
        begin();
      },
      onRefused: () => this.#refuse(socket, "proxy_protocol"),
    });
  }

  #awaitFirst(socket: Socket): void {
    if (this.#detection.takesBytes(socket)) {
      this.#detection.accept(socket);
      return;
    }
    this.#silent.awaitFirst(socket, this.#handshakeTimeoutMs, {
      onFirst: (first) => {
        if (this.#gate.isPretence(first)) {
          this.#refuse(socket, "proxy_protocol");
          return;
        }
        socket.unshift(first);
        if (first[0] === HANDSHAKE_RECORD) this.#startTls(socket);
        else this.#startPlaintext(socket);
      },
      onLate: () => this.#refuseLate(socket, "timeout"),
    });
  }

  /** Closes connections that have not said anything yet. */
  dropSilent(): void {
    this.#silent.closeAll();
  }

  [Symbol.dispose](): void {
    this.#owned[Symbol.dispose]();
    this.dropSilent();
  }

  /** A session has no next request that could be refused: it ends when its chain does, or a policy refuses it. */
  #dropUnadmitted(): void {
    for (const session of this.#sessions) {
      if (!session.source.admitted) session.destroy();
      else session.judgeAnew();
    }
  }

  #startPlaintext(socket: Socket): void {
    const chain = this.#select(socket, "plaintext", "", PLAINTEXT_HTTP);
    if (chain === undefined) {
      this.#refuse(socket, "plaintext");
      return;
    }
    const origin = this.#originOf(socket);
    if (chain.tcp !== undefined) {
      this.#begin(this.#session({ socket, transport: socket }, "plaintext", "", "", origin), NOTHING);
      return;
    }
    this.#serve(socket, "plaintext", "", PLAINTEXT_HTTP, "", "", origin);
    socket.resume();
  }

  #startTls(socket: Socket): void {
    if (!this.#handshakes.start(socket)) this.#refuse(socket, "no_certificate");
  }

  #onSecure(socket: TLSSocket, transport: Socket): void {
    const serverName = typeof socket.servername === "string" ? socket.servername.toLowerCase() : "";
    const protocol = socket.alpnProtocol === false ? "" : (socket.alpnProtocol ?? "");
    const chain = this.#select(transport, "mtls", serverName, protocol);
    if (chain === undefined) {
      this.#refuse(socket, "unknown_sni");
      return;
    }
    const { tls, logger } = this.#options;
    const peer = verifiedPeer(socket, chain, tls);
    if (typeof peer === "string") {
      logger.warn("peer refused", { reason: peer, serverName });
      this.#refuse(socket, "identity");
      return;
    }
    const origin = this.#originOf(transport);
    if (chain.tcp !== undefined) {
      this.#begin(this.#session({ socket, transport }, "mtls", serverName, peer.spiffeId, origin), NOTHING);
      return;
    }
    this.#serve(socket, "mtls", serverName, protocol, peer.spiffeId, peer.forwardedClientCert(), origin);
  }

  #serve(
    socket: Socket,
    transport: InboundChain["transport"],
    serverName: string,
    applicationProtocol: string,
    peerSpiffeId: string,
    forwardedClientCert: string,
    origin: Origin,
  ): void {
    const { configuration, connection: context } = this.#options;
    const source = new InboundSource({
      transport,
      serverName,
      applicationProtocol,
      destinationPort: origin.destination?.port,
      localAddress: localAddressOf(socket, origin),
      remoteAddress: remoteAddressOf(socket, origin),
      peerSpiffeId,
      forwardedClientCert,
      forwardedFor: origin.client?.host ?? "",
      proxyTlvs: origin.tlvs,
      connection: connectionFactsOf(socket, origin, serverName),
      configuration,
      connections: this.connections,
      peers: this.#peers,
    });
    const Connection = connectionOf(socket);
    const connection = new Connection(socket, source, context);
    this.connections.add(connection);
    socket.on("close", () => this.connections.remove(connection));
    this.#options.tls.watch(socket, (reason) => {
      this.#options.logger.info("connections of a peer end", { reason, peer: peerSpiffeId });
      source.end();
      connection.drain(0);
    });
  }

  #session(
    client: TcpEnd,
    transport: InboundChain["transport"],
    serverName: string,
    peerSpiffeId: string,
    origin: Origin,
  ): TcpSession<InboundTcpSource> {
    const { configuration, tcp } = this.#options;
    const source = new InboundTcpSource({
      socket: client.socket,
      transport,
      serverName,
      peerSpiffeId,
      origin,
      configuration,
    });
    const session = new TcpSession(client, source, tcp, () => {
      this.#sessions.delete(session);
      this.connections.remove(session);
    });
    this.#options.tls.watch(client.socket, () => session.destroy());
    return session;
  }

  #begin(session: TcpSession<InboundTcpSource>, head: Buffer): void {
    this.#sessions.add(session);
    this.connections.add(session);
    session.start(head);
  }

  #select(
    socket: Socket,
    transport: InboundChain["transport"],
    serverName: string,
    applicationProtocol: string,
  ) {
    const { current } = this.#options.configuration;
    const port = this.#originOf(socket).destination?.port;
    return selectChain(current, transport, serverName, applicationProtocol, port);
  }

  #originOf(socket: Socket): Origin {
    return this.#origins.get(socket) ?? DIRECT;
  }

  /** The first byte, or the end of the handshake, did not come in time. */
  #refuseLate(socket: Socket, reason: string): void {
    const remote = formatAddress(socket.remoteAddress ?? "", socket.remotePort ?? 0);
    this.#options.connection.onLimit(HANDSHAKE_TIMEOUT, this.#handshakeTimeoutMs, remote);
    this.#refuse(socket, reason);
  }

  get #handshakeTimeoutMs(): number {
    return this.#options.connection.limits.stranger.values[HANDSHAKE_TIMEOUT];
  }

  #refuse(socket: Socket, reason: string): void {
    this.#options.refused.with(["reason", reason]).inc();
    socket.destroy();
  }
}

/** TLS has agreed on the protocol by ALPN; a client without ALPN speaks HTTP/1.1. */
function connectionOf(socket: Socket) {
  if (!(socket instanceof TLSSocket)) return PlaintextConnection;
  return socket.alpnProtocol === "h2" ? Http2ServerConnection : Http1ServerConnection;
}
