import type { Socket } from "node:net";

import type { InboundChain, SnapshotSource } from "@tulle/engine";

import type { ConnectionSet } from "../connection/connection-set.js";
import { Detection, type DetectionContext, type Found } from "../detection/detection.js";
import type { TcpSession } from "../tcp/tcp-session.js";
import { INBOUND_LISTENER, PLAINTEXT_HTTP } from "./inbound-source.js";
import type { InboundTcpSource } from "./tcp-sources.js";

type Session = TcpSession<InboundTcpSource>;

/** Who takes the connections of the inbound listener once it is known what they are. */
export interface PlaintextOwner {
  readonly connections: ConnectionSet;
  /** The chain for a connection. */
  select(
    socket: Socket,
    transport: InboundChain["transport"],
    serverName: string,
    applicationProtocol: string,
  ): InboundChain | undefined;
  /** A session in plaintext that is not begun yet. */
  createSession(socket: Socket): Session;
  beginSession(session: Session, head: Buffer): void;
  /** Mutual TLS. */
  startTls(socket: Socket): void;
  startHttp(socket: Socket): void;
  /** Whether first bytes pretend to be a PROXY header, of somebody who is not believed. */
  isPretence(head: Buffer): boolean;
  refuse(socket: Socket, reason: string): void;
}

/**
 * Connections of the inbound listener where bytes are taken from outside of the mesh, too. Whether they are mutual TLS,
 * HTTP, or the application's own protocol, is found out with the application as the server.
 */
export class PlaintextDetection {
  readonly #configuration: SnapshotSource;
  readonly #context: DetectionContext;
  readonly #owner: PlaintextOwner;

  constructor(configuration: SnapshotSource, context: DetectionContext, owner: PlaintextOwner) {
    this.#configuration = configuration;
    this.#context = context;
    this.#owner = owner;
  }

  /** Whether bytes are taken from outside of the mesh at present, where a connection leads. */
  takesBytes(socket: Socket): boolean {
    return this.#owner.select(socket, "plaintext", "", "")?.tcp !== undefined;
  }

  accept(socket: Socket): void {
    const { connections } = this.#owner;
    // Never less, whatever was learnt: other sidecars come here, too, and speak first, and an application is not to see a
    // connection for each of them that ends without a word (MySQL locks a host out that has made too many).
    const silenceMs = this.#configuration.current.inbound(INBOUND_LISTENER)?.silenceMs ?? 0;
    const detection = new Detection<Session>(
      socket,
      {
        silenceMs,
        learn: (verdict) => {
          if (!this.#isForMesh(socket, verdict))
            this.#context.ports.learn(INBOUND_LISTENER, verdict.kind, silenceMs);
        },
        open: (listener) => {
          const session = this.#owner.createSession(socket);
          session.hold(listener);
          return session;
        },
        take: (found, head, session) => {
          connections.remove(detection);
          this.#take(socket, found, head, session);
        },
        gone: () => connections.remove(detection),
      },
      this.#context,
    );
    connections.add(detection);
    detection.start();
  }

  #take(socket: Socket, found: Found, head: Buffer, session: Session | undefined): void {
    const owner = this.#owner;
    // A health check by TCP: connects and leaves.
    if (found.kind === "left") socket.destroy();
    else if (owner.isPretence(head)) {
      session?.abandon();
      owner.refuse(socket, "proxy_protocol");
    } else if (this.#isForMesh(socket, found)) {
      session?.abandon();
      socket.unshift(head);
      owner.startTls(socket);
    } else if (this.#isHttp(socket, found)) {
      session?.abandon();
      socket.unshift(head);
      owner.startHttp(socket);
    } else if (this.takesBytes(socket)) owner.beginSession(session ?? owner.createSession(socket), head);
    else {
      // Since it came, plaintext is not taken any more.
      session?.abandon();
      owner.refuse(socket, "plaintext");
    }
  }

  /** TLS that asks for none of the mesh's names is the application's own. */
  #isForMesh(socket: Socket, found: Found): boolean {
    if (found.kind !== "tls") return false;
    const chain = this.#owner.select(socket, "mtls", found.hello.serverName, "");
    return chain !== undefined || !this.takesBytes(socket);
  }

  #isHttp(socket: Socket, { kind }: Found): boolean {
    if (kind !== "http1" && kind !== "http2") return false;
    return this.#owner.select(socket, "plaintext", "", PLAINTEXT_HTTP)?.tcp === undefined;
  }
}
