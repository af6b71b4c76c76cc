import { FIELD, HEX_VALUE, TOKEN } from "./characters.js";
import type { Http1Error } from "./contract.js";
import { HTTP1_ERRORS } from "./http1-errors.js";

const SP = 0x20;
const HTAB = 0x09;
const CR = 0x0d;
const LF = 0x0a;

/** How much framing may outweigh the data of one body, in bytes, before the sender is thought hostile. */
const MAX_EXCESS_BYTES = 16_384;

const enum State {
  REFUSED = -1,
  SIZE_START,
  SIZE,
  EXTENSION_START,
  EXTENSION_NAME,
  EXTENSION_VALUE_START,
  EXTENSION_VALUE,
  EXTENSION_QUOTED,
  EXTENSION_ESCAPED,
  EXTENSION_QUOTED_END,
  LINE_LF,
  DATA,
  DATA_CR,
  DATA_LF,
  DONE,
}

/**
 * The framing of a chunked body (RFC 9112 section 7.1): everything but the data. Extensions are checked by their full
 * grammar and dropped; a quoted string that holds a line end is refused, since peers disagree on where it ends
 * (CVE-2026-33870).
 *
 * ```
 * 1a;name="value"\r\n  data…  \r\n  0\r\n  [trailers] \r\n
 * ^^^^^^^^^^^^^^^^^^^         ^^^^  ^^^^
 * ```
 */
export class ChunkFraming {
  /** Bytes of data that come next, before framing goes on. The owner takes them off. */
  remaining = 0;
  error: Http1Error | undefined = undefined;
  readonly #maxLineBytes: number;
  #state: State = State.SIZE_START;
  #size = 0;
  #lineBytes = 0;
  #excessBytes = 0;

  constructor(maxLineBytes: number) {
    this.#maxLineBytes = maxLineBytes;
  }

  /** The last chunk's line was read: trailers follow. */
  get done(): boolean {
    return this.#state === State.DONE;
  }

  /** Before each chunked body. */
  reset(): void {
    this.remaining = 0;
    this.error = undefined;
    this.#state = State.SIZE_START;
    this.#size = 0;
    this.#lineBytes = 0;
    this.#excessBytes = 0;
  }

  /** Reads framing until data comes, the last chunk's line ends, or `end`; returns where it stopped. */
  read(chunk: Buffer, at: number, end: number): number {
    if (this.#state === State.DATA) this.#state = State.DATA_CR;
    while (at < end) {
      const byte = chunk[at++]!;
      if (this.#state < State.DATA && ++this.#lineBytes > this.#maxLineBytes) {
        return this.#refuse(HTTP1_ERRORS.chunkLineTooLong, at);
      }
      switch (this.#state) {
        case State.SIZE_START:
        case State.SIZE: {
          const digit = HEX_VALUE[byte]!;
          if (digit < 16) {
            this.#state = State.SIZE;
            this.#size = this.#size * 16 + digit;
            if (this.#size > Number.MAX_SAFE_INTEGER) return this.#refuse(HTTP1_ERRORS.chunkSize, at);
          } else if (this.#state === State.SIZE_START) return this.#refuse(HTTP1_ERRORS.chunkSize, at);
          else if (byte === CR) this.#state = State.LINE_LF;
          else if (byte === 0x3b) this.#state = State.EXTENSION_START;
          else return this.#refuse(HTTP1_ERRORS.chunkSize, at);
          break;
        }
        case State.LINE_LF: {
          if (byte !== LF) return this.#refuse(HTTP1_ERRORS.chunkSize, at);
          this.#endLine();
          return at;
        }
        case State.DATA_CR: {
          if (byte !== CR) return this.#refuse(HTTP1_ERRORS.chunkEnd, at);
          this.#state = State.DATA_LF;
          break;
        }
        case State.DATA_LF: {
          if (byte !== LF) return this.#refuse(HTTP1_ERRORS.chunkEnd, at);
          this.#state = State.SIZE_START;
          break;
        }
        default: {
          const next = nextInExtension(this.#state, byte);
          if (next === State.REFUSED) return this.#refuse(HTTP1_ERRORS.chunkExtension, at);
          this.#state = next;
        }
      }
    }
    return at;
  }

  #endLine(): void {
    const excess = this.#lineBytes - (16 + 2 * this.#size);
    if (excess > 0) this.#excessBytes += excess;
    if (this.#excessBytes > MAX_EXCESS_BYTES) this.error = HTTP1_ERRORS.chunkLineTooLong;
    this.remaining = this.#size;
    this.#state = this.#size === 0 ? State.DONE : State.DATA;
    this.#size = 0;
    this.#lineBytes = 0;
  }

  #refuse(error: Http1Error, at: number): number {
    this.error = error;
    return at;
  }
}

/** `*( ";" BWS name [ BWS "=" BWS ( token / quoted-string ) ] )` without white space before `;` and `=`. */
function nextInExtension(state: State, byte: number): State {
  switch (state) {
    case State.EXTENSION_START: {
      if (byte === SP || byte === HTAB) return State.EXTENSION_START;
      return TOKEN[byte] === 1 ? State.EXTENSION_NAME : State.REFUSED;
    }
    case State.EXTENSION_NAME: {
      if (byte === 0x3d) return State.EXTENSION_VALUE_START;
      return TOKEN[byte] === 1 ? State.EXTENSION_NAME : afterExtension(byte);
    }
    case State.EXTENSION_VALUE_START: {
      if (byte === 0x22) return State.EXTENSION_QUOTED;
      return TOKEN[byte] === 1 ? State.EXTENSION_VALUE : State.REFUSED;
    }
    case State.EXTENSION_VALUE: {
      return TOKEN[byte] === 1 ? State.EXTENSION_VALUE : afterExtension(byte);
    }
    case State.EXTENSION_QUOTED: {
      if (byte === 0x22) return State.EXTENSION_QUOTED_END;
      if (byte === 0x5c) return State.EXTENSION_ESCAPED;
      return FIELD[byte] === 1 ? State.EXTENSION_QUOTED : State.REFUSED;
    }
    case State.EXTENSION_ESCAPED: {
      return FIELD[byte] === 1 ? State.EXTENSION_QUOTED : State.REFUSED;
    }
    case State.EXTENSION_QUOTED_END: {
      return afterExtension(byte);
    }
    default: {
      return State.REFUSED;
    }
  }
}

function afterExtension(byte: number): State {
  if (byte === CR) return State.LINE_LF;
  return byte === 0x3b ? State.EXTENSION_START : State.REFUSED;
}
