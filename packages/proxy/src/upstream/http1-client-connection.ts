import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";

import { systemErrorCode, type TimerWheel, type WheelTimer } from "@tulle/base";
import {
  createResponseParser,
  writeRequestHead,
  NO_FIELDS,
  type HeaderList,
  type Http1Handler,
  type Http1Limits,
  type Http1ResponseParser,
  type ResponseHead,
} from "@tulle/http";
import {
  openChannel,
  SocketWriter,
  type ByteChannel,
  type FlushQueue,
  type WriterEvents,
} from "@tulle/http/socket";

import { askToSwitch, wrongSwitch } from "../connection/http1-upgrade.js";
import { resetSocket } from "../socket-reset.js";
import type { ResetReason, UpstreamHandler, UpstreamStream } from "../stream/contract.js";

/** Who a connection belongs to. */
export interface ClientConnectionOwner {
  /** The exchange is complete and the connection can take another one. */
  onConnectionIdle(connection: Http1ClientConnection): void;
  /** The connection is gone. Called exactly once. */
  onConnectionClosed(connection: Http1ClientConnection): void;
  /** The codec refused what the server sent. */
  onCodecRefusal(code: string): void;
}

/**
 * An HTTP/1.1 connection to an endpoint, serving one exchange after the other. Idle ones wait in their pool; whatever
 * arrives on an idle one ends it, for it answers no request (RELIABILITY H1-27).
 */
export class Http1ClientConnection implements UpstreamStream, Http1Handler<ResponseHead>, WriterEvents {
  readonly localAddress: string;
  readonly #socket: Socket;
  readonly #channel: ByteChannel;
  readonly #owner: ClientConnectionOwner;
  readonly #writer: SocketWriter;
  readonly #parser: Http1ResponseParser;
  readonly #idleTimer: WheelTimer;
  readonly #idleTimeoutMs: number;
  readonly #wheel: TimerWheel;
  /** By the wheel's time: no exchange begins on it any more. */
  readonly #endMs: number;
  #handler: UpstreamHandler | undefined;
  #exchanges = 0;
  #sentMark = 0;
  #chunked = false;
  #requestDone = false;
  #responseDone = false;
  #keepAlive = true;
  #keepAliveHintMs = Number.POSITIVE_INFINITY;
  #trailers: HeaderList = NO_FIELDS;
  /** What the server is asked to switch to, and WebSocket's key for it. */
  #protocol = "";
  #key = "";
  /** It has: this connection carries a tunnel, and nothing after it. */
  #switched = false;
  #retired = false;
  #errorCode = "";

  /** `socket` is connected, and its TLS handshake done. */
  constructor(
    socket: Socket,
    owner: ClientConnectionOwner,
    queue: FlushQueue,
    wheel: TimerWheel,
    options: {
      /** Infinite: for ever. */
      readonly idleTimeoutMs: number;
      /** Infinite: without limit. */
      readonly maxDurationMs: number;
      readonly limits: Http1Limits;
    },
  ) {
    this.#socket = socket;
    this.#owner = owner;
    this.#channel = openChannel(socket);
    this.#writer = new SocketWriter(socket, this.#channel, queue, this);
    this.#parser = createResponseParser(this, options.limits);
    this.#idleTimeoutMs = options.idleTimeoutMs;
    this.#wheel = wheel;
    this.#endMs = wheel.nowMs + options.maxDurationMs;
    this.#idleTimer = wheel.timer(() => this.#socket.destroy());
    this.localAddress = `${socket.localAddress ?? ""}:${socket.localPort ?? 0}`;
    socket.on("end", () => this.#onEndOfStream());
    socket.on("error", (error) => {
      this.#errorCode = systemErrorCode(error) ?? error.message;
    });
    socket.on("close", () => this.#onClose());
    this.#channel.start((bytes, end) => this.#onBytes(bytes, end));
  }

  get reused(): boolean {
    return this.#exchanges > 1;
  }

  get exchanges(): number {
    return this.#exchanges;
  }

  get requestSent(): boolean {
    return this.#writer.handedOver > this.#sentMark;
  }

  get bufferedBytes(): number {
    return this.#writer.pendingBytes;
  }

  /** Whether an idle connection still looks alive. */
  get usable(): boolean {
    return !this.#retired && !this.#socket.destroyed && this.#socket.readable && this.#socket.writable;
  }

  /** Binds the next exchange. */
  start(handler: UpstreamHandler): void {
    this.#idleTimer.disarm();
    this.#handler = handler;
    this.#exchanges++;
    this.#sentMark = this.#writer.handedOver;
    this.#requestDone = false;
    this.#responseDone = false;
    this.#trailers = NO_FIELDS;
    this.#protocol = "";
  }

  /** Whether it has lived as long as it may. */
  get expired(): boolean {
    return this.#endMs <= this.#wheel.nowMs;
  }

  /** Waits in the pool; ends itself before the peer is likely to, and when its time is over. */
  park(): void {
    const leftMs = this.#endMs - this.#wheel.nowMs;
    const waitMs = Math.min(this.#idleTimeoutMs, this.#keepAliveHintMs, leftMs);
    if (Number.isFinite(waitMs)) this.#idleTimer.arm(waitMs);
  }

  /** Takes no further exchange: closes now when idle, else after the one under way. */
  retire(): void {
    this.#retired = true;
    if (this.#handler === undefined && !this.#switched) this.#socket.destroy();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  writeHead(
    method: string,
    target: string,
    headers: HeaderList,
    hasBody: boolean,
    contentLength: number,
  ): void {
    this.#parser.expect(method);
    this.#chunked = hasBody && contentLength < 0;
    if (this.#chunked) headers.push("transfer-encoding", "chunked");
    writeRequestHead(this.#writer.sink, method, target, headers);
    this.#writer.commit();
  }

  writeUpgrade(protocol: string, target: string, headers: HeaderList): void {
    this.#protocol = protocol;
    this.#key = askToSwitch(headers, protocol);
    this.writeHead("GET", target, headers, false, 0);
    this.#requestDone = true;
  }

  writeBody(chunk: Buffer, start: number, end: number): boolean {
    return this.#writer.writeBody(chunk, start, end, this.#chunked);
  }

  writeEnd(trailers: HeaderList): void {
    if (this.#chunked) this.#writer.writeChunkedEnd(trailers);
    this.#requestDone = true;
    if (this.#switched) this.#endTunnel();
  }

  cancel(): void {
    this.#handler = undefined;
    if (!this.requestSent && this.usable) {
      this.#takeBack();
      return;
    }
    // Who cuts a tunnel does not end it: with a proper end the server would take what it has for all there is.
    if (this.#switched && !(this.#socket instanceof TLSSocket)) resetSocket(this.#socket);
    else this.#socket.destroy();
  }

  pauseResponse(): void {
    this.#channel.pause();
  }

  resumeResponse(): void {
    this.#channel.resume();
  }

  /** From the parser. */
  onHead(head: ResponseHead): void {
    if (head.status < 200) {
      if (head.status === 101) this.#onSwitched(head);
      else this.#handler?.onUpstreamInterim(head);
      return;
    }
    this.#keepAlive = head.keepAlive;
    this.#readKeepAliveHint(head.headers);
    this.#handler?.onUpstreamHead(head);
  }

  /** From the parser. */
  onBody(chunk: Buffer, start: number, end: number): void {
    this.#handler?.onUpstreamBody(chunk, start, end);
  }

  /** From the parser. */
  onEnd(trailers: HeaderList): void {
    if (this.#switched) return;
    this.#responseDone = true;
    this.#trailers = trailers;
  }

  /**
   * The server knows nothing of this exchange, so the next one may have the connection. Were it closed, who resets streams
   * as soon as it begins them would have the application accept and lose a connection for each.
   */
  #takeBack(): void {
    this.#writer.sink.reset();
    this.#parser.expect("");
    this.#exchanges--;
    this.#owner.onConnectionIdle(this);
  }

  #onSwitched(head: ResponseHead): void {
    const wrong = wrongSwitch(head, this.#protocol, this.#key);
    if (wrong !== "") {
      this.#fail("protocol-error", wrong);
      return;
    }
    this.#switched = true;
    this.#requestDone = false;
    // What is the end of an exchange is that of one direction only in a tunnel.
    this.#socket.allowHalfOpen = true;
    this.#handler?.onUpstreamSwitched(head);
  }

  #endTunnel(): void {
    this.#writer.end();
    if (this.#responseDone) this.#handler = undefined;
  }

  /** From the writer. */
  onDrain(): void {
    this.#handler?.onUpstreamDrain();
  }

  #onBytes(bytes: Buffer, end: number): void {
    if (this.#handler === undefined) {
      this.#socket.destroy();
      return;
    }
    if (!this.requestSent) {
      // No answer to what the server has not seen; as on an idle connection.
      this.#fail("closed", "");
      return;
    }
    if (this.#switched) {
      this.#handler.onUpstreamBody(bytes, 0, end);
      return;
    }
    const consumed = this.#parser.execute(bytes, 0, end);
    if (this.#parser.error !== undefined) {
      this.#owner.onCodecRefusal(this.#parser.error.code);
      this.#fail("protocol-error", this.#parser.error.message);
    } else if (this.#responseDone) this.#complete(consumed < end);
    else if (this.#switched && consumed < end) {
      this.#handler?.onUpstreamBody(bytes, consumed, end);
    }
  }

  #onEndOfStream(): void {
    if (this.#handler === undefined) {
      this.#socket.destroy();
      return;
    }
    if (this.#switched) {
      const handler = this.#handler;
      this.#responseDone = true;
      if (this.#requestDone) this.#handler = undefined;
      handler.onUpstreamEnd(NO_FIELDS);
      return;
    }
    this.#keepAlive = false;
    this.#parser.finish();
    if (this.#responseDone) this.#complete(false);
    else this.#fail("closed", "");
  }

  #complete(extraBytes: boolean): void {
    const handler = this.#handler;
    if (handler === undefined) return;
    const trailers = this.#trailers;
    this.#handler = undefined;
    this.#responseDone = false;
    // A request that is not wholly sent would run into the next one (RELIABILITY H1-07).
    if (this.#requestDone && this.#keepAlive && !extraBytes && this.usable) {
      this.#channel.resume();
      // What waits to be sent from now on is the next exchange's.
      this.#writer.flush();
      this.#owner.onConnectionIdle(this);
    } else {
      this.#socket.destroy();
    }
    handler.onUpstreamEnd(trailers);
  }

  #fail(reason: ResetReason, detail: string): void {
    const handler = this.#handler;
    this.#handler = undefined;
    this.#socket.destroy();
    handler?.onUpstreamReset(reason, detail);
  }

  #onClose(): void {
    this.#idleTimer.disarm();
    this.#owner.onConnectionClosed(this);
    this.#fail("closed", this.#errorCode);
  }

  /** `Keep-Alive: timeout=5`: how long the server will wait; we leave a second earlier. */
  #readKeepAliveHint(headers: HeaderList): void {
    for (let i = 0; i < headers.length; i += 2) {
      const name = headers[i] as string;
      if (name.length !== 10 || name.toLowerCase() !== "keep-alive") continue;
      const match = /(?:^|[,\s])timeout=(\d{1,6})/i.exec(headers[i + 1] as string);
      if (match !== null) this.#keepAliveHintMs = Math.max(Number(match[1]) * 1000 - 1000, 0);
      return;
    }
  }
}
