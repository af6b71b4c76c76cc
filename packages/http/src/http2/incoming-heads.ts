import { Closed, isOver } from "./closed-streams.js";
import type { Http2Refusal } from "./contract.js";
import { Http2ErrorCode } from "./error-codes.js";
import { FieldBlock, Section } from "./field-block.js";
import { Flag, readUint32 } from "./frame.js";
import { HeaderBlock } from "./header-block.js";
import { Decoded } from "./hpack/decoder.js";
import { REFUSALS } from "./refusals.js";
import type { SessionCore } from "./session-core.js";
import type { Stream } from "./stream.js";

/** Reads HEADERS and CONTINUATION (RFC 9113 sections 6.2 and 6.10): requests, responses, trailers. */
export class IncomingHeads {
  readonly #core: SessionCore;
  readonly #block = new HeaderBlock();
  readonly #fields: FieldBlock;
  /** Requests that came in this call of `execute`. */
  requests = 0;

  constructor(core: SessionCore) {
    this.#core = core;
    this.#fields = new FieldBlock(
      core.limits,
      core.isServer && core.options.enableConnectProtocol,
      core.isServer && core.options.hostField,
    );
  }

  /** Stream of the block that CONTINUATION must complete before any other frame comes; 0 without one. */
  get openBlock(): number {
    return this.#block.streamId;
  }

  /** A HEADERS frame. */
  headers(flags: number, streamId: number, bytes: Buffer, start: number, end: number): void {
    const core = this.#core;
    let at = start;
    let last = end;
    let selfDependent = false;
    if ((flags & Flag.PADDED) !== 0) {
      if (at === last) return core.fail(REFUSALS.frameSize);
      last -= bytes[at++]!;
    }
    if ((flags & Flag.PRIORITY) !== 0) {
      if (end - at < 5) return core.fail(REFUSALS.frameSize);
      selfDependent = (readUint32(bytes, at) & 0x7fff_ffff) === streamId;
      at += 5;
    }
    if (at > last) return core.fail(REFUSALS.padding);
    core.budget.paidFrame();
    if ((flags & Flag.END_HEADERS) !== 0) {
      core.budget.fullFrame();
      return this.#complete(streamId, (flags & Flag.END_STREAM) !== 0, selfDependent, bytes, at, last);
    }
    if (!this.#bookFragment(last - at, (flags & Flag.END_STREAM) !== 0)) return;
    this.#block.begin(streamId, flags, selfDependent);
    this.#block.append(bytes, at, last);
  }

  /** A CONTINUATION frame begins. Refused before its bytes are held. */
  continuationStart(flags: number, length: number): Http2Refusal | undefined {
    const { limits } = this.#core;
    if (++this.#block.continuations > limits.maxContinuationFrames) return REFUSALS.continuations;
    if (this.#block.length + length > limits.maxHeaderListBytes) return REFUSALS.headerBlock;
    return this.#bookFragment(length, (flags & Flag.END_HEADERS) !== 0) ? undefined : this.#core.error;
  }

  /** A CONTINUATION frame. */
  continuation(flags: number, bytes: Buffer, start: number, end: number): void {
    const block = this.#block;
    block.append(bytes, start, end);
    if ((flags & Flag.END_HEADERS) === 0) return;
    const { streamId, endStream, selfDependent } = block;
    const whole = block.take();
    this.#complete(streamId, endStream, selfDependent, whole, 0, whole.length);
  }

  #bookFragment(length: number, endsSomething: boolean): boolean {
    const { budget } = this.#core;
    if (length > 0) budget.fullFrame();
    else if (!endsSomething) return this.#core.goesOn(budget.emptyFrame());
    return true;
  }

  /** The block `bytes[start, end)` is whole: every block is decoded, whatever becomes of it, or the tables would differ. */
  #complete(
    streamId: number,
    endStream: boolean,
    selfDependent: boolean,
    bytes: Buffer,
    start: number,
    end: number,
  ): void {
    const core = this.#core;
    const stream = core.streams.get(streamId);
    if (stream === undefined) {
      const isNew = core.isServer && (streamId & 1) === 1 && streamId > core.lastPeerStreamId;
      if (isNew) this.#request(streamId, endStream, selfDependent, bytes, start, end);
      else this.#late(streamId, endStream, bytes, start, end);
      return;
    }
    const isHead = !stream.headReceived;
    if (!this.#decode(isHead ? Section.RESPONSE : Section.TRAILERS, bytes, start, end)) return;
    if (selfDependent) core.refuseStream(stream, REFUSALS.selfDependency);
    else if (stream.remoteEnded) core.refuseStream(stream, REFUSALS.afterEnd);
    else if (isHead) this.#response(stream, endStream);
    else this.#trailers(stream, endStream);
  }

  #request(
    streamId: number,
    endStream: boolean,
    selfDependent: boolean,
    bytes: Buffer,
    start: number,
    end: number,
  ): void {
    const core = this.#core;
    core.lastPeerStreamId = streamId;
    core.budget.stream(core.nowMs);
    this.requests++;
    if (!this.#decode(Section.REQUEST, bytes, start, end)) return;
    const refusal = this.#fields.finish();
    if (core.draining && !core.announced) return core.refuseUnopened(streamId, REFUSALS.draining);
    if (core.occupied >= core.limits.maxConcurrentStreams) {
      core.refuseUnopened(streamId, REFUSALS.concurrency);
      // Before it has our SETTINGS a peer cannot know the limit.
      if (core.settingsAcknowledged) core.countReset(core.nowMs);
      return;
    }
    if (refusal !== undefined || selfDependent) {
      this.#refuseRequest(streamId, endStream, refusal ?? REFUSALS.selfDependency);
      return;
    }
    const head = this.#fields.head(endStream);
    if (endStream && head.contentLength > 0) return this.#refuseRequest(streamId, true, REFUSALS.length);
    const stream = core.open(streamId, true);
    stream.isConnect = head.method === "CONNECT";
    stream.bodyLeft = stream.isConnect ? -1 : head.contentLength;
    core.handler.onHeaders(streamId, head);
    if (endStream) this.#end(stream);
  }

  /** A head that is only too large is answered, so that a person learns why; everything else is reset. */
  #refuseRequest(streamId: number, endStream: boolean, refusal: Http2Refusal): void {
    const core = this.#core;
    if (isTooLarge(refusal)) {
      core.writer.response(streamId, 431, ["content-length", "0"], true);
      if (!endStream) core.writer.reset(streamId, Http2ErrorCode.NO_ERROR);
      core.closed.add(streamId, Closed.BY_US);
      core.handler.onStreamRefused(streamId, refusal);
    } else core.refuseUnopened(streamId, refusal);
    core.countReset(core.nowMs);
  }

  #response(stream: Stream, endStream: boolean): void {
    const core = this.#core;
    const refusal = this.#fields.finish();
    if (refusal !== undefined) return core.refuseStream(stream, refusal);
    const head = this.#fields.head(endStream);
    const { status } = head;
    if (status < 200) {
      if (endStream) return core.refuseStream(stream, REFUSALS.interimEnd);
      if (++stream.interims > core.limits.maxInterimResponses)
        return core.refuseStream(stream, REFUSALS.interim);
      core.handler.onHeaders(stream.id, head);
      return;
    }
    stream.headReceived = true;
    stream.bodyless = stream.isHead || status === 204 || status === 304;
    const isTunnel = stream.isConnect && status < 300;
    stream.bodyLeft = stream.bodyless || isTunnel ? -1 : head.contentLength;
    if (endStream && stream.bodyLeft > 0) return core.refuseStream(stream, REFUSALS.length);
    core.handler.onHeaders(stream.id, head);
    if (endStream) this.#end(stream);
  }

  #trailers(stream: Stream, endStream: boolean): void {
    const core = this.#core;
    const refusal = this.#fields.finish();
    if (refusal !== undefined) return core.refuseStream(stream, refusal);
    if (!endStream) return core.refuseStream(stream, REFUSALS.trailersWithoutEnd);
    if (stream.bodyLeft > 0) return core.refuseStream(stream, REFUSALS.length);
    core.handler.onTrailers(stream.id, this.#fields.trailers());
    this.#end(stream);
  }

  /** HEADERS on a stream that is gone, or was never there. */
  #late(streamId: number, endStream: boolean, bytes: Buffer, start: number, end: number): void {
    const core = this.#core;
    const reason = core.closed.reasonOf(streamId);
    if (core.isIdle(streamId) || (core.isServer && reason === Closed.UNKNOWN))
      return core.fail(REFUSALS.streamId);
    if (isOver(reason)) return core.fail(REFUSALS.closedStream);
    if (!core.isServer) {
      this.#decode(Section.DISCARDED, bytes, start, end);
      return;
    }
    // Trailers of a request that we answered or refused before its end. Nobody reads them; that they break a rule must not
    // depend on which was first.
    if (!this.#decode(Section.TRAILERS, bytes, start, end)) return;
    const refusal = this.#fields.finish();
    if (refusal !== undefined && !isTooLarge(refusal)) core.fail(refusal);
    else if (!endStream) core.fail(REFUSALS.trailersWithoutEnd);
  }

  #decode(section: number, bytes: Buffer, start: number, end: number): boolean {
    const core = this.#core;
    this.#fields.begin(section);
    const outcome = core.decoder.decode(bytes, start, end, this.#fields);
    if (outcome === Decoded.OK) return true;
    core.fail(outcome === Decoded.FLOODED ? REFUSALS.headerBlock : REFUSALS.compression);
    return false;
  }

  #end(stream: Stream): void {
    if (stream.gone || this.#core.error !== undefined) return;
    stream.remoteEnded = true;
    this.#core.handler.onStreamEnd(stream.id);
    this.#core.closeIfEnded(stream);
  }
}

function isTooLarge(refusal: Http2Refusal): boolean {
  return refusal === REFUSALS.headerList || refusal === REFUSALS.headerCount;
}
