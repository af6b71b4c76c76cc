import { createHash } from "node:crypto";
import type { Socket } from "node:net";
import { createServer as createTlsServer, TLSSocket, type Server as TlsServer } from "node:tls";

import { DisposableStack, type Disposable, type Logger } from "@tulle/base";
import type { SnapshotSource } from "@tulle/engine";

import { ConnectionSet } from "../connection/connection-set.js";
import {
  Http1ServerConnection,
  type ServerConnectionContext,
} from "../connection/http1-server-connection.js";
import { Http2ServerConnection } from "../connection/http2-server-connection.js";
import { SniffedConnection } from "../connection/sniffed-connection.js";
import { PeerMetadataCache } from "../filters/peer-metadata.js";
import type { Counter, Family } from "../telemetry/metrics.js";
import { InboundSource, selectChain } from "./inbound-source.js";
import type { HttpListener } from "./outbound-listener.js";
import { formatAddress, listenTcp } from "./tcp-listener.js";
import { trustDomainOf, type WorkloadTls } from "../tls/workload-tls.js";

/** First byte of a TLS connection: a handshake record. No HTTP method begins with it. */
const TLS_HANDSHAKE = 0x16;
/** A connection must have sent its first byte, and finished its handshake, within. */
const HANDSHAKE_TIMEOUT_MS = 10_000;

export interface InboundListenerOptions {
  readonly host: string;
  readonly port: number;
  readonly configuration: SnapshotSource;
  readonly tls: WorkloadTls;
  readonly connection: ServerConnectionContext;
  readonly logger: Logger;
  readonly dropped: Counter;
  /** Connections refused, by `reason`. */
  readonly refused: Family<Counter>;
}

/**
 * The listener that other workloads call: mutual TLS 1.3 and, where a plaintext chain exists (permissive mode),
 * plaintext on the same port, told apart by the first byte. No session tickets: a resumed session would skip the
 * certificate check (RELIABILITY 0.1).
 */
export async function listenInbound(options: InboundListenerOptions): Promise<HttpListener & Disposable> {
  const acceptor = new InboundAcceptor(options);
  const tcp = await listenTcp({
    name: "inbound",
    host: options.host,
    port: options.port,
    onDrop: () => options.dropped.inc(),
    onConnection: (socket) => acceptor.accept(socket),
  });
  return {
    name: "inbound",
    tcp,
    connections: acceptor.connections,
    stopAccepting: () => {
      tcp.stopAccepting();
      acceptor.dropSilent();
    },
    [Symbol.dispose]: () => acceptor[Symbol.dispose](),
  };
}

class InboundAcceptor implements Disposable {
  readonly connections = new ConnectionSet();
  readonly #options: InboundListenerOptions;
  readonly #peers = new PeerMetadataCache();
  readonly #owned = new DisposableStack();
  /** Sockets before their first byte. */
  readonly #silent = new Set<Socket>();
  #server: TlsServer | undefined;

  constructor(options: InboundListenerOptions) {
    this.#options = options;
    this.#owned.use(
      options.tls.onChanged(() => {
        const context = options.tls.serverOptions();
        // Handshakes from now on use the new certificate; connections that are open are not touched.
        if (context !== undefined) this.#server?.setSecureContext(context);
      }),
    );
  }

  accept(socket: Socket): void {
    const timer = this.#options.connection.coarseWheel.timer(() => {
      this.#refuse(socket, "timeout");
    });
    timer.arm(HANDSHAKE_TIMEOUT_MS);
    this.#silent.add(socket);
    socket.once("close", () => {
      timer.disarm();
      this.#silent.delete(socket);
    });
    // A health check by TCP: connects and leaves.
    const onEnd = (): void => {
      socket.destroy();
    };
    socket.once("end", onEnd);
    socket.once("data", (first: Buffer) => {
      socket.removeListener("end", onEnd);
      timer.disarm();
      this.#silent.delete(socket);
      socket.pause();
      socket.unshift(first);
      if (first[0] === TLS_HANDSHAKE) this.#startTls(socket);
      else this.#startPlaintext(socket);
    });
  }

  /** Closes connections that have not said anything yet. */
  dropSilent(): void {
    for (const socket of this.#silent) socket.destroy();
  }

  [Symbol.dispose](): void {
    this.#owned[Symbol.dispose]();
    this.dropSilent();
  }

  #startPlaintext(socket: Socket): void {
    if (selectChain(this.#options.configuration.current, "plaintext", "") === undefined) {
      this.#refuse(socket, "plaintext");
      return;
    }
    this.#serve(socket, "plaintext", "", "", "");
    socket.resume();
  }

  #startTls(socket: Socket): void {
    this.#server ??= this.#createServer();
    if (this.#server === undefined) this.#refuse(socket, "no_certificate");
    // Documented: a tls.Server takes connections by this event; bytes put back above are read first.
    else this.#server.emit("connection", socket);
  }

  #createServer(): TlsServer | undefined {
    const context = this.#options.tls.serverOptions();
    if (context === undefined) return undefined;
    const server = createTlsServer({
      ...context,
      requestCert: true,
      rejectUnauthorized: true,
      ALPNProtocols: ["h2", "http/1.1"],
      handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
    });
    server.on("secureConnection", (socket) => this.#onSecure(socket));
    server.on("tlsClientError", (error, socket) => {
      this.#options.logger.debug("TLS handshake failed", { error, remote: socket.remoteAddress });
      this.#refuse(socket, "handshake");
    });
    server.on("error", (error) => this.#options.logger.warn("TLS server failed", { error }));
    return server;
  }

  #onSecure(socket: TLSSocket): void {
    socket.on("error", () => undefined);
    const serverName = typeof socket.servername === "string" ? socket.servername.toLowerCase() : "";
    const chain = selectChain(this.#options.configuration.current, "mtls", serverName);
    if (chain === undefined) {
      this.#refuse(socket, "unknown_sni");
      return;
    }
    const { tls, logger } = this.#options;
    const der = socket.getPeerX509Certificate()?.raw;
    const own = tls.svid?.spiffeId ?? "";
    const domains = new Set(chain.trustDomains.length > 0 ? chain.trustDomains : [trustDomainOf(own)]);
    const verdict = der === undefined ? undefined : tls.judge(der, domains);
    if (der === undefined || verdict === undefined || !verdict.ok) {
      logger.warn("peer refused", {
        reason: verdict?.ok === false ? verdict.reason : "no certificate",
        serverName,
      });
      this.#refuse(socket, "identity");
      return;
    }
    const hash = createHash("sha256").update(der).digest("hex");
    const clientCert = `By=${own};Hash=${hash};Subject="";URI=${verdict.spiffeId}`;
    this.#serve(socket, "mtls", serverName, verdict.spiffeId, clientCert);
  }

  #serve(
    socket: Socket,
    transport: "mtls" | "plaintext",
    serverName: string,
    peerSpiffeId: string,
    forwardedClientCert: string,
  ): void {
    const { configuration, connection: context } = this.#options;
    const source = new InboundSource({
      transport,
      serverName,
      localAddress: formatAddress(socket.localAddress ?? "", socket.localPort ?? 0),
      remoteAddress: formatAddress(socket.remoteAddress ?? "", socket.remotePort ?? 0),
      peerSpiffeId,
      forwardedClientCert,
      configuration,
      connections: this.connections,
      peers: this.#peers,
    });
    const Connection = connectionOf(socket);
    const connection = new Connection(socket, source, context);
    this.connections.add(connection);
    socket.on("close", () => this.connections.remove(connection));
  }

  #refuse(socket: Socket, reason: string): void {
    this.#options.refused.with(["reason", reason]).inc();
    socket.destroy();
  }
}

/** TLS has agreed on the protocol by ALPN; a client without ALPN speaks HTTP/1.1. */
function connectionOf(socket: Socket) {
  if (!(socket instanceof TLSSocket)) return SniffedConnection;
  return socket.alpnProtocol === "h2" ? Http2ServerConnection : Http1ServerConnection;
}
