import type { HeaderList } from "../contract.js";
import type { Http2Session } from "./contract.js";

const NO_BYTES: Buffer = Buffer.alloc(0);

/**
 * The sending side of one HTTP/2 stream: what the peer's windows do not allow yet waits here. Its writer must stop when
 * `write` returns false, so what waits is bounded by what one read, and one window of the other side, can bring.
 */
export class OutgoingBody {
  readonly #session: Http2Session;
  #streamId = 0;
  #waiting: Buffer[] = [];
  #waitingBytes = 0;
  #ending = false;
  #trailers: HeaderList | undefined;
  /** END_STREAM has gone out. */
  ended = false;

  constructor(session: Http2Session) {
    this.#session = session;
  }

  /** Bytes that the peer's windows hold up. */
  get waitingBytes(): number {
    return this.#waitingBytes;
  }

  /** Prepares for a new stream. `ended`: its head was all. */
  start(streamId: number, ended: boolean): void {
    this.#streamId = streamId;
    if (this.#waiting.length > 0) this.#waiting = [];
    this.#waitingBytes = 0;
    this.#ending = false;
    this.#trailers = undefined;
    this.ended = ended;
  }

  /** Forgets what waits: the stream is over, and this is kept for another one. */
  drop(): void {
    if (this.#waitingBytes === 0) return;
    this.#waiting = [];
    this.#waitingBytes = 0;
  }

  /** Borrowed bytes. Returns false when the writer must stop until `resume` says true. */
  write(chunk: Buffer, start: number, end: number): boolean {
    if (end <= start || this.ended) return true;
    let at = start;
    if (this.#waiting.length === 0) {
      at += this.#session.submitData(this.#streamId, chunk, start, end, false);
      if (at >= end) return true;
    }
    this.#waiting.push(Buffer.from(chunk.subarray(at, end)));
    this.#waitingBytes += end - at;
    return false;
  }

  /** Ends the stream's side once everything is out. */
  end(trailers: HeaderList): void {
    if (this.ended || this.#ending) return;
    this.#ending = true;
    this.#trailers = trailers;
    if (this.#waiting.length === 0) this.#finish();
  }

  /** The session takes bytes again. Returns true when nothing waits any more and the writer may go on, or is done. */
  resume(): boolean {
    const waiting = this.#waiting;
    while (waiting.length > 0) {
      const chunk = waiting[0] as Buffer;
      const taken = this.#session.submitData(this.#streamId, chunk, 0, chunk.length, false);
      this.#waitingBytes -= taken;
      if (taken < chunk.length) {
        waiting[0] = chunk.subarray(taken);
        return false;
      }
      waiting.shift();
    }
    if (this.#ending) this.#finish();
    return true;
  }

  #finish(): void {
    if (this.ended) return;
    this.ended = true;
    const trailers = this.#trailers;
    if (trailers === undefined || trailers.length === 0) {
      this.#session.submitData(this.#streamId, NO_BYTES, 0, 0, true);
    } else this.#session.submitTrailers(this.#streamId, trailers);
  }
}
