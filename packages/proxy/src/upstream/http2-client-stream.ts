import {
  getHeader,
  http2ErrorName,
  Http2ErrorCode,
  NO_FIELDS,
  type HeaderList,
  type Http2Head,
  type Http2Refusal,
  type Http2Request,
  type ResponseHead,
  IncomingCredit,
  OutgoingBody,
} from "@tulle/http";
import type { Http2Transport } from "@tulle/http/socket";

import { addHeaderCase, takeHeaderCase, withHeaderCase } from "../connection/carried-case.js";
import { toldDeclinedUpgrade } from "../filters/declined-upgrade.js";
import type { ResetReason, UpstreamHandler, UpstreamStream } from "../stream/contract.js";

/** Who a stream belongs to. */
export interface Http2ClientStreamOwner {
  readonly localAddress: string;
  /** To another sidecar: spelling of names is carried both ways. */
  readonly toSidecar: boolean;
  readonly scheme: "http" | "https";
  /** The server's SETTINGS have come: whether it takes extended CONNECT is known. */
  readonly settled: boolean;
  /** `onSettled` or `onConnectionLost` follows, unless the stream is over before. */
  onStreamUnsettled(stream: Http2ClientStream): void;
  /** Puts the stream among those that get events. */
  onStreamOpened(stream: Http2ClientStream, streamId: number): void;
  /** The stream is over and may serve another request. `streamId` 0: it was never opened. */
  onStreamDone(stream: Http2ClientStream, streamId: number): void;
}

/** One try on an HTTP/2 connection. Reused: allocates nothing per request but its response's head. */
export class Http2ClientStream implements UpstreamStream {
  reused = false;
  readonly #transport: Http2Transport;
  readonly #owner: Http2ClientStreamOwner;
  readonly #body: OutgoingBody;
  readonly #credit: IncomingCredit;
  #handler: UpstreamHandler | undefined;
  #streamId = 0;
  #sentMark = 0;
  /** The server says that it has not looked at the request. */
  #unprocessed = false;
  #isHead = false;
  #trailers: HeaderList = NO_FIELDS;
  /** Protocol of an extended CONNECT (RFC 8441), "" for other requests. */
  #upgrade = "";
  #switched = false;
  /** The server ended its side of the tunnel. */
  #tunnelEnded = false;
  /** An extended CONNECT that waits for SETTINGS. */
  #held: Http2Request | undefined;

  constructor(transport: Http2Transport, owner: Http2ClientStreamOwner) {
    this.#transport = transport;
    this.#owner = owner;
    this.#body = new OutgoingBody(transport.session);
    this.#credit = new IncomingCredit(transport.session);
  }

  get localAddress(): string {
    return this.#owner.localAddress;
  }

  get requestSent(): boolean {
    return !this.#unprocessed && this.#transport.writer.handedOver > this.#sentMark;
  }

  get bufferedBytes(): number {
    return this.#body.waitingBytes;
  }

  /** Binds the next try. */
  bind(handler: UpstreamHandler, reused: boolean): void {
    this.#handler = handler;
    this.reused = reused;
    this.#streamId = 0;
    this.#unprocessed = false;
    this.#trailers = NO_FIELDS;
    this.#upgrade = "";
    this.#switched = false;
    this.#tunnelEnded = false;
    this.#sentMark = this.#transport.writer.handedOver;
  }

  // UpstreamStream

  writeHead(method: string, target: string, headers: HeaderList, hasBody: boolean): void {
    this.#isHead = method === "HEAD";
    this.#open(this.#request(method, target, "", headers), hasBody);
  }

  writeUpgrade(protocol: string, target: string, headers: HeaderList): void {
    this.#isHead = false;
    this.#upgrade = protocol;
    const request = this.#request("CONNECT", target, protocol, headers);
    if (this.#owner.settled) {
      this.#open(request, true);
      return;
    }
    this.#held = request;
    this.#unprocessed = true;
    this.#owner.onStreamUnsettled(this);
  }

  /** The server's SETTINGS have come. */
  onSettled(): void {
    const request = this.#held;
    if (request === undefined) return;
    this.#held = undefined;
    this.#unprocessed = false;
    this.#sentMark = this.#transport.writer.handedOver;
    this.#open(request, true);
  }

  #request(method: string, target: string, protocol: string, headers: HeaderList): Http2Request {
    const { toSidecar, scheme } = this.#owner;
    const authority = getHeader(headers, "host") ?? "";
    if (toSidecar) addHeaderCase(headers);
    return { method, scheme, authority, path: target, protocol, headers };
  }

  #open(request: Http2Request, hasBody: boolean): void {
    const { session } = this.#transport;
    const streamId = session.submitRequest(request, !hasBody);
    this.#streamId = streamId;
    this.#body.start(streamId, !hasBody);
    this.#credit.start(streamId);
    if (streamId === 0) {
      this.#body.ended = true;
      this.#unprocessed = true;
      // The writer is in the middle of sending: it learns of it in the next turn.
      const handler = this.#handler;
      setImmediate(() => {
        if (this.#handler !== handler || this.#streamId !== 0) return;
        if (this.#upgrade !== "" && !session.peerSettings.enableConnectProtocol) {
          this.#fail("no-upgrade", "no extended CONNECT");
        } else this.#fail("closed", "no more streams on this connection");
      });
      return;
    }
    this.#owner.onStreamOpened(this, streamId);
    this.#transport.commit();
  }

  writeBody(chunk: Buffer, start: number, end: number): boolean {
    const taken = this.#body.write(chunk, start, end);
    this.#transport.commit();
    return taken;
  }

  writeEnd(trailers: HeaderList): void {
    this.#body.end(this.#owner.toSidecar ? withHeaderCase(trailers) : trailers);
    this.#transport.commit();
    if (this.#tunnelEnded) this.#closeTunnel();
  }

  cancel(): void {
    if (this.#handler === undefined) return;
    this.#handler = undefined;
    this.#held = undefined;
    this.#endStream();
  }

  pauseResponse(): void {
    this.#credit.pause();
  }

  resumeResponse(): void {
    if (this.#credit.resume()) this.#transport.commit();
  }

  // The session's events

  onHead(head: Http2Head): void {
    const { headers, status } = head;
    if (this.#owner.toSidecar) takeHeaderCase(headers);
    const bodyless = head.endStream || this.#isHead || status === 204 || status === 304;
    const response: ResponseHead = {
      status,
      reason: "",
      minorVersion: 1,
      headers,
      framing: bodyless ? "none" : head.contentLength >= 0 ? "length" : "chunked",
      contentLength: head.contentLength,
      keepAlive: true,
    };
    if (status < 200) this.#handler?.onUpstreamInterim(response);
    else if (this.#upgrade !== "") this.#onUpgradeAnswer(response);
    else this.#handler?.onUpstreamHead(response);
  }

  #onUpgradeAnswer(head: ResponseHead): void {
    const declined = this.#owner.toSidecar && toldDeclinedUpgrade(head.headers);
    if (head.status < 300 && !declined) {
      this.#switched = true;
      this.#handler?.onUpstreamSwitched(head);
      return;
    }
    this.#body.end(NO_FIELDS);
    this.#transport.commit();
    this.#handler?.onUpstreamHead(head);
  }

  onData(chunk: Buffer, start: number, end: number): void {
    const streamId = this.#streamId;
    this.#handler?.onUpstreamBody(chunk, start, end);
    if (this.#streamId === streamId) this.#credit.passed(end - start);
  }

  onTrailers(trailers: HeaderList): void {
    if (this.#owner.toSidecar) takeHeaderCase(trailers);
    this.#trailers = trailers;
  }

  onResponseEnd(): void {
    const handler = this.#handler;
    if (this.#switched && !this.#body.ended) {
      this.#tunnelEnded = true;
      handler?.onUpstreamEnd(NO_FIELDS);
      return;
    }
    const trailers = this.#trailers;
    this.#handler = undefined;
    // A request that is still being sent has its answer: the rest of it is of no use.
    if (this.#body.ended) this.#release();
    else this.#endStream();
    handler?.onUpstreamEnd(trailers);
  }

  onWritable(): void {
    const done = this.#body.resume();
    this.#transport.commit();
    if (this.#tunnelEnded) this.#closeTunnel();
    else if (done && !this.#body.ended) this.#handler?.onUpstreamDrain();
  }

  onReset(code: number, refusal: Http2Refusal | undefined): void {
    this.#unprocessed = code === Http2ErrorCode.REFUSED_STREAM && refusal === undefined;
    this.#body.ended = true;
    if (refusal === undefined) this.#fail(this.#unprocessed ? "refused" : "reset", http2ErrorName(code));
    else this.#fail("protocol-error", refusal.message);
  }

  /** The connection is gone, or will not bring anything any more. */
  onConnectionLost(reason: ResetReason, detail: string): void {
    this.#body.ended = true;
    this.#held = undefined;
    this.#fail(reason, detail);
  }

  /** Both sides have ended once our last bytes are out. */
  #closeTunnel(): void {
    if (!this.#body.ended) return;
    this.#tunnelEnded = false;
    this.#handler = undefined;
    this.#release();
  }

  #fail(reason: ResetReason, detail: string): void {
    const handler = this.#handler;
    if (handler === undefined) return;
    this.#handler = undefined;
    // It asks whether the request was sent: the stream is given back only afterwards.
    handler.onUpstreamReset(reason, detail);
    this.#release();
  }

  /** Gives the stream back; what still goes on of it is stopped. */
  #endStream(): void {
    if (this.#streamId !== 0 && this.#transport.open) {
      this.#transport.session.reset(this.#streamId, Http2ErrorCode.CANCEL);
      this.#transport.commit();
    }
    this.#release();
  }

  #release(): void {
    const streamId = this.#streamId;
    this.#streamId = 0;
    this.#owner.onStreamDone(this, streamId);
  }
}
