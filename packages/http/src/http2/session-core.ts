import type { GrowingBuffer } from "../growing-buffer.js";
import { Budget } from "./budget.js";
import { Closed, ClosedStreams } from "./closed-streams.js";
import type { Http2Handler, Http2Limits, Http2Options, Http2Refusal } from "./contract.js";
import { Http2ErrorCode } from "./error-codes.js";
import { FrameWriter } from "./frame-writer.js";
import { HpackDecoder } from "./hpack/decoder.js";
import { HpackEncoder } from "./hpack/encoder.js";
import { type CompleteOptions, completeOptions } from "./limits.js";
import { ReceiveFlow } from "./receive-flow.js";
import { SendFlow } from "./send-flow.js";
import { PeerSettings } from "./settings.js";
import { Stream } from "./stream.js";
import { StreamTable } from "./stream-table.js";

/** Ids are not used up to the last: a connection is replaced in time. */
const LAST_CLIENT_STREAM_ID = 0x7fff_0001;
/** How long the rest of a request that is answered already may take, and how many may at once: others are cut short. */
const LINGER_MS = 1000;
const MAX_LINGERING = 32;

/** State of one connection, shared by the side that reads frames and the side that is called by the application. */
export class SessionCore {
  readonly isServer: boolean;
  readonly handler: Http2Handler;
  readonly options: CompleteOptions;
  readonly limits: Http2Limits;
  readonly encoder: HpackEncoder;
  readonly decoder: HpackDecoder;
  readonly writer: FrameWriter;
  readonly sending: SendFlow;
  readonly receiving: ReceiveFlow;
  readonly budget: Budget;
  readonly peer = new PeerSettings();
  readonly streams = new StreamTable<Stream>();
  readonly closed = new ClosedStreams();
  /** Server: streams that are gone while the application still works for them. */
  readonly #unreleased = new Set<number>();
  /** As last told. */
  nowMs = 0;
  error: Http2Refusal | undefined = undefined;
  /** Server: highest id that the client opened. */
  lastPeerStreamId = 0;
  /** Client: id of the next request. */
  nextStreamId = 1;
  settingsSeen = false;
  settingsAcknowledged = false;
  /** We sent a GOAWAY, or were told one: nothing new begins. */
  draining = false;
  /** Server: GOAWAY was announced and new streams are still taken, for one round trip. */
  announced = false;
  /** Server: streams that linger. */
  #lingering = 0;
  #drainedTold = false;
  #waking = false;

  constructor(
    isServer: boolean,
    handler: Http2Handler,
    sink: GrowingBuffer,
    options: Http2Options | undefined,
  ) {
    this.isServer = isServer;
    this.handler = handler;
    this.options = completeOptions(options);
    this.limits = this.options.limits;
    this.encoder = new HpackEncoder(this.options.encoderTableBytes);
    this.decoder = new HpackDecoder(this.options.headerTableBytes);
    this.writer = new FrameWriter(sink, this.encoder, this.options.maxOutputBytes);
    this.sending = new SendFlow(this.writer, this.options.maxOutputBytes);
    this.receiving = new ReceiveFlow(
      this.writer,
      this.options.streamWindowBytes,
      this.options.connectionWindowBytes,
    );
    this.budget = new Budget(this.limits);
  }

  /** Streams that count towards `maxConcurrentStreams`. */
  get occupied(): number {
    return this.streams.size + this.#unreleased.size;
  }

  /** Client: whether ids are left. */
  get idsLeft(): boolean {
    return this.nextStreamId <= LAST_CLIENT_STREAM_ID;
  }

  get drained(): boolean {
    return (this.draining || !this.idsLeft) && !this.announced && this.streams.size === 0;
  }

  /** Whether no frame may name this stream yet. */
  isIdle(streamId: number): boolean {
    if (this.isServer) return (streamId & 1) === 0 || streamId > this.lastPeerStreamId;
    return (streamId & 1) === 0 || streamId >= this.nextStreamId;
  }

  open(streamId: number, headReceived: boolean): Stream {
    const window = this.options.streamWindowBytes;
    const stream = new Stream(streamId, this.nowMs, this.peer.initialWindowBytes, window, headReceived);
    this.streams.add(streamId, stream);
    return stream;
  }

  /** Ends the connection: GOAWAY, the last event, and nothing more. */
  fail(refusal: Http2Refusal): void {
    if (this.error !== undefined) return;
    this.error = refusal;
    this.writer.goAway(this.lastPeerStreamId, refusal.errorCode, refusal.code);
    this.handler.onConnectionError(refusal.errorCode, refusal);
  }

  /** Fails when `refusal` is one. Returns whether the connection goes on. */
  goesOn(refusal: Http2Refusal | undefined): boolean {
    if (refusal !== undefined) this.fail(refusal);
    return this.error === undefined;
  }

  /** The peer broke a rule on a stream: RST_STREAM, and an event for whoever knows it. */
  refuseStream(stream: Stream, refusal: Http2Refusal): void {
    if (stream.gone) return;
    this.writer.reset(stream.id, refusal.errorCode);
    this.remove(stream, Closed.BY_US);
    this.#keepPlace(stream.id);
    this.handler.onStreamRefused(stream.id, refusal);
    this.handler.onReset(stream.id, refusal.errorCode, refusal);
    this.countReset(stream.openedMs);
    this.checkDrained();
  }

  /** As `refuseStream`, for a stream that the application was never told of. */
  refuseUnopened(streamId: number, refusal: Http2Refusal): void {
    this.writer.reset(streamId, refusal.errorCode);
    this.closed.add(streamId, Closed.BY_US);
    this.handler.onStreamRefused(streamId, refusal);
  }

  /** The peer reset the stream, or will never process it. */
  lose(stream: Stream, code: number): void {
    this.remove(stream, Closed.BY_PEER);
    this.#keepPlace(stream.id);
    this.handler.onReset(stream.id, code, undefined);
    this.checkDrained();
  }

  reset(stream: Stream, code: number): void {
    this.writer.reset(stream.id, code);
    this.remove(stream, Closed.BY_US);
    this.checkDrained();
  }

  /**
   * The response is out and the request is not. What is under way of it is read for a moment, within the window that it has,
   * so that a malformed request is refused whichever came first; then its sender is told that nobody reads on.
   */
  linger(stream: Stream, nowMs: number): void {
    if (this.draining || this.#lingering >= MAX_LINGERING || stream.receiveWindow <= 0) {
      this.reset(stream, Http2ErrorCode.NO_ERROR);
      return;
    }
    this.#lingering++;
    stream.lingersSinceMs = nowMs;
    this.receiving.release(stream);
  }

  endLingering(nowMs: number): void {
    if (this.#lingering === 0) return;
    for (const stream of this.streams.all()) {
      if (stream.lingersSinceMs < 0 || nowMs - stream.lingersSinceMs < LINGER_MS) continue;
      this.reset(stream, Http2ErrorCode.NO_ERROR);
    }
  }

  countReset(openedMs: number): void {
    if (this.isServer) this.goesOn(this.budget.reset(this.nowMs, openedMs));
  }

  /** After either side ended: removes the stream once both have. */
  closeIfEnded(stream: Stream): void {
    if (!stream.localEnded || !stream.remoteEnded || stream.gone) return;
    this.remove(stream, Closed.ENDED);
    this.checkDrained();
  }

  remove(stream: Stream, reason: number): void {
    stream.gone = true;
    if (stream.lingersSinceMs >= 0) this.#lingering--;
    this.streams.delete(stream.id);
    this.closed.add(stream.id, reason);
    this.sending.forget(stream);
    this.receiving.release(stream);
  }

  release(streamId: number): void {
    this.#unreleased.delete(streamId);
  }

  /**
   * Lets streams offer again that waited for a window or for room. A handler may flush at once and so come back here: the
   * first call does the work, or a large body would nest a call for every flush.
   */
  wake(): void {
    if (this.#waking) return;
    this.#waking = true;
    try {
      while (this.error === undefined && this.sending.mayWake) this.sending.wake(this.#onWritable);
    } finally {
      this.#waking = false;
    }
  }

  checkDrained(): void {
    if (this.#drainedTold || this.error !== undefined || !this.drained) return;
    this.#drainedTold = true;
    this.handler.onDrained();
  }

  /** Ends an announced drain, or begins one at once: streams above the last one are refused from now on. */
  goAway(code: number): void {
    this.draining = true;
    this.announced = false;
    this.writer.goAway(this.lastPeerStreamId, code, "");
    this.checkDrained();
  }

  /** GOAWAY of the peer: ours above its last stream were not processed. */
  onGoAway(lastStreamId: number, code: number): void {
    this.draining = true;
    this.handler.onGoAway(lastStreamId, code);
    if (!this.isServer) {
      for (const stream of this.streams.all()) {
        if (stream.id > lastStreamId && !stream.gone) this.lose(stream, Http2ErrorCode.REFUSED_STREAM);
      }
    }
    this.checkDrained();
  }

  /** A stream that is gone keeps its place until the application's work for it has ended (CVE-2025-8671). */
  #keepPlace(streamId: number): void {
    if (this.isServer) this.#unreleased.add(streamId);
  }

  readonly #onWritable = (streamId: number): void => {
    if (this.error === undefined) this.handler.onWritable(streamId);
  };
}
