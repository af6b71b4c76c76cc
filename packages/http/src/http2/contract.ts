import type { HeaderList } from "../contract.js";

/**
 * A head as it arrived: a request on a server session, a response on a client session. Valid by RFC 9113 section 8,
 * nothing here needs checking again. Every head has the same shape; fields of the other kind are "" or 0.
 */
export interface Http2Head {
  /** "" for a response. */
  readonly method: string;
  /** "http", "https", or "" (responses, CONNECT without `protocol`). */
  readonly scheme: string;
  /** Of `:authority`, else of `host`; `host` itself is not among `headers`, unless `hostField` was asked for. */
  readonly authority: string;
  /** Path and query, or "*" of OPTIONS; "" for CONNECT without `protocol`. */
  readonly path: string;
  /** `:protocol` of an extended CONNECT (RFC 8441): "websocket", ... Otherwise "". One that `isCarriedUpgrade`. */
  readonly protocol: string;
  /** 100 to 599 (never 101); 0 for a request. */
  readonly status: number;
  /** Regular fields, names lower-case and interned. Cookie crumbs are joined. A fresh list: the receiver owns it. */
  readonly headers: HeaderList;
  /** Value of content-length, -1 without. The session itself enforces it against DATA. */
  readonly contentLength: number;
  /** No DATA and no trailers follow. */
  readonly endStream: boolean;
}

/** What a request says beside its fields. An `Http2Head` of a request can be passed as it is. */
export interface Http2Request {
  readonly method: string;
  readonly scheme: string;
  readonly authority: string;
  readonly path: string;
  /** Extended CONNECT when not "". */
  readonly protocol: string;
  /**
   * Names in any case, sent in lower case. Fields of one connection (`connection`, `transfer-encoding`, `upgrade`, ...),
   * `host` and pseudo fields among them are left out; `te` is sent only as `trailers`.
   */
  readonly headers: HeaderList;
}

/** Why a stream or the connection was refused. `code` names the rule or the limit; for counters and logs. */
export interface Http2Refusal {
  /** Stable, for example `HTTP2_TOO_MANY_CONTINUATIONS`. */
  readonly code: string;
  /** What goes into RST_STREAM or GOAWAY (RFC 9113 section 7). */
  readonly errorCode: number;
  readonly message: string;
}

/** What the peer announced, completed with the defaults of RFC 9113 section 6.5.2. */
export interface Http2PeerSettings {
  readonly headerTableBytes: number;
  /** Infinity when not announced. */
  readonly maxConcurrentStreams: number;
  readonly initialWindowBytes: number;
  readonly maxFrameBytes: number;
  /** Infinity when not announced. Advice only. */
  readonly maxHeaderListBytes: number;
  readonly enableConnectProtocol: boolean;
}

/**
 * Takes a session's events. All but `onDrained`, `onWritable` (also from `flushed`), and `onReset` (also from `tick`) happen
 * within `execute`. A handler may call any method of the session but `execute` and `tick`.
 *
 * Order on one stream: `onHeaders+ onData* onTrailers? onStreamEnd`; `onReset` instead of the rest, or after
 * `onStreamEnd` while this side has not ended yet.
 */
export interface Http2Handler {
  /** A request, or a response. For status 1xx the next event of the stream is another `onHeaders`. */
  onHeaders(streamId: number, head: Http2Head): void;
  /**
   * `chunk.subarray(start, end)` is **borrowed**: copy or write it before returning. Call `consume` once the bytes have
   * gone on, now or later: without it the peer's windows stay shut.
   */
  onData(streamId: number, chunk: Buffer, start: number, end: number): void;
  /** Trailer fields; `onStreamEnd` follows at once. */
  onTrailers(streamId: number, trailers: HeaderList): void;
  /** The peer ended its side. */
  onStreamEnd(streamId: number): void;
  /**
   * The stream is gone: the peer reset it (`refusal` undefined), it broke a rule (`refusal` says which), or the peer's
   * GOAWAY leaves it unprocessed (`code` REFUSED_STREAM: safe to try elsewhere). Not called after `reset()`.
   *
   * On a server session the stream keeps its place in `maxConcurrentStreams` until `release(streamId)`: call it when the
   * work for it has really ended, at once if it has (CVE-2023-44487, CVE-2025-8671).
   */
  onReset(streamId: number, code: number, refusal: Http2Refusal | undefined): void;
  /** A stream whose `submitData` took less than offered may offer again. */
  onWritable(streamId: number): void;
  /** The peer processes no stream above `lastStreamId`. `onReset` for each of those follows. */
  onGoAway(lastStreamId: number, code: number): void;
  /** The peer's settings were applied. */
  onSettings(settings: Http2PeerSettings): void;
  /** The answer to `ping()`. */
  onPingAck(): void;
  /** For counters and logs: a stream was refused, whether the application knew it or not. Before its `onReset`. */
  onStreamRefused(streamId: number, refusal: Http2Refusal): void;
  /** Draining is complete: the last stream has ended, flush and close. Called at most once, not after an error. */
  onDrained(): void;
  /**
   * The peer broke a rule of the connection. GOAWAY was written: flush, then close. No other event follows, for no
   * stream.
   */
  onConnectionError(code: number, refusal: Http2Refusal): void;
}

/**
 * One HTTP/2 connection (RFC 9113): bytes in, events and bytes out. No sockets, no timers, no clock: `nowMs` is any
 * clock that never goes back.
 *
 * Output is appended to the sink given at creation, which must be flushed once per event-loop turn whenever its `length`
 * is not 0: after creation (preface, SETTINGS), after `execute`, and after every call below. Tell `flushed`.
 */
export interface Http2Session {
  /**
   * Feeds bytes. Returns how many were consumed: all, unless a server session got `requestsPerTurn` requests or
   * `framesPerTurn` frames in one call (stop reading, keep the rest and feed it in the next turn, before any newer bytes) or the connection failed. Keeps no reference to
   * `chunk`. Not from a handler.
   */
  execute(chunk: Buffer, start: number, end: number, nowMs: number): number;
  /** Once a second or so: enforces the time limits (preface, header block, SETTINGS acknowledgement, stalled streams). */
  tick(nowMs: number): void;
  /**
   * The sink was flushed, or the socket drained: `backlogBytes` is what the socket still holds (`writableLength`). Must
   * be called: counts of pending frames end here, and streams that waited for room in the output go on.
   */
  flushed(backlogBytes: number): void;

  /**
   * Opens a stream. Returns its id, or 0 when none may be opened now: the peer's stream limit, GOAWAY either way, ids used
   * up, a failed connection, or an extended CONNECT that the peer did not announce. Client sessions only.
   */
  submitRequest(request: Http2Request, endStream: boolean): number;
  /**
   * A response head, interim (1xx, `endStream` false) or final. False when the stream is gone. `headers` as in
   * `Http2Request`. Server sessions only.
   */
  submitHeaders(streamId: number, status: number, headers: HeaderList, endStream: boolean): boolean;
  /**
   * Offers body bytes, copied into the sink. Returns how many were taken: what the peer's windows and `maxOutputBytes` allow.
   * The rest is offered again in `onWritable`. END_STREAM goes with the last byte (with an empty range: at once). A
   * stream that is gone takes everything.
   */
  submitData(streamId: number, chunk: Buffer, start: number, end: number, endStream: boolean): number;
  /** Ends this side with trailer fields; without any it is an empty DATA. All body bytes must have been taken. */
  submitTrailers(streamId: number, trailers: HeaderList): boolean;
  /** Ends the stream at once, both ways. Ignored when it is gone. */
  reset(streamId: number, code: number): void;
  /**
   * The response has been submitted to its end, and the request will not be read to its own: ends the stream with NO_ERROR when
   * about a second has passed, or its window is used up, and the request has not ended. Until then the peer's errors on it
   * are still errors; no `onData` follows. Ignored when it is gone. Server sessions only.
   */
  linger(streamId: number, nowMs: number): void;
  /** See `Http2Handler.onReset`. Ignored when there is nothing to release. */
  release(streamId: number): void;
  /** The application is done with `bytes` that `onData` gave. Credited to the peer in batches of half a window. */
  consume(streamId: number, bytes: number): void;
  /** Sends a PING. False when one is unanswered already. */
  ping(): boolean;
  /**
   * No more streams from the peer. `graceful` on a server: announces it first (RFC 9113 section 6.8), and refuses new streams
   * one round trip later, or at the next call with `graceful` false. Streams under way go on; see `drain`.
   */
  goAway(code: number, graceful: boolean): void;

  /** `draining`: no new streams, by GOAWAY of either side or used-up ids. `drained`: and none is left; close. */
  readonly drain: "open" | "draining" | "drained";
  /** Set once the connection failed. */
  readonly error: Http2Refusal | undefined;
  readonly openStreams: number;
  /** How many requests may be opened now; 0 on a server session. */
  readonly availableStreams: number;
  /** Streams that wait for a window of the peer with bytes on offer. */
  readonly stalledStreams: number;
  /** Bytes in the sink and in the socket as far as known. */
  readonly pendingOutputBytes: number;
  readonly peerSettings: Http2PeerSettings;
}

/** What a session refuses beyond. Every count is per connection unless it says otherwise. */
export interface Http2Limits {
  /** Streams that the peer may have open, those included that are reset but not released; default 1024 (ingress: 100). */
  readonly maxConcurrentStreams: number;
  /** Decoded fields of one head, each +32 bytes, and encoded bytes; default 61,440 (Envoy's 60 KiB). Answered with 431. */
  readonly maxHeaderListBytes: number;
  /** Fields of one head or trailer section; default 100. Answered with 431. */
  readonly maxHeaderCount: number;
  /** Cookie fields of one head, counted apart; default 200. */
  readonly maxCookieCrumbs: number;
  /** One field, name and value; default 32,768. */
  readonly maxFieldBytes: number;
  /** CONTINUATION frames of one block; default 16. */
  readonly maxContinuationFrames: number;
  /** Empty DATA, HEADERS and CONTINUATION in a row that end nothing; default 1. */
  readonly maxEmptyFrames: number;
  /** Settings in one frame; default 32 (CVE-2020-11080). */
  readonly maxSettingsEntries: number;
  /** Interim responses of one stream; default 5. */
  readonly maxInterimResponses: number;
  /** PING, SETTINGS and RST_STREAM frames written that the socket has not taken; default 1000. */
  readonly maxPendingControlFrames: number;
  /** Frames of every type written that the socket has not taken; default 10,000. */
  readonly maxPendingFrames: number;
  /** PING and SETTINGS received in a second, beyond one for each DATA or HEADERS frame either way; default 1000. */
  readonly maxControlFramesPerSecond: number;
  /** PRIORITY and unknown frames: this many for every stream opened, plus one share; default 100. */
  readonly maxPriorityFramesPerStream: number;
  /** WINDOW_UPDATE frames: `5 + 2 * (streams + this * DATA frames sent)`; default 10. */
  readonly maxWindowUpdatesPerDataFrame: number;
  /** Resets in a second (the peer's, and ours for its errors) that count as a flood when above half of the streams; default 200. */
  readonly maxResetsPerSecond: number;
  /** Server: requests taken from one `execute` before it returns; default 16. */
  readonly requestsPerTurn: number;
  /** Server: frames of any type taken from one `execute` before it returns; default 512. */
  readonly framesPerTurn: number;
  /** Until the peer's preface and SETTINGS have arrived; default 10,000. */
  readonly prefaceTimeoutMs: number;
  /** For one header block, or one frame other than DATA; default 10,000. */
  readonly headerTimeoutMs: number;
  /** Until the peer acknowledges our SETTINGS; default 10,000. */
  readonly settingsTimeoutMs: number;
  /** A stream with bytes on offer that the peer's windows hold up is reset, unless it is a tunnel; default 60,000. */
  readonly stallTimeoutMs: number;
}

/** Options of a session. Bulk between sidecars: `streamWindowBytes: 262_144, connectionWindowBytes: 4_194_304`. */
export interface Http2Options {
  readonly limits?: Partial<Http2Limits>;
  /** Dynamic table of the decoder, announced; default 4096. Envoy: `hpack_table_size`. */
  readonly headerTableBytes?: number;
  /** Most that the encoder's dynamic table takes of what the peer offers; default 4096. */
  readonly encoderTableBytes?: number;
  /** Receive window of a stream, 65,535 to 2^31-1; default 65,536. Envoy: `initial_stream_window_size`. */
  readonly streamWindowBytes?: number;
  /** Receive window of the connection, 65,535 to 2^31-1; default 1,048,576. Envoy: `initial_connection_window_size`. */
  readonly connectionWindowBytes?: number;
  /** Largest frame that is accepted, announced; 16,384 (default) to 2^24-1. */
  readonly maxFrameBytes?: number;
  /** `submitData` takes nothing while so much waits in the sink and the socket; default 65,536. Streams go on below half. */
  readonly maxOutputBytes?: number;
  /** Server: announce extended CONNECT and accept it; default true. Envoy: `allow_connect`. */
  readonly enableConnectProtocol?: boolean;
  /** Server: `host` with the authority comes first among a request's fields, as HTTP/1.1 has it; default false. */
  readonly hostField?: boolean;
}
