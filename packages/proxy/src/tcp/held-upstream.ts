import type { OpeningListener } from "../detection/detection.js";
import type { TcpEnd } from "./contract.js";

/** A connection to a server from which nothing is read, only noticed that there would be something. */
export class HeldUpstream {
  readonly #upstream: TcpEnd;
  readonly #listener: OpeningListener;

  constructor(upstream: TcpEnd, listener: OpeningListener) {
    this.#upstream = upstream;
    this.#listener = listener;
    const { socket } = upstream;
    socket.on("error", ignore);
    socket.on("readable", this.#onReadable);
    socket.on("close", this.#onClose);
  }

  /** The connection, with all that it has received still in it. */
  release(): TcpEnd {
    this.#leave();
    return this.#upstream;
  }

  destroy(): void {
    this.#leave();
    this.#upstream.socket.destroy();
    this.#upstream.transport.destroy();
  }

  /** Emitted at the end of the stream, too. */
  readonly #onReadable = (): void => {
    this.#upstream.socket.removeListener("readable", this.#onReadable);
    this.#listener.onServerFirst(this.#upstream.socket.readableLength > 0);
  };

  readonly #onClose = (): void => {
    this.#leave();
    this.#listener.onUnreachable();
  };

  #leave(): void {
    const { socket } = this.#upstream;
    socket.removeListener("readable", this.#onReadable);
    socket.removeListener("close", this.#onClose);
  }
}

function ignore(): void {}
