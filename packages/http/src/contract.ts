/**
 * Header fields as a flat list `[name, value, name, value, …]`, in order of arrival, names spelt as received. Names
 * are compared through `lowerName` (interned, cached). Cookie crumbs and repeated fields stay apart.
 */
export type HeaderList = string[];

/** How a message's body is delimited on the wire (RFC 9112 section 6.3). */
export type Framing = "none" | "length" | "chunked" | "until-close";

/** Head of a request, valid by RFC 9112: nothing here needs checking again. Must not be altered by the parser's user. */
export interface RequestHead {
  readonly method: string;
  /** Request target as received: origin, absolute, authority or asterisk form. */
  readonly target: string;
  /** 0 or 1: HTTP/1.0 or HTTP/1.1. */
  readonly minorVersion: 0 | 1;
  readonly headers: HeaderList;
  readonly framing: Framing;
  /** Bytes of the body; 0 with framing "none", -1 when not known before it ends. */
  readonly contentLength: number;
  /** Whether the sender lets the connection live after this exchange. False for CONNECT. */
  readonly keepAlive: boolean;
  /** `Expect: 100-continue` was sent. */
  readonly expectContinue: boolean;
  /** The `Upgrade` value when the request validly asks for one, else "". */
  readonly upgrade: string;
  /** Value of the one Host field ("" for HTTP/1.0 without one). With an absolute-form target, the target wins. */
  readonly host: string;
}

export interface ResponseHead {
  readonly status: number;
  readonly reason: string;
  readonly minorVersion: 0 | 1;
  readonly headers: HeaderList;
  readonly framing: Framing;
  readonly contentLength: number;
  readonly keepAlive: boolean;
}

export interface Http1Limits {
  /** Start line and header fields together; default 61,440 (Envoy's 60 KiB). */
  readonly maxHeadBytes: number;
  /** Default 100. */
  readonly maxHeaderCount: number;
  /** A chunk-size line with its extensions; default 256. */
  readonly maxChunkLineBytes: number;
  /** Interim (1xx) responses before the final one; default 5. */
  readonly maxInterimResponses: number;
}

/** Why a message was refused. `status` is what a server answers before closing. */
export interface Http1Error {
  readonly code: string;
  readonly status: 400 | 413 | 414 | 417 | 431 | 501 | 502 | 505;
  readonly message: string;
}

export interface Http1Handler<Head> {
  /**
   * A head arrived. For an interim response (1xx but 101) nothing else follows: the next event is the next `onHead`.
   * For every other message `onEnd` follows, without body bytes when `framing` is "none".
   */
  onHead(head: Head): void;
  /** `chunk.subarray(start, end)` are body bytes. **Borrowed**: copy or write them before returning. */
  onBody(chunk: Buffer, start: number, end: number): void;
  /** The message is complete. `trailers` is empty without trailer fields. */
  onEnd(trailers: HeaderList): void;
}

/**
 * Bytes in, events out. One per connection and direction; reused for every message on it.
 *
 * A request parser consumes nothing after a CONNECT request: such a connection becomes a tunnel or is closed. With
 * `head.upgrade` set, pause in `onEnd`: what follows is HTTP only when the answer is not 101.
 */
export interface Http1Parser {
  /**
   * Feeds bytes. Returns how many were consumed: all, unless `pause()` was called from a handler or the message
   * refused. What was not consumed must be fed again. Keeps no reference to `chunk`. To go on after `pause()`, call
   * it again, even without new bytes (`start === end`): the end of a message may be what was held back. Must not be
   * called from a handler.
   */
  execute(chunk: Buffer, start: number, end: number): number;
  /** From a handler: stop after this event (used between pipelined messages). */
  pause(): void;
  /** The peer ended its side. Completes a body delimited by close; otherwise `error` is set when in mid-message. */
  finish(): void;
  /** Set once a message was refused; the parser then takes nothing more. */
  readonly error: Http1Error | undefined;
  /** Whether no message is under way: no byte of one has arrived, and the last one was delivered in full. */
  readonly idle: boolean;
}

/**
 * A response parser must know what each response answers: HEAD and CONNECT change the framing. Bytes that answer no
 * request are refused (`HTTP_UNEXPECTED_RESPONSE`). After 101, or 2xx to CONNECT, it consumes nothing more: what
 * follows the head is no longer HTTP.
 */
export interface Http1ResponseParser extends Http1Parser {
  /**
   * Call before the response to a request is fed: `method` of the request. Throws when one is still awaited; "" awaits none
   * any more, for a request that was not sent after all.
   */
  expect(method: string): void;
}

/** Where encoders write: one growing buffer per connection, flushed by its owner once per event-loop turn. */
export interface ByteSink {
  /** ASCII or Latin-1 text, written as it is. */
  writeLatin1(text: string): void;
  /** A method, target or field name: every character but visible ASCII is written as `_`. */
  writeWord(text: string): void;
  /** A field value or reason: every control character, and one above U+00FF, is written as a space. */
  writeFieldText(text: string): void;
  writeBytes(chunk: Buffer, start: number, end: number): void;
}
