import type { Socket } from "node:net";

import type { ConnectionSet, ServerConnection } from "../connection/connection-set.js";
import type { WheelTimer } from "../connection/timer-wheel.js";
import { PARK_TIMEOUT_MS, type Parked } from "../stream/parking.js";
import type { TcpContext } from "../tcp/contract.js";
import { TcpSession } from "../tcp/tcp-session.js";
import { OutboundTcpSource } from "./tcp-sources.js";

/** What a listener's connections are carried as. */
export type CarriedProtocol = "http" | "tcp";

/**
 * Decides by configuration how the connections of an upstream's listener are carried: nothing is sniffed, so a server
 * that speaks first is heard at once. Connections that come before the configuration wait for it. A change holds for
 * connections that come after it.
 */
export class UpstreamAcceptor {
  readonly #authority: string;
  readonly #tcp: TcpContext;
  readonly #connections: ConnectionSet;
  readonly #serveHttp: (socket: Socket) => void;
  /** What the service spoke when it was there last. */
  #last: CarriedProtocol | undefined;

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

  /** Undefined before there is configuration. */
  get protocol(): CarriedProtocol | undefined {
    const chain = this.#tcp.configuration.current.outbound(this.#authority);
    if (chain === undefined) return undefined;
    // A service that has gone is spoken of in its own terms; of one that never was, HTTP can at least tell so.
    if (chain !== null) this.#last = chain.protocol;
    return this.#last ?? "http";
  }

  accept(socket: Socket): void {
    const { protocol } = this;
    if (protocol !== undefined) this.#serve(socket, protocol);
    else new Arrival(socket, this, this.#tcp, this.#connections).look();
  }

  /** Serves a connection that has waited: as HTTP, which can say what is wrong, when it has waited in vain. */
  serve(socket: Socket): void {
    this.#serve(socket, this.protocol ?? "http");
  }

  #serve(socket: Socket, protocol: CarriedProtocol): void {
    if (protocol === "http") {
      this.#serveHttp(socket);
      return;
    }
    const source = new OutboundTcpSource(socket, this.#authority, this.#tcp.configuration);
    const session = new TcpSession({ socket, transport: socket }, source, this.#tcp, () =>
      this.#connections.remove(session),
    );
    this.#connections.add(session);
    session.start();
  }
}

/** A connection that waits for its configuration. */
class Arrival implements ServerConnection, Parked {
  readonly busy = false;
  readonly #socket: Socket;
  readonly #acceptor: UpstreamAcceptor;
  readonly #tcp: TcpContext;
  readonly #connections: ConnectionSet;
  readonly #timer: WheelTimer;
  #waiting = true;

  constructor(socket: Socket, acceptor: UpstreamAcceptor, tcp: TcpContext, connections: ConnectionSet) {
    this.#socket = socket;
    this.#acceptor = acceptor;
    this.#tcp = tcp;
    this.#connections = connections;
    this.#timer = tcp.coarseWheel.timer(() => this.#serve());
  }

  look(): void {
    this.#connections.add(this);
    this.#socket.once("close", this.#leave);
    this.#timer.arm(PARK_TIMEOUT_MS);
    this.#park();
  }

  onConfigurationChanged(): void {
    if (!this.#waiting) return;
    if (this.#acceptor.protocol === undefined) this.#park();
    else this.#serve();
  }

  drain(): void {
    this.destroy();
  }

  destroy(): void {
    this.#leave();
    this.#socket.destroy();
  }

  #park(): void {
    if (!this.#tcp.parking.add(this)) this.#serve();
  }

  #serve(): void {
    this.#leave();
    this.#acceptor.serve(this.#socket);
  }

  readonly #leave = (): void => {
    if (!this.#waiting) return;
    this.#waiting = false;
    this.#timer.disarm();
    this.#socket.removeListener("close", this.#leave);
    this.#tcp.parking.remove(this);
    this.#connections.remove(this);
  };
}
