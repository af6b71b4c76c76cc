import type { Http2Transport } from "./http2-transport.js";

/** When a connection is asked whether it lives, milliseconds. */
export interface Http2KeepAliveOptions {
  /** Nothing was heard for so long: a PING goes out. */
  readonly afterMs: number;
  /** Nothing was heard for so long after the PING: the connection is given up. */
  readonly timeoutMs: number;
}

/** Finds out that a client's peer is gone although its socket does not say so. */
export class Http2KeepAlive {
  readonly #options: Http2KeepAliveOptions;
  /** When a ping without an answer was sent; -1 = none is. */
  #pingedMs = -1;

  constructor(options: Http2KeepAliveOptions) {
    this.#options = options;
  }

  /** From the transport's `onTick`. A connection without streams is left alone. */
  tick(transport: Http2Transport, nowMs: number): void {
    const { session, lastReadMs } = transport;
    const { afterMs, timeoutMs } = this.#options;
    if (session.openStreams === 0) {
      this.#pingedMs = -1;
    } else if (this.#pingedMs >= 0 && lastReadMs <= this.#pingedMs) {
      if (nowMs - this.#pingedMs >= timeoutMs) transport.destroy("HTTP2_PING_TIMEOUT");
    } else if (nowMs - lastReadMs >= afterMs && session.ping()) {
      this.#pingedMs = nowMs;
    }
  }

  /** From `onPingAck`. */
  answered(): void {
    this.#pingedMs = -1;
  }
}
