import type { Socket } from "node:net";

import type { HeaderList } from "../contract.js";
import { writeChunkEnd, writeChunkStart, writeLastChunk } from "../encode.js";
import { GrowingBuffer } from "../growing-buffer.js";

import type { ByteChannel } from "./byte-channel.js";
import type { FlushQueue, Flushable } from "./flush-queue.js";

/** Output is handed over at once when so many bytes wait. */
const FLUSH_BYTES = 16 * 1024;
/** Unless the writer's options say otherwise. */
const HIGH_WATER_BYTES = 64 * 1024;

export interface SocketWriterOptions {
  /** Of the sink, see `GrowingBufferOptions`. */
  readonly initialBytes?: number;
  /** Back-pressure starts when the kernel has not taken so many bytes that were handed over. Default 64 KiB. */
  readonly highWaterBytes?: number;
}

/** What a writer tells its connection. */
export interface WriterEvents {
  /** After `pressured`: what was handed over has left, and the user may go on. */
  onDrain?(): void;
  /** The sink was handed over, or the kernel took what had been. */
  onFlushed?(): void;
}

/**
 * The sending side of one connection: an output buffer flushed once per event-loop turn, and back-pressure as a
 * boolean.
 */
export class SocketWriter implements Flushable {
  /** Encoders write here; call `commit()` afterwards. */
  readonly sink: GrowingBuffer;
  readonly #socket: Socket;
  readonly #channel: ByteChannel;
  readonly #queue: FlushQueue;
  readonly #events: WriterEvents;
  readonly #highWaterBytes: number;
  #queued = false;
  /** Bytes handed over so far. */
  #handedOver = 0;
  /** Memory that is still being written from, oldest first. */
  readonly #pending: Buffer[] = [];
  #pendingBytes = 0;
  #drainDue = false;

  constructor(
    socket: Socket,
    channel: ByteChannel,
    queue: FlushQueue,
    events: WriterEvents,
    options: SocketWriterOptions = {},
  ) {
    const { initialBytes, highWaterBytes = HIGH_WATER_BYTES } = options;
    this.sink = new GrowingBuffer(initialBytes === undefined ? {} : { initialBytes });
    this.#socket = socket;
    this.#channel = channel;
    this.#queue = queue;
    this.#events = events;
    this.#highWaterBytes = highWaterBytes;
  }

  /** Bytes that have left for the socket: unchanged means that nothing written since has been sent. */
  get handedOver(): number {
    return this.#handedOver;
  }

  /** Of these, those that the kernel has not taken. */
  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  /** Whether the writer's user must stop until `onDrain`. */
  get pressured(): boolean {
    if (this.#pendingBytes < this.#highWaterBytes) return false;
    this.#drainDue = true;
    return true;
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
    this.sink.writeBytes(chunk, start, end);
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
    this.#handedOver += length;
    const bytes = this.sink.view();
    if (this.#channel.write(bytes, this.#onTaken)) this.sink.reset();
    else {
      this.#pending.push(bytes);
      this.#pendingBytes += length;
      this.sink.take();
    }
    this.#events.onFlushed?.();
  }

  /** Sends what is written, then ends the connection's sending side. */
  end(): void {
    this.flush();
    this.#socket.end();
  }

  readonly #onTaken = (): void => {
    const bytes = this.#pending.shift();
    if (bytes === undefined) return;
    this.#pendingBytes -= bytes.length;
    this.sink.recycle(bytes);
    this.#events.onFlushed?.();
    if (this.#pendingBytes > 0 || !this.#drainDue) return;
    this.#drainDue = false;
    this.#events.onDrain?.();
  };
}
