import type { Http2Session } from "./contract.js";

/**
 * The receiving side of one HTTP/2 stream: bytes are credited to the peer when who takes them goes on, so that its
 * back-pressure becomes the peer's, and at most one window is ever on its way.
 */
export class IncomingCredit {
  readonly #session: Http2Session;
  #streamId = 0;
  #paused = false;
  #owed = 0;

  constructor(session: Http2Session) {
    this.#session = session;
  }

  start(streamId: number): void {
    this.#streamId = streamId;
    this.#paused = false;
    this.#owed = 0;
  }

  /** `bytes` were passed on. */
  passed(bytes: number): void {
    if (this.#paused) this.#owed += bytes;
    else this.#session.consume(this.#streamId, bytes);
  }

  pause(): void {
    this.#paused = true;
  }

  /** Returns whether the peer was credited. */
  resume(): boolean {
    this.#paused = false;
    const owed = this.#owed;
    if (owed === 0) return false;
    this.#owed = 0;
    this.#session.consume(this.#streamId, owed);
    return true;
  }
}
