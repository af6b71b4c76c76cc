import type { Socket } from "node:net";

import type { ConnectionSet } from "../connection/connection-set.js";
import type { TcpContext } from "../tcp/contract.js";
import { TcpSession } from "../tcp/tcp-session.js";
import { Arrival, Unserved, type PendingOwner } from "./pending-connection.js";
import { OutboundTcpSource } from "./tcp-sources.js";

/** What a listener's connections are carried as. */
export type CarriedProtocol = "http" | "tcp";

/** Or: configuration has not come yet; there is no such service, and nobody knows what it would speak. */
type Carrying = CarriedProtocol | "waiting" | "nobody";

/**
 * Decides by configuration how the connections of an upstream's listener are carried: nothing is sniffed, so a server
 * that speaks first is heard at once. Connections that come before the configuration wait for it. A change holds for
 * connections that come after it.
 */
export class UpstreamAcceptor implements PendingOwner {
  readonly #authority: string;
  readonly #tcp: TcpContext;
  readonly #connections: ConnectionSet;
  readonly #serveHttp: (socket: Socket) => void;
  /** What the service spoke when it was there last. */
  #last: CarriedProtocol | undefined;

  /** `serveHttp` takes a connection whose bytes may have been put back: it starts the flow. */
  constructor(
    authority: string,
    tcp: TcpContext,
    connections: ConnectionSet,
    serveHttp: (socket: Socket) => void,
  ) {
    this.#authority = authority;
    this.#tcp = tcp;
    this.#connections = connections;
    this.#serveHttp = serveHttp;
  }

  /** Undefined as long as the service has never been there. */
  get protocol(): CarriedProtocol | undefined {
    const carrying = this.#carrying();
    return carrying === "waiting" || carrying === "nobody" ? undefined : carrying;
  }

  get waiting(): boolean {
    return this.#carrying() === "waiting";
  }

  accept(socket: Socket): void {
    switch (this.#carrying()) {
      case "http":
        this.serveHttp(socket);
        break;
      case "tcp":
        this.#serveTcp(socket);
        break;
      case "waiting":
        new Arrival(socket, this, this.#tcp, this.#connections).look();
        break;
      case "nobody":
        new Unserved(socket, this, this.#tcp, this.#connections).listen();
    }
  }

  serveHttp(socket: Socket): void {
    this.#serveHttp(socket);
  }

  #carrying(): Carrying {
    const chain = this.#tcp.configuration.current.outbound(this.#authority);
    if (chain === undefined) return "waiting";
    // A service that has gone is spoken of in its own terms.
    if (chain !== null) this.#last = chain.protocol;
    return this.#last ?? "nobody";
  }

  #serveTcp(socket: Socket): void {
    const source = new OutboundTcpSource(socket, this.#authority, this.#tcp.configuration);
    const session = new TcpSession({ socket, transport: socket }, source, this.#tcp, () =>
      this.#connections.remove(session),
    );
    this.#connections.add(session);
    session.start();
  }
}
