import { STATUS_CODES } from "node:http";
import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";

import type { WheelTimer } from "@tulle/base";
import {
  createRequestParser,
  writeResponseHead,
  NO_FIELDS,
  type HeaderList,
  type Http1Error,
  type Http1Handler,
  type Http1Parser,
  type RequestHead,
} from "@tulle/http";
import { openChannel, SocketWriter, type ByteChannel, type WriterEvents } from "@tulle/http/socket";

import type { LimitName } from "../limits/limit-table.js";
import type { BufferingStream, RelievableConnection } from "../overload/memory-relief.js";
import { Verdict } from "../overload/overload-manager.js";
import { QUIET_HTTP1_RESPONSE } from "../overload/quiet-refusal.js";
import type { ConnectionLimits } from "../limits/proxy-limits.js";
import type { DownstreamStream, RequestHandler, RequestSource } from "../stream/contract.js";
import { resetSocket } from "../socket-reset.js";
import { tellEnd } from "./http1-response-end.js";
import { confirmSwitch } from "./http1-upgrade.js";
import {
  IDLE_BEFORE_CLOSE_MS,
  type ServerConnection,
  type ServerConnectionContext,
} from "./server-connection.js";

/** How much a closing connection still reads and discards: who sends more has not stopped, and will not read our last response. */
const LINGER_BYTES = 1024 * 1024;
const enum Phase {
  /** Between two requests. */
  IDLE,
  /** Bytes of a request's head have arrived. */
  HEAD,
  EXCHANGE,
  /** Switched to another protocol: bytes of nobody's business. */
  TUNNEL,
  /** The last response is out; what arrives is discarded. */
  LINGER,
  CLOSED,
}

/**
 * An HTTP/1 connection from a client: one exchange at a time, pipelined requests wait in the socket. Responses of a
 * turn leave in one write.
 */
export class Http1ServerConnection
  implements
    ServerConnection,
    RelievableConnection,
    BufferingStream,
    DownstreamStream,
    Http1Handler<RequestHead>,
    WriterEvents
{
  readonly http2 = false;
  readonly #socket: Socket;
  readonly #channel: ByteChannel;
  readonly #source: RequestSource;
  readonly #context: ServerConnectionContext;
  readonly #writer: SocketWriter;
  readonly #parser: Http1Parser;
  readonly #exchange: RequestHandler;
  readonly #timer: WheelTimer;
  /** Ends it for its age; undefined where it may have any. */
  readonly #age: WheelTimer | undefined;
  readonly #limits: ConnectionLimits;
  #phase: Phase = Phase.IDLE;
  #head: RequestHead | undefined;
  /** What comes behind the request may not be HTTP: nothing of it is read, or passed on, before the answer. */
  #mayTunnel = false;
  #requestDone = false;
  #responseDone = false;
  #chunked = false;
  #closeAfter = false;
  #bodyPaused = false;
  /** While draining: how long the connection may be idle before it closes; -1 = not draining. */
  #drainIdleMs = -1;
  #executing = false;
  /** Read and thrown away since our last response. */
  #discarded = 0;
  /** Pipelined bytes that came before their turn. The socket stands still while there are any. */
  #rest: Buffer | undefined;

  constructor(socket: Socket, source: RequestSource, context: ServerConnectionContext) {
    this.#socket = socket;
    this.#source = source;
    this.#context = context;
    this.#channel = openChannel(socket);
    const limits = context.limits.of(source);
    this.#limits = limits;
    this.#writer = new SocketWriter(socket, this.#channel, context.queue, this, {
      highWaterBytes: limits.maxBufferedBytes,
    });
    this.#parser = createRequestParser(this, limits.http1);
    this.#exchange = context.createExchange(this, source);
    this.#timer = context.coarseWheel.timer(() => this.#onTimer());
    this.#timer.arm(limits.idleTimeoutMs);
    if (limits.maxDurationMs > 0) {
      this.#age = context.coarseWheel.timer(() => this.#onOldAge());
      this.#age.arm(limits.maxDurationMs);
    }
    socket.on("end", this.#onEndOfStream);
    // The reason is of no use to anybody: 'close' follows and ends the exchange.
    socket.on("error", () => undefined);
    socket.on("close", () => this.#onClose());
    context.overload.onConnected(this);
    this.#channel.start((bytes, end) => this.#onBytes(bytes, end));
  }

  /** Whether an exchange is under way. */
  get busy(): boolean {
    return this.#phase >= Phase.HEAD && this.#phase <= Phase.TUNNEL;
  }

  /** Closes after the exchange under way, or, without one, when `idleMs` have passed without a request. */
  drain(idleMs: number): void {
    this.#drainIdleMs = idleMs;
    if (this.#phase === Phase.IDLE) this.#timer.arm(idleMs);
  }

  destroy(): void {
    this.#socket.destroy();
  }

  // RelievableConnection, BufferingStream

  endIdle(share: number): void {
    if (this.#phase !== Phase.IDLE) this.#exchange.endIdle(share);
    else if (this.#drainIdleMs < 0 && this.#isIdleFor(share)) {
      this.#struck("overload.reduceTimeoutsPercent");
      this.#linger();
    }
  }

  /** While requests that came already wait for their turn, there is no timer. */
  #isIdleFor(share: number): boolean {
    return this.#timer.armed && this.#timer.leftMs <= this.#limits.idleTimeoutMs * (1 - share);
  }

  visitStreams(visit: (stream: BufferingStream) => void): void {
    visit(this);
  }

  get bufferedBytes(): number {
    return this.#writer.pendingBytes + (this.#rest?.length ?? 0) + this.#exchange.bufferedBytes;
  }

  shed(): void {
    if (!this.#exchange.shed()) this.reset();
  }

  // DownstreamStream

  writeInterim(status: number, reason: string, headers: HeaderList): void {
    if (this.#head?.minorVersion !== 1) return;
    writeResponseHead(this.#writer.sink, status, reason, headers);
    this.#writer.commit();
  }

  writeHead(
    status: number,
    reason: string,
    headers: HeaderList,
    hasBody: boolean,
    contentLength: number,
  ): void {
    const head = this.#head;
    const responseEnd = tellEnd(headers, head, status, hasBody, contentLength);
    this.#chunked = responseEnd === "chunked";
    if (head?.keepAlive !== true || this.#isClosing() || this.#drainIdleMs >= 0 || this.#hasEarly)
      this.#closeAfter = true;
    if (responseEnd === "close") this.#closeAfter = true;
    if (this.#closeAfter) headers.push("connection", "close");
    else if (head?.minorVersion === 0) headers.push("connection", "keep-alive");
    writeResponseHead(this.#writer.sink, status, reason, headers);
    this.#writer.commit();
  }

  #isClosing(): boolean {
    return this.#source.closing || this.#context.overload.closesConnections;
  }

  writeSwitched(headers: HeaderList): void {
    const head = this.#head;
    if (head === undefined) return;
    confirmSwitch(headers, head);
    writeResponseHead(this.#writer.sink, 101, "Switching Protocols", headers);
    this.#writer.commit();
    this.#phase = Phase.TUNNEL;
    this.#chunked = false;
    this.#requestDone = false;
    const early = this.#rest;
    this.#rest = undefined;
    if (early !== undefined) this.#exchange.onRequestBody(early, 0, early.length);
    if (!this.#bodyPaused) this.#channel.resume();
  }

  writeConnected(authority: string): void {
    const socket = this.#socket;
    const early = this.#rest;
    this.#rest = undefined;
    writeResponseHead(this.#writer.sink, 200, "Connection established", []);
    this.#writer.flush();
    this.#phase = Phase.CLOSED;
    socket.removeListener("end", this.#onEndOfStream);
    socket.pause();
    if (early !== undefined) socket.unshift(early);
    this.#channel.release();
    this.#source.connects?.accept(socket, authority);
  }

  writeBody(chunk: Buffer, start: number, end: number): boolean {
    return this.#writer.writeBody(chunk, start, end, this.#chunked);
  }

  writeEnd(trailers: HeaderList): void {
    if (this.#chunked) this.#writer.writeChunkedEnd(trailers);
    this.#responseDone = true;
    if (this.#phase === Phase.TUNNEL) {
      this.#writer.end();
      return;
    }
    // An answer before the end of the request: what is still coming cannot be told from a next request.
    if (!this.#requestDone && !this.#executing) this.#linger();
    else if (this.#requestDone) this.#endExchange();
  }

  reset(): void {
    // With TCP's reset even a client that reads until the connection closes sees that the response is cut.
    if (this.#socket instanceof TLSSocket) this.#socket.destroy();
    else resetSocket(this.#socket);
  }

  pauseRequest(): void {
    if (this.#requestDone) return;
    this.#bodyPaused = true;
    this.#channel.pause();
  }

  resumeRequest(): void {
    if (!this.#bodyPaused) return;
    this.#bodyPaused = false;
    if (this.#rest === undefined) this.#channel.resume();
  }

  // Http1Handler

  onHead(head: RequestHead): void {
    this.#phase = Phase.EXCHANGE;
    this.#timer.disarm();
    this.#head = head;
    this.#requestDone = false;
    this.#responseDone = false;
    this.#closeAfter = false;
    this.#mayTunnel = head.upgrade !== "" || head.method === "CONNECT";
    if (!this.#mayTunnel) this.#begin(head);
  }

  #begin(head: RequestHead): void {
    const verdict = this.#context.overload.judge(head.headers, this.#source.peerSpiffeId);
    if (verdict !== Verdict.REFUSE_QUIETLY || !this.#refuse(head))
      this.#exchange.onRequestHead(head, verdict !== Verdict.GO_ON);
  }

  /** Answers a request after which nothing else need be done, without its exchange. */
  #refuse(head: RequestHead): boolean {
    if (head.framing !== "none" || !head.keepAlive || head.minorVersion !== 1 || this.#mayTunnel)
      return false;
    if (this.#isClosing() || this.#drainIdleMs >= 0) return false;
    this.#writer.sink.writeLatin1(QUIET_HTTP1_RESPONSE);
    this.#writer.commit();
    this.#responseDone = true;
    return true;
  }

  onBody(chunk: Buffer, start: number, end: number): void {
    if (!this.#responseDone) this.#exchange.onRequestBody(chunk, start, end);
  }

  onEnd(trailers: HeaderList): void {
    this.#requestDone = true;
    if (this.#responseDone) this.#endExchange();
    else if (!this.#mayTunnel) this.#exchange.onRequestEnd(trailers);
    // Most often the response is still to come, and what is pipelined behind must wait for it; #feed decides.
    this.#parser.pause();
  }

  // WriterEvents

  onDrain(): void {
    if (this.#phase === Phase.EXCHANGE || this.#phase === Phase.TUNNEL) this.#exchange.onDownstreamDrain();
  }

  // Socket

  #onBytes(bytes: Buffer, end: number): void {
    if (this.#phase > Phase.EXCHANGE) {
      if (this.#phase === Phase.TUNNEL) this.#exchange.onRequestBody(bytes, 0, end);
      else this.#discard(end);
      return;
    }
    if (this.#phase === Phase.EXCHANGE && this.#requestDone) {
      const more = bytes.subarray(0, end);
      this.#rest = this.#rest === undefined ? Buffer.from(more) : Buffer.concat([this.#rest, more]);
      this.#channel.pause();
      return;
    }
    this.#feed(bytes, end);
  }

  /** While lingering. */
  #discard(bytes: number): void {
    this.#discarded += bytes;
    if (this.#discarded > LINGER_BYTES) this.#socket.destroy();
  }

  #feed(chunk: Buffer, end: number): void {
    let at = 0;
    this.#executing = true;
    for (let exchanges = 0; ; exchanges++) {
      at += this.#parser.execute(chunk, at, end);
      if (this.#parser.error !== undefined || at >= end) break;
      if (this.#phase !== Phase.IDLE && this.#phase !== Phase.HEAD) break;
      if (exchanges >= this.#limits.requestsPerTurn) {
        setImmediate(() => this.#feedRest());
        break;
      }
    }
    this.#executing = false;
    if (this.#phase === Phase.LINGER || this.#phase === Phase.CLOSED) return;
    if (this.#parser.error !== undefined) {
      this.#onCodecError(this.#parser.error);
      return;
    }
    if (at < end) {
      this.#rest = Buffer.from(chunk.subarray(at, end));
      this.#channel.pause();
    } else if (this.#phase === Phase.IDLE && !this.#parser.idle) {
      this.#phase = Phase.HEAD;
      this.#timer.arm(this.#limits.headerTimeoutMs);
    } else if (this.#responseDone && !this.#requestDone && this.#phase === Phase.EXCHANGE) {
      this.#linger();
    }
    // It begins only now, when it is known whether anything came behind it.
    if (this.#mayTunnel && this.#phase === Phase.EXCHANGE && this.#head !== undefined) {
      this.#begin(this.#head);
    }
  }

  #feedRest(): void {
    const rest = this.#rest;
    if (rest === undefined || this.#phase !== Phase.IDLE) return;
    this.#rest = undefined;
    this.#feed(rest, rest.length);
    if (this.#rest === undefined && !this.#bodyPaused) this.#channel.resume();
  }

  /**
   * Bytes came before a tunnel that did not come about. They may be meant for it or for us: never read as requests
   * (RELIABILITY 0.6).
   */
  get #hasEarly(): boolean {
    return this.#mayTunnel && this.#rest !== undefined;
  }

  /** Request and response are complete. */
  #endExchange(): void {
    if (this.#closeAfter || this.#hasEarly) {
      this.#linger();
      return;
    }
    this.#phase = Phase.IDLE;
    this.#head = undefined;
    this.#bodyPaused = false;
    if (this.#rest === undefined)
      this.#timer.arm(this.#drainIdleMs >= 0 ? this.#drainIdleMs : this.#limits.idleTimeoutMs);
    // Inside the parser the loop of #feed goes on by itself.
    else if (!this.#executing) setImmediate(() => this.#feedRest());
    if (!this.#executing && this.#rest === undefined && this.#channel.paused) this.#channel.resume();
  }

  #onCodecError(error: Http1Error): void {
    const body = this.#context.onCodecError(error, this.#source);
    if (this.#phase === Phase.EXCHANGE) {
      this.#closeAfter = true;
      this.#exchange.onDownstreamError(error);
      if (this.#phase === Phase.EXCHANGE) this.#linger();
      return;
    }
    this.#head = undefined;
    this.#writeAndLinger(error.status, body);
  }

  #writeAndLinger(status: number, body: string): void {
    const bytes = Buffer.from(body, "latin1");
    this.writeHead(
      status,
      STATUS_CODES[status] ?? "",
      ["content-length", String(bytes.length), "content-type", "text/plain"],
      true,
      bytes.length,
    );
    this.#writer.writeBody(bytes, 0, bytes.length, false);
    this.#linger();
  }

  /** Ends our side and reads on for a moment: closing with unread bytes would reset what we just sent. */
  #linger(): void {
    if (this.#phase === Phase.LINGER || this.#phase === Phase.CLOSED) return;
    this.#phase = Phase.LINGER;
    this.#rest = undefined;
    this.#writer.end();
    this.#channel.resume();
    this.#timer.arm(this.#limits.delayedCloseMs);
  }

  #onTimer(): void {
    if (this.#phase === Phase.HEAD) {
      this.#struck("connection.headerTimeoutMs");
      this.#writeAndLinger(408, "the request's head did not arrive in time\n");
    } else if (this.#phase === Phase.IDLE) {
      if (this.#drainIdleMs < 0) this.#struck("connection.idleTimeoutMs");
      this.#linger();
    } else this.#socket.destroy();
  }

  #onOldAge(): void {
    this.#struck("connection.maxDurationMs");
    this.drain(IDLE_BEFORE_CLOSE_MS);
  }

  #struck(name: LimitName): void {
    this.#context.onLimit(name, this.#limits.values[name], this.#source.remoteAddress);
  }

  readonly #onEndOfStream = (): void => {
    if (this.#phase === Phase.TUNNEL) {
      this.#requestDone = true;
      this.#exchange.onRequestEnd(NO_FIELDS);
      return;
    }
    // A client that ends its side in mid-exchange has gone, as with Envoy and nginx.
    if (this.#phase === Phase.EXCHANGE || this.#phase === Phase.LINGER) this.#socket.destroy();
    else this.#linger();
  };

  #onClose(): void {
    const inExchange =
      (this.#phase === Phase.EXCHANGE && !this.#responseDone) || this.#phase === Phase.TUNNEL;
    this.#phase = Phase.CLOSED;
    this.#context.overload.onDisconnected(this);
    this.#timer.disarm();
    this.#age?.disarm();
    this.#rest = undefined;
    if (inExchange) this.#exchange.onDownstreamClose();
  }
}
