import type { Socket } from "node:net";

import { chainForServerName, followsDestination, type OutboundChain } from "@tulle/engine";

import type { ConnectionSet } from "../connection/connection-set.js";
import { Detection, type Found } from "../detection/detection.js";
import { silenceAfter } from "../detection/learnt-ports.js";
import type { ListenAddress } from "../options.js";
import type { OutsideWays } from "../stream/contract.js";
import type { TcpContext } from "../tcp/contract.js";
import { TcpSession } from "../tcp/tcp-session.js";
import { Arrival, Unserved, type PendingOwner } from "./pending-connection.js";
import { OutboundTcpSource } from "./tcp-sources.js";

/** What a listener's connections are carried as; `auto`: what their first bytes say. */
export type CarriedProtocol = "http" | "tcp" | "auto";

/** What an acceptor is told about connections that were not made to a listener of its authority's own. */
export interface AcceptorOptions {
  /** `host:port` that the client connected to; default: where the listener is. */
  readonly localAddress?: string;
  /** Where they were made to: that of a service without endpoints. */
  readonly destination?: ListenAddress;
  /** Finds that of connections that were not made to it. */
  readonly outside?: OutsideWays | undefined;
  /** Takes a connection whose service does not exist; default: HTTP is told so, anything else is refused. */
  readonly serveNobody?: (socket: Socket) => void;
}

const NOTHING = Buffer.alloc(0);

type Way = TcpSession<OutboundTcpSource>;

/**
 * Decides how the connections to an authority are carried. Configuration says it where a protocol is declared, and then
 * nothing is looked at; elsewhere who speaks first does. Connections that come before the configuration wait for it. A
 * change holds for connections that come after it.
 */
export class UpstreamAcceptor implements PendingOwner {
  readonly #authority: string;
  readonly #tcp: TcpContext;
  readonly #connections: ConnectionSet;
  readonly #serveHttp: (socket: Socket) => void;
  readonly #options: AcceptorOptions;
  /** What carried the service when it was there last. */
  #last: OutboundChain | undefined;

  /** `serveHttp` takes a connection whose bytes may have been put back: it starts the flow. */
  constructor(
    authority: string,
    tcp: TcpContext,
    connections: ConnectionSet,
    serveHttp: (socket: Socket) => void,
    options: AcceptorOptions = {},
  ) {
    this.#authority = authority;
    this.#tcp = tcp;
    this.#connections = connections;
    this.#serveHttp = serveHttp;
    this.#options = options;
  }

  /** Undefined as long as the service has never been there. */
  get protocol(): CarriedProtocol | undefined {
    const chain = this.#chain();
    if (chain === undefined || chain === null) return undefined;
    return chain.protocol === "detected" ? "auto" : chain.protocol;
  }

  get waiting(): boolean {
    return this.#chain() === undefined || this.#destination() === "looked up";
  }

  /** Takes a connection that is paused, or was not read yet. */
  accept(socket: Socket): void {
    const chain = this.#chain();
    if (chain === undefined) {
      this.#tcp.onDemand(this.#authority);
      new Arrival(socket, this, this.#tcp, this.#connections).look();
    } else if (this.#destination() === "looked up") {
      new Arrival(socket, this, this.#tcp, this.#connections).look();
    } else if (chain === null) this.#serveNobody(socket);
    else if (chain.protocol === "http") this.#serveHttp(socket);
    else if (chain.protocol === "tcp") this.#begin(this.#way(socket), NOTHING);
    else this.#detect(socket, chain.silenceMs);
  }

  serveHttp(socket: Socket): void {
    this.#serveHttp(socket);
  }

  /** Undefined: configuration has not come yet. Null: nobody knows what the service would speak. */
  #chain(): OutboundChain | undefined | null {
    const chain = this.#tcp.configuration.current.outbound(this.#authority);
    if (chain === undefined) return undefined;
    // A service that has gone is spoken of in its own terms.
    if (chain !== null) this.#last = chain;
    return this.#last ?? null;
  }

  /** Where bytes go to a service without endpoints, which leads to where its connections were going. */
  #destination(): ListenAddress | "looked up" | undefined {
    const { destination, outside } = this.#options;
    const chain = this.#chain();
    if (destination !== undefined || outside === undefined || !chain || chain.protocol === "http")
      return destination;
    const { current } = this.#tcp.configuration;
    const all = chain.protocol === "tcp" ? [chain] : [chain.tcp, ...chain.tls.map(({ tcp }) => tcp)];
    if (!all.some((bytes) => followsDestination(current, bytes))) return undefined;
    const found = outside.endpointOf(this.#authority);
    return found === undefined ? "looked up" : typeof found === "object" ? found : undefined;
  }

  #serveNobody(socket: Socket): void {
    const { serveNobody } = this.#options;
    if (serveNobody === undefined) new Unserved(socket, this, this.#tcp, this.#connections).listen();
    else serveNobody(socket);
  }

  #detect(socket: Socket, silenceMs: number): void {
    const { ports } = this.#tcp.detection;
    const port = this.#authority;
    const detection = new Detection<Way>(
      socket,
      {
        silenceMs: ports.silenceMs(port, silenceMs),
        learn: ({ kind }) => ports.learn(port, kind, silenceAfter(kind, silenceMs)),
        open: (listener) => {
          const way = this.#way(socket);
          way.hold(listener);
          return way;
        },
        take: (found, head, way) => {
          this.#connections.remove(detection);
          this.#take(socket, found, head, way);
        },
        gone: () => this.#connections.remove(detection),
      },
      this.#tcp.detection,
    );
    this.#connections.add(detection);
    detection.start();
  }

  #take(socket: Socket, found: Found, head: Buffer, way: Way | undefined): void {
    const chain = this.#chain();
    const detected = chain?.protocol === "detected" ? chain : undefined;
    const isHttp = found.kind === "http1" || found.kind === "http2";
    if (isHttp && (chain?.protocol === "http" || detected?.http !== undefined)) {
      way?.abandon();
      socket.unshift(head);
      this.#serveHttp(socket);
      return;
    }
    let taken = way;
    if (found.kind === "tls") {
      const { hello } = found;
      // The way that is open was chosen before anybody had asked for a name.
      const fits = detected === undefined || chainForServerName(detected, hello.serverName) === detected.tcp;
      if (!fits) {
        way?.abandon();
        taken = undefined;
      }
      taken ??= this.#way(socket);
      taken.source.hello = hello;
    }
    this.#begin(taken ?? this.#way(socket), head);
  }

  #begin(way: Way, head: Buffer): void {
    this.#connections.add(way);
    way.start(head);
  }

  #way(socket: Socket): Way {
    const { configuration } = this.#tcp;
    const destination = this.#destination();
    const source = new OutboundTcpSource(
      socket,
      this.#authority,
      configuration,
      this.#options.localAddress,
      destination === "looked up" ? undefined : destination,
    );
    const session = new TcpSession({ socket, transport: socket }, source, this.#tcp, () =>
      this.#connections.remove(session),
    );
    return session;
  }
}
