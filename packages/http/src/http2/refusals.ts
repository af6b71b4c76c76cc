import type { Http2Refusal } from "./contract.js";
import { Http2ErrorCode as Code } from "./error-codes.js";

/** Every way to refuse a connection, a stream or a head, made once: refusing hostile input allocates nothing. */
export const REFUSALS = {
  // The connection: framing (RFC 9113 sections 3 to 6).
  preface: refuse(
    "HTTP2_BAD_PREFACE",
    Code.PROTOCOL_ERROR,
    "the connection does not start with HTTP/2's preface and SETTINGS",
  ),
  frameSize: refuse(
    "HTTP2_FRAME_SIZE",
    Code.FRAME_SIZE_ERROR,
    "a frame is larger than announced, or its length does not fit its type",
  ),
  streamZero: refuse(
    "HTTP2_STREAM_ID",
    Code.PROTOCOL_ERROR,
    "a frame names stream 0, or a stream where it must name 0",
  ),
  streamId: refuse(
    "HTTP2_BAD_STREAM_ID",
    Code.PROTOCOL_ERROR,
    "a new stream's number is even, too low, or not the peer's to open",
  ),
  idleStream: refuse(
    "HTTP2_IDLE_STREAM",
    Code.PROTOCOL_ERROR,
    "a frame names a stream that was never opened",
  ),
  closedStream: refuse("HTTP2_CLOSED_STREAM", Code.STREAM_CLOSED, "a frame came on a stream after its end"),
  continuation: refuse(
    "HTTP2_UNEXPECTED_CONTINUATION",
    Code.PROTOCOL_ERROR,
    "CONTINUATION does not follow a head under way, or another frame cuts one",
  ),
  padding: refuse("HTTP2_PADDING", Code.PROTOCOL_ERROR, "padding is as large as the frame"),
  push: refuse("HTTP2_PUSH", Code.PROTOCOL_ERROR, "PUSH_PROMISE is not accepted here"),
  setting: refuse("HTTP2_BAD_SETTING", Code.PROTOCOL_ERROR, "a setting has a value that it may not have"),
  settingWindow: refuse(
    "HTTP2_BAD_INITIAL_WINDOW",
    Code.FLOW_CONTROL_ERROR,
    "the initial window is larger than 2^31-1, or makes a stream's so",
  ),
  compression: refuse(
    "HTTP2_COMPRESSION",
    Code.COMPRESSION_ERROR,
    "a header block cannot be decoded (RFC 7541)",
  ),

  // Flow control (RFC 9113 section 6.9).
  windowExceeded: refuse(
    "HTTP2_WINDOW_EXCEEDED",
    Code.FLOW_CONTROL_ERROR,
    "the peer sent more DATA than its window allows",
  ),
  windowOverflow: refuse(
    "HTTP2_WINDOW_OVERFLOW",
    Code.FLOW_CONTROL_ERROR,
    "WINDOW_UPDATE makes a window larger than 2^31-1",
  ),
  windowIncrement: refuse("HTTP2_WINDOW_INCREMENT", Code.PROTOCOL_ERROR, "WINDOW_UPDATE by 0"),

  // Limits: what is named in Http2Limits.
  headerBlock: refuse(
    "HTTP2_HEADER_BLOCK_TOO_LARGE",
    Code.ENHANCE_YOUR_CALM,
    "a header block is much larger than maxHeaderListBytes or maxHeaderCount",
  ),
  continuations: refuse(
    "HTTP2_TOO_MANY_CONTINUATIONS",
    Code.ENHANCE_YOUR_CALM,
    "more CONTINUATION frames than maxContinuationFrames",
  ),
  emptyFrames: refuse(
    "HTTP2_EMPTY_FRAMES",
    Code.ENHANCE_YOUR_CALM,
    "more empty frames in a row than maxEmptyFrames",
  ),
  settingsEntries: refuse(
    "HTTP2_TOO_MANY_SETTINGS",
    Code.ENHANCE_YOUR_CALM,
    "more settings in a frame than maxSettingsEntries",
  ),
  controlFlood: refuse(
    "HTTP2_CONTROL_FLOOD",
    Code.ENHANCE_YOUR_CALM,
    "more PING and SETTINGS than maxControlFramesPerSecond",
  ),
  pendingControl: refuse(
    "HTTP2_PENDING_CONTROL_FRAMES",
    Code.ENHANCE_YOUR_CALM,
    "the peer does not read the answers it causes: maxPendingControlFrames",
  ),
  pendingFrames: refuse(
    "HTTP2_PENDING_FRAMES",
    Code.ENHANCE_YOUR_CALM,
    "the peer does not read: maxPendingFrames",
  ),
  priorityFlood: refuse(
    "HTTP2_PRIORITY_FLOOD",
    Code.ENHANCE_YOUR_CALM,
    "more PRIORITY or unknown frames than maxPriorityFramesPerStream",
  ),
  windowFlood: refuse(
    "HTTP2_WINDOW_UPDATE_FLOOD",
    Code.ENHANCE_YOUR_CALM,
    "more WINDOW_UPDATE frames than maxWindowUpdatesPerDataFrame",
  ),
  resetFlood: refuse(
    "HTTP2_RESET_FLOOD",
    Code.ENHANCE_YOUR_CALM,
    "more than half of the streams are reset: maxResetsPerSecond",
  ),
  concurrency: refuse(
    "HTTP2_TOO_MANY_STREAMS",
    Code.REFUSED_STREAM,
    "more streams at once than maxConcurrentStreams",
  ),
  draining: refuse("HTTP2_DRAINING", Code.REFUSED_STREAM, "a new stream after GOAWAY"),
  prefaceTimeout: refuse(
    "HTTP2_PREFACE_TIMEOUT",
    Code.PROTOCOL_ERROR,
    "no preface and SETTINGS within prefaceTimeoutMs",
  ),
  headerTimeout: refuse(
    "HTTP2_HEADER_TIMEOUT",
    Code.ENHANCE_YOUR_CALM,
    "a head or frame was not completed within headerTimeoutMs",
  ),
  settingsTimeout: refuse(
    "HTTP2_SETTINGS_TIMEOUT",
    Code.SETTINGS_TIMEOUT,
    "our SETTINGS were not acknowledged within settingsTimeoutMs",
  ),
  stalled: refuse(
    "HTTP2_STREAM_STALLED",
    Code.ENHANCE_YOUR_CALM,
    "the peer's window held up a stream for stallTimeoutMs",
  ),

  // A stream: its frames.
  priorityLength: refuse("HTTP2_PRIORITY_LENGTH", Code.FRAME_SIZE_ERROR, "PRIORITY does not have 5 bytes"),
  selfDependency: refuse("HTTP2_SELF_DEPENDENCY", Code.PROTOCOL_ERROR, "a stream depends on itself"),
  afterEnd: refuse("HTTP2_AFTER_END_STREAM", Code.STREAM_CLOSED, "DATA or HEADERS after END_STREAM"),
  dataBeforeHead: refuse(
    "HTTP2_DATA_BEFORE_HEAD",
    Code.PROTOCOL_ERROR,
    "DATA before the final response head",
  ),
  unexpectedBody: refuse(
    "HTTP2_UNEXPECTED_BODY",
    Code.PROTOCOL_ERROR,
    "DATA in a response that has no content (HEAD, 204, 304)",
  ),
  length: refuse(
    "HTTP2_LENGTH_MISMATCH",
    Code.PROTOCOL_ERROR,
    "content-length and the length of DATA differ",
  ),
  trailersWithoutEnd: refuse(
    "HTTP2_TRAILERS_WITHOUT_END",
    Code.PROTOCOL_ERROR,
    "trailers do not end the stream",
  ),
  interimEnd: refuse("HTTP2_INTERIM_END", Code.PROTOCOL_ERROR, "an interim response (1xx) ends the stream"),
  interim: refuse(
    "HTTP2_TOO_MANY_INTERIM",
    Code.ENHANCE_YOUR_CALM,
    "more interim responses than maxInterimResponses",
  ),

  // A head: RFC 9113 sections 8.2 and 8.3.
  headerList: refuse(
    "HTTP2_HEADER_LIST_TOO_LARGE",
    Code.ENHANCE_YOUR_CALM,
    "the fields of a head are larger than maxHeaderListBytes, or one than maxFieldBytes",
  ),
  headerCount: refuse(
    "HTTP2_TOO_MANY_FIELDS",
    Code.ENHANCE_YOUR_CALM,
    "more fields than maxHeaderCount, or cookies than maxCookieCrumbs",
  ),
  fieldName: refuse(
    "HTTP2_BAD_FIELD_NAME",
    Code.PROTOCOL_ERROR,
    "a field name is empty, has an upper-case letter or another character that it may not have",
  ),
  fieldValue: refuse(
    "HTTP2_BAD_FIELD_VALUE",
    Code.PROTOCOL_ERROR,
    "a field value has a control character, or starts or ends with a space",
  ),
  connectionField: refuse(
    "HTTP2_CONNECTION_FIELD",
    Code.PROTOCOL_ERROR,
    "a field of HTTP/1.1 connections (connection, transfer-encoding, upgrade, te other than trailers, ...)",
  ),
  pseudoField: refuse(
    "HTTP2_BAD_PSEUDO_FIELD",
    Code.PROTOCOL_ERROR,
    "a pseudo field is unknown, repeated, misplaced, or not allowed in this message",
  ),
  pseudoMissing: refuse(
    "HTTP2_PSEUDO_FIELD_MISSING",
    Code.PROTOCOL_ERROR,
    "a head lacks a pseudo field that it must have",
  ),
  method: refuse("HTTP2_BAD_METHOD", Code.PROTOCOL_ERROR, ":method is not a token"),
  scheme: refuse("HTTP2_BAD_SCHEME", Code.PROTOCOL_ERROR, ":scheme is not http or https"),
  path: refuse(
    "HTTP2_BAD_PATH",
    Code.PROTOCOL_ERROR,
    ":path does not fit the method, or has characters that it may not have",
  ),
  authority: refuse(
    "HTTP2_BAD_AUTHORITY",
    Code.PROTOCOL_ERROR,
    ":authority or host is not `name[:port]`, is missing, or they differ",
  ),
  protocol: refuse(
    "HTTP2_BAD_PROTOCOL",
    Code.PROTOCOL_ERROR,
    "an extended CONNECT is malformed, or was not announced",
  ),
  status: refuse("HTTP2_BAD_STATUS", Code.PROTOCOL_ERROR, ":status is not 100 to 599, or is 101"),
  contentLength: refuse(
    "HTTP2_BAD_CONTENT_LENGTH",
    Code.PROTOCOL_ERROR,
    "content-length is repeated, not one plain number below 2^53, or there is no content",
  ),
  trailerField: refuse(
    "HTTP2_BAD_TRAILER",
    Code.PROTOCOL_ERROR,
    "a trailer section has a pseudo field, content-length or host",
  ),
} as const satisfies Record<string, Http2Refusal>;

function refuse(code: string, errorCode: number, message: string): Http2Refusal {
  return Object.freeze({ code, errorCode, message });
}
