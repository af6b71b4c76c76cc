import { connect, type Socket } from "node:net";

import type { Clock, Disposable } from "@tulle/base";

import type { ListenAddress } from "../options.js";
import { SOCKET_HIGH_WATER_BYTES } from "../upstream/connector.js";
import { formatAddress } from "./tcp-listener.js";

const CONNECT_TIMEOUT_MS = 10_000;
/** A connection without a byte in either direction is closed after (Envoy's TCP proxy does so, too). */
const IDLE_TIMEOUT_MS = 3_600_000;

/**
 * Redirected connections whose destination the mesh does not know: carried to it unread. Bytes wait in the sockets, so
 * a slow side slows the other one.
 *
 * Rules that redirect the sidecar's own connections, too, would lead it to itself for ever. So each connection that
 * is carried on is compared with those that came in: one that is both is closed.
 */
export class Passthrough implements Disposable {
  readonly #clock: Clock;
  readonly #onLoop: () => void;
  /** By `host:port` of the client's end. */
  readonly #incoming = new Map<string, Socket>();
  /** By `host:port` of our end. */
  readonly #outgoing = new Map<string, Socket>();

  /** `onLoop`: a connection of our own came back to us and was closed. */
  constructor(clock: Clock, onLoop: () => void) {
    this.#clock = clock;
    this.#onLoop = onLoop;
  }

  get size(): number {
    return this.#incoming.size;
  }

  /** Whether this connection is one of ours that came back; then it is closed. */
  isLoop(socket: Socket): boolean {
    const own = this.#outgoing.get(formatAddress(socket.remoteAddress ?? "", socket.remotePort ?? 0));
    if (own === undefined) return false;
    this.#break(socket, own);
    return true;
  }

  /** Carries a connection to its destination. */
  carry(socket: Socket, destination: ListenAddress): void {
    const from = formatAddress(socket.remoteAddress ?? "", socket.remotePort ?? 0);
    this.#incoming.set(from, socket);
    const { host, port } = destination;
    const options = {
      host,
      port,
      noDelay: true,
      allowHalfOpen: true,
      highWaterMark: SOCKET_HIGH_WATER_BYTES,
    };
    const upstream = connect(options);
    const timer = this.#clock.setTimeout(() => upstream.destroy(), CONNECT_TIMEOUT_MS, { keepAlive: false });
    let at: string | undefined;
    upstream.once("connect", () => {
      timer[Symbol.dispose]();
      at = formatAddress(upstream.localAddress ?? "", upstream.localPort ?? 0);
      this.#outgoing.set(at, upstream);
      const returned = this.#incoming.get(at);
      if (returned !== undefined) this.#break(returned, upstream);
    });
    upstream.on("error", () => socket.destroy());
    upstream.on("close", () => {
      timer[Symbol.dispose]();
      if (at !== undefined) this.#outgoing.delete(at);
      // What it sent last may still be on its way to the client; without its end, it was cut.
      if (!upstream.readableEnded) socket.destroy();
    });
    socket.on("error", () => upstream.destroy());
    socket.on("close", () => {
      this.#incoming.delete(from);
      upstream.destroy();
    });
    for (const side of [socket, upstream]) side.setTimeout(IDLE_TIMEOUT_MS, () => socket.destroy());
    socket.pipe(upstream);
    upstream.pipe(socket);
  }

  [Symbol.dispose](): void {
    for (const socket of this.#incoming.values()) socket.destroy();
  }

  #break(incoming: Socket, outgoing: Socket): void {
    incoming.destroy();
    outgoing.destroy();
    this.#onLoop();
  }
}
