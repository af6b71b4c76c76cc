import type { Socket } from "node:net";

import type { WheelTimer } from "@tulle/base";
import { HTTP2_PREFACE, SOCKS5_VERSION } from "@tulle/http";

import type { RequestSource } from "../stream/contract.js";
import type { BufferingStream, RelievableConnection } from "../overload/memory-relief.js";
import type { LimitName, LimitValues } from "../limits/limit-table.js";
import { Http1ServerConnection } from "./http1-server-connection.js";
import { Http2ServerConnection } from "./http2-server-connection.js";
import type { ServerConnection, ServerConnectionContext } from "./server-connection.js";
import { SocksConnection } from "./socks-connection.js";

/** No HTTP/1.1 request begins like this: the method is reserved (RFC 9113 section 11.6). */
const DECISIVE_BYTES = 3;

/**
 * A plaintext connection of a client whose first bytes say whether it speaks HTTP/1 or, by prior knowledge, HTTP/2
 * (RFC 9113 section 3.3), or SOCKS where connections can be asked for.
 */
export class PlaintextConnection implements ServerConnection, RelievableConnection {
  readonly #socket: Socket;
  readonly #source: RequestSource;
  readonly #context: ServerConnectionContext;
  readonly #timer: WheelTimer;
  readonly #limits: LimitValues;
  #first: Buffer | undefined;
  #served: ServerConnection | undefined;

  /** The socket's `error` event has a listener already. */
  constructor(socket: Socket, source: RequestSource, context: ServerConnectionContext) {
    this.#socket = socket;
    this.#source = source;
    this.#context = context;
    this.#limits = context.limits.of(source).values;
    this.#timer = context.coarseWheel.timer(() => this.#onTimer());
    this.#timer.arm(this.#limits["connection.idleTimeoutMs"]);
    socket.on("data", this.#onData);
    socket.on("end", this.#onEndOfStream);
    socket.once("close", this.#onClose);
    context.overload.onConnected(this);
  }

  get busy(): boolean {
    return this.#served?.busy ?? this.#first !== undefined;
  }

  drain(idleMs: number): void {
    if (this.#served === undefined) this.#timer.arm(idleMs);
    else this.#served.drain(idleMs);
  }

  destroy(): void {
    this.#socket.destroy();
  }

  // RelievableConnection: as long as it has not said what it speaks.

  endIdle(share: number): void {
    const idleMs = this.#limits["connection.idleTimeoutMs"];
    if (this.#first !== undefined || this.#timer.leftMs > idleMs * (1 - share)) return;
    this.#context.onLimit("overload.reduceTimeoutsPercent", idleMs, this.#source.remoteAddress);
    this.#socket.destroy();
  }

  visitStreams(_visit: (stream: BufferingStream) => void): void {}

  readonly #onClose = (): void => {
    this.#timer.disarm();
    this.#context.overload.onDisconnected(this);
  };

  #onTimer(): void {
    const name: LimitName =
      this.#first === undefined ? "connection.idleTimeoutMs" : "connection.headerTimeoutMs";
    this.#context.onLimit(name, this.#limits[name], this.#source.remoteAddress);
    this.#socket.destroy();
  }

  readonly #onData = (chunk: Buffer): void => {
    const first = this.#first === undefined ? chunk : Buffer.concat([this.#first, chunk]);
    const length = Math.min(first.length, DECISIVE_BYTES);
    const http2 = first.compare(HTTP2_PREFACE, 0, length, 0, length) === 0;
    if (http2 && length < DECISIVE_BYTES) {
      if (this.#first === undefined) this.#timer.arm(this.#limits["connection.headerTimeoutMs"]);
      this.#first = first;
      return;
    }
    this.#onClose();
    const socket = this.#socket;
    socket.removeListener("close", this.#onClose);
    socket.removeListener("data", this.#onData);
    socket.removeListener("end", this.#onEndOfStream);
    socket.pause();
    socket.unshift(first);
    const socks = first[0] === SOCKS5_VERSION && this.#source.connects !== undefined;
    const Connection = http2 ? Http2ServerConnection : socks ? SocksConnection : Http1ServerConnection;
    this.#served = new Connection(socket, this.#source, this.#context);
  };

  /** A client that left without a word: a health check by TCP. */
  readonly #onEndOfStream = (): void => {
    this.#socket.destroy();
  };
}
