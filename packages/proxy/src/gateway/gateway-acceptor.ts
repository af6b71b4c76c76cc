import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";

import { formatAddress, systemErrorCode, type Disposable, type Logger } from "@tulle/base";
import {
  chainsFor,
  selectServerChain,
  type InboundChain,
  type ServerTls,
  type SnapshotSource,
} from "@tulle/engine";

import { ConnectionSet } from "../connection/connection-set.js";
import { Http1ServerConnection } from "../connection/http1-server-connection.js";
import { Http2ServerConnection } from "../connection/http2-server-connection.js";
import { PlaintextConnection } from "../connection/plaintext-connection.js";
import type { ServerConnection, ServerConnectionContext } from "../connection/server-connection.js";
import { InboundHandshakes, type HandshakeOwner } from "../listener/inbound-handshakes.js";
import { verifiedPeer } from "../listener/mutual-tls-peer.js";
import type { ProxyHeaderGate } from "../listener/proxy-header-gate.js";
import { SilentConnections } from "../listener/silent-connections.js";
import {
  clientHostOf,
  connectionFactsOf,
  localAddressOf,
  remoteAddressOf,
  type Origin,
} from "../listener/tcp-sources.js";
import type { LimitName } from "../limits/limit-table.js";
import type { TcpContext, TcpEnd } from "../tcp/contract.js";
import { TcpSession } from "../tcp/tcp-session.js";
import type { Counter, Family } from "../telemetry/metrics.js";
import { MeshServer } from "../tls/mesh-server.js";
import type { WorkloadTls } from "../tls/workload-tls.js";
import { judgeClient } from "./client-certificate.js";
import { GatewaySource, GatewayTcpSource, type GatewayConnection } from "./gateway-source.js";
import { readHello } from "./hello-reader.js";
import type { ServerContexts } from "./server-contexts.js";

const NOTHING = Buffer.alloc(0);
const HANDSHAKE_TIMEOUT: LimitName = "listener.handshakeTimeoutMs";
/** A fatal alert "unrecognized_name" (RFC 6066 section 3) in a record of its own. */
const UNRECOGNIZED_NAME = Buffer.from([21, 3, 3, 0, 2, 2, 112]);

export interface GatewayAcceptorOptions {
  readonly configuration: SnapshotSource;
  readonly tls: WorkloadTls;
  readonly contexts: ServerContexts;
  readonly connection: ServerConnectionContext;
  readonly tcp: TcpContext;
  readonly logger: Logger;
  /** Reads PROXY headers of those who may send them. */
  readonly gate: ProxyHeaderGate;
  /** Connections refused, by `reason`. */
  readonly refused: Family<Counter>;
  /** The port as Gateways name it. */
  readonly port: number;
}

/** A connection whose TLS is being made. */
interface Handshake {
  readonly chain: InboundChain;
  readonly serverName: string;
  readonly origin: Origin;
}

/**
 * Takes the connections of one of a gateway's ports: finds the server by the name that TLS asks for, ends TLS or passes it
 * on, and hands on what is in it.
 */
export class GatewayAcceptor implements Disposable {
  readonly connections = new ConnectionSet();
  readonly #options: GatewayAcceptorOptions;
  readonly #silent: SilentConnections;
  readonly #sessions = new Set<TcpSession<GatewayTcpSource>>();
  readonly #pending = new WeakMap<Socket, Handshake>();
  /** By the key of their settings. */
  readonly #handshakes = new Map<string, InboundHandshakes>();
  readonly #meshServer: MeshServer;
  readonly #mesh: InboundHandshakes;
  readonly #watch: Disposable;

  constructor(options: GatewayAcceptorOptions) {
    this.#options = options;
    this.#silent = new SilentConnections(options.connection.coarseWheel);
    const { tls, configuration, tcp } = options;
    this.#meshServer = new MeshServer(tls, configuration, tcp.onConfigurationChanged);
    this.#mesh = new InboundHandshakes(this.#meshServer, this.#timeoutMs, this.#handshakeOwner);
    this.#watch = options.tcp.onConfigurationChanged(() => this.#onConfigurationChanged());
  }

  accept(socket: Socket): void {
    const { gate } = this.#options;
    const demand = gate.demandOf(socket);
    if (demand === undefined) {
      this.#begin(socket, { destination: undefined, client: undefined });
      return;
    }
    this.#silent.add(socket);
    gate.read(socket, demand, {
      onPassed: (client) => {
        this.#silent.remove(socket);
        this.#begin(socket, { destination: undefined, client });
      },
      onRefused: () => this.#refuse(socket, "proxy_protocol"),
    });
  }

  /** Closes connections that have not said anything yet. */
  dropSilent(): void {
    this.#silent.closeAll();
  }

  [Symbol.dispose](): void {
    this.#watch[Symbol.dispose]();
    this.#mesh[Symbol.dispose]();
    this.#meshServer[Symbol.dispose]();
    for (const handshakes of this.#handshakes.values()) handshakes[Symbol.dispose]();
    this.dropSilent();
  }

  #begin(socket: Socket, origin: Origin): void {
    const { configuration, port } = this.#options;
    const plain = selectServerChain(configuration.current, port, "", false, clientHostOf(socket, origin));
    if (plain === undefined) {
      this.#awaitHello(socket, origin);
      return;
    }
    const connection = this.#describe(socket, plain, "", origin);
    if (plain.tcp !== undefined) this.#startSession({ socket, transport: socket }, connection, NOTHING);
    else this.#serve(socket, PlaintextConnection, connection);
  }

  #awaitHello(socket: Socket, origin: Origin): void {
    const { configuration, port, gate, connection } = this.#options;
    this.#silent.add(socket);
    readHello(socket, this.#timeoutMs, connection.coarseWheel, {
      onHello: ({ serverName }, head) => {
        this.#silent.remove(socket);
        const client = clientHostOf(socket, origin);
        const chain = selectServerChain(configuration.current, port, serverName, true, client);
        if (chain === undefined) {
          this.#refuse(socket, "unknown_sni", UNRECOGNIZED_NAME);
        } else if (chain.transport === "passthrough") {
          const described = this.#describe(socket, chain, serverName, origin);
          this.#startSession({ socket, transport: socket }, described, head);
        } else {
          this.#pending.set(socket, { chain, serverName, origin });
          socket.unshift(head);
          if (!this.#handshakesOf(chain).start(socket)) this.#refuse(socket, "no_certificate");
        }
      },
      onOther: (head) => this.#refuse(socket, gate.isPretence(head) ? "proxy_protocol" : "plaintext"),
      onLate: () => this.#refuseLate(socket, "timeout"),
    });
  }

  #handshakesOf({ tls, http }: InboundChain): InboundHandshakes {
    if (tls === undefined) return this.#mesh;
    let handshakes = this.#handshakes.get(tls.key);
    if (handshakes === undefined) {
      const terms = { clients: tls.clients, alpn: http === undefined ? [] : tls.alpn };
      const identity = this.#options.contexts.contextOf(tls);
      handshakes = new InboundHandshakes(identity, this.#timeoutMs, this.#handshakeOwner, terms);
      this.#handshakes.set(tls.key, handshakes);
    }
    return handshakes;
  }

  get #handshakeOwner(): HandshakeOwner {
    return {
      onSecure: (socket, transport) => this.#onSecure(socket, transport),
      onFailed: (socket, error) => {
        this.#options.logger.debug("TLS handshake failed", { error, remote: socket.remoteAddress });
        if (systemErrorCode(error) === "ERR_TLS_HANDSHAKE_TIMEOUT") this.#refuseLate(socket, "handshake");
        else this.#refuse(socket, "handshake");
      },
    };
  }

  #onSecure(socket: TLSSocket, transport: Socket): void {
    const handshake = this.#pending.get(transport);
    this.#pending.delete(transport);
    if (handshake === undefined) {
      this.#refuse(socket, "handshake");
      return;
    }
    const { chain, serverName, origin } = handshake;
    const client = this.#clientOf(socket, chain);
    if (typeof client === "string") {
      this.#options.logger.info("a client was refused", { reason: client, serverName });
      this.#refuse(socket, "identity");
      return;
    }
    const connection = { ...this.#describe(transport, chain, serverName, origin), ...client };
    if (chain.tcp !== undefined) this.#startSession({ socket, transport }, connection, NOTHING);
    else {
      const Connection = socket.alpnProtocol === "h2" ? Http2ServerConnection : Http1ServerConnection;
      this.#serve(socket, Connection, connection);
    }
  }

  /** Who a client has shown to be, or why it is not let in. */
  #clientOf(
    socket: TLSSocket,
    chain: InboundChain,
  ): Pick<GatewayConnection, "peerSpiffeId" | "forwardedClientCert"> | string {
    if (chain.tls === undefined) {
      const peer = verifiedPeer(socket, chain, this.#options.tls);
      if (typeof peer === "string") return peer;
      return { peerSpiffeId: peer.spiffeId, forwardedClientCert: peer.forwardedClientCert() };
    }
    const verdict = judgeClient(socket, chain.tls);
    if ("refused" in verdict) return verdict.refused;
    return { peerSpiffeId: "", forwardedClientCert: verdict.forwardedClientCert };
  }

  #describe(socket: Socket, chain: InboundChain, serverName: string, origin: Origin): GatewayConnection {
    const { configuration, port } = this.#options;
    return {
      configuration,
      connections: this.connections,
      port,
      chain,
      serverName,
      localAddress: localAddressOf(socket, origin),
      remoteAddress: remoteAddressOf(socket, origin),
      clientHost: clientHostOf(socket, origin),
      facts: { ...connectionFactsOf(socket, origin, serverName), destinationPort: port },
      peerSpiffeId: "",
      forwardedClientCert: "",
    };
  }

  #serve(
    socket: Socket,
    Connection: new (
      socket: Socket,
      source: GatewaySource,
      context: ServerConnectionContext,
    ) => ServerConnection,
    described: GatewayConnection,
  ): void {
    const source = new GatewaySource(described);
    const connection = new Connection(socket, source, this.#options.connection);
    this.connections.add(connection);
    socket.on("close", () => this.connections.remove(connection));
    this.#options.tls.watch(socket, () => {
      source.end();
      connection.drain(0);
    });
    socket.resume();
  }

  #startSession(client: TcpEnd, described: GatewayConnection, head: Buffer): void {
    const source = new GatewayTcpSource(described);
    const session = new TcpSession(client, source, this.#options.tcp, () => {
      this.#sessions.delete(session);
      this.connections.remove(session);
    });
    this.#sessions.add(session);
    this.connections.add(session);
    this.#options.tls.watch(client.socket, () => session.destroy());
    session.start(head);
  }

  /** A session has no next request that could be refused: it ends when its chain does. */
  #onConfigurationChanged(): void {
    for (const session of this.#sessions) {
      if (!session.source.admitted) session.destroy();
      else session.judgeAnew();
    }
    const { configuration, port } = this.#options;
    const kept = new Set(chainsFor(configuration.current, port).flatMap(({ tls }) => tls?.key ?? []));
    for (const [key, handshakes] of this.#handshakes) {
      if (kept.has(key)) continue;
      handshakes[Symbol.dispose]();
      this.#handshakes.delete(key);
    }
  }

  /** The first bytes, or the end of the handshake, did not come in time. */
  #refuseLate(socket: Socket, reason: string): void {
    const remote = formatAddress(socket.remoteAddress ?? "", socket.remotePort ?? 0);
    this.#options.connection.onLimit(HANDSHAKE_TIMEOUT, this.#timeoutMs, remote);
    this.#refuse(socket, reason);
  }

  get #timeoutMs(): number {
    return this.#options.connection.limits.stranger.values[HANDSHAKE_TIMEOUT];
  }

  #refuse(socket: Socket, reason: string, alert?: Buffer): void {
    this.#options.refused.with(["reason", reason]).inc();
    if (alert === undefined) socket.destroy();
    else socket.end(alert, () => socket.destroy());
  }
}

/** The settings of every server of a gateway whose TLS ends there. */
export function* serversOf(configuration: SnapshotSource, listener: string): Iterable<ServerTls> {
  for (const { tls } of configuration.current.inbound(listener)?.chains ?? [])
    if (tls !== undefined) yield tls;
}
