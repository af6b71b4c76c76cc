import type { HeaderList } from "../contract.js";
import type { GrowingBuffer } from "../growing-buffer.js";
import type {
  Http2Handler,
  Http2Options,
  Http2PeerSettings,
  Http2Refusal,
  Http2Request,
  Http2Session,
} from "./contract.js";
import { FrameReader } from "./frame-reader.js";
import { Incoming, PingKind } from "./incoming.js";
import { REFUSALS } from "./refusals.js";
import { SessionCore } from "./session-core.js";
import { ownSettings } from "./settings.js";
import type { Stream } from "./stream.js";

/** Streams that a client opens before it has read the server's SETTINGS (RFC 9113 section 6.5.2 recommends no less). */
const STREAMS_BEFORE_SETTINGS = 100;
/** Announces a drain: every stream may still come (section 6.8). */
const ANY_STREAM_ID = 0x7fff_ffff;
const NO_TIME = -1;

/** The server's side of a connection. SETTINGS are in `sink` at once. Throws `HTTP2_BAD_OPTION`. */
export function createServerSession(
  handler: Http2Handler,
  sink: GrowingBuffer,
  options?: Http2Options,
): Http2Session {
  return new Session(true, handler, sink, options);
}

/** The client's side of a connection. Preface and SETTINGS are in `sink` at once. Throws `HTTP2_BAD_OPTION`. */
export function createClientSession(
  handler: Http2Handler,
  sink: GrowingBuffer,
  options?: Http2Options,
): Http2Session {
  return new Session(false, handler, sink, options);
}

class Session implements Http2Session {
  readonly #core: SessionCore;
  readonly #incoming: Incoming;
  readonly #reader: FrameReader;
  readonly #ping = new Uint8Array(8);
  #startedMs = NO_TIME;
  /** Since when a head or frame is incomplete, and how many frames had begun then. */
  #partialSinceMs = NO_TIME;
  #partialFrames = 0;

  constructor(
    isServer: boolean,
    handler: Http2Handler,
    sink: GrowingBuffer,
    options: Http2Options | undefined,
  ) {
    const core = new SessionCore(isServer, handler, sink, options);
    this.#core = core;
    this.#incoming = new Incoming(core);
    this.#reader = new FrameReader(this.#incoming, isServer);
    if (!isServer) core.writer.preface();
    core.writer.settings(ownSettings(core.options, isServer));
    core.receiving.open();
  }

  get drain(): "open" | "draining" | "drained" {
    const core = this.#core;
    if (core.drained) return "drained";
    return core.draining || core.announced || !core.idsLeft ? "draining" : "open";
  }

  get error(): Http2Refusal | undefined {
    return this.#core.error;
  }

  get openStreams(): number {
    return this.#core.streams.size;
  }

  get availableStreams(): number {
    const core = this.#core;
    if (core.isServer || core.draining || core.error !== undefined || !core.idsLeft) return 0;
    const limit = core.settingsSeen ? core.peer.maxConcurrentStreams : STREAMS_BEFORE_SETTINGS;
    return Math.max(0, limit - core.streams.size);
  }

  get stalledStreams(): number {
    return this.#core.sending.stalled;
  }

  get pendingOutputBytes(): number {
    return this.#core.writer.pendingBytes;
  }

  get peerSettings(): Http2PeerSettings {
    return this.#core.peer;
  }

  execute(chunk: Buffer, start: number, end: number, nowMs: number): number {
    const core = this.#core;
    if (core.error !== undefined) return 0;
    core.nowMs = nowMs;
    if (this.#startedMs < 0) this.#startedMs = nowMs;
    this.#incoming.beginTurn();
    const consumed = this.#reader.execute(chunk, start, end);
    if (!this.#incoming.midBlock && !this.#reader.midFrame) this.#partialSinceMs = NO_TIME;
    else if (
      this.#partialSinceMs < 0 ||
      (!this.#incoming.midBlock && this.#partialFrames !== this.#reader.frames)
    ) {
      this.#partialSinceMs = nowMs;
      this.#partialFrames = this.#reader.frames;
    }
    return consumed;
  }

  tick(nowMs: number): void {
    const core = this.#core;
    if (core.error !== undefined) return;
    core.nowMs = nowMs;
    if (this.#startedMs < 0) this.#startedMs = nowMs;
    const { limits } = core;
    const age = nowMs - this.#startedMs;
    if (!core.settingsSeen && age >= limits.prefaceTimeoutMs) return core.fail(REFUSALS.prefaceTimeout);
    if (!core.settingsAcknowledged && age >= limits.settingsTimeoutMs)
      return core.fail(REFUSALS.settingsTimeout);
    if (this.#partialSinceMs >= 0 && nowMs - this.#partialSinceMs >= limits.headerTimeoutMs) {
      return core.fail(REFUSALS.headerTimeout);
    }
    core.endLingering(nowMs);
    if (core.sending.stalled === 0) return;
    for (const stream of core.streams.all()) {
      if (stream.stalledSinceMs < 0 || nowMs - stream.stalledSinceMs < limits.stallTimeoutMs) continue;
      // The other end of a tunnel may rest as long as its user lets it.
      if (stream.isConnect) continue;
      core.refuseStream(stream, REFUSALS.stalled);
    }
  }

  flushed(backlogBytes: number): void {
    this.#core.writer.flushed(backlogBytes);
    this.#core.wake();
  }

  submitRequest(request: Http2Request, endStream: boolean): number {
    const core = this.#core;
    if (this.availableStreams === 0) return 0;
    if (request.protocol !== "" && !core.peer.enableConnectProtocol) return 0;
    const streamId = core.nextStreamId;
    core.writer.request(streamId, request, endStream);
    core.nextStreamId += 2;
    core.budget.stream(core.nowMs);
    const stream = core.open(streamId, false);
    stream.isHead = request.method === "HEAD";
    stream.isConnect = request.method === "CONNECT";
    stream.localEnded = endStream;
    return streamId;
  }

  submitHeaders(streamId: number, status: number, headers: HeaderList, endStream: boolean): boolean {
    const core = this.#core;
    const stream = core.streams.get(streamId);
    if (stream === undefined || stream.localEnded || core.error !== undefined || !core.isServer) return false;
    core.writer.response(streamId, status, headers, endStream);
    if (endStream) this.#endLocal(stream);
    return true;
  }

  submitData(streamId: number, chunk: Buffer, start: number, end: number, endStream: boolean): number {
    const core = this.#core;
    const stream = core.streams.get(streamId);
    if (stream === undefined || stream.localEnded || core.error !== undefined) return end - start;
    if (start === end) {
      if (endStream) core.writer.data(streamId, chunk, start, end, true);
    } else {
      const at = core.sending.send(stream, chunk, start, end, endStream, core.nowMs);
      if (at < end) return at - start;
    }
    if (endStream) this.#endLocal(stream);
    return end - start;
  }

  submitTrailers(streamId: number, trailers: HeaderList): boolean {
    const core = this.#core;
    const stream = core.streams.get(streamId);
    if (stream === undefined || stream.localEnded || core.error !== undefined) return false;
    if (trailers.length === 0) core.writer.data(streamId, EMPTY, 0, 0, true);
    else core.writer.trailers(streamId, trailers);
    this.#endLocal(stream);
    return true;
  }

  reset(streamId: number, code: number): void {
    const core = this.#core;
    const stream = core.streams.get(streamId);
    if (stream === undefined || core.error !== undefined) return;
    core.reset(stream, code);
  }

  linger(streamId: number, nowMs: number): void {
    const core = this.#core;
    const stream = core.streams.get(streamId);
    if (stream !== undefined && core.error === undefined) core.linger(stream, nowMs);
  }

  release(streamId: number): void {
    this.#core.release(streamId);
  }

  consume(streamId: number, bytes: number): void {
    const core = this.#core;
    const stream = core.streams.get(streamId);
    if (stream !== undefined && core.error === undefined) core.receiving.consume(stream, bytes);
  }

  ping(): boolean {
    const core = this.#core;
    if (this.#incoming.pingPending || core.error !== undefined) return false;
    this.#incoming.pingPending = true;
    this.#ping[0] = PingKind.APPLICATION;
    core.writer.ping(this.#ping, 0, false);
    return true;
  }

  goAway(code: number, graceful: boolean): void {
    const core = this.#core;
    if (core.error !== undefined) return;
    if (!graceful || !core.isServer) return core.goAway(code);
    if (core.draining) return;
    core.draining = true;
    core.announced = true;
    core.writer.goAway(ANY_STREAM_ID, code, "");
    this.#ping[0] = PingKind.DRAIN;
    core.writer.ping(this.#ping, 0, false);
  }

  #endLocal(stream: Stream): void {
    stream.localEnded = true;
    this.#core.sending.forget(stream);
    this.#core.closeIfEnded(stream);
  }
}

const EMPTY: Buffer = Buffer.alloc(0);
