import { MeshError, type Clock, type Timer } from "@tulle/base";

import type { HeaderList } from "../contract.js";
import { encodeGrpcMessage, GrpcFrameReader } from "../grpc-frames.js";
import {
  formatGrpcTimeout,
  GrpcStatus,
  grpcStatusOf,
  grpcStatusOfReset,
  isGrpcContentType,
  NO_GRPC_STATUS,
  readGrpcMessage,
  readGrpcStatus,
} from "../grpc.js";
import { getHeader, NO_FIELDS } from "../headers.js";
import type { Http2Head, Http2Refusal } from "../http2/contract.js";
import { Http2ErrorCode, http2ErrorName } from "../http2/error-codes.js";
import { IncomingCredit } from "../http2/incoming-credit.js";
import { OutgoingBody } from "../http2/outgoing-body.js";
import type { Http2Transport } from "./http2-transport.js";

/** One method. `xds`' service definitions have this shape. */
export interface GrpcMethod<Request, Response> {
  /** `/<package>.<Service>/<Method>` */
  readonly path: string;
  readonly requestSerialize: (request: Request) => Uint8Array;
  /** Gets memory of its own. What it throws ends the call with INTERNAL. */
  readonly responseDeserialize: (bytes: Uint8Array) => Response;
}

/** Takes a call's events, in the order `onMessage* onEnd`. It may call any method of the call and the client. */
export interface GrpcCallHandler<Response> {
  onMessage(message: Response): void;
  /** A call whose `write` returned false takes more. */
  onWritable(): void;
  /** Over, whoever ended it: `status` is gRPC's code (0 = OK). Not called after `cancel()`. */
  onEnd(status: number, message: string): void;
}

export interface GrpcCallOptions {
  /** Header fields to send beside gRPC's own, ASCII; names in lower case. */
  readonly metadata?: HeaderList;
  /** The call ends with DEADLINE_EXCEEDED after so long, connecting included; milliseconds, default never. */
  readonly timeoutMs?: number;
}

/** One call under way, of any kind: unary, or streaming in either direction. */
export interface GrpcCall<Request> {
  /**
   * Sends a message, or keeps it until the server takes it. False: stop until `onWritable`. A call that has more than
   * two messages of the largest size waiting ends with RESOURCE_EXHAUSTED. Ignored after `end()` and when the call is over.
   */
  write(message: Request): boolean;
  /** No message follows. Answers still come. */
  end(): void;
  /** Ends the call at once; no event follows. */
  cancel(): void;
  /** Lets the server send no more than what is on its way: one window. */
  pause(): void;
  resume(): void;
}

/** What a call needs of its client. */
export interface GrpcCallOwner {
  readonly clock: Clock;
  readonly scheme: "http" | "https";
  readonly authority: string;
  readonly userAgent: string;
  readonly maxMessageBytes: number;
  onCallOpened(call: ClientCall<never, unknown>, streamId: number): void;
  onCallDone(call: ClientCall<never, unknown>, streamId: number): void;
}

/** Of what a server wrote for people. */
const MAX_STATUS_TEXT = 1024;
/** A call on its stream, or waiting for the connection. For `GrpcClient` only. */
export class ClientCall<Request, Response> implements GrpcCall<Request> {
  readonly #owner: GrpcCallOwner;
  readonly #method: GrpcMethod<Request, Response>;
  readonly #handler: GrpcCallHandler<Response>;
  readonly #metadata: HeaderList;
  readonly #frames: GrpcFrameReader;
  readonly #deadlineMs: number;
  readonly #timer: Timer | undefined;
  #transport: Http2Transport | undefined;
  #body: OutgoingBody | undefined;
  #credit: IncomingCredit | undefined;
  #streamId = 0;
  /** Messages written before the connection was there, framed. */
  #early: Buffer[] = [];
  #earlyBytes = 0;
  #halfClosed = false;
  #paused = false;
  /** Where the status is: trailers, or the head of an answer without anything else. */
  #statusFields = NO_FIELDS;
  #over = false;

  constructor(
    owner: GrpcCallOwner,
    method: GrpcMethod<Request, Response>,
    handler: GrpcCallHandler<Response>,
    { metadata = NO_FIELDS, timeoutMs }: GrpcCallOptions,
  ) {
    this.#owner = owner;
    this.#method = method;
    this.#handler = handler;
    this.#metadata = metadata;
    this.#frames = new GrpcFrameReader(owner.maxMessageBytes);
    const { clock } = owner;
    this.#deadlineMs = timeoutMs === undefined ? Infinity : clock.monotonic() + timeoutMs;
    if (timeoutMs !== undefined) {
      this.#timer = clock.setTimeout(() => {
        this.fail(GrpcStatus.DEADLINE_EXCEEDED, `no answer within ${Math.round(timeoutMs)} ms`);
      }, timeoutMs);
    }
  }

  // GrpcCall

  write(message: Request): boolean {
    if (this.#over || this.#halfClosed) return true;
    const encoded = this.#method.requestSerialize(message);
    const { maxMessageBytes } = this.#owner;
    if (encoded.length > maxMessageBytes) {
      const why = `a message of ${encoded.length} bytes is larger than the limit of ${maxMessageBytes}`;
      return this.#giveUp(why);
    }
    const waiting = this.#earlyBytes + (this.#body?.waitingBytes ?? 0);
    if (waiting > 2 * maxMessageBytes)
      return this.#giveUp(`the server does not take what is sent: ${waiting} bytes wait`);
    const bytes = encodeGrpcMessage(encoded);
    if (this.#body === undefined) {
      this.#early.push(bytes);
      this.#earlyBytes += bytes.length;
      return false;
    }
    const taken = this.#body.write(bytes, 0, bytes.length);
    this.#transport?.commit();
    return taken;
  }

  end(): void {
    if (this.#over || this.#halfClosed) return;
    this.#halfClosed = true;
    this.#body?.end(NO_FIELDS);
    this.#transport?.commit();
  }

  cancel(): void {
    this.#finish();
  }

  pause(): void {
    this.#paused = true;
    this.#credit?.pause();
  }

  resume(): void {
    this.#paused = false;
    if (this.#credit?.resume() === true) this.#transport?.commit();
  }

  // For the client

  /** The connection is there. */
  open(transport: Http2Transport): void {
    if (this.#over) return;
    const { scheme, authority, userAgent, clock } = this.#owner;
    const { path } = this.#method;
    const headers = ["te", "trailers", "content-type", "application/grpc", "user-agent", userAgent];
    if (this.#deadlineMs !== Infinity)
      headers.push("grpc-timeout", formatGrpcTimeout(this.#deadlineMs - clock.monotonic()));
    for (const text of this.#metadata) headers.push(text);
    const { session } = transport;
    const request = { method: "POST", scheme, authority, path, protocol: "", headers };
    const streamId = session.submitRequest(request, false);
    if (streamId === 0) {
      this.#failSoon(GrpcStatus.UNAVAILABLE, "the server takes no more calls on this connection");
      return;
    }
    this.#transport = transport;
    this.#streamId = streamId;
    this.#owner.onCallOpened(this, streamId);
    const body = new OutgoingBody(session);
    this.#body = body;
    body.start(streamId, false);
    this.#credit = new IncomingCredit(session);
    this.#credit.start(streamId);
    if (this.#paused) this.#credit.pause();
    for (const bytes of this.#early) body.write(bytes, 0, bytes.length);
    const taken = this.#early.length > 0 && body.waitingBytes === 0;
    this.#early = [];
    this.#earlyBytes = 0;
    if (this.#halfClosed) body.end(NO_FIELDS);
    transport.commit();
    if (taken && !this.#halfClosed) this.#handler.onWritable();
  }

  onHead(head: Http2Head): void {
    const { status, headers, endStream } = head;
    if (status < 200) return;
    if (endStream) {
      this.#statusFields = headers;
      if (status !== 200 && readGrpcStatus(headers) === NO_GRPC_STATUS) this.#refuseAnswer(status);
    } else if (status !== 200) {
      this.#refuseAnswer(status);
    } else if (!isGrpcContentType(getHeader(headers, "content-type") ?? "")) {
      const type = getHeader(headers, "content-type") ?? "";
      this.fail(GrpcStatus.UNKNOWN, `the server's answer is ${type.slice(0, 80) || "of no type"}, not gRPC`);
    }
  }

  onData(chunk: Buffer, start: number, end: number): void {
    this.#frames.execute(chunk, start, end, this.#onMessage);
    if (this.#over) return;
    const { error } = this.#frames;
    if (error === undefined) this.#credit?.passed(end - start);
    else this.fail(error.status, error.message);
  }

  onTrailers(trailers: HeaderList): void {
    this.#statusFields = trailers;
  }

  onStreamEnd(): void {
    const status = readGrpcStatus(this.#statusFields);
    if (status === NO_GRPC_STATUS)
      this.fail(GrpcStatus.UNKNOWN, "the server ended the call without a status");
    else if (status === GrpcStatus.OK && !this.#frames.complete)
      this.fail(GrpcStatus.INTERNAL, "the server ended the call in the middle of a message");
    else this.fail(status, readGrpcMessage(this.#statusFields).slice(0, MAX_STATUS_TEXT));
  }

  onReset(code: number, refusal: Http2Refusal | undefined): void {
    if (refusal !== undefined) this.fail(GrpcStatus.INTERNAL, refusal.message);
    else this.fail(grpcStatusOfReset(code), `the server reset the call: ${http2ErrorName(code)}`);
  }

  onWritable(): void {
    const done = this.#body?.resume() === true;
    this.#transport?.commit();
    if (done && !this.#halfClosed) this.#handler.onWritable();
  }

  /** Ends the call with a status. Nothing happens when it is over. */
  fail(status: number, message: string): void {
    if (this.#finish()) this.#handler.onEnd(status, message);
  }

  readonly #onMessage = (bytes: Buffer): void => {
    if (this.#over) return;
    let message: Response;
    try {
      message = this.#method.responseDeserialize(bytes);
    } catch (thrown) {
      const { message: why } = MeshError.from(thrown);
      this.fail(GrpcStatus.INTERNAL, `a message of the server cannot be decoded: ${why}`);
      return;
    }
    this.#handler.onMessage(message);
  };

  #refuseAnswer(status: number): void {
    this.fail(grpcStatusOf(status), `the server answered with HTTP status ${status} instead of gRPC`);
  }

  /** A message cannot be sent, so none after it may be. */
  #giveUp(why: string): false {
    this.#halfClosed = true;
    this.#failSoon(GrpcStatus.RESOURCE_EXHAUSTED, why);
    return false;
  }

  /** Whoever called is in the middle of something: it learns of the end in the next turn. */
  #failSoon(status: number, message: string): void {
    setImmediate(() => this.fail(status, message));
  }

  #finish(): boolean {
    if (this.#over) return false;
    this.#over = true;
    this.#timer?.[Symbol.dispose]();
    this.#early = [];
    this.#owner.onCallDone(this, this.#streamId);
    // Ignored for a stream that has ended both ways.
    this.#transport?.session.reset(this.#streamId, Http2ErrorCode.CANCEL);
    this.#transport?.commit();
    return true;
  }
}
