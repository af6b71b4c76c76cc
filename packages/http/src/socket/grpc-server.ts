import type { Socket } from "node:net";

import { TimerWheel, type Clock } from "@tulle/base";

import type { HeaderList } from "../contract.js";
import { isGrpcContentType } from "../grpc.js";
import { getHeader } from "../headers.js";
import type { Http2Head, Http2Options } from "../http2/contract.js";
import { Http2ErrorCode } from "../http2/error-codes.js";
import { FlushQueue } from "./flush-queue.js";
import {
  ServerCall,
  type GrpcPeer,
  type GrpcServerCallOwner,
  type GrpcServerMethod,
} from "./grpc-server-call.js";
import { Http2KeepAlive, type Http2KeepAliveOptions } from "./http2-keep-alive.js";
import { Http2Transport, type Http2TransportOwner } from "./http2-transport.js";

/** Other gRPC implementations' limit. */
const DEFAULT_MAX_MESSAGE_BYTES = 4 * 1024 * 1024;
const DEFAULT_MAX_STREAMS = 1024;
const DEFAULT_IDLE_TIMEOUT_MS = 300_000;
const DEFAULT_KEEP_ALIVE: Http2KeepAliveOptions = { afterMs: 30_000, timeoutMs: 10_000 };
const TICK_MS = 500;
/**
 * Connections are many, and TLS keeps memory for the largest write that each has had: some 20 KiB less with portions of this size.
 */
const OUTPUT_BYTES = 8000;

export interface GrpcServerOptions {
  readonly methods: readonly GrpcServerMethod[];
  readonly clock: Clock;
  /** Largest message in either direction; default 4 MiB. */
  readonly maxMessageBytes?: number;
  /** Of all requests that are not whole yet; default eight messages of the largest size. */
  readonly maxHeldBytes?: number;
  /** Calls at once on one connection; default 1,024. */
  readonly maxStreams?: number;
  /** A connection without a call is closed after; default 300,000 milliseconds. */
  readonly idleTimeoutMs?: number;
  /** Default: asked after 30,000 milliseconds of silence, given up 10,000 later. Only while there are calls. */
  readonly keepAlive?: Http2KeepAliveOptions;
}

/**
 * A gRPC server on connections that somebody else has accepted
 * (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md). No compression, no binary metadata.
 */
export class GrpcServer {
  readonly clock: Clock;
  readonly maxMessageBytes: number;
  readonly idleTimeoutMs: number;
  readonly keepAlive: Http2KeepAliveOptions;
  readonly http2: Http2Options;
  readonly queue = new FlushQueue();
  readonly wheel: TimerWheel;
  readonly #methods: ReadonlyMap<string, GrpcServerMethod>;
  readonly #connections = new Set<ServerConnection>();
  readonly #maxHeldBytes: number;
  #heldBytes = 0;
  #closing = false;
  /** Set while closing. */
  #onEmpty: (() => void) | undefined;

  constructor(options: GrpcServerOptions) {
    this.clock = options.clock;
    this.maxMessageBytes = options.maxMessageBytes ?? DEFAULT_MAX_MESSAGE_BYTES;
    this.#maxHeldBytes = options.maxHeldBytes ?? 8 * this.maxMessageBytes;
    this.idleTimeoutMs = options.idleTimeoutMs ?? DEFAULT_IDLE_TIMEOUT_MS;
    this.keepAlive = options.keepAlive ?? DEFAULT_KEEP_ALIVE;
    this.http2 = {
      limits: { maxConcurrentStreams: options.maxStreams ?? DEFAULT_MAX_STREAMS },
      maxOutputBytes: OUTPUT_BYTES,
      encoderTableBytes: 0,
      enableConnectProtocol: false,
    };
    this.wheel = new TimerWheel(options.clock, TICK_MS);
    this.#methods = new Map(options.methods.map((method) => [method.path, method]));
  }

  /** Takes a connection; of TLS one whose handshake is over. The server owns it from here on. */
  serve(socket: Socket, peer: GrpcPeer): void {
    if (this.#closing || socket.destroyed) {
      socket.destroy();
      return;
    }
    socket.setNoDelay(true);
    this.#connections.add(new ServerConnection(this, socket, peer));
  }

  /**
   * Takes no more calls, lets those under way finish for `graceMs`, then cuts what is left. Resolves when all connections
   * are gone.
   */
  async close(graceMs: number): Promise<void> {
    this.#closing = true;
    for (const connection of this.#connections) connection.drain();
    const force = this.clock.setTimeout(() => {
      for (const connection of this.#connections) connection.destroy();
    }, graceMs);
    await new Promise<void>((resolve) => {
      this.#onEmpty = resolve;
      if (this.#connections.size === 0) resolve();
    });
    force[Symbol.dispose]();
    this.wheel[Symbol.dispose]();
  }

  // For its connections

  method(path: string): GrpcServerMethod | undefined {
    return this.#methods.get(path);
  }

  /** See {@link GrpcServerCallOwner.hold}. */
  hold(bytes: number): boolean {
    this.#heldBytes += bytes;
    return this.#heldBytes <= this.#maxHeldBytes;
  }

  onConnectionGone(connection: ServerConnection): void {
    this.#connections.delete(connection);
    if (this.#connections.size === 0) this.#onEmpty?.();
  }
}

/** One connection of a client. */
class ServerConnection implements Http2TransportOwner, GrpcServerCallOwner {
  readonly peer: GrpcPeer;
  readonly #server: GrpcServer;
  readonly #transport: Http2Transport;
  readonly #keepAlive: Http2KeepAlive;
  readonly #calls = new Map<number, ServerCall>();
  #lastUsedMs: number;

  constructor(server: GrpcServer, socket: Socket, peer: GrpcPeer) {
    this.#server = server;
    this.peer = peer;
    this.#keepAlive = new Http2KeepAlive(server.keepAlive);
    this.#transport = new Http2Transport("server", socket, this, server.queue, server.wheel, server.http2);
    this.#lastUsedMs = this.#transport.nowMs;
  }

  /** No more calls: the client is told, and the connection closes behind the last. */
  drain(): void {
    const { session } = this.#transport;
    if (!this.#transport.open) return;
    session.goAway(Http2ErrorCode.NO_ERROR, false);
    this.#transport.commit();
    if (this.#calls.size === 0) this.#transport.close();
  }

  destroy(): void {
    this.#transport.destroy();
  }

  // GrpcServerCallOwner

  get clock(): Clock {
    return this.#server.clock;
  }

  get maxMessageBytes(): number {
    return this.#server.maxMessageBytes;
  }

  hold(bytes: number): boolean {
    return this.#server.hold(bytes);
  }

  onCallDone(streamId: number): void {
    this.#calls.delete(streamId);
    if (this.#calls.size === 0) this.#lastUsedMs = this.#transport.nowMs;
  }

  // Http2TransportOwner

  onHeaders(streamId: number, head: Http2Head): void {
    const refused = statusOfNoCall(head);
    if (refused !== 0) {
      const { session } = this.#transport;
      session.submitHeaders(streamId, refused, NOTHING_ELSE, true);
      if (!head.endStream) this.#transport.linger(streamId);
      this.#transport.commit();
      return;
    }
    const call = new ServerCall(this, this.#transport, streamId, head.path, head.headers);
    this.#calls.set(streamId, call);
    call.open(this.#server.method(head.path));
    if (head.endStream) call.onRequestEnd();
  }

  onData(streamId: number, chunk: Buffer, start: number, end: number): void {
    const call = this.#calls.get(streamId);
    if (call === undefined) this.#transport.session.consume(streamId, end - start);
    else call.onData(chunk, start, end);
  }

  onTrailers(): void {
    // A client has nothing to say there.
  }

  onStreamEnd(streamId: number): void {
    this.#calls.get(streamId)?.onRequestEnd();
  }

  onReset(streamId: number): void {
    this.#calls.get(streamId)?.onGone();
    this.#transport.session.release(streamId);
  }

  onWritable(streamId: number): void {
    this.#calls.get(streamId)?.onWritable();
  }

  onGoAway(): void {
    // Calls under way go on; the client closes when it is done.
  }

  onSettings(): void {
    // The session keeps to them.
  }

  onPingAck(): void {
    this.#keepAlive.answered();
  }

  onStreamRefused(): void {
    // `onReset` follows.
  }

  onDrained(): void {
    this.#transport.close();
  }

  onConnectionError(): void {
    this.#endCalls();
  }

  onTick(nowMs: number): void {
    this.#keepAlive.tick(this.#transport, nowMs);
    if (this.#calls.size === 0 && nowMs - this.#lastUsedMs >= this.#server.idleTimeoutMs) this.drain();
  }

  onTransportClosed(): void {
    this.#endCalls();
    this.#server.onConnectionGone(this);
  }

  #endCalls(): void {
    for (const call of this.#calls.values()) call.onGone();
    this.#calls.clear();
  }
}

const NOTHING_ELSE: HeaderList = [];

/** HTTP status for a request that is no call of gRPC; 0 for one that is. */
function statusOfNoCall({ method, headers }: Http2Head): number {
  if (method !== "POST") return 405;
  return isGrpcContentType(getHeader(headers, "content-type") ?? "") ? 0 : 415;
}
