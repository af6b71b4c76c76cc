import { DEFAULT_HTTP1_LIMITS, DEFAULT_HTTP2_LIMITS } from "@tulle/http";

/** One limit, as `--limit NAME=VALUE` names it. */
export interface LimitDefinition {
  readonly unit: "bytes" | "ms" | "count" | "percent";
  readonly default: number;
  /** For clients that show no certificate on the inbound listener, where that differs. */
  readonly stranger?: number;
  readonly min: number;
  readonly max: number;
  /** What it bounds. */
  readonly bounds: string;
  /** What happens when it is reached. */
  readonly effect: string;
  /** Codes of the refusals that mean it was reached. */
  readonly codes?: readonly string[];
  /** Reached in the normal course of things: counted, not logged. */
  readonly quiet?: true;
}

const KIB = 1024;
const MIB = 1024 * KIB;
const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;
const MAX_WINDOW = 0x7fff_ffff;

const h1 = DEFAULT_HTTP1_LIMITS;
const h2 = DEFAULT_HTTP2_LIMITS;

/** A limit with its default, its bounds and its words. */
function limit(
  unit: LimitDefinition["unit"],
  [min, standard, max]: readonly [min: number, standard: number, max: number],
  bounds: string,
  effect: string,
  more: Partial<LimitDefinition> = {},
): LimitDefinition {
  return { unit, default: standard, min, max, bounds, effect, ...more };
}

/**
 * Every limit of a sidecar towards its peers: the one source of names, defaults, bounds and words. What HTTP/1.1 lets in
 * must pass the next hop, with the fields that sidecars add and the 32 bytes that HTTP/2 counts for each: so HTTP/2's are
 * larger.
 */
export const LIMITS = {
  "listener.maxConnections": limit(
    "count",
    [1, 10_000, 1_000_000],
    "connections that one listener holds",
    "more are closed as they come",
  ),
  "listener.handshakeTimeoutMs": limit(
    "ms",
    [100, 10_000, 10 * MINUTE_MS],
    "time to the first byte and the end of the TLS handshake, inbound",
    "the connection is closed",
  ),
  "connection.headerTimeoutMs": limit(
    "ms",
    [100, 10_000, 10 * MINUTE_MS],
    "time from a request's first byte to the end of its head, HTTP/1",
    "408, and the connection is closed",
  ),
  "connection.idleTimeoutMs": limit(
    "ms",
    [100, 3_600_000, 7 * DAY_MS],
    "time without a request",
    "the connection is closed; HTTP/2: GOAWAY first",
    { quiet: true },
  ),
  "connection.maxDurationMs": limit(
    "ms",
    [0, 0, 7 * DAY_MS],
    "age of a client's connection; 0 = any",
    "it takes no further request: `Connection: close`, or GOAWAY",
    { quiet: true },
  ),
  "connection.delayedCloseMs": limit(
    "ms",
    [0, 1000, MINUTE_MS],
    "time that a closing HTTP/1 connection still reads, so that its client gets the last response",
    "the connection is closed",
    { quiet: true },
  ),
  "connection.maxBufferedBytes": limit(
    "bytes",
    [4 * KIB, 64 * KIB, 16 * MIB],
    "response bytes that one client has not taken",
    "reading from the application stops until it takes them",
    { quiet: true },
  ),
  "request.maxParked": limit(
    "count",
    [1, 1000, 1_000_000],
    "requests and connections that wait for configuration",
    "503 at once",
  ),
  "request.parkTimeoutMs": limit(
    "ms",
    [10, 5000, 10 * MINUTE_MS],
    "time that one waits for configuration",
    "503 or 404 that says why",
    { quiet: true },
  ),
  "request.maxReplayBytes": limit(
    "bytes",
    [0, 64 * KIB, 64 * MIB],
    "request body that is kept for another try",
    "the request is not tried again",
    { quiet: true },
  ),
  "request.maxAsking": limit(
    "count",
    [1, 1000, 1_000_000],
    "requests of which another service is asked first (authorization, global rate limits)",
    "the service is not asked, as if it could not be reached",
  ),
  "overload.lagShedMs": limit(
    "ms",
    [1, 1000, MINUTE_MS],
    "how late this thread comes to its work",
    "what comes later in a turn of the event loop is refused with 503; when timers are so late, a part of all new requests, the larger the later",
  ),
  "overload.lagSaturatedMs": limit("ms", [5, 5000, MINUTE_MS], "the same", "all new requests are refused"),
  "overload.reduceTimeoutsPercent": limit(
    "percent",
    [1, 80, 1000],
    "how full this thread's heap, or the memory of the container, is",
    "idle timeouts of clients' connections and requests are shortened, the more the fuller; to their least at the …ShedPercent",
    { quiet: true },
  ),
  "overload.leastTimeoutPercent": limit(
    "percent",
    [1, 10, 100],
    "what is left then of an idle timeout",
    "who has been idle for so long is let go",
    { quiet: true },
  ),
  "overload.resetStreamBytes": limit(
    "bytes",
    [0, 64 * KIB, 256 * MIB],
    "what one request and its response hold while heap or memory is beyond its …ShedPercent; 0 = any",
    "those that hold the most are ended: 503, or a reset where the answer has begun",
  ),
  "overload.heapShedPercent": limit(
    "percent",
    [1, 92, 1000],
    "how full this thread's heap is",
    "a part of the new requests is refused with 503, the larger the fuller; from halfway on connections are closed after their exchange",
  ),
  "overload.heapSaturatedPercent": limit(
    "percent",
    [1, 98, 1000],
    "the same",
    "all new requests are refused, and new connections are closed as they come",
  ),
  "overload.memoryShedPercent": limit(
    "percent",
    [1, 90, 1000],
    "memory of the process, of what its container may have",
    "as overload.heapShedPercent",
  ),
  "overload.memorySaturatedPercent": limit(
    "percent",
    [1, 97, 1000],
    "the same",
    "as overload.heapSaturatedPercent",
  ),
  "http1.maxHeadBytes": limit(
    "bytes",
    [KIB, h1.maxHeadBytes, 8 * MIB],
    "start line and fields of a request, trailers included",
    "431, or 414 for the request line; the connection is closed",
    { codes: ["HTTP_HEAD_TOO_LARGE", "HTTP_TARGET_TOO_LONG"] },
  ),
  "http1.maxResponseHeadBytes": limit(
    "bytes",
    [KIB, 80 * KIB, 8 * MIB],
    "the same of a response",
    "502; the application's connection is closed",
  ),
  "http1.maxHeaderCount": limit(
    "count",
    [1, h1.maxHeaderCount, 10_000],
    "fields of a head, and of its trailers",
    "431, or 502 for a response; the connection is closed",
    { codes: ["HTTP_TOO_MANY_FIELDS"] },
  ),
  "http1.maxChunkLineBytes": limit(
    "bytes",
    [16, h1.maxChunkLineBytes, 16 * KIB],
    "a chunk's size with its extensions",
    "400, or 502 for a response; the connection is closed",
    { codes: ["HTTP_CHUNK_LINE_TOO_LONG"] },
  ),
  "http1.maxInterimResponses": limit(
    "count",
    [0, h1.maxInterimResponses, 1000],
    "interim responses (1xx) to one request",
    "502; the application's connection is closed",
    { codes: ["HTTP_TOO_MANY_INTERIM"] },
  ),
  "http1.requestsPerTurn": limit(
    "count",
    [1, 16, 10_000],
    "pipelined requests taken at once",
    "other connections get their turn first",
    { quiet: true },
  ),
  "http2.maxConcurrentStreams": limit(
    "count",
    [1, h2.maxConcurrentStreams, 100_000],
    "streams at once, those that are still worked for included",
    "RST_STREAM REFUSED_STREAM",
    { stranger: 100, codes: ["HTTP2_TOO_MANY_STREAMS"] },
  ),
  "http2.maxHeaderListBytes": limit(
    "bytes",
    [KIB, 80 * KIB, 8 * MIB],
    "decoded fields of a head, 32 bytes more for each",
    "431, or RST_STREAM for a response; four times as much: GOAWAY",
    {
      stranger: h2.maxHeaderListBytes,
      codes: ["HTTP2_HEADER_LIST_TOO_LARGE", "HTTP2_HEADER_BLOCK_TOO_LARGE"],
    },
  ),
  "http2.maxHeaderCount": limit(
    "count",
    [1, 128, 10_000],
    "fields of a head, cookies apart",
    "431, or RST_STREAM for a response",
    { stranger: h2.maxHeaderCount, codes: ["HTTP2_TOO_MANY_FIELDS"] },
  ),
  "http2.maxCookieCrumbs": limit(
    "count",
    [1, h2.maxCookieCrumbs, 10_000],
    "cookie fields of a head",
    "as http2.maxHeaderCount",
  ),
  "http2.maxFieldBytes": limit(
    "bytes",
    [KIB, 60 * KIB, 8 * MIB],
    "name and value of one field",
    "as http2.maxHeaderListBytes",
    { stranger: h2.maxFieldBytes },
  ),
  "http2.maxContinuationFrames": limit(
    "count",
    [0, h2.maxContinuationFrames, 1000],
    "CONTINUATION frames of one head",
    "GOAWAY",
    { codes: ["HTTP2_TOO_MANY_CONTINUATIONS"] },
  ),
  "http2.maxEmptyFrames": limit(
    "count",
    [0, h2.maxEmptyFrames, 1000],
    "frames in a row that carry nothing and end nothing",
    "GOAWAY",
    { codes: ["HTTP2_EMPTY_FRAMES"] },
  ),
  "http2.maxSettingsEntries": limit(
    "count",
    [1, h2.maxSettingsEntries, 2730],
    "settings in one frame",
    "GOAWAY",
    { codes: ["HTTP2_TOO_MANY_SETTINGS"] },
  ),
  "http2.maxInterimResponses": limit(
    "count",
    [0, h2.maxInterimResponses, 1000],
    "interim responses (1xx) on one stream",
    "RST_STREAM; 502 for the client",
    { codes: ["HTTP2_TOO_MANY_INTERIM"] },
  ),
  "http2.maxPendingControlFrames": limit(
    "count",
    [10, h2.maxPendingControlFrames, 100_000],
    "PING, SETTINGS and RST_STREAM that the peer has not taken",
    "GOAWAY",
    { codes: ["HTTP2_PENDING_CONTROL_FRAMES"] },
  ),
  "http2.maxPendingFrames": limit(
    "count",
    [10, h2.maxPendingFrames, 1_000_000],
    "frames of any type that the peer has not taken",
    "GOAWAY",
    { codes: ["HTTP2_PENDING_FRAMES"] },
  ),
  "http2.maxControlFramesPerSecond": limit(
    "count",
    [1, h2.maxControlFramesPerSecond, 1_000_000],
    "PING, SETTINGS and GOAWAY in a second, beyond one for each DATA or HEADERS",
    "GOAWAY",
    { codes: ["HTTP2_CONTROL_FLOOD"] },
  ),
  "http2.maxPriorityFramesPerStream": limit(
    "count",
    [0, h2.maxPriorityFramesPerStream, 100_000],
    "PRIORITY and unknown frames, for each stream and one more",
    "GOAWAY",
    { codes: ["HTTP2_PRIORITY_FLOOD"] },
  ),
  "http2.maxWindowUpdatesPerDataFrame": limit(
    "count",
    [1, h2.maxWindowUpdatesPerDataFrame, 10_000],
    "WINDOW_UPDATE: 5 + 2 × (streams + this × DATA frames sent)",
    "GOAWAY",
    { codes: ["HTTP2_WINDOW_UPDATE_FLOOD"] },
  ),
  "http2.maxResetsPerSecond": limit(
    "count",
    [1, 1000, 1_000_000],
    "resets of young streams in a second, the peer's and those it provokes, when half of all streams",
    "GOAWAY",
    { stranger: h2.maxResetsPerSecond, codes: ["HTTP2_RESET_FLOOD"] },
  ),
  "http2.requestsPerTurn": limit(
    "count",
    [1, 64, 10_000],
    "requests taken from one read",
    "other connections get their turn first",
    { stranger: h2.requestsPerTurn, quiet: true },
  ),
  "http2.framesPerTurn": limit(
    "count",
    [1, h2.framesPerTurn, 100_000],
    "frames taken from one read",
    "other connections get their turn first",
    { quiet: true },
  ),
  "http2.prefaceTimeoutMs": limit(
    "ms",
    [100, h2.prefaceTimeoutMs, 10 * MINUTE_MS],
    "time to the preface and SETTINGS",
    "GOAWAY",
    { codes: ["HTTP2_PREFACE_TIMEOUT"] },
  ),
  "http2.headerTimeoutMs": limit(
    "ms",
    [100, h2.headerTimeoutMs, 10 * MINUTE_MS],
    "time for one head, or one frame but DATA",
    "GOAWAY",
    { codes: ["HTTP2_HEADER_TIMEOUT"] },
  ),
  "http2.settingsTimeoutMs": limit(
    "ms",
    [100, h2.settingsTimeoutMs, 10 * MINUTE_MS],
    "time until our SETTINGS are acknowledged",
    "GOAWAY",
    { codes: ["HTTP2_SETTINGS_TIMEOUT"] },
  ),
  "http2.stallTimeoutMs": limit(
    "ms",
    [100, h2.stallTimeoutMs, DAY_MS],
    "time that the peer's window holds up a stream",
    "RST_STREAM",
    { codes: ["HTTP2_STREAM_STALLED"] },
  ),
  "http2.streamWindowBytes": limit(
    "bytes",
    [65_535, 256 * KIB, MAX_WINDOW],
    "body of one stream that is on its way to a slow reader",
    "flow control holds the sender",
    { stranger: 64 * KIB, quiet: true },
  ),
  "http2.connectionWindowBytes": limit(
    "bytes",
    [65_535, 4 * MIB, MAX_WINDOW],
    "the same of a connection",
    "flow control holds the sender",
    { stranger: MIB, quiet: true },
  ),
  "http2.maxOutputBytes": limit(
    "bytes",
    [KIB, 64 * KIB, 16 * MIB],
    "body that waits for the socket of one connection",
    "reading from the application stops until it is taken",
    { quiet: true },
  ),
  "http2.headerTableBytes": limit(
    "bytes",
    [0, 4 * KIB, 64 * KIB],
    "HPACK's table of what the peer has sent",
    "the peer's encoder keeps to it",
    { quiet: true },
  ),
  "http2.maxFrameBytes": limit(
    "bytes",
    [16 * KIB, 16 * KIB, 0xff_ffff],
    "one frame",
    "GOAWAY FRAME_SIZE_ERROR",
    { quiet: true },
  ),
} as const satisfies Record<string, LimitDefinition>;

export type LimitName = keyof typeof LIMITS;
export type LimitValues = Readonly<Record<LimitName, number>>;

export const LIMIT_NAMES = Object.keys(LIMITS) as readonly LimitName[];

export function definitionOf(name: LimitName): LimitDefinition {
  return LIMITS[name];
}

const BY_CODE: ReadonlyMap<string, LimitName> = new Map(
  LIMIT_NAMES.flatMap((name) => (definitionOf(name).codes ?? []).map((code) => [code, name] as const)),
);

/** The limit that a refusal of a codec is about; undefined for what is wrong by itself. */
export function limitOfCode(code: string): LimitName | undefined {
  return BY_CODE.get(code);
}
