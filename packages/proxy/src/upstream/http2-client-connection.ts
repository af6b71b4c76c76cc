import type { Socket } from "node:net";

import type { TimerWheel } from "@tulle/base";
import {
  Http2ErrorCode,
  StreamTable,
  type HeaderList,
  type Http2Head,
  type Http2Options,
  type Http2Refusal,
} from "@tulle/http";
import {
  type FlushQueue,
  Http2KeepAlive,
  type Http2KeepAliveOptions,
  Http2Transport,
  type Http2TransportOwner,
} from "@tulle/http/socket";

import type { UpstreamWaiter } from "../stream/contract.js";
import { Http2ClientStream, type Http2ClientStreamOwner } from "./http2-client-stream.js";

/** Streams kept for reuse. */
const MAX_SPARE_STREAMS = 256;
/** A connection with streams on which so long nothing arrives is asked whether it lives, and must answer. */
export const HTTP2_KEEP_ALIVE: Http2KeepAliveOptions = { afterMs: 30_000, timeoutMs: 20_000 };

/** Who a connection belongs to. */
export interface Http2ConnectionOwner {
  /** A stream ended, or the server allows more of them. */
  onStreamsAvailable(connection: Http2ClientConnection): void;
  /** It takes no more requests; those under way go on. */
  onConnectionRetired(connection: Http2ClientConnection): void;
  /** The connection is gone. Called exactly once. */
  onHttp2Closed(connection: Http2ClientConnection): void;
  /** The codec refused what the server sent. */
  onCodecRefusal(code: string): void;
}

/** An HTTP/2 connection to an endpoint: many tries at once, as many as the server allows. */
export class Http2ClientConnection implements Http2TransportOwner, Http2ClientStreamOwner {
  readonly localAddress: string;
  readonly toSidecar: boolean;
  readonly scheme: "http" | "https";
  readonly #owner: Http2ConnectionOwner;
  readonly #transport: Http2Transport;
  readonly #idleTimeoutMs: number;
  readonly #maxRequests: number;
  readonly #streams = new StreamTable<Http2ClientStream>();
  readonly #spare: Http2ClientStream[] = [];
  /** Streams that are not opened before the server's SETTINGS have come. */
  readonly #unsettled = new Set<Http2ClientStream>();
  settled = false;
  #requests = 0;
  #retired = false;
  #idleSinceMs: number;
  readonly #keepAlive: Http2KeepAlive;
  readonly #maxStreams: number;
  /** By the wheel's time: no try begins on it any more. */
  readonly #endMs: number;

  /** `socket` is connected, and its TLS handshake done. `maxRequests` 0 = no limit. */
  constructor(
    socket: Socket,
    owner: Http2ConnectionOwner,
    queue: FlushQueue,
    wheel: TimerWheel,
    options: {
      readonly toSidecar: boolean;
      readonly scheme: "http" | "https";
      /** Infinite: for ever. */
      readonly idleTimeoutMs: number;
      /** Infinite: without limit. */
      readonly maxDurationMs: number;
      /** Tries at once, beside what the server allows. Infinite: no limit. */
      readonly maxStreams: number;
      readonly keepAlive: Http2KeepAliveOptions;
      readonly maxRequests: number;
      readonly http2: Http2Options;
    },
  ) {
    this.#owner = owner;
    this.toSidecar = options.toSidecar;
    this.scheme = options.scheme;
    this.#idleTimeoutMs = options.idleTimeoutMs;
    this.#maxRequests = options.maxRequests;
    this.#maxStreams = options.maxStreams;
    this.#keepAlive = new Http2KeepAlive(options.keepAlive);
    this.#endMs = wheel.nowMs + options.maxDurationMs;
    this.localAddress = `${socket.localAddress ?? ""}:${socket.localPort ?? 0}`;
    this.#idleSinceMs = wheel.nowMs;
    this.#transport = new Http2Transport("client", socket, this, queue, wheel, options.http2);
  }

  /** Whether another try can start now. */
  get available(): boolean {
    return (
      !this.#retired &&
      this.#transport.open &&
      this.#transport.session.availableStreams > 0 &&
      this.#streams.size + this.#unsettled.size < this.#maxStreams
    );
  }

  /** Whether no try is under way. */
  get unused(): boolean {
    return this.#streams.size + this.#unsettled.size === 0;
  }

  /** Starts a try. Only when `available`. */
  start(waiter: UpstreamWaiter): void {
    this.#requests++;
    const stream = this.#spare.pop() ?? new Http2ClientStream(this.#transport, this);
    stream.bind(waiter, this.#requests > 1);
    if (this.#maxRequests > 0 && this.#requests >= this.#maxRequests) this.#retire();
    waiter.onUpstreamReady(stream);
    if (this.#retired) this.#endWhenUnused();
  }

  /** Takes no further try: closes when those under way have ended. */
  retire(): void {
    this.#retire();
    this.#endWhenUnused();
  }

  destroy(): void {
    this.#transport.destroy();
  }

  // Http2ClientStreamOwner

  onStreamOpened(stream: Http2ClientStream, streamId: number): void {
    this.#streams.add(streamId, stream);
  }

  onStreamUnsettled(stream: Http2ClientStream): void {
    this.#unsettled.add(stream);
  }

  onStreamDone(stream: Http2ClientStream, streamId: number): void {
    if (streamId === 0) this.#unsettled.delete(stream);
    else this.#streams.delete(streamId);
    if (this.#spare.length < MAX_SPARE_STREAMS) this.#spare.push(stream);
    if (this.#streams.size === 0) this.#idleSinceMs = this.#transport.nowMs;
    if (this.#retired) this.#endWhenUnused();
    else this.#owner.onStreamsAvailable(this);
  }

  // Http2TransportOwner

  onHeaders(streamId: number, head: Http2Head): void {
    this.#streams.get(streamId)?.onHead(head);
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
    this.#streams.get(streamId)?.onResponseEnd();
  }

  onReset(streamId: number, code: number, refusal: Http2Refusal | undefined): void {
    this.#streams.get(streamId)?.onReset(code, refusal);
  }

  onWritable(streamId: number): void {
    this.#streams.get(streamId)?.onWritable();
  }

  onGoAway(): void {
    // `onReset` of the streams that the server will not look at follows: they must not come back here.
    this.#retire();
  }

  onSettings(): void {
    this.settled = true;
    for (const stream of this.#unsettled) stream.onSettled();
    this.#unsettled.clear();
    this.#owner.onStreamsAvailable(this);
  }

  onPingAck(): void {
    this.#keepAlive.answered();
  }

  onStreamRefused(_streamId: number, refusal: Http2Refusal): void {
    // `onReset` follows, and its try says what happened.
    this.#owner.onCodecRefusal(refusal.code);
  }

  onDrained(): void {
    this.#transport.close();
  }

  onConnectionError(_code: number, refusal: Http2Refusal): void {
    this.#owner.onCodecRefusal(refusal.code);
    this.#retire();
    this.#loseStreams("protocol-error", refusal.message);
  }

  onTick(nowMs: number): void {
    this.#keepAlive.tick(this.#transport, nowMs);
    if (this.#streams.size === 0 && nowMs - this.#idleSinceMs >= this.#idleTimeoutMs) this.retire();
    else if (nowMs >= this.#endMs) this.retire();
  }

  onTransportClosed(detail: string): void {
    this.#retire();
    this.#loseStreams("closed", detail);
    this.#owner.onHttp2Closed(this);
  }

  #retire(): void {
    if (this.#retired) return;
    this.#retired = true;
    this.#owner.onConnectionRetired(this);
  }

  #endWhenUnused(): void {
    if (this.#streams.size + this.#unsettled.size > 0 || !this.#transport.open) return;
    if (this.#transport.session.drain === "open")
      this.#transport.session.goAway(Http2ErrorCode.NO_ERROR, false);
    this.#transport.commit();
  }

  #loseStreams(reason: "closed" | "protocol-error", detail: string): void {
    for (const stream of this.#streams.all()) stream.onConnectionLost(reason, detail);
    this.#streams.clear();
    for (const stream of this.#unsettled) stream.onConnectionLost(reason, detail);
    this.#unsettled.clear();
  }
}
