import type { FrameWriter } from "./frame-writer.js";
import { INITIAL_WINDOW } from "./limits.js";
import type { Stream } from "./stream.js";

/**
 * Receive windows (RFC 9113 section 6.9). A window opens again when the application has consumed what came, in batches of
 * half a window: so back-pressure of one side becomes back-pressure of the other.
 */
export class ReceiveFlow {
  readonly #writer: FrameWriter;
  readonly #streamWindow: number;
  readonly #connectionWindow: number;
  #available = INITIAL_WINDOW;
  #uncredited = 0;

  constructor(writer: FrameWriter, streamWindow: number, connectionWindow: number) {
    this.#writer = writer;
    this.#streamWindow = streamWindow;
    this.#connectionWindow = connectionWindow;
  }

  /** After our SETTINGS: the connection's window is not among these. */
  open(): void {
    const more = this.#connectionWindow - INITIAL_WINDOW;
    if (more === 0) return;
    this.#writer.windowUpdate(0, more);
    this.#available += more;
  }

  /** A DATA frame of `length` bytes comes, padding included. False when the connection's window does not allow it. */
  charge(length: number): boolean {
    this.#available -= length;
    return this.#available >= 0;
  }

  /** Bytes of the connection's window that nobody will consume: padding, streams that are gone. */
  credit(bytes: number): void {
    this.#uncredited += bytes;
    if (this.#uncredited < this.#connectionWindow / 2) return;
    this.#writer.windowUpdate(0, this.#uncredited);
    this.#available += this.#uncredited;
    this.#uncredited = 0;
  }

  /** Padding of a stream's frame: nobody consumes it. */
  creditStream(stream: Stream, bytes: number): void {
    this.credit(bytes);
    if (stream.remoteEnded || stream.gone) return;
    stream.uncredited += bytes;
    if (stream.uncredited < this.#streamWindow / 2) return;
    this.#writer.windowUpdate(stream.id, stream.uncredited);
    stream.receiveWindow += stream.uncredited;
    stream.uncredited = 0;
  }

  /** The application is done with `bytes` of the stream. More than it got is not credited. */
  consume(stream: Stream, bytes: number): void {
    const consumed = Math.min(bytes, stream.unconsumed);
    if (!(consumed > 0)) return;
    stream.unconsumed -= consumed;
    this.creditStream(stream, consumed);
  }

  /** The stream is over: what the application never took is given back to the connection. */
  release(stream: Stream): void {
    if (stream.unconsumed > 0) this.credit(stream.unconsumed);
    stream.unconsumed = 0;
  }
}
