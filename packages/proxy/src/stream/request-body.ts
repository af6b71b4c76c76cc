import { NO_FIELDS, type HeaderList, type RequestHead } from "@tulle/http";

import type { UpstreamStream } from "./contract.js";

/** How much of a body is kept. */
export interface ReplayLimit {
  /** More of a request's body is not kept for another try. */
  readonly maxReplayBytes: number;
  /** A body was larger than that. */
  onReplayGivenUp(): void;
}

/**
 * A request's body as its tries need it: what is known of it, and the part that may have to be sent (again), which is
 * what came before there was a connection, and what another try would need. One per exchange, reused.
 */
export class RequestBody {
  /** Whether there is one. */
  expected = false;
  /** -1 = unknown. */
  contentLength = 0;
  /** Whether all of it has come. */
  done = false;
  /** Whether another try may need it. */
  keep = false;
  trailers: HeaderList = NO_FIELDS;
  readonly #limit: ReplayLimit;
  readonly #chunks: Buffer[] = [];
  #bytes = 0;
  /** False once bytes went by that were not kept: the request cannot be sent again. */
  #complete = true;

  constructor(limit: ReplayLimit) {
    this.#limit = limit;
  }

  /** What was kept. */
  get kept(): readonly Buffer[] {
    return this.#chunks;
  }

  /** How much is kept. */
  get heldBytes(): number {
    return this.#bytes;
  }

  /** Whether as much is held as may be: no more comes before some of it can be sent. */
  get full(): boolean {
    return this.#bytes >= this.#limit.maxReplayBytes;
  }

  /** Whether everything that came so far is here. */
  get replayable(): boolean {
    return this.#complete;
  }

  /** Prepares for a new request. */
  clear({ framing, contentLength }: RequestHead): void {
    this.expected = framing !== "none";
    this.contentLength = contentLength;
    this.done = false;
    this.keep = false;
    this.forget();
  }

  /** Frees the memory: there will be no other try. */
  forget(): void {
    if (this.#chunks.length > 0) this.#chunks.length = 0;
    this.#bytes = 0;
    this.#complete = true;
    this.trailers = NO_FIELDS;
  }

  /** Holds borrowed bytes that cannot be sent yet. Returns false when the client must wait. */
  hold(chunk: Buffer, start: number, end: number): boolean {
    this.#append(chunk, start, end);
    return !this.full;
  }

  /** Keeps a copy of borrowed bytes that are being sent, where another try may need it and there is room. */
  copy(chunk: Buffer, start: number, end: number): void {
    if (!this.keep || !this.#complete) return;
    if (this.#bytes + end - start > this.#limit.maxReplayBytes) {
      this.release();
      this.#limit.onReplayGivenUp();
    } else this.#append(chunk, start, end);
  }

  /** Gives up replaying and frees the memory: the bytes so far were sent and no more will be kept. */
  release(): void {
    if (this.#chunks.length > 0) this.#chunks.length = 0;
    this.#bytes = 0;
    this.#complete = false;
  }

  /** The request goes on without it. Call when all of it has come. */
  drop(): void {
    this.expected = false;
    this.contentLength = 0;
    this.forget();
  }

  /** Takes out what came so far: another body comes in its place, of unknown length. */
  takeUntranslated(): readonly Buffer[] {
    const taken = this.#chunks.splice(0);
    this.forget();
    this.expected = true;
    this.contentLength = -1;
    this.done = false;
    return taken;
  }

  /** Sends everything kept. Returns false when the stream asked to stop; it takes the bytes nevertheless. */
  replayTo(stream: UpstreamStream): boolean {
    let writable = true;
    for (const chunk of this.#chunks) writable = stream.writeBody(chunk, 0, chunk.length);
    if (!this.keep && this.expected) this.release();
    return writable;
  }

  #append(chunk: Buffer, start: number, end: number): void {
    if (!this.#complete || end <= start) return;
    this.#chunks.push(Buffer.from(chunk.subarray(start, end)));
    this.#bytes += end - start;
  }
}
