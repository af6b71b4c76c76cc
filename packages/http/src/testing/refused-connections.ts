import type { Http2Options } from "../http2/contract.js";
import { Http2ErrorCode as Code } from "../http2/error-codes.js";
import {
  END_HEADERS,
  END_STREAM,
  OPEN,
  PADDED,
  PRIORITY,
  clientStart,
  continuation,
  data,
  frame,
  get,
  headers,
  literals,
  many,
  ping,
  post,
  priority,
  rst,
  settings,
  settingsAck,
  windowUpdate,
  word,
} from "./http2-frames.js";

/** Refused as a whole connection: code of the refusal, and of GOAWAY. */
type Verdict = readonly [refusal: string, code: number];

const id = (i: number): number => 2 * i + 1;
const incremental = (name: string, value: string): Buffer =>
  Buffer.concat([Buffer.of(0x40), literals(name, value).subarray(1)]);

export const REFUSED_CONNECTIONS: [name: string, bytes: Buffer, verdict: Verdict, options?: Http2Options][] =
  [
    [
      "H2-01 rapid reset",
      clientStart(many(300, (i) => Buffer.concat([headers(id(i), get()), rst(id(i))]))),
      ["HTTP2_RESET_FLOOD", Code.ENHANCE_YOUR_CALM],
    ],
    [
      "H2-02 resets provoked by WINDOW_UPDATE 0",
      clientStart(many(300, (i) => Buffer.concat([headers(id(i), get()), windowUpdate(id(i), 0)]))),
      ["HTTP2_RESET_FLOOD", Code.ENHANCE_YOUR_CALM],
    ],
    [
      "H2-02 resets provoked by window overflow",
      clientStart(many(300, (i) => Buffer.concat([headers(id(i), get()), windowUpdate(id(i), 0x7fffffff)]))),
      ["HTTP2_RESET_FLOOD", Code.ENHANCE_YOUR_CALM],
    ],
    [
      "H2-02 resets provoked by PRIORITY of a wrong length",
      clientStart(many(300, (i) => Buffer.concat([headers(id(i), get()), frame(2, 0, id(i), "1234")]))),
      ["HTTP2_RESET_FLOOD", Code.ENHANCE_YOUR_CALM],
    ],
    [
      "H2-02 resets provoked by self-dependency",
      clientStart(many(300, (i) => Buffer.concat([headers(id(i), get()), priority(id(i), id(i))]))),
      ["HTTP2_RESET_FLOOD", Code.ENHANCE_YOUR_CALM],
    ],
    [
      "H2-02 resets provoked by HEADERS after END_STREAM",
      clientStart(
        many(300, (i) => Buffer.concat([headers(id(i), get()), headers(id(i), literals("a", "b"))])),
      ),
      ["HTTP2_RESET_FLOOD", Code.ENHANCE_YOUR_CALM],
    ],
    [
      "H2-02 resets provoked by DATA after END_STREAM",
      clientStart(many(300, (i) => Buffer.concat([headers(id(i), get()), data(id(i), "x")]))),
      ["HTTP2_RESET_FLOOD", Code.ENHANCE_YOUR_CALM],
    ],
    [
      "H2-03 CONTINUATION flood",
      clientStart(
        headers(1, get(), END_STREAM),
        many(40, () => continuation(1, literals("a", "b"), 0)),
      ),
      ["HTTP2_TOO_MANY_CONTINUATIONS", Code.ENHANCE_YOUR_CALM],
    ],
    [
      "H2-03 CONTINUATION of too many bytes",
      clientStart(
        headers(1, get(), END_STREAM),
        many(5, () => continuation(1, Buffer.alloc(16_384, 0x61), 0)),
      ),
      ["HTTP2_HEADER_BLOCK_TOO_LARGE", Code.ENHANCE_YOUR_CALM],
    ],
    [
      "H2-04 empty CONTINUATION",
      clientStart(
        headers(1, get(), END_STREAM),
        many(3, () => continuation(1, Buffer.alloc(0), 0)),
      ),
      ["HTTP2_EMPTY_FRAMES", Code.ENHANCE_YOUR_CALM],
    ],
    [
      "H2-04 empty HEADERS and CONTINUATION",
      clientStart(headers(1, Buffer.alloc(0), 0), continuation(1, Buffer.alloc(0), 0)),
      ["HTTP2_EMPTY_FRAMES", Code.ENHANCE_YOUR_CALM],
    ],
    [
      "H2-04 empty DATA",
      clientStart(
        OPEN,
        many(2, () => data(1, "")),
      ),
      ["HTTP2_EMPTY_FRAMES", Code.ENHANCE_YOUR_CALM],
    ],
    [
      "H2-04 DATA of padding only",
      clientStart(
        OPEN,
        many(2, () => data(1, "\x02ab", PADDED)),
      ),
      ["HTTP2_EMPTY_FRAMES", Code.ENHANCE_YOUR_CALM],
    ],
    [
      "H2-05 indexed bomb",
      clientStart(
        headers(1, Buffer.concat([get(), incremental("a", "x".repeat(3000)), Buffer.alloc(4000, 0xbe)])),
      ),
      ["HTTP2_HEADER_BLOCK_TOO_LARGE", Code.ENHANCE_YOUR_CALM],
    ],
    [
      "H2-05 tiny fields",
      clientStart(headers(1, Buffer.concat([get(), incremental("a", ""), Buffer.alloc(10_000, 0xbe)]))),
      ["HTTP2_HEADER_BLOCK_TOO_LARGE", Code.ENHANCE_YOUR_CALM],
    ],
    [
      "H2-05 cookie crumbs",
      clientStart(
        headers(1, Buffer.concat([get(), incremental("cookie", "a=b"), Buffer.alloc(10_000, 0xbe)])),
      ),
      ["HTTP2_HEADER_BLOCK_TOO_LARGE", Code.ENHANCE_YOUR_CALM],
    ],
    [
      "H2-06 PING not read",
      clientStart(many(1100, () => ping())),
      ["HTTP2_PENDING_CONTROL_FRAMES", Code.ENHANCE_YOUR_CALM],
      { limits: { maxControlFramesPerSecond: 1e9 } },
    ],
    [
      "H2-06 PING flood",
      clientStart(many(1100, () => ping())),
      ["HTTP2_CONTROL_FLOOD", Code.ENHANCE_YOUR_CALM],
      { limits: { maxPendingControlFrames: 1e9 } },
    ],
    [
      "H2-06 empty SETTINGS flood",
      clientStart(many(1100, () => settings())),
      ["HTTP2_PENDING_CONTROL_FRAMES", Code.ENHANCE_YOUR_CALM],
      { limits: { maxControlFramesPerSecond: 1e9 } },
    ],
    [
      "H2-06 SETTINGS of 2730 entries",
      clientStart(frame(4, 0, 0, Buffer.alloc(2730 * 6, 0x09))),
      ["HTTP2_TOO_MANY_SETTINGS", Code.ENHANCE_YOUR_CALM],
    ],
    [
      "H2-07 resets not read",
      clientStart(many(1100, (i) => headers(id(i), get("A", "b")))),
      ["HTTP2_PENDING_CONTROL_FRAMES", Code.ENHANCE_YOUR_CALM],
      { limits: { maxResetsPerSecond: 1e9 } },
    ],
    [
      "H2-08 WINDOW_UPDATE flood",
      clientStart(
        OPEN,
        many(30, () => windowUpdate(1, 1)),
      ),
      ["HTTP2_WINDOW_UPDATE_FLOOD", Code.ENHANCE_YOUR_CALM],
    ],
    [
      "H2-09 PRIORITY flood",
      clientStart(many(101, () => priority(3, 0))),
      ["HTTP2_PRIORITY_FLOOD", Code.ENHANCE_YOUR_CALM],
    ],
    [
      "H2-09 unknown frames flood",
      clientStart(many(101, () => frame(0xbe, 0xff, 77, "x"))),
      ["HTTP2_PRIORITY_FLOOD", Code.ENHANCE_YOUR_CALM],
    ],
    [
      "H2-09 PRIORITY on itself, idle",
      clientStart(priority(1, 1)),
      ["HTTP2_SELF_DEPENDENCY", Code.PROTOCOL_ERROR],
    ],
    [
      "H2-10 empty names",
      clientStart(headers(1, Buffer.concat([get(), many(1300, () => literals("", ""))]))),
      ["HTTP2_HEADER_BLOCK_TOO_LARGE", Code.ENHANCE_YOUR_CALM],
    ],
    [
      "H2-11 initial window of 2^31",
      clientStart(settings(4, 0x80000000)),
      ["HTTP2_BAD_INITIAL_WINDOW", Code.FLOW_CONTROL_ERROR],
    ],
    [
      "H2-11 initial window that overflows a stream",
      clientStart(OPEN, windowUpdate(1, 0x7fffffff - 65_535), settings(4, 70_000)),
      ["HTTP2_BAD_INITIAL_WINDOW", Code.FLOW_CONTROL_ERROR],
    ],
    [
      "H2-11 connection window overflow",
      clientStart(windowUpdate(0, 0x7fffffff)),
      ["HTTP2_WINDOW_OVERFLOW", Code.FLOW_CONTROL_ERROR],
    ],
    [
      "H2-11 connection WINDOW_UPDATE 0",
      clientStart(windowUpdate(0, 0)),
      ["HTTP2_WINDOW_INCREMENT", Code.PROTOCOL_ERROR],
    ],
    [
      "H2-11 DATA beyond the connection's window",
      clientStart(
        many(17, (i) =>
          Buffer.concat([
            headers(id(i), post(), END_HEADERS),
            many(4, () => data(id(i), Buffer.alloc(16_384))),
          ]),
        ),
      ),
      ["HTTP2_WINDOW_EXCEEDED", Code.FLOW_CONTROL_ERROR],
    ],
    ["H2-13 even stream", clientStart(headers(2, get())), ["HTTP2_BAD_STREAM_ID", Code.PROTOCOL_ERROR]],
    [
      "H2-13 decreasing stream",
      clientStart(headers(5, get()), headers(3, get())),
      ["HTTP2_BAD_STREAM_ID", Code.PROTOCOL_ERROR],
    ],
    [
      "H2-13 HEADERS after a reset",
      clientStart(OPEN, rst(1), headers(1, get())),
      ["HTTP2_CLOSED_STREAM", Code.STREAM_CLOSED],
    ],
    [
      "H2-13 DATA after a reset",
      clientStart(OPEN, rst(1), data(1, "x")),
      ["HTTP2_CLOSED_STREAM", Code.STREAM_CLOSED],
    ],
    ["H2-13 HEADERS on stream 0", clientStart(headers(0, get())), ["HTTP2_STREAM_ID", Code.PROTOCOL_ERROR]],
    ["H2-13 DATA on stream 0", clientStart(data(0, "x")), ["HTTP2_STREAM_ID", Code.PROTOCOL_ERROR]],
    ["H2-13 RST_STREAM on stream 0", clientStart(rst(0)), ["HTTP2_STREAM_ID", Code.PROTOCOL_ERROR]],
    ["H2-13 PRIORITY on stream 0", clientStart(priority(0, 1)), ["HTTP2_STREAM_ID", Code.PROTOCOL_ERROR]],
    ["H2-13 SETTINGS on stream 1", clientStart(frame(4, 0, 1)), ["HTTP2_STREAM_ID", Code.PROTOCOL_ERROR]],
    [
      "H2-13 PING on stream 1",
      clientStart(frame(6, 0, 1, "12345678")),
      ["HTTP2_STREAM_ID", Code.PROTOCOL_ERROR],
    ],
    [
      "H2-13 GOAWAY on stream 1",
      clientStart(frame(7, 0, 1, "12345678")),
      ["HTTP2_STREAM_ID", Code.PROTOCOL_ERROR],
    ],
    ["H2-13 DATA on an idle stream", clientStart(data(1, "x")), ["HTTP2_IDLE_STREAM", Code.PROTOCOL_ERROR]],
    ["H2-13 RST_STREAM on an idle stream", clientStart(rst(1)), ["HTTP2_IDLE_STREAM", Code.PROTOCOL_ERROR]],
    [
      "H2-13 WINDOW_UPDATE on an idle stream",
      clientStart(windowUpdate(1, 1)),
      ["HTTP2_IDLE_STREAM", Code.PROTOCOL_ERROR],
    ],
    [
      "H2-13 PUSH_PROMISE from a client",
      clientStart(OPEN, frame(5, END_HEADERS, 1, Buffer.concat([word(2), get()]))),
      ["HTTP2_PUSH", Code.PROTOCOL_ERROR],
    ],
    [
      "H2-14 a frame above the limit",
      clientStart(OPEN, data(1, Buffer.alloc(16_385))),
      ["HTTP2_FRAME_SIZE", Code.FRAME_SIZE_ERROR],
    ],
    [
      "H2-14 SETTINGS of 5 bytes",
      clientStart(frame(4, 0, 0, "12345")),
      ["HTTP2_FRAME_SIZE", Code.FRAME_SIZE_ERROR],
    ],
    [
      "H2-14 SETTINGS acknowledged with a payload",
      clientStart(frame(4, 1, 0, "123456")),
      ["HTTP2_FRAME_SIZE", Code.FRAME_SIZE_ERROR],
    ],
    ["H2-14 PING of 7 bytes", clientStart(ping("1234567")), ["HTTP2_FRAME_SIZE", Code.FRAME_SIZE_ERROR]],
    [
      "H2-14 RST_STREAM of 3 bytes",
      clientStart(OPEN, frame(3, 0, 1, "123")),
      ["HTTP2_FRAME_SIZE", Code.FRAME_SIZE_ERROR],
    ],
    [
      "H2-14 WINDOW_UPDATE of 5 bytes",
      clientStart(OPEN, frame(8, 0, 1, "12345")),
      ["HTTP2_FRAME_SIZE", Code.FRAME_SIZE_ERROR],
    ],
    [
      "H2-14 GOAWAY of 7 bytes",
      clientStart(frame(7, 0, 0, "1234567")),
      ["HTTP2_FRAME_SIZE", Code.FRAME_SIZE_ERROR],
    ],
    [
      "H2-14 PRIORITY of 4 bytes, idle",
      clientStart(frame(2, 0, 1, "1234")),
      ["HTTP2_PRIORITY_LENGTH", Code.FRAME_SIZE_ERROR],
    ],
    [
      "H2-14 PRIORITY of 4 bytes, on a stream that is over",
      clientStart(OPEN, rst(1), frame(2, 0, 1, "1234")),
      ["HTTP2_PRIORITY_LENGTH", Code.FRAME_SIZE_ERROR],
    ],
    [
      "H2-02 WINDOW_UPDATE 0 on a stream that is over",
      clientStart(OPEN, rst(1), windowUpdate(1, 0)),
      ["HTTP2_WINDOW_INCREMENT", Code.PROTOCOL_ERROR],
    ],
    [
      "H2-09 PRIORITY on itself, on a stream that is over",
      clientStart(OPEN, rst(1), priority(1, 1)),
      ["HTTP2_SELF_DEPENDENCY", Code.PROTOCOL_ERROR],
    ],
    [
      "H2-14 DATA padded as much as it is long",
      clientStart(OPEN, data(1, "\x03ab", PADDED)),
      ["HTTP2_PADDING", Code.PROTOCOL_ERROR],
    ],
    [
      "H2-14 DATA padded without room for the length",
      clientStart(OPEN, data(1, "", PADDED)),
      ["HTTP2_FRAME_SIZE", Code.FRAME_SIZE_ERROR],
    ],
    [
      "H2-14 HEADERS padded beyond their length",
      clientStart(headers(1, Buffer.concat([Buffer.of(200), get()]), END_HEADERS | PADDED)),
      ["HTTP2_PADDING", Code.PROTOCOL_ERROR],
    ],
    [
      "H2-14 HEADERS with PRIORITY and 4 bytes",
      clientStart(headers(1, Buffer.from("1234"), END_HEADERS | PRIORITY)),
      ["HTTP2_FRAME_SIZE", Code.FRAME_SIZE_ERROR],
    ],
    ["H2-14 ENABLE_PUSH 2", clientStart(settings(2, 2)), ["HTTP2_BAD_SETTING", Code.PROTOCOL_ERROR]],
    [
      "H2-14 MAX_FRAME_SIZE 16383",
      clientStart(settings(5, 16_383)),
      ["HTTP2_BAD_SETTING", Code.PROTOCOL_ERROR],
    ],
    [
      "H2-14 MAX_FRAME_SIZE 2^24",
      clientStart(settings(5, 1 << 24)),
      ["HTTP2_BAD_SETTING", Code.PROTOCOL_ERROR],
    ],
    [
      "H2-14 ENABLE_CONNECT_PROTOCOL 2",
      clientStart(settings(8, 2)),
      ["HTTP2_BAD_SETTING", Code.PROTOCOL_ERROR],
    ],
    [
      "H2-15 index 0",
      clientStart(headers(1, Buffer.concat([get(), Buffer.of(0x80)]))),
      ["HTTP2_COMPRESSION", Code.COMPRESSION_ERROR],
    ],
    [
      "H2-15 an index beyond the table",
      clientStart(headers(1, Buffer.concat([get(), Buffer.of(0xff, 0)]))),
      ["HTTP2_COMPRESSION", Code.COMPRESSION_ERROR],
    ],
    [
      "H2-15 an update after the first field",
      clientStart(headers(1, Buffer.concat([get(), Buffer.of(0x20)]))),
      ["HTTP2_COMPRESSION", Code.COMPRESSION_ERROR],
    ],
    [
      "H2-15 a broken block on a stream that is gone",
      clientStart(headers(1, get("A", "b")), headers(1, Buffer.of(0x80))),
      ["HTTP2_COMPRESSION", Code.COMPRESSION_ERROR],
    ],
    [
      "H2-16 trailers with a pseudo field, on a stream that is over",
      clientStart(headers(1, post("A", "b"), END_HEADERS), headers(1, literals(":path", "/"))),
      ["HTTP2_BAD_TRAILER", Code.PROTOCOL_ERROR],
    ],
    [
      "H2-16 trailers that end nothing, on a stream that is over",
      clientStart(headers(1, post("A", "b"), END_HEADERS), headers(1, literals("a", "b"), END_HEADERS)),
      ["HTTP2_TRAILERS_WITHOUT_END", Code.PROTOCOL_ERROR],
    ],
    [
      "H2-17 HTTP/1.1 on an HTTP/2 port",
      Buffer.from("GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
      ["HTTP2_BAD_PREFACE", Code.PROTOCOL_ERROR],
    ],
    [
      "H2-17 no SETTINGS after the preface",
      Buffer.concat([clientStart().subarray(0, 24), ping()]),
      ["HTTP2_BAD_PREFACE", Code.PROTOCOL_ERROR],
    ],
    [
      "H2-17 an acknowledgement in place of SETTINGS",
      Buffer.concat([clientStart().subarray(0, 24), settingsAck()]),
      ["HTTP2_BAD_PREFACE", Code.PROTOCOL_ERROR],
    ],
    [
      "a frame within a header block",
      clientStart(headers(1, get(), END_STREAM), ping()),
      ["HTTP2_UNEXPECTED_CONTINUATION", Code.PROTOCOL_ERROR],
    ],
    [
      "an unknown frame within a header block",
      clientStart(headers(1, get(), END_STREAM), frame(0x42, 0, 1)),
      ["HTTP2_UNEXPECTED_CONTINUATION", Code.PROTOCOL_ERROR],
    ],
    [
      "CONTINUATION of another stream",
      clientStart(headers(1, get(), END_STREAM), continuation(3, get())),
      ["HTTP2_UNEXPECTED_CONTINUATION", Code.PROTOCOL_ERROR],
    ],
    [
      "CONTINUATION without HEADERS",
      clientStart(OPEN, continuation(1, get())),
      ["HTTP2_UNEXPECTED_CONTINUATION", Code.PROTOCOL_ERROR],
    ],
  ];
