import type { HeaderList } from "../contract.js";
import type { GrowingBuffer } from "../growing-buffer.js";
import type { Http2Request } from "./contract.js";
import { FRAME_HEADER_BYTES, Flag, FrameType, PREFACE, writeFrameHeader, writeUint32 } from "./frame.js";
import { type HpackEncoder, blockBound } from "./hpack/encoder.js";
import { INITIAL_FRAME_BYTES } from "./limits.js";

/**
 * Writes frames into the connection's output and counts those that the socket has not taken. Frame headers are written
 * in place: a frame costs no allocation.
 */
export class FrameWriter {
  readonly #sink: GrowingBuffer;
  readonly #encoder: HpackEncoder;
  /**
   * Frames are not larger than every peer takes, whatever it offers: the output is flushed in portions of this size, and a
   * TLS record holds no more. Nor than what may wait in the output.
   */
  readonly maxFrameBytes: number;
  #produced = 0;
  #backlog = 0;
  // Frames since `#markAt`, and those between the marks before. Counts end when the socket has taken a mark.
  #frames = 0;
  #controls = 0;
  #olderFrames = 0;
  #olderControls = 0;
  #markAt = 0;
  /** DATA frames written so far. */
  dataFrames = 0;
  /** HEADERS frames written so far. */
  headFrames = 0;

  constructor(sink: GrowingBuffer, encoder: HpackEncoder, maxOutputBytes: number) {
    this.#sink = sink;
    this.#encoder = encoder;
    this.maxFrameBytes = Math.min(INITIAL_FRAME_BYTES, maxOutputBytes);
  }

  /** PING, SETTINGS and RST_STREAM frames that the socket has not taken. */
  get pendingControls(): number {
    return this.#controls + this.#olderControls;
  }

  /** Frames of every type that the socket has not taken. */
  get pendingFrames(): number {
    return this.#frames + this.#olderFrames;
  }

  /** Bytes in the sink, and in the socket when it was last told. */
  get pendingBytes(): number {
    return this.#sink.length + this.#backlog;
  }

  /** The sink was flushed or the socket took bytes: `backlog` are left in it. */
  flushed(backlog: number): void {
    this.#backlog = backlog;
    const taken = this.#produced - this.#sink.length - backlog;
    if (taken < this.#markAt) return;
    const all = taken >= this.#produced;
    this.#olderFrames = all ? 0 : this.#frames;
    this.#olderControls = all ? 0 : this.#controls;
    this.#frames = 0;
    this.#controls = 0;
    this.#markAt = this.#produced;
  }

  preface(): void {
    this.#sink.writeBytes(PREFACE, 0, PREFACE.length);
    this.#produced += PREFACE.length;
  }

  /** `pairs`: identifier, value, identifier, value, ... */
  settings(pairs: readonly number[]): void {
    let at = this.#begin(pairs.length * 3, FrameType.SETTINGS, 0, 0);
    const bytes = this.#sink.reserve(pairs.length * 3);
    for (let i = 0; i < pairs.length; i += 2) {
      bytes[at] = pairs[i]! >>> 8;
      bytes[at + 1] = pairs[i]!;
      writeUint32(bytes, at + 2, pairs[i + 1]!);
      at += 6;
    }
    this.#controls++;
    this.#end(pairs.length * 3);
  }

  settingsAck(): void {
    this.#begin(0, FrameType.SETTINGS, Flag.ACK, 0);
    this.#controls++;
    this.#end(0);
  }

  /** `bytes[start, start + 8)` is the payload. */
  ping(bytes: Uint8Array, start: number, isAck: boolean): void {
    const at = this.#begin(8, FrameType.PING, isAck ? Flag.ACK : 0, 0);
    const out = this.#sink.reserve(8);
    for (let i = 0; i < 8; i++) out[at + i] = bytes[start + i]!;
    this.#controls++;
    this.#end(8);
  }

  goAway(lastStreamId: number, code: number, reason: string): void {
    const length = 8 + reason.length;
    const at = this.#begin(length, FrameType.GOAWAY, 0, 0);
    const bytes = this.#sink.reserve(length);
    writeUint32(bytes, at, lastStreamId);
    writeUint32(bytes, at + 4, code);
    for (let i = 0; i < reason.length; i++) bytes[at + 8 + i] = reason.charCodeAt(i) & 0x7f;
    this.#end(length);
  }

  reset(streamId: number, code: number): void {
    this.#word(FrameType.RST_STREAM, streamId, code);
    this.#controls++;
  }

  windowUpdate(streamId: number, increment: number): void {
    this.#word(FrameType.WINDOW_UPDATE, streamId, increment);
  }

  /** One frame: `end - start` must not exceed `maxFrameBytes`. */
  data(streamId: number, chunk: Buffer, start: number, end: number, endStream: boolean): void {
    const length = end - start;
    const at = this.#begin(length, FrameType.DATA, endStream ? Flag.END_STREAM : 0, streamId);
    if (length > 0) chunk.copy(this.#sink.reserve(length), at, start, end);
    this.dataFrames++;
    this.#end(length);
  }

  request(streamId: number, request: Http2Request, endStream: boolean): void {
    const { method, scheme, authority, path, protocol, headers } = request;
    const texts = method.length + scheme.length + authority.length + path.length + protocol.length;
    const bytes = this.#sink.reserve(FRAME_HEADER_BYTES + blockBound(headers, texts));
    const start = this.#sink.length + FRAME_HEADER_BYTES;
    this.#headers(streamId, this.#encoder.writeRequest(bytes, start, request) - start, endStream);
  }

  response(streamId: number, status: number, headers: HeaderList, endStream: boolean): void {
    const bytes = this.#sink.reserve(FRAME_HEADER_BYTES + blockBound(headers, 0));
    const start = this.#sink.length + FRAME_HEADER_BYTES;
    this.#headers(streamId, this.#encoder.writeResponse(bytes, start, status, headers) - start, endStream);
  }

  trailers(streamId: number, trailers: HeaderList): void {
    const bytes = this.#sink.reserve(FRAME_HEADER_BYTES + blockBound(trailers, 0));
    const start = this.#sink.length + FRAME_HEADER_BYTES;
    this.#headers(streamId, this.#encoder.writeTrailers(bytes, start, trailers) - start, true);
  }

  /** Puts the frame header before a block of `length` bytes that lies behind its place; splits it when it is too large. */
  #headers(streamId: number, length: number, endStream: boolean): void {
    const max = this.maxFrameBytes;
    const flags = endStream ? Flag.END_STREAM : 0;
    this.headFrames++;
    if (length <= max) {
      const bytes = this.#sink.reserve(0);
      writeFrameHeader(
        bytes,
        this.#sink.length,
        length,
        FrameType.HEADERS,
        flags | Flag.END_HEADERS,
        streamId,
      );
      this.#sink.advance(FRAME_HEADER_BYTES);
      this.#end(length);
      return;
    }
    const block = Buffer.from(
      this.#sink.reserve(0).subarray(this.#sink.length + 9, this.#sink.length + 9 + length),
    );
    for (let at = 0; at < length; at += max) {
      const end = Math.min(at + max, length);
      const type = at === 0 ? FrameType.HEADERS : FrameType.CONTINUATION;
      const last = end === length ? Flag.END_HEADERS : 0;
      const to = this.#begin(end - at, type, at === 0 ? flags | last : last, streamId);
      block.copy(this.#sink.reserve(end - at), to, at, end);
      this.#end(end - at);
    }
  }

  #word(type: number, streamId: number, value: number): void {
    const at = this.#begin(4, type, 0, streamId);
    writeUint32(this.#sink.reserve(4), at, value);
    this.#end(4);
  }

  /** Reserves a frame and writes its header; returns where the payload begins. */
  #begin(length: number, type: number, flags: number, streamId: number): number {
    const at = this.#sink.length;
    writeFrameHeader(this.#sink.reserve(FRAME_HEADER_BYTES + length), at, length, type, flags, streamId);
    this.#sink.advance(FRAME_HEADER_BYTES);
    return at + FRAME_HEADER_BYTES;
  }

  #end(length: number): void {
    this.#sink.advance(length);
    this.#produced += FRAME_HEADER_BYTES + length;
    this.#frames++;
  }
}
