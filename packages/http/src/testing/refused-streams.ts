import { Http2ErrorCode as Code } from "../http2/error-codes.js";
import {
  END_HEADERS,
  END_STREAM,
  data,
  extendedConnect,
  get,
  headers,
  literals,
  post,
} from "./http2-frames.js";

const P = "HTTP2_BAD_PSEUDO_FIELD";
const request = (...changes: [string, string | undefined][]): Buffer => {
  const fields = new Map([
    [":method", "GET"],
    [":scheme", "http"],
    [":path", "/"],
    [":authority", "a"],
  ]);
  for (const [name, value] of changes) {
    if (value === undefined) fields.delete(name);
    else fields.set(name, value);
  }
  return headers(1, literals(...[...fields].flat()));
};
const open = headers(1, post("content-length", "4"), END_HEADERS);
const trailer = (...fields: string[]): Buffer =>
  Buffer.concat([headers(1, post(), END_HEADERS), data(1, "x"), headers(1, literals(...fields))]);

/** Refused as a stream: RST_STREAM with PROTOCOL_ERROR, unless another code is given. */
export const REFUSED_STREAMS: [name: string, bytes: Buffer, refusal: string, code?: number][] = [
  ["H2-10 an empty name and value", headers(1, get("", "")), "HTTP2_BAD_FIELD_NAME"],
  [
    "H2-11 a window that overflows",
    Buffer.concat([headers(1, post(), END_HEADERS), Buffer.from("0000040800000000017fffffff", "hex")]),
    "HTTP2_WINDOW_OVERFLOW",
    Code.FLOW_CONTROL_ERROR,
  ],
  [
    "H2-11 DATA beyond the stream's window",
    Buffer.concat([
      headers(1, post(), END_HEADERS),
      ...Array.from({ length: 5 }, () => data(1, Buffer.alloc(16_384))),
    ]),
    "HTTP2_WINDOW_EXCEEDED",
    Code.FLOW_CONTROL_ERROR,
  ],
  ...["connection", "keep-alive", "proxy-connection", "upgrade", "transfer-encoding"].map(
    (name): [string, Buffer, string] => [
      `H2-16 ${name}`,
      headers(1, get(name, "x")),
      "HTTP2_CONNECTION_FIELD",
    ],
  ),
  ["H2-16 te: gzip", headers(1, get("te", "gzip")), "HTTP2_CONNECTION_FIELD"],
  ["H2-16 an upper-case name", headers(1, get("X-A", "b")), "HTTP2_BAD_FIELD_NAME"],
  ["H2-16 host and :authority that differ", headers(1, get("host", "b")), "HTTP2_BAD_AUTHORITY"],
  ["H2-16 two hosts", headers(1, get("host", "a", "host", "a")), "HTTP2_BAD_AUTHORITY"],
  [
    "H2-16 a pseudo field after a regular one",
    headers(1, literals(":method", "GET", ":scheme", "http", ":path", "/", "a", "b", ":authority", "a")),
    P,
  ],
  [
    "H2-16 an unknown pseudo field",
    headers(1, literals(":foo", "bar", ":method", "GET", ":scheme", "http", ":path", "/", ":authority", "a")),
    P,
  ],
  [
    "H2-16 a repeated pseudo field",
    headers(
      1,
      literals(":method", "GET", ":method", "GET", ":scheme", "http", ":path", "/", ":authority", "a"),
    ),
    P,
  ],
  [
    "H2-16 :status in a request",
    headers(
      1,
      literals(":status", "200", ":method", "GET", ":scheme", "http", ":path", "/", ":authority", "a"),
    ),
    P,
  ],
  ["H2-16 no :path", request([":path", undefined]), "HTTP2_PSEUDO_FIELD_MISSING"],
  ["H2-16 no :method", request([":method", undefined]), "HTTP2_PSEUDO_FIELD_MISSING"],
  ["H2-16 no :scheme", request([":scheme", undefined]), "HTTP2_PSEUDO_FIELD_MISSING"],
  ["H2-16 neither :authority nor host", request([":authority", undefined]), "HTTP2_BAD_AUTHORITY"],
  ...["b\r\nTransfer-Encoding: chunked", "a\nb", "a\rb", "a\0b", "a\x7fb"].map(
    (value): [string, Buffer, string] => [
      `D-01 the value ${JSON.stringify(value)}`,
      headers(1, get("foo", value)),
      "HTTP2_BAD_FIELD_VALUE",
    ],
  ),
  ...["a:b", "a b", "a\r\nb", "a\n", "Foo", "a\0", "\u00e9", "content_length", "transfer_encoding"].map(
    (name): [string, Buffer, string] => [
      `D-02 the name ${JSON.stringify(name)}`,
      headers(1, get(name, "v")),
      "HTTP2_BAD_FIELD_NAME",
    ],
  ),
  ...["/a b", "", "x", "//", "//?q", "*", "/\x80", "/#f", "http://evil/", "/a\tb"].map(
    (path): [string, Buffer, string] => [
      `D-03 the path ${JSON.stringify(path)}`,
      request([":path", path]),
      "HTTP2_BAD_PATH",
    ],
  ),
  [
    "D-03 a path that splits the request",
    request([":path", "/ HTTP/1.1\r\nHost: evil\r\n\r\nGET /x"]),
    "HTTP2_BAD_FIELD_VALUE",
  ],
  ...["GET / HTTP/1.1", "GE(T", "GET?", ""].map((method): [string, Buffer, string] => [
    `D-04 the method ${JSON.stringify(method)}`,
    request([":method", method]),
    "HTTP2_BAD_METHOD",
  ]),
  [
    "D-04 a method that splits the request",
    request([":method", "GET / HTTP/1.1\r\nHost: x"]),
    "HTTP2_BAD_FIELD_VALUE",
  ],
  ...["http://evil/?", "https:", "ftp", "", "HTTP"].map((scheme): [string, Buffer, string] => [
    `D-05 the scheme ${JSON.stringify(scheme)}`,
    request([":scheme", scheme]),
    "HTTP2_BAD_SCHEME",
  ]),
  ...["u@a", "a/b", "a b", "a:99999", "[::1", "a,b", ""].map((authority): [string, Buffer, string] => [
    `D-06 the authority ${JSON.stringify(authority)}`,
    request([":authority", authority]),
    "HTTP2_BAD_AUTHORITY",
  ]),
  [
    "D-06 an authority that splits the request",
    request([":authority", "a\r\nX: y"]),
    "HTTP2_BAD_FIELD_VALUE",
  ],
  [
    "D-06 an empty :authority with a host",
    headers(1, literals(":method", "GET", ":scheme", "http", ":path", "/", ":authority", "", "host", "a")),
    "HTTP2_BAD_AUTHORITY",
  ],
  [
    "D-07 less DATA than content-length",
    Buffer.concat([open, data(1, "abc", END_STREAM)]),
    "HTTP2_LENGTH_MISMATCH",
  ],
  [
    "D-07 more DATA than content-length",
    Buffer.concat([open, data(1, "abc"), data(1, "de")]),
    "HTTP2_LENGTH_MISMATCH",
  ],
  [
    "D-07 DATA after content-length 0",
    Buffer.concat([headers(1, post("content-length", "0"), END_HEADERS), data(1, "a", END_STREAM)]),
    "HTTP2_LENGTH_MISMATCH",
  ],
  ["D-07 content-length without DATA", headers(1, post("content-length", "5")), "HTTP2_LENGTH_MISMATCH"],
  [
    "D-07 content-length and only trailers",
    Buffer.concat([open, headers(1, literals("a", "b"))]),
    "HTTP2_LENGTH_MISMATCH",
  ],
  [
    "D-08 transfer-encoding: chunked",
    headers(1, post("transfer-encoding", "chunked"), END_HEADERS),
    "HTTP2_CONNECTION_FIELD",
  ],
  ...["5, 5", "+5", "-1", "0x5", "05", "5 5", "", "9007199254740993", "1e3"].map(
    (value): [string, Buffer, string] => [
      `D-09 content-length ${JSON.stringify(value)}`,
      headers(1, post("content-length", value), END_HEADERS),
      "HTTP2_BAD_CONTENT_LENGTH",
    ],
  ),
  [
    "D-09 content-length twice",
    headers(1, post("content-length", "5", "content-length", "5"), END_HEADERS),
    "HTTP2_BAD_CONTENT_LENGTH",
  ],
  ...[" a", "a ", "\ta", "a\t", " "].map((value): [string, Buffer, string] => [
    `D-10 the value ${JSON.stringify(value)}`,
    headers(1, get("foo", value)),
    "HTTP2_BAD_FIELD_VALUE",
  ]),
  [
    "D-11 connection: close, x-auth",
    headers(1, get("connection", "close, x-auth")),
    "HTTP2_CONNECTION_FIELD",
  ],
  ["D-12 a trailer :path", trailer(":path", "/admin"), "HTTP2_BAD_TRAILER"],
  ["D-12 a trailer content-length", trailer("content-length", "1"), "HTTP2_BAD_TRAILER"],
  ["D-12 a trailer host", trailer("host", "b"), "HTTP2_BAD_TRAILER"],
  ["D-12 a trailer connection", trailer("connection", "x"), "HTTP2_CONNECTION_FIELD"],
  [
    "D-12 trailers that end nothing",
    Buffer.concat([headers(1, post(), END_HEADERS), headers(1, literals("a", "b"), END_HEADERS)]),
    "HTTP2_TRAILERS_WITHOUT_END",
  ],
  ["D-13 CONNECT with :scheme and :path", request([":method", "CONNECT"], [":authority", "a:1"]), P],
  [
    "D-13 CONNECT without a port",
    request([":method", "CONNECT"], [":scheme", undefined], [":path", undefined]),
    "HTTP2_BAD_AUTHORITY",
  ],
  ...["h2c", "TLS/1.0", "HTTP/2.0", "a, b", "a/b/c", ""].map((protocol): [string, Buffer, string] => [
    `D-13 :protocol ${JSON.stringify(protocol)}`,
    headers(1, extendedConnect(protocol), END_HEADERS),
    "HTTP2_BAD_PROTOCOL",
  ]),
  [
    "D-13 extended CONNECT with content",
    headers(1, extendedConnect("websocket", "content-length", "5"), END_HEADERS),
    "HTTP2_BAD_CONTENT_LENGTH",
  ],
  [
    "D-13 :protocol of a GET",
    headers(
      1,
      literals(
        ":method",
        "GET",
        ":protocol",
        "websocket",
        ":scheme",
        "http",
        ":path",
        "/",
        ":authority",
        "a",
      ),
    ),
    "HTTP2_BAD_PROTOCOL",
  ],
];
