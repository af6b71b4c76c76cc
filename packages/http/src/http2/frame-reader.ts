import { FRAME_HEADER_BYTES, PREFACE, readUint31 } from "./frame.js";

/** What `FrameTarget.onFrameStart` wants of a frame's payload. */
export const Payload = {
  /** In one piece, by `onFrame`. */
  WHOLE: 0,
  /** As it comes, by `onPayload` and `onPayloadEnd`. */
  PIECES: 1,
  /** Not at all. */
  SKIP: 2,
  /** The connection failed: nothing more is read. */
  STOP: 3,
} as const;

/** Takes frames. */
export interface FrameTarget {
  /** Returns one of `Payload`. `type` and `streamId` are as sent, `length` is not checked. */
  onFrameStart(type: number, flags: number, streamId: number, length: number): number;
  /** **Borrowed**: copy what is needed before returning. */
  onFrame(type: number, flags: number, streamId: number, bytes: Buffer, start: number, end: number): void;
  onPayload(bytes: Buffer, start: number, end: number): void;
  onPayloadEnd(): void;
  /** The bytes do not start with the client's preface. */
  onBadPreface(): void;
  /** Whether to stop here, for now or for good. `type`: of the frame that comes next, -1 within one or when it is cut. */
  haltsBefore(type: number): boolean;
}

const enum State {
  PREFACE,
  HEADER,
  WHOLE,
  PIECES,
  SKIP,
  STOPPED,
}

const EMPTY: Buffer = Buffer.alloc(0);

/** Splits a connection's bytes into frames. Copies only what a segment's end cuts in two, and never twice. */
export class FrameReader {
  readonly #target: FrameTarget;
  #state: State;
  /** Bytes of the preface or of a cut frame header seen so far. */
  #seen = 0;
  readonly #header = new Uint8Array(FRAME_HEADER_BYTES);
  #type = 0;
  #flags = 0;
  #streamId = 0;
  /** Payload bytes still to come. */
  #left = 0;
  /** A cut payload. */
  #partial: Buffer = EMPTY;
  #partialLength = 0;
  #frames = 0;

  /** `expectsPreface`: the peer is a client. */
  constructor(target: FrameTarget, expectsPreface: boolean) {
    this.#target = target;
    this.#state = expectsPreface ? State.PREFACE : State.HEADER;
  }

  /** Frames whose header was read. */
  get frames(): number {
    return this.#frames;
  }

  /** Whether a frame other than DATA, or a frame's header, has begun and not ended. */
  get midFrame(): boolean {
    return (
      this.#state === State.WHOLE ||
      this.#state === State.SKIP ||
      (this.#state === State.HEADER && this.#seen > 0)
    );
  }

  /** Returns how many bytes were consumed. */
  execute(chunk: Buffer, start: number, end: number): number {
    let at = start;
    while (at < end && this.#state !== State.STOPPED) {
      const starts = this.#state === State.HEADER && this.#seen === 0 && end - at >= FRAME_HEADER_BYTES;
      if (this.#target.haltsBefore(starts ? chunk[at + 3]! : -1)) break;
      at = this.#step(chunk, at, end);
    }
    return at - start;
  }

  #step(chunk: Buffer, at: number, end: number): number {
    switch (this.#state) {
      case State.HEADER: {
        return this.#readHeader(chunk, at, end);
      }
      case State.WHOLE: {
        return this.#readWhole(chunk, at, end);
      }
      case State.PIECES: {
        const length = Math.min(this.#left, end - at);
        this.#left -= length;
        const isLast = this.#left === 0;
        if (isLast) this.#state = State.HEADER;
        this.#target.onPayload(chunk, at, at + length);
        if (isLast) this.#target.onPayloadEnd();
        return at + length;
      }
      case State.SKIP: {
        const length = Math.min(this.#left, end - at);
        this.#left -= length;
        if (this.#left === 0) this.#state = State.HEADER;
        return at + length;
      }
      case State.PREFACE: {
        return this.#readPreface(chunk, at, end);
      }
      case State.STOPPED: {
        return at;
      }
    }
  }

  #readPreface(chunk: Buffer, at: number, end: number): number {
    while (at < end && this.#seen < PREFACE.length) {
      if (chunk[at] !== PREFACE[this.#seen]) {
        this.#state = State.STOPPED;
        this.#target.onBadPreface();
        return at;
      }
      at++;
      this.#seen++;
    }
    if (this.#seen === PREFACE.length) {
      this.#seen = 0;
      this.#state = State.HEADER;
    }
    return at;
  }

  #readHeader(chunk: Buffer, at: number, end: number): number {
    let header: Uint8Array = chunk;
    let from = at;
    if (this.#seen > 0 || end - at < FRAME_HEADER_BYTES) {
      header = this.#header;
      from = 0;
      while (at < end && this.#seen < FRAME_HEADER_BYTES) header[this.#seen++] = chunk[at++]!;
      if (this.#seen < FRAME_HEADER_BYTES) return at;
      this.#seen = 0;
    } else at += FRAME_HEADER_BYTES;
    const length = (header[from]! << 16) | (header[from + 1]! << 8) | header[from + 2]!;
    const type = header[from + 3]!;
    const flags = header[from + 4]!;
    const streamId = readUint31(header, from + 5);
    this.#frames++;
    return this.#begin(chunk, at, end, length, type, flags, streamId);
  }

  #begin(
    chunk: Buffer,
    at: number,
    end: number,
    length: number,
    type: number,
    flags: number,
    streamId: number,
  ): number {
    const target = this.#target;
    const wanted = target.onFrameStart(type, flags, streamId, length);
    switch (wanted) {
      case Payload.WHOLE: {
        if (end - at >= length) {
          target.onFrame(type, flags, streamId, chunk, at, at + length);
          return at + length;
        }
        this.#type = type;
        this.#flags = flags;
        this.#streamId = streamId;
        this.#left = length;
        this.#partialLength = 0;
        this.#state = State.WHOLE;
        return at;
      }
      case Payload.PIECES: {
        if (length === 0) target.onPayloadEnd();
        else {
          this.#left = length;
          this.#state = State.PIECES;
        }
        return at;
      }
      case Payload.SKIP: {
        this.#left = length;
        if (length > 0) this.#state = State.SKIP;
        return at;
      }
      default: {
        this.#state = State.STOPPED;
        return at;
      }
    }
  }

  #readWhole(chunk: Buffer, at: number, end: number): number {
    if (this.#partialLength === 0) {
      // Not before a byte has come: a frame header alone costs no memory.
      this.#partial = Buffer.allocUnsafe(this.#left);
    }
    const length = Math.min(this.#left, end - at);
    chunk.copy(this.#partial, this.#partialLength, at, at + length);
    this.#partialLength += length;
    this.#left -= length;
    if (this.#left > 0) return at + length;
    const whole = this.#partial;
    this.#partial = EMPTY;
    this.#state = State.HEADER;
    this.#target.onFrame(this.#type, this.#flags, this.#streamId, whole, 0, this.#partialLength);
    return at + length;
  }
}
