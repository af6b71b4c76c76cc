import type { Socket } from "node:net";
import { createServer, type Server, type TLSSocket } from "node:tls";

import { formatAddress, type Disposable } from "@tulle/base";

import type { WorkloadTls } from "../tls/workload-tls.js";

/** What becomes of handshakes. */
export interface HandshakeOwner {
  /** The handshake is over; the peer must be judged. `transport` is what TLS goes over. */
  onSecure(socket: TLSSocket, transport: Socket): void;
  onFailed(socket: TLSSocket, error: Error): void;
}

/** The server's side of mutual TLS on connections that somebody else has accepted. */
export class InboundHandshakes implements Disposable {
  readonly #tls: WorkloadTls;
  readonly #owner: HandshakeOwner;
  readonly #timeoutMs: number;
  readonly #renewal: Disposable;
  /** Sockets below a handshake, by the address of their client. */
  readonly #transports = new Map<string, Socket>();
  #server: Server | undefined;
  #graceMs = 0;

  /** A handshake must be done within `timeoutMs`. */
  constructor(tls: WorkloadTls, timeoutMs: number, owner: HandshakeOwner) {
    this.#tls = tls;
    this.#timeoutMs = timeoutMs;
    this.#owner = owner;
    this.#renewal = tls.onChanged(() => {
      // Whether the handshake itself refuses is fixed when a server is made.
      if (this.#graceMs !== tls.graceMs) this.#server = undefined;
      const context = tls.serverOptions();
      // Handshakes from now on use the new certificate; connections that are open are not touched.
      if (context !== undefined) this.#server?.setSecureContext(context);
    });
  }

  /** Begins with the bytes that the socket has not given yet. False: the workload has no certificate yet. */
  start(socket: Socket): boolean {
    this.#server ??= this.#createServer();
    if (this.#server === undefined) return false;
    const client = clientOf(socket);
    this.#transports.set(client, socket);
    socket.once("close", () => {
      if (this.#transports.get(client) === socket) this.#transports.delete(client);
    });
    // Documented: a tls.Server takes connections by this event; bytes put back are read first.
    this.#server.emit("connection", socket);
    return true;
  }

  [Symbol.dispose](): void {
    this.#renewal[Symbol.dispose]();
  }

  #createServer(): Server | undefined {
    const context = this.#tls.serverOptions();
    if (context === undefined) return undefined;
    this.#graceMs = this.#tls.graceMs;
    const server = createServer({
      ...context,
      requestCert: true,
      rejectUnauthorized: this.#graceMs === 0,
      ALPNProtocols: ["h2", "http/1.1"],
      handshakeTimeout: this.#timeoutMs,
    });
    server.on("secureConnection", (socket) => {
      socket.on("error", () => undefined);
      const client = clientOf(socket);
      const transport = this.#transports.get(client) ?? socket;
      this.#transports.delete(client);
      this.#owner.onSecure(socket, transport);
    });
    server.on("tlsClientError", (error, socket) => this.#owner.onFailed(socket, error));
    // A server that does not listen has nothing to report; if it did, the process would end.
    server.on("error", () => undefined);
    return server;
  }
}

/** Names a client's connection; every one that is open has another. */
function clientOf({ remoteAddress = "", remotePort = 0 }: Socket): string {
  return formatAddress(remoteAddress, remotePort);
}
