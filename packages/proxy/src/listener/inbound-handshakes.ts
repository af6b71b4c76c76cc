import type { Socket } from "node:net";
import { createServer, type SecureContextOptions, type Server, type TLSSocket } from "node:tls";

import { formatAddress, type Disposable, type Event } from "@tulle/base";
import type { ClientDemand } from "@tulle/engine";

/** What becomes of handshakes. */
export interface HandshakeOwner {
  /** The handshake is over; the peer must be judged. `transport` is what TLS goes over. */
  onSecure(socket: TLSSocket, transport: Socket): void;
  onFailed(socket: TLSSocket, error: Error): void;
}

/** Certificates that may change while they are in use. */
export interface ServerIdentity {
  /** Undefined as long as there are none. */
  serverOptions(): SecureContextOptions | undefined;
  /** Fires when options got before are out of date. */
  readonly onChanged: Event<unknown>;
  /** Clients' certificates count for so long after their end, milliseconds; the owner judges them. Default 0. */
  readonly graceMs?: number;
}

/** What is asked of clients. */
export interface HandshakeTerms {
  /** `optional` and `unverified`: whether its certificate is good is for the owner to see. */
  readonly clients: ClientDemand;
  readonly alpn: readonly string[];
}

const MESH_TERMS: HandshakeTerms = { clients: "required", alpn: ["h2", "http/1.1"] };

/** The server's side of TLS on connections that somebody else has accepted; by default of the mesh's mutual TLS. */
export class InboundHandshakes implements Disposable {
  readonly #identity: ServerIdentity;
  readonly #owner: HandshakeOwner;
  readonly #timeoutMs: number;
  readonly #terms: HandshakeTerms;
  readonly #renewal: Disposable;
  /** Sockets below a handshake, by the two ends of their connection. */
  readonly #transports = new Map<string, Socket>();
  #server: Server | undefined;
  #graceMs = 0;

  /** A handshake must be done within `timeoutMs`. */
  constructor(identity: ServerIdentity, timeoutMs: number, owner: HandshakeOwner, terms = MESH_TERMS) {
    this.#identity = identity;
    this.#timeoutMs = timeoutMs;
    this.#owner = owner;
    this.#terms = terms;
    this.#renewal = identity.onChanged(() => {
      // Whether the handshake itself refuses is fixed when a server is made.
      if (this.#graceMs !== (identity.graceMs ?? 0)) this.#server = undefined;
      const context = identity.serverOptions();
      // Handshakes from now on use the new certificate; connections that are open are not touched.
      if (context !== undefined) this.#server?.setSecureContext(context);
    });
  }

  /** Begins with the bytes that the socket has not given yet. False: there is no certificate yet. */
  start(socket: Socket): boolean {
    this.#server ??= this.#createServer();
    if (this.#server === undefined) return false;
    const ends = endsOf(socket);
    this.#transports.set(ends, socket);
    socket.once("close", () => {
      if (this.#transports.get(ends) === socket) this.#transports.delete(ends);
    });
    // Documented: a tls.Server takes connections by this event; bytes put back are read first.
    this.#server.emit("connection", socket);
    return true;
  }

  [Symbol.dispose](): void {
    this.#renewal[Symbol.dispose]();
  }

  #createServer(): Server | undefined {
    const context = this.#identity.serverOptions();
    if (context === undefined) return undefined;
    const { clients, alpn } = this.#terms;
    this.#graceMs = this.#identity.graceMs ?? 0;
    const server = createServer({
      ...context,
      requestCert: clients !== "none",
      rejectUnauthorized: clients === "required" && this.#graceMs === 0,
      ...(alpn.length > 0 && { ALPNProtocols: [...alpn] }),
      handshakeTimeout: this.#timeoutMs,
    });
    server.on("secureConnection", (socket) => {
      socket.on("error", () => undefined);
      const ends = endsOf(socket);
      const transport = this.#transports.get(ends) ?? socket;
      this.#transports.delete(ends);
      this.#owner.onSecure(socket, transport);
    });
    server.on("tlsClientError", (error, socket) => this.#owner.onFailed(socket, error));
    // A server that does not listen has nothing to report; if it did, the process would end.
    server.on("error", () => undefined);
    return server;
  }
}

/** Names a connection; every one that is open has another. */
function endsOf({ remoteAddress = "", remotePort = 0, localPort = 0 }: Socket): string {
  return `${formatAddress(remoteAddress, remotePort)} ${localPort}`;
}
