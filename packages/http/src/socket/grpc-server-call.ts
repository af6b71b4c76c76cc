import { MeshError, type Clock, type Timer } from "@tulle/base";

import type { HeaderList } from "../contract.js";
import { encodeGrpcMessage, GrpcFrameReader, type GrpcFrameError } from "../grpc-frames.js";
import { grpcStatusFields, GrpcStatus, grpcStatusOfKind, parseGrpcTimeout, trailersOnly } from "../grpc.js";
import { getHeader } from "../headers.js";
import { Http2ErrorCode } from "../http2/error-codes.js";
import { IncomingCredit } from "../http2/incoming-credit.js";
import { OutgoingBody } from "../http2/outgoing-body.js";
import type { Http2Transport } from "./http2-transport.js";

/** Who is at the other end of a connection. */
export interface GrpcPeer {
  /** `host:port`; "" for a client on a Unix socket. */
  readonly address: string;
  /** The client's certificate, DER, when the handshake has verified it. */
  readonly certificateDer: Uint8Array | undefined;
}

/** What is known of a call from its beginning. */
export interface GrpcCallInfo {
  /** `/<package>.<Service>/<Method>` */
  readonly path: string;
  /** Fields of the request, names in lower case. */
  readonly metadata: HeaderList;
  readonly peer: GrpcPeer;
}

/** A call from its server's side. `Response`: what `write` takes. */
export interface GrpcServerCall<Response> extends GrpcCallInfo {
  /** Bytes written that the client has not taken. */
  readonly waitingBytes: number;
  /**
   * Sends a message, or keeps it until the client takes it. False: stop until `onTaken` finds nothing waiting. A call that has more
   * than two messages of the largest size waiting is cut with RESOURCE_EXHAUSTED. Ignored when the call is over.
   */
  write(message: Response): boolean;
  /** Ends the call behind what was written, by default with OK. No event follows. */
  end(status?: number, message?: string): void;
  /** Resets the call and drops what waits; the client sees RESOURCE_EXHAUSTED. No event follows. */
  cut(): void;
  /** Lets the client send no more than what is on its way: one window. */
  pause(): void;
  resume(): void;
}

/** Takes a call's events, in the order `onMessage* onEnd?`; none follows once the handler has ended the call. */
export interface GrpcServerHandler<Request> {
  onMessage(message: Request): void;
  /** The client sends no more. It may still be answered, and must be ended. */
  onEnd(): void;
  /** The client has taken some of what waited. */
  onTaken(): void;
  /** Over without the handler's doing: the client cancelled or went away, its deadline passed, it broke a rule. Last event. */
  onGone(): void;
}

/** What answers the calls of one method, messages encoded. See `streamingMethod` and `unaryMethod`. */
export interface GrpcServerMethod {
  readonly path: string;
  /**
   * Set where a call is answered once its request is whole: what may come, bytes, for which the client has a quarter of a
   * minute. Default: messages of the largest size without end.
   */
  readonly maxRequestBytes?: number;
  /** A client calls. Undefined: the call has been ended at once. Messages are in memory of their own. */
  open(call: GrpcServerCall<Uint8Array>): GrpcServerHandler<Buffer> | undefined;
}

/** What a call needs of its connection. */
export interface GrpcServerCallOwner {
  readonly clock: Clock;
  readonly maxMessageBytes: number;
  readonly peer: GrpcPeer;
  /** Requests that are not whole take so many bytes more, or less. False: there is no room for them. */
  hold(bytes: number): boolean;
  onCallDone(streamId: number): void;
}

/** Of a deadline that a client may set. A longer one is none. */
const MAX_TIMEOUT_MS = 2_147_483_647;
/** A request that is answered once it is whole must be by then. */
const REQUEST_TIMEOUT_MS = 15_000;

/** A call on its stream. For `GrpcServer` only. */
export class ServerCall implements GrpcServerCall<Uint8Array> {
  readonly path: string;
  readonly metadata: HeaderList;
  readonly #owner: GrpcServerCallOwner;
  readonly #transport: Http2Transport;
  readonly #streamId: number;
  readonly #frames: GrpcFrameReader;
  readonly #body: OutgoingBody;
  readonly #credit: IncomingCredit;
  #handler: GrpcServerHandler<Buffer> | undefined;
  #deadline: Timer | undefined;
  #requestDeadline: Timer | undefined;
  #maxRequestBytes: number | undefined;
  #requestBytes = 0;
  /** Of requests that are not whole. */
  #heldBytes = 0;
  #headSent = false;
  /** No event goes to the handler any more. */
  #over = false;
  /** And it was not the handler that ended the call. */
  #failed = false;
  #requestDone = false;
  #released = false;

  constructor(
    owner: GrpcServerCallOwner,
    transport: Http2Transport,
    streamId: number,
    path: string,
    metadata: HeaderList,
  ) {
    this.#owner = owner;
    this.#transport = transport;
    this.#streamId = streamId;
    this.path = path;
    this.metadata = metadata;
    this.#frames = new GrpcFrameReader(owner.maxMessageBytes);
    this.#body = new OutgoingBody(transport.session);
    this.#body.start(streamId, false);
    this.#credit = new IncomingCredit(transport.session);
    this.#credit.start(streamId);
  }

  // GrpcServerCall

  get peer(): GrpcPeer {
    return this.#owner.peer;
  }

  get waitingBytes(): number {
    return this.#body.waitingBytes;
  }

  write(message: Uint8Array): boolean {
    if (this.#over) return true;
    const { maxMessageBytes } = this.#owner;
    if (message.length > maxMessageBytes) {
      this.#fail(
        GrpcStatus.RESOURCE_EXHAUSTED,
        `an answer of ${message.length} bytes is larger than the limit of ${maxMessageBytes}`,
      );
      return false;
    }
    if (this.waitingBytes > 2 * maxMessageBytes) {
      this.cut();
      this.#tellGone();
      return false;
    }
    this.#sendHead();
    const bytes = encodeGrpcMessage(message);
    const taken = this.#body.write(bytes, 0, bytes.length);
    this.#transport.commit();
    return taken;
  }

  end(status: number = GrpcStatus.OK, message = ""): void {
    if (this.#over) return;
    this.#stop();
    if (this.#headSent) this.#body.end(grpcStatusFields(status, message));
    else {
      this.#headSent = true;
      this.#body.ended = true;
      this.#transport.session.submitHeaders(this.#streamId, 200, trailersOnly(status, message), true);
    }
    this.#transport.commit();
    this.#releaseWhenEnded();
  }

  cut(): void {
    if (this.#released) return;
    this.#stop();
    this.#transport.session.reset(this.#streamId, Http2ErrorCode.ENHANCE_YOUR_CALM);
    this.#transport.commit();
    this.#release();
  }

  pause(): void {
    this.#credit.pause();
  }

  resume(): void {
    if (this.#credit.resume()) this.#transport.commit();
  }

  // For the connection

  /** `method` undefined: there is none by that name. */
  open(method: GrpcServerMethod | undefined): void {
    if (method === undefined) {
      this.end(GrpcStatus.UNIMPLEMENTED, `there is no method ${this.path}`);
      return;
    }
    const timeoutMs = parseGrpcTimeout(getHeader(this.metadata, "grpc-timeout") ?? "");
    if (timeoutMs > 0 && timeoutMs <= MAX_TIMEOUT_MS) {
      this.#deadline = this.#owner.clock.setTimeout(
        () => this.#fail(GrpcStatus.DEADLINE_EXCEEDED, `the call's ${timeoutMs} ms are over`),
        timeoutMs,
      );
    }
    this.#maxRequestBytes = method.maxRequestBytes;
    if (this.#maxRequestBytes !== undefined) {
      this.#requestDeadline = this.#owner.clock.setTimeout(
        () => this.#fail(GrpcStatus.DEADLINE_EXCEEDED, "the request is not whole"),
        REQUEST_TIMEOUT_MS,
      );
    }
    this.#guard(() => {
      const handler = method.open(this);
      this.#handler = handler;
      if (this.#failed) this.#tellGone();
    });
  }

  onData(chunk: Buffer, start: number, end: number): void {
    if (!this.#over) this.#read(chunk, start, end);
    this.#credit.passed(end - start);
  }

  onRequestEnd(): void {
    this.#requestDone = true;
    this.#hold(0);
    this.#requestDeadline?.[Symbol.dispose]();
    if (this.#over) return;
    if (this.#frames.complete) this.#tell((handler) => handler.onEnd());
    else this.#fail(GrpcStatus.INTERNAL, "the call's messages end in the middle of one");
  }

  onWritable(): void {
    const before = this.waitingBytes;
    this.#body.resume();
    this.#transport.commit();
    if (this.#over) this.#releaseWhenEnded();
    else if (this.waitingBytes < before) this.#tell((handler) => handler.onTaken());
  }

  /** The stream is gone, whoever ended it. */
  onGone(): void {
    const over = this.#over;
    this.#stop();
    if (!over) this.#tellGone();
    this.#release();
  }

  #read(chunk: Buffer, start: number, end: number): void {
    const frames = this.#frames;
    const max = this.#maxRequestBytes;
    this.#requestBytes += end - start;
    if (max !== undefined && this.#requestBytes > max) {
      this.#fail(GrpcStatus.RESOURCE_EXHAUSTED, `the request is larger than ${max} bytes`);
      return;
    }
    frames.execute(chunk, start, end, this.#onMessage);
    if (this.#over) return;
    const { error } = frames;
    if (error !== undefined) this.#fail(statusOf(error), error.message);
    else if (!this.#hold(max === undefined ? frames.heldBytes : this.#requestBytes))
      this.#fail(GrpcStatus.RESOURCE_EXHAUSTED, "too many requests are not whole; try again");
  }

  #hold(bytes: number): boolean {
    const more = bytes - this.#heldBytes;
    this.#heldBytes = bytes;
    return more === 0 || this.#owner.hold(more);
  }

  readonly #onMessage = (message: Buffer): void => {
    if (!this.#over) this.#tell((handler) => handler.onMessage(message));
  };

  #tell(event: (handler: GrpcServerHandler<Buffer>) => void): void {
    const handler = this.#handler;
    if (handler !== undefined) this.#guard(() => event(handler));
  }

  /** What a handler throws ends its own call only. */
  #guard(work: () => void): void {
    try {
      work();
    } catch (thrown) {
      const { kind, message } = MeshError.from(thrown);
      this.#fail(grpcStatusOfKind(kind), kind === "internal" ? "internal error" : message);
    }
  }

  /** Ends the call, which its handler learns. */
  #fail(status: number, message: string): void {
    if (this.#over) return;
    this.end(status, message);
    this.#tellGone();
  }

  /** One that is being opened learns it when there is a handler. */
  #tellGone(): void {
    this.#failed = true;
    const handler = this.#handler;
    if (handler !== undefined) this.#guard(() => handler.onGone());
  }

  #sendHead(): void {
    if (this.#headSent) return;
    this.#headSent = true;
    const headers = ["content-type", "application/grpc"];
    this.#transport.session.submitHeaders(this.#streamId, 200, headers, false);
  }

  #stop(): void {
    this.#over = true;
    this.#hold(0);
    this.#deadline?.[Symbol.dispose]();
    this.#requestDeadline?.[Symbol.dispose]();
  }

  #releaseWhenEnded(): void {
    if (!this.#body.ended) return;
    // A client that goes on sending is told that nobody reads on (RFC 9113 section 8.1).
    if (!this.#requestDone) this.#transport.linger(this.#streamId);
    this.#release();
  }

  #release(): void {
    if (this.#released) return;
    this.#released = true;
    this.#owner.onCallDone(this.#streamId);
  }
}

/** Compression was not agreed on: the server has none. */
function statusOf({ code, status }: GrpcFrameError): number {
  return code === "GRPC_COMPRESSED" ? GrpcStatus.UNIMPLEMENTED : status;
}
