import { isOver } from "./closed-streams.js";
import type { Http2Refusal } from "./contract.js";
import { Http2ErrorCode } from "./error-codes.js";
import { Flag } from "./frame.js";
import { Payload } from "./frame-reader.js";
import { REFUSALS } from "./refusals.js";
import type { SessionCore } from "./session-core.js";
import type { Stream } from "./stream.js";

/** Reads one DATA frame after the other (RFC 9113 section 6.1): padding, flow control, content-length. */
export class IncomingData {
  readonly #core: SessionCore;
  /** Undefined: the bytes are of no use to anyone. */
  #stream: Stream | undefined = undefined;
  #endStream = false;
  #padLengthDue = false;
  /** Bytes of the frame, padding included, that are still to come. */
  #left = 0;
  /** Of those, padding at the end. */
  #padding = 0;

  constructor(core: SessionCore) {
    this.#core = core;
  }

  /** A frame begins; one of `Payload`. */
  begin(flags: number, streamId: number, length: number): number {
    const core = this.#core;
    if (streamId === 0) return this.#fail(REFUSALS.streamZero);
    const stream = core.streams.get(streamId);
    if (stream === undefined && core.isIdle(streamId)) return this.#fail(REFUSALS.idleStream);
    // Of a stream that we reset, what was under way still counts.
    if (stream === undefined && isOver(core.closed.reasonOf(streamId)))
      return this.#fail(REFUSALS.closedStream);
    if (!core.receiving.charge(length)) return this.#fail(REFUSALS.windowExceeded);
    core.budget.paidFrame();
    this.#stream = stream;
    this.#endStream = (flags & Flag.END_STREAM) !== 0;
    this.#padLengthDue = (flags & Flag.PADDED) !== 0;
    this.#left = length;
    this.#padding = 0;
    if (this.#padLengthDue && length === 0) return this.#fail(REFUSALS.frameSize);
    if (stream !== undefined) this.#admit(stream, length);
    if (!this.#padLengthDue) this.#onDataLength(length);
    return core.error === undefined ? Payload.PIECES : Payload.STOP;
  }

  payload(bytes: Buffer, start: number, end: number): void {
    let at = start;
    if (this.#padLengthDue) {
      this.#padLengthDue = false;
      this.#padding = bytes[at++]!;
      this.#left--;
      if (this.#padding > this.#left) {
        this.#fail(REFUSALS.padding);
        return;
      }
      this.#onDataLength(this.#left - this.#padding);
      if (this.#core.error !== undefined) return;
      this.#credit(1 + this.#padding);
    }
    const dataLeft = this.#left - this.#padding;
    const dataEnd = Math.min(end, at + dataLeft);
    this.#left -= end - at;
    if (dataEnd > at) this.#deliver(bytes, at, dataEnd);
  }

  end(): void {
    const stream = this.#stream;
    this.#stream = undefined;
    if (stream === undefined || stream.gone || this.#core.error !== undefined) return;
    if (!this.#endStream) {
      if (stream.lingersSinceMs >= 0 && stream.receiveWindow <= 0)
        this.#core.reset(stream, Http2ErrorCode.NO_ERROR);
      return;
    }
    if (stream.bodyLeft > 0) {
      this.#core.refuseStream(stream, REFUSALS.length);
      return;
    }
    stream.remoteEnded = true;
    this.#core.handler.onStreamEnd(stream.id);
    this.#core.closeIfEnded(stream);
  }

  /** Checks what the frame's header already tells; a stream error turns the rest into waste. */
  #admit(stream: Stream, length: number): void {
    const refusal = stream.remoteEnded
      ? REFUSALS.afterEnd
      : stream.headReceived
        ? undefined
        : REFUSALS.dataBeforeHead;
    stream.receiveWindow -= length;
    if (refusal !== undefined) this.#core.refuseStream(stream, refusal);
    else if (stream.receiveWindow < 0) this.#core.refuseStream(stream, REFUSALS.windowExceeded);
  }

  /** How much body the frame carries is known: judged before any of it is delivered. */
  #onDataLength(length: number): void {
    const core = this.#core;
    const stream = this.#stream;
    if (length > 0) core.budget.fullFrame();
    else if (!this.#endStream && !core.goesOn(core.budget.emptyFrame())) return;
    if (stream === undefined || stream.gone || length === 0) return;
    if (stream.bodyless) core.refuseStream(stream, REFUSALS.unexpectedBody);
    else if (stream.bodyLeft >= 0 && length > stream.bodyLeft) core.refuseStream(stream, REFUSALS.length);
  }

  #deliver(bytes: Buffer, start: number, end: number): void {
    const stream = this.#stream;
    const length = end - start;
    if (stream === undefined || stream.gone) {
      this.#core.receiving.credit(length);
      return;
    }
    if (stream.bodyLeft >= 0) stream.bodyLeft -= length;
    if (stream.lingersSinceMs >= 0) {
      this.#core.receiving.credit(length);
      return;
    }
    stream.unconsumed += length;
    this.#core.handler.onData(stream.id, bytes, start, end);
  }

  #credit(bytes: number): void {
    const stream = this.#stream;
    if (stream === undefined) this.#core.receiving.credit(bytes);
    else this.#core.receiving.creditStream(stream, bytes);
  }

  #fail(refusal: Http2Refusal): number {
    this.#core.fail(refusal);
    return Payload.STOP;
  }
}
