import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";

import {
  MeshError,
  systemErrorCode,
  TimerWheel,
  VERSION,
  type Clock,
  type Disposable,
  type Timer,
} from "@tulle/base";

import type { HeaderList } from "../contract.js";
import { errorKindOfGrpc, GrpcStatus, grpcStatusName } from "../grpc.js";
import type { Http2Head, Http2Options, Http2Refusal } from "../http2/contract.js";
import { Http2ErrorCode } from "../http2/error-codes.js";
import { FlushQueue } from "./flush-queue.js";
import {
  ClientCall,
  type GrpcCall,
  type GrpcCallHandler,
  type GrpcCallOptions,
  type GrpcCallOwner,
  type GrpcMethod,
} from "./grpc-call.js";
import { Http2KeepAlive, type Http2KeepAliveOptions } from "./http2-keep-alive.js";
import { Http2Transport, type Http2TransportOwner } from "./http2-transport.js";

/** Other gRPC implementations' limit. */
const DEFAULT_MAX_MESSAGE_BYTES = 4 * 1024 * 1024;
const DEFAULT_CONNECT_TIMEOUT_MS = 10_000;
const DEFAULT_KEEP_ALIVE: Http2KeepAliveOptions = { afterMs: 30_000, timeoutMs: 10_000 };
/** A message of some size needs no round trip for every 64 KiB. */
const HTTP2_OPTIONS: Http2Options = { streamWindowBytes: 262_144 };
/** The one connection's time: half a second is exact enough, and sixteen slots hold its one or two timers. */
const TICK_MS = 500;
const TICK_SLOTS = 16;

export interface GrpcClientOptions {
  /** About to connect. The client owns it. */
  readonly socket: Socket;
  /** `https`: a `TLSSocket`, which verifies its peer and offers ALPN `h2`. */
  readonly scheme: "http" | "https";
  /** Sent as `:authority`. */
  readonly authority: string;
  readonly clock: Clock;
  /** Largest message in either direction; default 4 MiB. */
  readonly maxMessageBytes?: number;
  /** Until the connection is there, TLS included; default 10,000. */
  readonly connectTimeoutMs?: number;
  /** Default: asked after 30,000, given up 10,000 later. Only while there are calls. */
  readonly keepAlive?: Http2KeepAliveOptions;
}

/**
 * A gRPC client on one HTTP/2 connection (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md). Calls made
 * before the connection is there wait for it. It connects once: when the connection fails or ends, its calls end with
 * UNAVAILABLE, and who wants to go on makes a new client after a back-off. No compression, no binary metadata.
 */
export class GrpcClient implements Disposable, Http2TransportOwner, GrpcCallOwner {
  readonly clock: Clock;
  readonly scheme: "http" | "https";
  readonly authority: string;
  readonly userAgent = `tulle/${VERSION}`;
  readonly maxMessageBytes: number;
  readonly #socket: Socket;
  readonly #wheel: TimerWheel;
  readonly #keepAlive: Http2KeepAlive;
  readonly #connectTimer: Timer;
  /** All calls under way, and those that have a stream. */
  readonly #calls = new Set<ClientCall<never, unknown>>();
  readonly #streams = new Map<number, ClientCall<never, unknown>>();
  #transport: Http2Transport | undefined;
  /** Why there can be no more calls. */
  #ended: string | undefined;

  constructor(options: GrpcClientOptions) {
    const { socket, clock, connectTimeoutMs = DEFAULT_CONNECT_TIMEOUT_MS } = options;
    this.clock = clock;
    this.scheme = options.scheme;
    this.authority = options.authority;
    this.maxMessageBytes = options.maxMessageBytes ?? DEFAULT_MAX_MESSAGE_BYTES;
    this.#socket = socket;
    this.#wheel = new TimerWheel(clock, TICK_MS, TICK_SLOTS);
    this.#keepAlive = new Http2KeepAlive(options.keepAlive ?? DEFAULT_KEEP_ALIVE);
    this.#connectTimer = clock.setTimeout(
      () => this.#end(`cannot connect: no connection within ${connectTimeoutMs} ms`),
      connectTimeoutMs,
    );
    socket.setNoDelay(true);
    socket.once(options.scheme === "https" ? "secureConnect" : "connect", () => this.#onConnected());
    socket.on("error", (error) => {
      if (this.#transport === undefined) this.#end(`cannot connect: ${textOf(error)}`);
    });
    socket.on("close", () => {
      if (this.#transport === undefined) this.#end("cannot connect: the server closed the connection");
    });
  }

  /** Starts a call; write its messages to what is returned. */
  call<Request, Response>(
    method: GrpcMethod<Request, Response>,
    handler: GrpcCallHandler<Response>,
    options: GrpcCallOptions = {},
  ): GrpcCall<Request> {
    const call = new ClientCall(this, method, handler, options);
    const ended = this.#ended;
    if (ended !== undefined) {
      setImmediate(() => call.fail(GrpcStatus.UNAVAILABLE, ended));
      return call;
    }
    this.#calls.add(call);
    if (this.#transport !== undefined) call.open(this.#transport);
    return call;
  }

  /** One message there, one back. Rejects with GRPC_CALL_FAILED, its kind after the status. */
  unary<Request, Response>(
    method: GrpcMethod<Request, Response>,
    request: Request,
    options?: GrpcCallOptions,
  ): Promise<Response> {
    return new Promise((resolve, reject) => {
      const messages: Response[] = [];
      const call = this.call(
        method,
        {
          onMessage: (message) => {
            messages.push(message);
            if (messages.length === 1) return;
            call.cancel();
            reject(failure(GrpcStatus.INTERNAL, "the server answered with more than one message"));
          },
          onWritable: () => undefined,
          onEnd: (status, text) => {
            const [response] = messages;
            if (status !== GrpcStatus.OK) reject(failure(status, text));
            else if (response === undefined)
              reject(failure(GrpcStatus.INTERNAL, "the server answered without a message"));
            else resolve(response);
          },
        },
        options,
      );
      call.write(request);
      call.end();
    });
  }

  /** Ends all calls with CANCELLED and closes the connection. */
  [Symbol.dispose](): void {
    this.#end("the client was closed", GrpcStatus.CANCELLED);
  }

  // GrpcCallOwner

  onCallOpened(call: ClientCall<never, unknown>, streamId: number): void {
    this.#streams.set(streamId, call);
  }

  onCallDone(call: ClientCall<never, unknown>, streamId: number): void {
    this.#calls.delete(call);
    this.#streams.delete(streamId);
  }

  // Http2TransportOwner

  onHeaders(streamId: number, head: Http2Head): void {
    this.#streams.get(streamId)?.onHead(head);
  }

  onData(streamId: number, chunk: Buffer, start: number, end: number): void {
    this.#streams.get(streamId)?.onData(chunk, start, end);
  }

  onTrailers(streamId: number, trailers: HeaderList): void {
    this.#streams.get(streamId)?.onTrailers(trailers);
  }

  onStreamEnd(streamId: number): void {
    this.#streams.get(streamId)?.onStreamEnd();
  }

  onReset(streamId: number, code: number, refusal: Http2Refusal | undefined): void {
    this.#streams.get(streamId)?.onReset(code, refusal);
  }

  onWritable(streamId: number): void {
    this.#streams.get(streamId)?.onWritable();
  }

  onGoAway(): void {
    // The session refuses new calls from here on; those under way go on.
  }

  onSettings(): void {
    // The session keeps to them.
  }

  onPingAck(): void {
    this.#keepAlive.answered();
  }

  onStreamRefused(): void {
    // `onReset` follows, and its call says what happened.
  }

  onDrained(): void {
    this.#end("the server closes the connection");
  }

  onConnectionError(_code: number, refusal: Http2Refusal): void {
    this.#end(`the server does not speak HTTP/2 as it must: ${refusal.message}`);
  }

  onTick(nowMs: number): void {
    if (this.#transport !== undefined) this.#keepAlive.tick(this.#transport, nowMs);
  }

  onTransportClosed(detail: string): void {
    this.#wheel[Symbol.dispose]();
    this.#end(`the connection was lost${detail === "" ? "" : `: ${detail}`}`);
  }

  #onConnected(): void {
    if (this.#ended !== undefined) return;
    if (this.scheme === "https" && (this.#socket as TLSSocket).alpnProtocol !== "h2") {
      this.#end("cannot connect: the server does not speak HTTP/2 (ALPN)");
      return;
    }
    this.#connectTimer[Symbol.dispose]();
    const transport = new Http2Transport(
      "client",
      this.#socket,
      this,
      new FlushQueue(),
      this.#wheel,
      HTTP2_OPTIONS,
    );
    this.#transport = transport;
    for (const call of this.#calls) call.open(transport);
  }

  #end(why: string, status: number = GrpcStatus.UNAVAILABLE): void {
    if (this.#ended !== undefined) return;
    this.#ended = why;
    this.#connectTimer[Symbol.dispose]();
    for (const call of this.#calls) call.fail(status, why);
    const transport = this.#transport;
    if (transport === undefined) {
      this.#wheel[Symbol.dispose]();
      this.#socket.destroy();
    } else if (transport.open) {
      transport.session.goAway(Http2ErrorCode.NO_ERROR, false);
      transport.close();
    }
  }
}

function failure(status: number, message: string): MeshError {
  const text = message === "" ? grpcStatusName(status) : message;
  return new MeshError(errorKindOfGrpc(status), "GRPC_CALL_FAILED", text, { source: "upstream" });
}

/** The error of several addresses tried in turn has no message. */
function textOf(error: Error): string {
  return error.message === "" ? (systemErrorCode(error) ?? error.name) : error.message;
}
