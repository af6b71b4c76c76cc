import type { Socket } from "node:net";

import type { ByteChannel } from "./byte-channel.js";

/** A channel by the public interface of sockets: wherever {@link DirectChannel} finds nothing to stand on. */
export class StreamChannel implements ByteChannel {
  readonly #socket: Socket;
  #onData: ((chunk: Buffer) => void) | undefined;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  start(onBytes: (bytes: Buffer, end: number) => void): void {
    this.#onData = (chunk) => onBytes(chunk, chunk.length);
    this.#socket.on("data", this.#onData);
    this.#socket.resume();
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  get paused(): boolean {
    return this.#socket.isPaused();
  }

  write(bytes: Buffer, onTaken: () => void): boolean {
    if (!this.#socket.writable) return true;
    this.#socket.write(bytes, onTaken);
    return false;
  }

  release(): void {
    if (this.#onData !== undefined) this.#socket.removeListener("data", this.#onData);
  }
}
