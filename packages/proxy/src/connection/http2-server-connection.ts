import type { Socket } from "node:net";

import type { WheelTimer } from "@tulle/base";
import { Http2ErrorCode, StreamTable, type HeaderList, type Http2Head, type Http2Refusal } from "@tulle/http";
import { Http2Transport, type Http2TransportOwner } from "@tulle/http/socket";

import type { LimitName } from "../limits/limit-table.js";
import type { BufferingStream, RelievableConnection } from "../overload/memory-relief.js";
import { Verdict } from "../overload/overload-manager.js";
import { quietRefusal } from "../overload/quiet-refusal.js";
import type { RequestSource } from "../stream/contract.js";
import { Http2ServerStream, type Http2ServerStreamOwner } from "./http2-server-stream.js";
import {
  IDLE_BEFORE_CLOSE_MS,
  type ServerConnection,
  type ServerConnectionContext,
} from "./server-connection.js";

/** Streams kept for reuse with their exchanges. */
const MAX_SPARE_STREAMS = 256;

/** An HTTP/2 connection from a client: an exchange for each of its streams. Responses of a turn leave in one write. */
export class Http2ServerConnection
  implements ServerConnection, RelievableConnection, Http2TransportOwner, Http2ServerStreamOwner
{
  readonly #source: RequestSource;
  readonly #context: ServerConnectionContext;
  readonly #transport: Http2Transport;
  readonly #streams = new StreamTable<Http2ServerStream>();
  readonly #spare: Http2ServerStream[] = [];
  readonly #idleTimeoutMs: number;
  /** Ends a drain that the peer does not answer. */
  readonly #drainTimer: WheelTimer;
  readonly #maxDurationMs: number;
  /** When it takes no further request; infinite = never. */
  readonly #endMs: number;
  #draining = false;
  #lastUsedMs: number;

  constructor(socket: Socket, source: RequestSource, context: ServerConnectionContext) {
    this.#source = source;
    this.#context = context;
    const { idleTimeoutMs, maxDurationMs, http2 } = context.limits.of(source);
    this.#idleTimeoutMs = idleTimeoutMs;
    const { queue, coarseWheel } = context;
    context.overload.onConnected(this);
    this.#transport = new Http2Transport("server", socket, this, queue, coarseWheel, http2);
    this.#lastUsedMs = this.#transport.nowMs;
    this.#maxDurationMs = maxDurationMs;
    this.#endMs = maxDurationMs === 0 ? Number.POSITIVE_INFINITY : this.#lastUsedMs + maxDurationMs;
    this.#drainTimer = coarseWheel.timer(() => {
      this.#transport.session.goAway(Http2ErrorCode.NO_ERROR, false);
      this.#transport.commit();
    });
  }

  get busy(): boolean {
    return this.#streams.size > 0;
  }

  /** Announces the end; requests that were on their way are still served (RFC 9113 section 6.8). */
  drain(idleMs: number): void {
    if (this.#draining) return;
    this.#draining = true;
    this.#transport.session.goAway(Http2ErrorCode.NO_ERROR, true);
    this.#transport.commit();
    this.#drainTimer.arm(idleMs);
  }

  destroy(): void {
    this.#transport.destroy();
  }

  // RelievableConnection

  endIdle(share: number): void {
    if (this.#streams.size > 0) for (const stream of this.#streams.all()) stream.endIdle(share);
    else if (!this.#draining && this.#idleMs >= this.#idleTimeoutMs * share)
      this.#end("overload.reduceTimeoutsPercent", this.#idleTimeoutMs);
  }

  visitStreams(visit: (stream: BufferingStream) => void): void {
    for (const stream of this.#streams.all()) visit(stream);
  }

  get #idleMs(): number {
    return this.#transport.nowMs - this.#lastUsedMs;
  }

  // Http2ServerStreamOwner

  onStreamDone(stream: Http2ServerStream, streamId: number): void {
    this.#streams.delete(streamId);
    if (this.#spare.length < MAX_SPARE_STREAMS) this.#spare.push(stream);
    if (this.#streams.size === 0) this.#lastUsedMs = this.#transport.nowMs;
    // The listener does not take what this connection brings any more.
    if (!this.#draining && this.#transport.open && this.#isClosing()) this.drain(IDLE_BEFORE_CLOSE_MS);
  }

  #isClosing(): boolean {
    return this.#source.closing || this.#context.overload.closesConnections;
  }

  // Http2TransportOwner

  onHeaders(streamId: number, head: Http2Head): void {
    if (this.#source.revoked) {
      // It was on its way when its connection's time was over: nothing was done, and on another connection it may pass.
      this.#transport.session.reset(streamId, Http2ErrorCode.REFUSED_STREAM);
      this.#transport.commit();
      return;
    }
    const verdict = this.#context.overload.judge(head.headers, this.#source.peerSpiffeId);
    if (verdict === Verdict.REFUSE_QUIETLY) {
      this.#refuse(streamId, head);
      return;
    }
    const stream =
      this.#spare.pop() ?? new Http2ServerStream(this.#transport, this, this.#source, this.#context);
    this.#streams.add(streamId, stream);
    stream.onRequest(streamId, head, verdict === Verdict.REFUSE);
  }

  /** Without a stream of ours, and without an exchange. */
  #refuse(streamId: number, head: Http2Head): void {
    const { status, headers } = quietRefusal(head.headers);
    this.#transport.session.submitHeaders(streamId, status, headers, true);
    if (!head.endStream) this.#transport.linger(streamId);
    this.#transport.commit();
  }

  onData(streamId: number, chunk: Buffer, start: number, end: number): void {
    const stream = this.#streams.get(streamId);
    if (stream === undefined) this.#transport.session.consume(streamId, end - start);
    else stream.onData(chunk, start, end);
  }

  onTrailers(streamId: number, trailers: HeaderList): void {
    this.#streams.get(streamId)?.onTrailers(trailers);
  }

  onStreamEnd(streamId: number): void {
    this.#streams.get(streamId)?.onRequestEnd();
  }

  onReset(streamId: number): void {
    this.#streams.get(streamId)?.onGone();
    // Whatever was done for it has been cancelled by now.
    this.#transport.session.release(streamId);
  }

  onWritable(streamId: number): void {
    this.#streams.get(streamId)?.onWritable();
  }

  onGoAway(): void {
    // The client takes no pushes, and we make none: it will just close when it is done.
  }

  onSettings(): void {
    // Nothing here depends on what the peer announced; the session keeps to it.
  }

  onPingAck(): void {
    // Clients keep connections alive, not servers.
  }

  onStreamRefused(_streamId: number, refusal: Http2Refusal): void {
    this.#context.onHttp2Refusal(refusal, this.#source);
  }

  onDrained(): void {
    this.#transport.close();
  }

  onConnectionError(_code: number, refusal: Http2Refusal): void {
    this.#context.onHttp2Refusal(refusal, this.#source);
    this.#endStreams();
  }

  onTick(nowMs: number): void {
    if (this.#draining) return;
    if (nowMs >= this.#endMs) this.#end("connection.maxDurationMs", this.#maxDurationMs);
    else if (this.#streams.size === 0 && nowMs - this.#lastUsedMs >= this.#idleTimeoutMs)
      this.#end("connection.idleTimeoutMs", this.#idleTimeoutMs);
  }

  #end(limit: LimitName, value: number): void {
    this.#context.onLimit(limit, value, this.#source.remoteAddress);
    this.drain(IDLE_BEFORE_CLOSE_MS);
  }

  onTransportClosed(): void {
    this.#context.overload.onDisconnected(this);
    this.#drainTimer.disarm();
    this.#endStreams();
  }

  #endStreams(): void {
    for (const stream of this.#streams.all()) stream.onGone();
    this.#streams.clear();
  }
}
