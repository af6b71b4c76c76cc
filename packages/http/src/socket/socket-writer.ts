import type { Socket } from "node:net";

import type { HeaderList } from "../contract.js";
import { writeChunkEnd, writeChunkStart, writeLastChunk } from "../encode.js";
import { GrowingBuffer } from "../growing-buffer.js";

import type { FlushQueue, Flushable } from "./flush-queue.js";

/** Output is handed over at once when so many bytes wait. */
const FLUSH_BYTES = 16 * 1024;
/** A chunk of at least this size is not copied into the output buffer. */
const DIRECT_BYTES = 16 * 1024;
/** Back-pressure starts when the socket holds so many bytes that the kernel has not taken. */
const HIGH_WATER_BYTES = 64 * 1024;

/**
 * The sending side of one connection: an output buffer flushed once per event-loop turn, and back-pressure as a
 * boolean. The socket's `drain` event ends the pressure; the connection listens to it.
 */
export class SocketWriter implements Flushable {
  /** Encoders write here; call `commit()` afterwards. */
  readonly sink: GrowingBuffer;
  readonly #socket: Socket;
  readonly #queue: FlushQueue;
  readonly #onFlushed: (() => void) | undefined;
  #queued = false;
  /** Bytes handed to the socket so far. */
  #handedOver = 0;
  /** Memory that the socket is still reading from; reused once it was written. */
  #inFlight: Buffer | undefined;

  /** `onFlushed`: the sink was handed over, or the socket took what it held. `initialBytes`: of the sink, see `GrowingBufferOptions`. */
  constructor(socket: Socket, queue: FlushQueue, onFlushed?: () => void, initialBytes?: number) {
    this.sink = new GrowingBuffer(initialBytes === undefined ? {} : { initialBytes });
    this.#socket = socket;
    this.#queue = queue;
    this.#onFlushed = onFlushed;
  }

  /** Bytes that have left for the socket: unchanged means that nothing written since has been sent. */
  get handedOver(): number {
    return this.#handedOver;
  }

  /** Whether the writer's user must stop until the socket emits `drain`. */
  get pressured(): boolean {
    return this.#socket.writableLength >= HIGH_WATER_BYTES;
  }

  /** After writing into `sink`: flushes now or at the end of the turn. Returns false when the user must stop. */
  commit(): boolean {
    if (this.sink.length >= FLUSH_BYTES) this.flush();
    else if (!this.#queued && this.sink.length > 0) {
      this.#queued = true;
      this.#queue.add(this);
    }
    return !this.pressured;
  }

  /** Body bytes, as a chunk when `chunked`. Returns false when the user must stop. */
  writeBody(chunk: Buffer, start: number, end: number, chunked: boolean): boolean {
    if (end <= start) return !this.pressured;
    if (chunked) writeChunkStart(this.sink, end - start);
    if (end - start >= DIRECT_BYTES) this.#writeDirect(chunk.subarray(start, end));
    else this.sink.writeBytes(chunk, start, end);
    if (chunked) writeChunkEnd(this.sink);
    return this.commit();
  }

  /** The end of a chunked body. */
  writeChunkedEnd(trailers: HeaderList): void {
    writeLastChunk(this.sink, trailers);
    this.commit();
  }

  flush(): void {
    this.#queued = false;
    const length = this.sink.length;
    if (length === 0) return;
    if (this.#socket.destroyed || !this.#socket.writable) {
      this.sink.reset();
      return;
    }
    this.#handedOver += length;
    const bytes = this.sink.view();
    if (this.#inFlight === undefined) {
      this.#inFlight = bytes;
      this.#socket.write(bytes, this.#onWritten);
    } else {
      this.#socket.write(bytes, this.#onFlushed);
    }
    this.sink.take();
    this.#onFlushed?.();
  }

  readonly #onWritten = (): void => {
    const bytes = this.#inFlight;
    this.#inFlight = undefined;
    if (bytes !== undefined) this.sink.recycle(bytes);
    this.#onFlushed?.();
  };

  #writeDirect(bytes: Buffer): void {
    this.#socket.cork();
    this.flush();
    if (!this.#socket.destroyed && this.#socket.writable) {
      this.#handedOver += bytes.length;
      this.#socket.write(bytes);
    }
    this.#socket.uncork();
  }
}
