import { connect as connectTcp, isIP, type Socket } from "node:net";
import { connect as connectTls, TLSSocket, type ConnectionOptions } from "node:tls";

import { noNameCheck } from "@tulle/agent";
import { MeshError, systemErrorCode, type Disposable, type TimerWheel } from "@tulle/base";
import type { EndpointPart, UpstreamTls } from "@tulle/engine";

import { connectOptions } from "../socket-path.js";
import type { OriginatedContexts } from "../tls/originated-contexts.js";
import { nameMismatch } from "../tls/peer-names.js";
import type { WorkloadTls } from "../tls/workload-tls.js";
import type { AcquireFailure } from "../stream/contract.js";

/** Bytes that a socket takes or gives before it reports pressure. */
export const SOCKET_HIGH_WATER_BYTES = 64 * 1024;

/** Exactly one is called, later, unless the attempt is disposed. */
export interface ConnectListener {
  /** The connection is usable: TCP connected, and with TLS the peer verified. */
  onConnected(socket: Socket): void;
  onConnectFailed(failure: AcquireFailure, detail: string): void;
}

/** As {@link ConnectListener}, for connections that carry bytes. */
export interface ConnectBytesListener {
  /** `transport` is what the network sees: `socket` itself, or what its TLS goes over. */
  onConnected(socket: Socket, transport: Socket): void;
  onConnectFailed(failure: AcquireFailure, detail: string): void;
}

/** A connection under way. */
interface Opening {
  readonly socket: Socket;
  readonly transport: Socket;
}

/** Makes connections to endpoints: plain TCP, mutual TLS with the peer's SPIFFE id checked, or TLS to a server outside the mesh. */
export class Connector {
  readonly #wheel: TimerWheel;
  readonly #tls: WorkloadTls;
  readonly #originated: OriginatedContexts;

  constructor(wheel: TimerWheel, tls: WorkloadTls, originated: OriginatedContexts) {
    this.#wheel = wheel;
    this.#tls = tls;
    this.#originated = originated;
  }

  /**
   * `preamble`: bytes that the connection begins with, before TLS, too (a PROXY header); undefined = none. Dispose the
   * result to give up. Listeners are never called before this returns.
   */
  connect(
    endpoint: EndpointPart,
    preamble: Buffer | undefined,
    timeoutMs: number,
    listener: ConnectListener,
  ): Disposable {
    const socket = this.#open(endpoint, preamble);
    const opening = typeof socket === "string" ? socket : { socket, transport: socket };
    return this.#await(opening, endpoint, timeoutMs, listener);
  }

  /**
   * As `connect`, for a connection whose bytes are nobody's business here: no protocol is negotiated, one direction may
   * end before the other, and the connection below TLS can be reset.
   */
  connectBytes(
    endpoint: EndpointPart,
    preamble: Buffer | undefined,
    timeoutMs: number,
    listener: ConnectBytesListener,
  ): Disposable {
    return this.#await(this.#openBytes(endpoint, preamble), endpoint, timeoutMs, {
      onConnected: (socket, transport) => {
        this.#tls.watch(socket, () => socket.destroy());
        listener.onConnected(socket, transport);
      },
      onConnectFailed: (failure, detail) => listener.onConnectFailed(failure, detail),
    });
  }

  #await(
    opening: Opening | string,
    endpoint: EndpointPart,
    timeoutMs: number,
    listener: ConnectBytesListener,
  ): Disposable {
    if (typeof opening === "string") {
      const pending = setImmediate(() => listener.onConnectFailed("connect-failure", opening));
      return { [Symbol.dispose]: () => clearImmediate(pending) };
    }
    const { socket, transport } = opening;
    let pending = true;
    const finish = (): boolean => {
      if (!pending) return false;
      pending = false;
      timer.disarm();
      return true;
    };
    const timer = this.#wheel.timer(() => {
      if (!finish()) return;
      socket.destroy();
      listener.onConnectFailed("connect-timeout", "");
    });
    timer.arm(timeoutMs);
    socket.once(endpoint.tls === undefined ? "connect" : "secureConnect", () => {
      if (!finish()) return;
      const refusal = this.#refusal(socket, endpoint.tls);
      if (refusal !== undefined) {
        socket.destroy();
        listener.onConnectFailed("connect-failure", refusal);
        return;
      }
      socket.removeListener("error", onError);
      socket.removeListener("close", onClose);
      // tls.connect drops the option; with many small messages on their way Nagle's algorithm would hold them back.
      socket.setNoDelay(true);
      listener.onConnected(socket, transport);
    });
    const onError = (error: Error): void => {
      if (finish()) listener.onConnectFailed("connect-failure", systemErrorCode(error) ?? error.message);
    };
    const onClose = (): void => {
      if (finish()) listener.onConnectFailed("connect-failure", "closed during the handshake");
    };
    socket.on("error", onError);
    socket.on("close", onClose);
    return {
      [Symbol.dispose]: () => {
        finish();
        socket.destroy();
      },
    };
  }

  /** As {@link WorkloadTls.watch}. */
  watch(socket: Socket, onOver: () => void): number {
    return this.#tls.watch(socket, onOver);
  }

  /** A socket under way, or why there is none. */
  #open(endpoint: EndpointPart, preamble: Buffer | undefined): Socket | string {
    const { tls } = endpoint;
    const options = { ...connectOptions(endpoint), noDelay: true, highWaterMark: SOCKET_HIGH_WATER_BYTES };
    if (tls === undefined) return beginWith(preamble, connectTcp(options));
    const tlsOptions = this.#tlsOptions(tls);
    if (typeof tlsOptions === "string") return tlsOptions;
    return connectTls({
      ...(preamble === undefined ? options : { socket: beginWith(preamble, connectTcp(options)) }),
      ...tlsOptions,
      ALPNProtocols: spoken(tls.alpn),
    });
  }

  /** As `#open`; what goes through is anybody's protocol. */
  #openBytes(endpoint: EndpointPart, preamble: Buffer | undefined): Opening | string {
    const { tls } = endpoint;
    const options = { noDelay: true, allowHalfOpen: true, highWaterMark: SOCKET_HIGH_WATER_BYTES };
    const tlsOptions = tls && this.#tlsOptions(tls);
    if (typeof tlsOptions === "string") return tlsOptions;
    const transport = beginWith(preamble, connectTcp({ ...connectOptions(endpoint), ...options }));
    if (tlsOptions === undefined) return { socket: transport, transport };
    transport.on("error", () => undefined);
    return { socket: connectTls({ socket: transport, ...tlsOptions }), transport };
  }

  /** What every connection with this TLS is made with, or why there can be none. */
  #tlsOptions(tls: UpstreamTls): ConnectionOptions | string {
    // An IP literal is not a legal SNI; without a name from the configuration none is sent.
    const servername = isIP(tls.sni) === 0 ? tls.sni : "";
    try {
      if (tls.kind === "mesh") {
        const secureContext = this.#tls.clientContext(tls.settings);
        if (secureContext === undefined) return "this sidecar has no certificate yet";
        // Who it is, is judged when the handshake is over.
        return {
          secureContext,
          servername,
          rejectUnauthorized: this.#tls.graceMs === 0,
          checkServerIdentity: noNameCheck,
        };
      }
      return {
        secureContext: this.#originated.contextOf(tls),
        servername,
        rejectUnauthorized: tls.trust !== undefined,
        checkServerIdentity: (_name, certificate) => {
          const mismatch = tls.trust === undefined ? undefined : nameMismatch(certificate.raw, tls.names);
          return mismatch === undefined ? undefined : new Error(mismatch);
        },
      };
    } catch (thrown) {
      return MeshError.from(thrown).message;
    }
  }

  /** Why the endpoint at the other end is not spoken to; undefined: it is who it should be. */
  #refusal(socket: Socket, tls: UpstreamTls | undefined): string | undefined {
    if (tls === undefined || tls.kind !== "mesh") return undefined;
    if (!(socket instanceof TLSSocket)) return "the connection is not TLS";
    const verdict = this.#tls.judge(socket, tls);
    return verdict.ok ? undefined : verdict.reason;
  }
}

/** Sends some bytes as soon as there is a connection, before whatever is written later. */
function beginWith(preamble: Buffer | undefined, socket: Socket): Socket {
  if (preamble === undefined) return socket;
  socket.on("error", () => undefined);
  socket.write(preamble);
  return socket;
}

/** Of the protocols that the configuration offers, those that a sidecar speaks; HTTP/1.1 when it offers none. */
function spoken(offered: readonly string[]): string[] {
  const both = offered.filter((name) => name === "h2" || name === "http/1.1");
  return both.length > 0 ? both : ["http/1.1"];
}
