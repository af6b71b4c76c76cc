import { connect, type Socket } from "node:net";

import { formatAddress, type Clock, type Disposable } from "@tulle/base";

import type { Opening, OpeningListener } from "../detection/detection.js";
import type { ListenAddress } from "../options.js";
import { HeldUpstream } from "../tcp/held-upstream.js";
import { SOCKET_HIGH_WATER_BYTES } from "../upstream/connector.js";

const CONNECT_TIMEOUT_MS = 10_000;
/** A connection without a byte in either direction is closed after (Envoy's TCP proxy does so, too). */
const IDLE_TIMEOUT_MS = 3_600_000;
const NOTHING = Buffer.alloc(0);

/** A redirected connection on its way to where it was made to. */
export interface PassthroughWay extends Opening {
  /** Carries the connection; call once. `head`: what was read from the client, which may have ended since. */
  start(head?: Buffer): void;
}

/**
 * Redirected connections whose destination the mesh does not know: carried to it as they are. Bytes wait in the sockets,
 * so a slow side slows the other one.
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

  /**
   * Whether a connection that came in is one of ours that came back; then it is closed. Call it for every one that may be
   * carried, as it comes: either end may be seen first.
   */
  isLoop(socket: Socket): boolean {
    const from = formatAddress(socket.remoteAddress ?? "", socket.remotePort ?? 0);
    const own = this.#outgoing.get(from);
    if (own !== undefined) {
      this.#break(socket, own);
      return true;
    }
    this.#incoming.set(from, socket);
    socket.once("close", () => this.#incoming.delete(from));
    return false;
  }

  /** Connects to a destination; nothing flows until `start`. `holder` is told what happens before. */
  open(socket: Socket, destination: ListenAddress, holder?: OpeningListener): PassthroughWay {
    const { host, port } = destination;
    const options = {
      host,
      port,
      noDelay: true,
      allowHalfOpen: true,
      highWaterMark: SOCKET_HIGH_WATER_BYTES,
    };
    const upstream = connect(options);
    upstream.on("error", () => undefined);
    const held = holder && new HeldUpstream({ socket: upstream, transport: upstream }, holder);
    const timer = this.#clock.setTimeout(() => upstream.destroy(), CONNECT_TIMEOUT_MS, { keepAlive: false });
    let at: string | undefined;
    upstream.once("connect", () => {
      timer[Symbol.dispose]();
      at = formatAddress(upstream.localAddress ?? "", upstream.localPort ?? 0);
      this.#outgoing.set(at, upstream);
      const returned = this.#incoming.get(at);
      if (returned !== undefined) this.#break(returned, upstream);
    });
    upstream.on("close", () => {
      timer[Symbol.dispose]();
      if (at !== undefined) this.#outgoing.delete(at);
    });
    socket.once("close", () => upstream.destroy());
    return {
      start: (head = NOTHING) => {
        held?.release();
        carry(socket, upstream, head);
      },
      abandon: () => {
        held?.release();
        upstream.destroy();
      },
    };
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

function carry(socket: Socket, upstream: Socket, head: Buffer): void {
  if (upstream.destroyed) {
    socket.destroy();
    return;
  }
  socket.on("error", () => upstream.destroy());
  upstream.on("close", () => {
    // What it sent last may still be on its way to the client; without its end, it was cut.
    if (!upstream.readableEnded) socket.destroy();
  });
  for (const side of [socket, upstream]) side.setTimeout(IDLE_TIMEOUT_MS, () => socket.destroy());
  if (head.length > 0) upstream.write(head);
  socket.pipe(upstream);
  upstream.pipe(socket);
}
