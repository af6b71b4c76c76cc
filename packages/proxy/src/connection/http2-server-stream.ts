import { MeshError } from "@tulle/base";
import {
  Http2ErrorCode,
  NO_FIELDS,
  type HeaderList,
  type Http2Head,
  type RequestHead,
  IncomingCredit,
  OutgoingBody,
} from "@tulle/http";
import type { Http2Transport } from "@tulle/http/socket";

import type { BufferingStream } from "../overload/memory-relief.js";
import type { DownstreamStream, RequestHandler, RequestSource } from "../stream/contract.js";
import { tellDeclinedUpgrade } from "../filters/declined-upgrade.js";
import { addHeaderCase, takeHeaderCase, withHeaderCase } from "./carried-case.js";
import type { ServerConnectionContext } from "./server-connection.js";

/** Who a stream belongs to. */
export interface Http2ServerStreamOwner {
  /** The stream is over and may serve another request. */
  onStreamDone(stream: Http2ServerStream, streamId: number): void;
}

/** One request and its response on an HTTP/2 connection. Reused with its exchange: allocates nothing per request. */
export class Http2ServerStream implements DownstreamStream, BufferingStream {
  readonly http2 = true;
  readonly #transport: Http2Transport;
  readonly #owner: Http2ServerStreamOwner;
  readonly #exchange: RequestHandler;
  readonly #fromSidecar: boolean;
  readonly #body: OutgoingBody;
  readonly #credit: IncomingCredit;
  #streamId = 0;
  #requestDone = false;
  #responseDone = false;
  #trailers: HeaderList = NO_FIELDS;
  /** Protocol of an extended CONNECT (RFC 8441), "" for other requests. */
  #upgrade = "";
  #switched = false;
  /** What came before the tunnel stood: not credited, so that it is one window at most. */
  #early: Buffer[] = [];

  constructor(
    transport: Http2Transport,
    owner: Http2ServerStreamOwner,
    source: RequestSource,
    context: ServerConnectionContext,
  ) {
    this.#transport = transport;
    this.#owner = owner;
    this.#fromSidecar = source.peerSpiffeId !== "";
    this.#body = new OutgoingBody(transport.session);
    this.#credit = new IncomingCredit(transport.session);
    this.#exchange = context.createExchange(this, source);
  }

  // BufferingStream

  get bufferedBytes(): number {
    let early = 0;
    for (const chunk of this.#early) early += chunk.length;
    return early + this.#body.waitingBytes + this.#exchange.bufferedBytes;
  }

  shed(): void {
    // An exchange that is over has left its answer here, which its client does not read.
    if (!this.#exchange.shed()) this.reset();
  }

  endIdle(share: number): void {
    this.#exchange.endIdle(share);
  }

  // The session's events

  /** `refused`: the proxy is overloaded. */
  onRequest(streamId: number, head: Http2Head, refused: boolean): void {
    this.#streamId = streamId;
    this.#requestDone = head.endStream;
    this.#responseDone = false;
    this.#trailers = NO_FIELDS;
    this.#upgrade = head.protocol;
    this.#switched = false;
    this.#body.start(streamId, false);
    this.#credit.start(streamId);
    this.#exchange.onRequestHead(this.#requestHead(head), refused);
    if (head.endStream && this.#upgrade === "" && this.#streamId === streamId && !this.#responseDone) {
      this.#exchange.onRequestEnd(NO_FIELDS);
    }
  }

  onData(chunk: Buffer, start: number, end: number): void {
    if (this.#upgrade !== "" && !this.#switched) {
      this.#early.push(Buffer.from(chunk.subarray(start, end)));
      return;
    }
    const streamId = this.#streamId;
    if (!this.#responseDone || this.#switched) this.#exchange.onRequestBody(chunk, start, end);
    if (this.#streamId === streamId) this.#credit.passed(end - start);
  }

  onTrailers(trailers: HeaderList): void {
    if (this.#fromSidecar) takeHeaderCase(trailers);
    this.#trailers = trailers;
  }

  onRequestEnd(): void {
    this.#requestDone = true;
    if (this.#upgrade !== "") {
      if (this.#switched) this.#endRequestOfTunnel();
    } else if (!this.#responseDone) this.#exchange.onRequestEnd(this.#trailers);
  }

  onWritable(): void {
    const done = this.#body.resume();
    this.#transport.commit();
    if (!done) return;
    if (this.#responseDone) this.#finish();
    else this.#exchange.onDownstreamDrain();
  }

  /** The client reset the stream, broke a rule on it, or its connection is gone. */
  onGone(): void {
    const wasDone = this.#responseDone && !this.#switched;
    this.#responseDone = true;
    if (!wasDone) this.#exchange.onDownstreamClose();
    this.#release();
  }

  // DownstreamStream

  writeInterim(status: number, _reason: string, headers: HeaderList): void {
    // 101 means nothing here (RFC 9113 section 8.6).
    if (status === 101) return;
    if (this.#fromSidecar) addHeaderCase(headers);
    this.#transport.session.submitHeaders(this.#streamId, status, headers, false);
    this.#transport.commit();
  }

  writeHead(
    status: number,
    _reason: string,
    headers: HeaderList,
    hasBody: boolean,
    _contentLength: number,
  ): void {
    if (this.#upgrade !== "" && status < 300) status = this.#declined(status, headers);
    if (this.#fromSidecar) addHeaderCase(headers);
    this.#transport.session.submitHeaders(this.#streamId, status, headers, !hasBody);
    if (!hasBody) this.#body.ended = true;
    this.#transport.commit();
  }

  writeSwitched(headers: HeaderList): void {
    if (this.#fromSidecar) addHeaderCase(headers);
    this.#transport.session.submitHeaders(this.#streamId, 200, headers, false);
    this.#transport.commit();
    this.#switched = true;
    const streamId = this.#streamId;
    for (const chunk of this.#early.splice(0)) {
      this.#exchange.onRequestBody(chunk, 0, chunk.length);
      if (this.#streamId !== streamId) return;
      this.#credit.passed(chunk.length);
    }
    if (this.#requestDone) this.#endRequestOfTunnel();
  }

  writeConnected(): void {
    throw new MeshError("internal", "PROXY_NO_CONNECTION", "a stream of HTTP/2 is no connection");
  }

  writeBody(chunk: Buffer, start: number, end: number): boolean {
    const taken = this.#body.write(chunk, start, end);
    this.#transport.commit();
    return taken;
  }

  writeEnd(trailers: HeaderList): void {
    this.#responseDone = true;
    this.#body.end(this.#fromSidecar ? withHeaderCase(trailers) : trailers);
    this.#transport.commit();
    if (this.#body.ended) this.#finish();
  }

  reset(): void {
    this.#responseDone = true;
    const code = this.#switched ? Http2ErrorCode.CONNECT_ERROR : Http2ErrorCode.INTERNAL_ERROR;
    this.#transport.session.reset(this.#streamId, code);
    this.#transport.commit();
    this.#release();
  }

  pauseRequest(): void {
    this.#credit.pause();
  }

  resumeRequest(): void {
    if (this.#credit.resume()) this.#transport.commit();
  }

  #requestHead(head: Http2Head): RequestHead {
    const { authority, headers, contentLength, protocol } = head;
    const endStream = head.endStream || protocol !== "";
    if (this.#fromSidecar) takeHeaderCase(headers);
    return {
      // As HTTP/1.1 asks for a protocol (RFC 9110 section 7.8).
      method: protocol === "" ? head.method : "GET",
      target: head.path,
      minorVersion: 1,
      headers,
      framing: endStream ? "none" : contentLength >= 0 ? "length" : "chunked",
      contentLength: endStream ? 0 : contentLength,
      keepAlive: true,
      expectContinue: false,
      upgrade: protocol,
      host: authority,
    };
  }

  /**
   * Status of an answer that is no tunnel, though a 2xx would say so (RFC 8441 section 5): a sidecar is told beside it,
   * anybody else has only the status to go by.
   */
  #declined(status: number, headers: HeaderList): number {
    if (!this.#fromSidecar) return 501;
    tellDeclinedUpgrade(headers);
    return status;
  }

  #endRequestOfTunnel(): void {
    this.#exchange.onRequestEnd(NO_FIELDS);
    if (this.#body.ended) this.#release();
  }

  /** The response is out. A client that goes on sending is told that nobody reads on (RFC 9113 section 8.1). */
  #finish(): void {
    if (!this.#requestDone) {
      if (this.#switched) return;
      this.#transport.linger(this.#streamId);
    }
    this.#release();
  }

  #release(): void {
    const streamId = this.#streamId;
    if (streamId === 0) return;
    this.#streamId = 0;
    if (this.#early.length > 0) this.#early = [];
    this.#body.drop();
    this.#owner.onStreamDone(this, streamId);
  }
}
