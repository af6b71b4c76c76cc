import type { HeaderList } from "@tulle/http";

import type { UpstreamStream } from "./contract.js";

const NO_TRAILERS: HeaderList = [];

/**
 * The part of a request's body that may have to be sent (again): what came before there was a connection, and what
 * another try would need. One per exchange, reused.
 */
export class BodyBuffer {
  readonly #chunks: Buffer[] = [];
  #bytes = 0;
  /** False once bytes went by that were not kept: the request cannot be sent again. */
  #complete = true;
  #trailers: HeaderList = NO_TRAILERS;

  get bytes(): number {
    return this.#bytes;
  }

  /** Whether everything that came so far is here. */
  get replayable(): boolean {
    return this.#complete;
  }

  get trailers(): HeaderList {
    return this.#trailers;
  }

  reset(): void {
    if (this.#chunks.length > 0) this.#chunks.length = 0;
    this.#bytes = 0;
    this.#complete = true;
    this.#trailers = NO_TRAILERS;
  }

  /** Copies borrowed bytes. */
  append(chunk: Buffer, start: number, end: number): void {
    if (!this.#complete || end <= start) return;
    this.#chunks.push(Buffer.from(chunk.subarray(start, end)));
    this.#bytes += end - start;
  }

  setTrailers(trailers: HeaderList): void {
    this.#trailers = trailers;
  }

  /** Gives up replaying and frees the memory: the bytes so far were sent and no more will be kept. */
  release(): void {
    if (this.#chunks.length > 0) this.#chunks.length = 0;
    this.#bytes = 0;
    this.#complete = false;
  }

  /** Sends everything kept. Returns false when the stream asked to stop; it takes the bytes nevertheless. */
  replayTo(stream: UpstreamStream): boolean {
    let writable = true;
    for (const chunk of this.#chunks) writable = stream.writeBody(chunk, 0, chunk.length);
    return writable;
  }
}
