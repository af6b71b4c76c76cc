const CR = 0x0d;
const LF = 0x0a;

/** What `BlockAssembler.feed` found. */
export const Block = { INCOMPLETE: 0, COMPLETE: 1, TOO_LARGE: 2, BAD_BYTE: 3 } as const;

const FIRST_HELD_BYTES = 1024;
const KEPT_BYTES = 4096;

/**
 * Cuts the bytes up to and including the next CRLF CRLF out of a stream: a head, or a trailer section.
 *
 * A block that lies whole in one chunk is not copied. A partial one is held in a buffer of our own, up to the limit.
 * Each byte is looked at once, whatever the chunking: the search never goes back by more than three bytes.
 */
export class BlockAssembler {
  /** After `COMPLETE`: the block is `bytes[start, end)`. Borrowed until the next `feed`. */
  bytes: Buffer = NOTHING;
  start = 0;
  end = 0;
  /** Where the stream goes on in the chunk that was fed. */
  next = 0;
  /** Longest block that is accepted, terminator included. */
  maxBytes: number;
  #held: Buffer = NOTHING;
  #heldLength = 0;

  constructor(maxBytes: number) {
    this.maxBytes = maxBytes;
  }

  /** Looks at `chunk[at, end)`; `at < end`. Returns one of `Block`. */
  feed(chunk: Buffer, at: number, end: number): number {
    if (this.#heldLength > 0) return this.#feedMore(chunk, at, end);
    const blockEnd = findEmptyLine(chunk, at, end);
    if (blockEnd < 0) return this.#hold(chunk, at, end);
    if (blockEnd - at > this.maxBytes) {
      // For `hasWholeLine`, which then looks at what fits the limit.
      this.bytes = chunk;
      this.start = at;
      this.end = at + this.maxBytes;
      return Block.TOO_LARGE;
    }
    this.bytes = chunk;
    this.start = at;
    this.end = blockEnd;
    this.next = blockEnd;
    return Block.COMPLETE;
  }

  /** After `TOO_LARGE`: whether at least the first line ended within the limit. */
  get hasWholeLine(): boolean {
    const at = this.bytes.indexOf(LF, this.start);
    return at >= 0 && at < this.end;
  }

  /** Lets go of the last block. A large buffer is not kept: connections are many and mostly idle. */
  release(): void {
    this.bytes = NOTHING;
    this.#heldLength = 0;
    if (this.#held.length > KEPT_BYTES) this.#held = NOTHING;
  }

  #feedMore(chunk: Buffer, at: number, end: number): number {
    let blockEnd = this.#endAcross(chunk, at, end);
    if (blockEnd < 0) blockEnd = findEmptyLine(chunk, at, end);
    if (blockEnd < 0) return this.#hold(chunk, at, end);
    if (this.#append(chunk, at, blockEnd)) return this.#refuse(Block.TOO_LARGE);
    this.bytes = this.#held;
    this.start = 0;
    this.end = this.#heldLength;
    this.next = blockEnd;
    return Block.COMPLETE;
  }

  /** Keeps a part without terminator. What can no longer become a valid block is refused now, not at the time-out. */
  #hold(chunk: Buffer, at: number, end: number): number {
    const last = this.#heldLength > 0 ? this.#held[this.#heldLength - 1]! : 0;
    if (this.#append(chunk, at, end)) return this.#refuse(Block.TOO_LARGE);
    if (hasBadByte(chunk, at, end, last)) return this.#refuse(Block.BAD_BYTE);
    this.next = end;
    return this.#heldLength >= this.maxBytes ? this.#refuse(Block.TOO_LARGE) : Block.INCOMPLETE;
  }

  #refuse(verdict: number): number {
    this.bytes = this.#held;
    this.start = 0;
    this.end = this.#heldLength;
    return verdict;
  }

  /** Appends up to the limit; true when there was more. */
  #append(chunk: Buffer, at: number, end: number): boolean {
    const room = this.maxBytes - this.#heldLength;
    const length = Math.min(end - at, room);
    const needed = this.#heldLength + length;
    if (needed > this.#held.length) {
      const grown = Buffer.allocUnsafeSlow(
        Math.max(needed, Math.min(this.maxBytes, Math.max(FIRST_HELD_BYTES, this.#held.length * 2))),
      );
      this.#held.copy(grown, 0, 0, this.#heldLength);
      this.#held = grown;
    }
    chunk.copy(this.#held, this.#heldLength, at, at + length);
    this.#heldLength = needed;
    return end - at > room;
  }

  /** End of a terminator that began in the held part, in `chunk`; or -1. */
  #endAcross(chunk: Buffer, at: number, end: number): number {
    for (let before = Math.min(3, this.#heldLength); before > 0; before--) {
      const blockEnd = at + 4 - before;
      if (blockEnd > end) continue;
      let i = 0;
      for (; i < 4; i++) {
        const byte = i < before ? this.#held[this.#heldLength - before + i] : chunk[at + i - before];
        if (byte !== ((i & 1) === 0 ? CR : LF)) break;
      }
      if (i === 4) return blockEnd;
    }
    return -1;
  }
}

/**
 * Index after the first CRLF CRLF in `bytes[at, end)`, or -1. Looks at every fourth byte only, until one can belong
 * to a terminator: for heads of usual size faster than `Buffer.indexOf`, which also would search past `end`.
 */
function findEmptyLine(bytes: Buffer, at: number, end: number): number {
  let i = at + 3;
  while (i < end) {
    const byte = bytes[i]!;
    if (byte === LF) {
      if (bytes[i - 1] !== CR) i += 4;
      else if (bytes[i - 2] === LF && bytes[i - 3] === CR) return i + 1;
      else i += 2;
    } else i += byte === CR ? 1 : 4;
  }
  return -1;
}

/** Whether a byte occurs that no valid block holds: lone CR or LF, or another control character but HTAB. */
function hasBadByte(bytes: Buffer, at: number, end: number, previous: number): boolean {
  for (let i = at; i < end; i++) {
    const byte = bytes[i]!;
    if (previous === CR ? byte !== LF : byte < 0x20 ? byte !== CR && byte !== 0x09 : byte === 0x7f)
      return true;
    previous = byte;
  }
  return false;
}

const NOTHING: Buffer = Buffer.alloc(0);
