import { Block, BlockAssembler } from "./block-assembler.js";
import { ChunkFraming } from "./chunk-framing.js";
import type { Framing, HeaderList, Http1Error, Http1Handler, Http1Limits, Http1Parser } from "./contract.js";
import type { FieldSection } from "./field-section.js";
import { NO_FIELDS } from "./headers.js";
import { HTTP1_ERRORS } from "./http1-errors.js";

const CR = 0x0d;
const LF = 0x0a;
/** What comes after a head. */
export const Follow = {
  /** A body by its framing, and the end. */
  MESSAGE: 0,
  /** Another head of the same exchange (after 1xx). */
  INTERIM: 1,
  /** The end, and then bytes that are not HTTP. */
  TUNNEL: 2,
} as const;

/** The half that knows requests from responses: reads a head that lies whole in memory. */
export interface HeadReader<Head> {
  /** Whether one empty line before a message is passed over (RFC 9112 section 2.2). */
  readonly skipsEmptyLine: boolean;
  readonly fields: FieldSection;
  /** One of `Follow`, for the head just read. */
  readonly follow: number;
  /** Set when `read` returned undefined. */
  readonly error: Http1Error | undefined;
  /** Whether a message may begin now; otherwise why not. */
  mayBegin(): Http1Error | undefined;
  /** Reads `bytes[start, end)`, which ends with the empty line. */
  read(bytes: Buffer, start: number, end: number): Head | undefined;
  /** The refusal as the other side of the proxy must see it. */
  refusal(error: Http1Error): Http1Error;
}

const enum State {
  /** Between two messages. */
  START,
  /** A CR came where a message may start. */
  START_LF,
  HEAD,
  LENGTH,
  CHUNKED,
  TRAILERS_START,
  TRAILERS_LF,
  TRAILERS,
  UNTIL_CLOSE,
  /** All of the message was read; `onEnd` is due. */
  END,
  /** Nothing more is consumed: a tunnel, or the peer's side has ended. */
  CLOSED,
}

interface Framed {
  readonly framing: Framing;
  readonly contentLength: number;
}

/**
 * The state machine of one direction of a connection: heads, bodies, trailers. What a head means is the reader's.
 *
 * ```
 * START → HEAD → LENGTH ─────────────────────────┐
 *           │  → CHUNKED → TRAILERS_START → … ───┼→ END → START | CLOSED
 *           │  → UNTIL_CLOSE ── finish() ────────┤
 *           └────────────────────────────────────┘
 * ```
 */
export class MessageParser<Head extends Framed> implements Http1Parser {
  readonly #handler: Http1Handler<Head>;
  readonly #reader: HeadReader<Head>;
  readonly #assembler: BlockAssembler;
  readonly #chunks: ChunkFraming;
  readonly #maxHeadBytes: number;
  #state: State = State.START;
  #error: Http1Error | undefined = undefined;
  #paused = false;
  #skippedLine = false;
  #tunnelFollows = false;
  #remaining = 0;
  #headBytes = 0;
  #trailers: HeaderList = NO_FIELDS;

  constructor(handler: Http1Handler<Head>, limits: Http1Limits, reader: HeadReader<Head>) {
    this.#handler = handler;
    this.#reader = reader;
    this.#assembler = new BlockAssembler(limits.maxHeadBytes);
    this.#chunks = new ChunkFraming(limits.maxChunkLineBytes);
    this.#maxHeadBytes = limits.maxHeadBytes;
  }

  get error(): Http1Error | undefined {
    return this.#error;
  }

  get idle(): boolean {
    return this.#state === State.START;
  }

  pause(): void {
    this.#paused = true;
  }

  execute(chunk: Buffer, start: number, end: number): number {
    this.#paused = false;
    let at = start;
    while (at < end || this.#state === State.END) {
      if (this.#paused || this.#error !== undefined || this.#state === State.CLOSED) break;
      at = this.#step(chunk, at, end);
    }
    return at - start;
  }

  finish(): void {
    switch (this.#state) {
      case State.UNTIL_CLOSE: {
        this.#state = State.CLOSED;
        this.#handler.onEnd(NO_FIELDS);
        break;
      }
      case State.START:
      case State.END:
      case State.CLOSED: {
        break;
      }
      default: {
        this.#fail(HTTP1_ERRORS.incomplete);
      }
    }
  }

  /** Makes one step: consumes bytes, or changes the state. At most one event. */
  #step(chunk: Buffer, at: number, end: number): number {
    switch (this.#state) {
      case State.START: {
        return this.#begin(chunk, at);
      }
      case State.START_LF: {
        if (chunk[at] !== LF) return this.#fail(HTTP1_ERRORS.lineEnding, at);
        this.#state = State.START;
        return at + 1;
      }
      case State.HEAD: {
        return this.#readHead(chunk, at, end);
      }
      case State.LENGTH: {
        const length = Math.min(this.#remaining, end - at);
        this.#remaining -= length;
        if (this.#remaining === 0) this.#state = State.END;
        this.#handler.onBody(chunk, at, at + length);
        return at + length;
      }
      case State.CHUNKED: {
        return this.#readChunks(chunk, at, end);
      }
      case State.TRAILERS_START: {
        if (chunk[at] === CR) {
          this.#state = State.TRAILERS_LF;
          return at + 1;
        }
        this.#state = State.TRAILERS;
        this.#assembler.maxBytes = this.#maxHeadBytes - this.#headBytes;
        return at;
      }
      case State.TRAILERS_LF: {
        if (chunk[at] !== LF) return this.#fail(HTTP1_ERRORS.lineEnding, at);
        this.#state = State.END;
        return at + 1;
      }
      case State.TRAILERS: {
        return this.#readTrailers(chunk, at, end);
      }
      case State.UNTIL_CLOSE: {
        this.#handler.onBody(chunk, at, end);
        return end;
      }
      case State.END: {
        const trailers = this.#trailers;
        this.#trailers = NO_FIELDS;
        this.#state = this.#tunnelFollows ? State.CLOSED : State.START;
        this.#skippedLine = false;
        this.#handler.onEnd(trailers);
        return at;
      }
      case State.CLOSED: {
        return at;
      }
    }
  }

  #begin(chunk: Buffer, at: number): number {
    const error = this.#reader.mayBegin();
    if (error !== undefined) return this.#fail(error, at);
    if (chunk[at] === CR && this.#reader.skipsEmptyLine && !this.#skippedLine) {
      this.#skippedLine = true;
      this.#state = State.START_LF;
      return at + 1;
    }
    this.#state = State.HEAD;
    this.#assembler.maxBytes = this.#maxHeadBytes;
    return at;
  }

  #readHead(chunk: Buffer, at: number, end: number): number {
    const assembler = this.#assembler;
    const verdict = assembler.feed(chunk, at, end);
    if (verdict !== Block.COMPLETE) return this.#unlessRefused(verdict, at, true);
    const head = this.#reader.read(assembler.bytes, assembler.start, assembler.end);
    this.#headBytes = assembler.end - assembler.start;
    const next = assembler.next;
    assembler.release();
    if (head === undefined) return this.#fail(this.#reader.error ?? HTTP1_ERRORS.incomplete, next);
    this.#enterBody(head);
    this.#handler.onHead(head);
    return next;
  }

  #enterBody(head: Head): void {
    this.#tunnelFollows = this.#reader.follow === Follow.TUNNEL;
    if (this.#reader.follow === Follow.INTERIM) {
      this.#state = State.START;
      return;
    }
    switch (head.framing) {
      case "none": {
        this.#state = State.END;
        break;
      }
      case "length": {
        this.#remaining = head.contentLength;
        this.#state = head.contentLength === 0 ? State.END : State.LENGTH;
        break;
      }
      case "chunked": {
        this.#chunks.reset();
        this.#state = State.CHUNKED;
        break;
      }
      case "until-close": {
        this.#state = State.UNTIL_CLOSE;
        break;
      }
    }
  }

  #readChunks(chunk: Buffer, at: number, end: number): number {
    const chunks = this.#chunks;
    if (chunks.remaining > 0) {
      const length = Math.min(chunks.remaining, end - at);
      chunks.remaining -= length;
      this.#handler.onBody(chunk, at, at + length);
      return at + length;
    }
    const next = chunks.read(chunk, at, end);
    if (chunks.error !== undefined) return this.#fail(chunks.error, next);
    if (chunks.done) this.#state = State.TRAILERS_START;
    return next;
  }

  #readTrailers(chunk: Buffer, at: number, end: number): number {
    const assembler = this.#assembler;
    const verdict = assembler.feed(chunk, at, end);
    if (verdict !== Block.COMPLETE) return this.#unlessRefused(verdict, at, false);
    const trailers = this.#reader.fields.readTrailers(assembler.bytes, assembler.start, assembler.end);
    const next = assembler.next;
    assembler.release();
    if (trailers === undefined) return this.#fail(this.#reader.fields.error ?? HTTP1_ERRORS.incomplete, next);
    this.#trailers = trailers;
    this.#state = State.END;
    return next;
  }

  #unlessRefused(verdict: number, at: number, inHead: boolean): number {
    if (verdict === Block.INCOMPLETE) return this.#assembler.next;
    if (verdict === Block.BAD_BYTE) return this.#fail(HTTP1_ERRORS.lineEnding, at);
    const lineTooLong = inHead && !this.#assembler.hasWholeLine;
    return this.#fail(lineTooLong ? HTTP1_ERRORS.targetTooLong : HTTP1_ERRORS.headTooLarge, at);
  }

  #fail(error: Http1Error, at = 0): number {
    this.#error = this.#reader.refusal(error);
    this.#assembler.release();
    return at;
  }
}
