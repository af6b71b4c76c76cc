import { Flag } from "./frame.js";

const EMPTY: Buffer = Buffer.alloc(0);

/** A header block that came in several frames, until its last one. It costs memory only while one is under way. */
export class HeaderBlock {
  #bytes: Buffer = EMPTY;
  #length = 0;
  /** 0 when no block is under way. */
  streamId = 0;
  endStream = false;
  selfDependent = false;
  continuations = 0;

  /** A HEADERS frame came without END_HEADERS. */
  begin(streamId: number, flags: number, selfDependent: boolean): void {
    this.streamId = streamId;
    this.endStream = (flags & Flag.END_STREAM) !== 0;
    this.selfDependent = selfDependent;
    this.continuations = 0;
    this.#length = 0;
  }

  get length(): number {
    return this.#length;
  }

  append(bytes: Buffer, start: number, end: number): void {
    const needed = this.#length + end - start;
    if (needed > this.#bytes.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(needed, this.#bytes.length * 2, 1024));
      this.#bytes.copy(grown, 0, 0, this.#length);
      this.#bytes = grown;
    }
    bytes.copy(this.#bytes, this.#length, start, end);
    this.#length = needed;
  }

  /** The block is complete: its bytes, which are the caller's now. */
  take(): Buffer {
    const taken = this.#bytes.subarray(0, this.#length);
    this.#bytes = EMPTY;
    this.#length = 0;
    this.streamId = 0;
    return taken;
  }
}
