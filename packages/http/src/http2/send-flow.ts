import type { FrameWriter } from "./frame-writer.js";
import { INITIAL_WINDOW, MAX_WINDOW } from "./limits.js";
import { type Stream, Waiting } from "./stream.js";

/** Send windows (RFC 9113 section 6.9) and who waits for them. */
export class SendFlow {
  readonly #writer: FrameWriter;
  readonly #maxOutputBytes: number;
  #window = INITIAL_WINDOW;
  /** Streams that have a window of their own and wait for the connection's, or for room: the longest waiting first. */
  readonly #queue = new Set<Stream>();
  #stalled = 0;

  constructor(writer: FrameWriter, maxOutputBytes: number) {
    this.#writer = writer;
    this.#maxOutputBytes = maxOutputBytes;
  }

  /** Streams that a window of the peer holds up. */
  get stalled(): number {
    return this.#stalled;
  }

  /** Sends what the windows and the output allow of `chunk[start, end)`; returns the end of what was sent. */
  send(stream: Stream, chunk: Buffer, start: number, end: number, endStream: boolean, nowMs: number): number {
    const writer = this.#writer;
    let at = start;
    while (at < end && writer.pendingBytes < this.#maxOutputBytes) {
      const length = Math.min(end - at, stream.sendWindow, this.#window, writer.maxFrameBytes);
      if (length <= 0) break;
      writer.data(stream.id, chunk, at, at + length, endStream && at + length === end);
      at += length;
      stream.sendWindow -= length;
      this.#window -= length;
    }
    if (at < end) this.#wait(stream, at > start, nowMs);
    else this.forget(stream);
    return at;
  }

  /** The stream offers nothing any more. */
  forget(stream: Stream): void {
    if (stream.waiting === Waiting.CONNECTION) this.#queue.delete(stream);
    stream.waiting = Waiting.NOTHING;
    this.#unstall(stream);
  }

  /** WINDOW_UPDATE of the connection. False when it makes the window too large. */
  addToConnection(increment: number): boolean {
    this.#window += increment;
    return this.#window <= MAX_WINDOW;
  }

  /** WINDOW_UPDATE of a stream, or a change of all by SETTINGS (then perhaps negative). False when it becomes too large. */
  addToStream(stream: Stream, increment: number): boolean {
    stream.sendWindow += increment;
    if (stream.sendWindow > MAX_WINDOW) return false;
    if (stream.sendWindow > 0 && stream.waiting === Waiting.WINDOW) {
      stream.waiting = Waiting.CONNECTION;
      this.#queue.add(stream);
    }
    return true;
  }

  /** Whether the streams that wait may try again. After a flush, room counts from half of the limit on. */
  get mayWake(): boolean {
    return this.#queue.size > 0 && this.#window > 0 && this.#writer.pendingBytes * 2 <= this.#maxOutputBytes;
  }

  /** Takes the streams that wait now out of the queue, one after the other, until windows or room are used up again. */
  wake(onWritable: (streamId: number) => void): void {
    let left = this.#queue.size;
    for (const stream of this.#queue) {
      if (left-- <= 0 || this.#window <= 0 || this.#writer.pendingBytes >= this.#maxOutputBytes) return;
      this.#queue.delete(stream);
      stream.waiting = Waiting.NOTHING;
      onWritable(stream.id);
    }
  }

  #wait(stream: Stream, progressed: boolean, nowMs: number): void {
    const wanted = stream.sendWindow <= 0 ? Waiting.WINDOW : Waiting.CONNECTION;
    if (wanted === Waiting.CONNECTION) this.#queue.add(stream);
    else this.#queue.delete(stream);
    stream.waiting = wanted;
    if (stream.sendWindow > 0 && this.#window > 0) this.#unstall(stream);
    else if (stream.stalledSinceMs < 0) {
      stream.stalledSinceMs = nowMs;
      this.#stalled++;
    } else if (progressed) stream.stalledSinceMs = nowMs;
  }

  #unstall(stream: Stream): void {
    if (stream.stalledSinceMs < 0) return;
    stream.stalledSinceMs = -1;
    this.#stalled--;
  }
}
