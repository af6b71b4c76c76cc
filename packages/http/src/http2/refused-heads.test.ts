import { describe, expect, test } from "vitest";
import {
  END_HEADERS,
  END_STREAM,
  clientStart,
  data,
  extendedConnect,
  get,
  headers,
  literals,
  post,
  rst,
  settings,
} from "../testing/http2-frames.js";
import { Peer } from "../testing/http2-peer.js";
import { Http2ErrorCode as Code } from "./error-codes.js";

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
const STREAMS: [name: string, bytes: Buffer, refusal: string, code?: number][] = [
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
  ...["h2c", "TLS/1.0", "HTTP/2.0", "a, b", "a/b/c", ""].map((protocol): (typeof STREAMS)[number] => [
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

describe.each(STREAMS)("%s", (_, bytes, refusal, code = Code.PROTOCOL_ERROR) => {
  const whole = clientStart(bytes);
  const everyByte = Array.from({ length: whole.length - 1 }, (_unused, i) => i + 1);
  test.each([
    ["whole", []],
    ["a byte a segment", everyByte],
  ] as const)("createServerSession resets the stream when it comes %s", (_delivery, cuts) => {
    const peer = new Peer("server");
    peer.consumes = false;
    peer.feed(whole, cuts);
    expect(peer.of("refused")).toEqual([{ type: "refused", id: 1, code: refusal }]);
    const resets = peer.frames().filter(({ type }) => type === 3);
    expect(resets.map(({ streamId, payload }) => [streamId, payload.readUInt32BE(0)])).toEqual([[1, code]]);
    // The application hears of it exactly when it had heard of the stream, and the request is never complete.
    expect(peer.of("reset")).toHaveLength(peer.heads.length);
    expect(peer.of("end")).toEqual([]);
    // The connection goes on.
    peer.feed(headers(3, get()));
    expect(peer.session.error).toBeUndefined();
    expect(peer.heads.at(-1)).toMatchObject({ method: "GET", path: "/" });
    expect(peer.session.openStreams).toBe(1);
  });
});

test("createServerSession refuses an extended CONNECT that was not announced", () => {
  const connect = headers(1, extendedConnect("websocket"), END_HEADERS);
  const refusing = new Peer("server", { enableConnectProtocol: false });
  refusing.feed(clientStart(connect));
  expect(refusing.of("refused")).toEqual([{ type: "refused", id: 1, code: "HTTP2_BAD_PROTOCOL" }]);
  const accepting = new Peer("server");
  accepting.feed(clientStart(connect));
  expect(accepting.heads[0]).toMatchObject({
    method: "CONNECT",
    protocol: "websocket",
    path: "/",
    authority: "a",
  });
});

test.each([
  ["fields", get(...Array.from({ length: 101 }, (_, i) => [`x-${i}`, "v"]).flat()), "HTTP2_TOO_MANY_FIELDS"],
  ["cookies", get(...Array.from({ length: 201 }, () => ["cookie", "a=b"]).flat()), "HTTP2_TOO_MANY_FIELDS"],
  ["bytes in one field", get("x", "v".repeat(33_000)), "HTTP2_HEADER_LIST_TOO_LARGE"],
  [
    "bytes",
    get(...Array.from({ length: 80 }, (_, i) => [`x-${i}`, "v".repeat(760)]).flat()),
    "HTTP2_HEADER_LIST_TOO_LARGE",
  ],
])("createServerSession answers 431 to a head with too many %s, and goes on", (_, block, refusal) => {
  const peer = new Peer("server", { maxFrameBytes: 100_000 });
  peer.feed(clientStart(headers(1, block, END_HEADERS)));
  expect(peer.events).toEqual([{ type: "refused", id: 1, code: refusal }]);
  const [head, reset] = peer.frames().slice(-2);
  expect(head).toMatchObject({ type: 1, flags: END_HEADERS | END_STREAM, streamId: 1 });
  expect(
    head!.payload.includes(Buffer.from("431")) || head!.payload.includes(Buffer.of(0x82, 0x68, 0x1f)),
  ).toBe(true);
  expect(reset).toMatchObject({ type: 3, streamId: 1, payload: Buffer.alloc(4) });
  // What was under way of that request is ignored.
  peer.feed(Buffer.concat([data(1, "abc"), headers(1, literals("a", "b")), headers(3, get())]));
  expect(peer.session.error).toBeUndefined();
  expect(peer.heads).toHaveLength(1);
});

test("createServerSession takes heads at their limits", () => {
  const peer = new Peer("server");
  const fields = Array.from({ length: 98 }, (_, i) => [`x-${i}`, "v"]).flat();
  const crumbs = Array.from({ length: 200 }, (_, i) => ["cookie", `a${i}=b`]).flat();
  peer.feed(clientStart(headers(1, get(...fields, ...crumbs, "te", "trailers"))));
  expect(peer.of("refused")).toEqual([]);
  const [head] = peer.heads;
  expect(head!.headers).toHaveLength(200);
  expect(head!.headers[2 * 98 + 1]).toBe(Array.from({ length: 200 }, (_, i) => `a${i}=b`).join("; "));
});

test.each([
  [":authority only", get(), "a"],
  [
    "host only",
    literals(":method", "GET", ":scheme", "http", ":path", "/", "host", "b:80", "accept", "x"),
    "b:80",
  ],
  ["both", get("host", "A"), "a"],
])(
  "createServerSession takes the authority from %s and leaves host out of the fields",
  (_, block, authority) => {
    const peer = new Peer("server");
    peer.feed(clientStart(headers(1, block)));
    expect(peer.heads[0]).toMatchObject({ authority });
    expect(peer.heads[0]!.headers).not.toContain("host");
  },
);

/** A client whose one request was answered by `bytes`. */
function answered(method: string, bytes: Buffer): Peer {
  const peer = new Peer("client");
  peer.session.submitRequest(
    { method, scheme: "http", authority: "a", path: "/", protocol: "", headers: [] },
    true,
  );
  peer.output();
  peer.feed(Buffer.concat([settings(), bytes]));
  return peer;
}
const status = (value: string, ...fields: string[]): Buffer => literals(":status", value, ...fields);

test.each([
  ["no :status", headers(1, literals("a", "b")), "HTTP2_PSEUDO_FIELD_MISSING"],
  ["status 101", headers(1, status("101")), "HTTP2_BAD_STATUS"],
  ["status 099", headers(1, status("099")), "HTTP2_BAD_STATUS"],
  ["status 600", headers(1, status("600")), "HTTP2_BAD_STATUS"],
  ["status 2000", headers(1, status("2000")), "HTTP2_BAD_STATUS"],
  ["status 20x", headers(1, status("20x")), "HTTP2_BAD_STATUS"],
  [":method", headers(1, literals(":status", "200", ":method", "GET")), P],
  ["connection", headers(1, status("200", "connection", "close")), "HTTP2_CONNECTION_FIELD"],
  [
    "two content-lengths",
    headers(1, status("200", "content-length", "1", "content-length", "1")),
    "HTTP2_BAD_CONTENT_LENGTH",
  ],
  ["an interim response that ends the stream", headers(1, status("103")), "HTTP2_INTERIM_END"],
  [
    "six interim responses",
    Buffer.concat(Array.from({ length: 6 }, () => headers(1, status("103"), END_HEADERS))),
    "HTTP2_TOO_MANY_INTERIM",
  ],
  ["DATA before the head", data(1, "x"), "HTTP2_DATA_BEFORE_HEAD"],
  [
    "DATA after 204",
    Buffer.concat([headers(1, status("204"), END_HEADERS), data(1, "x")]),
    "HTTP2_UNEXPECTED_BODY",
  ],
  [
    "DATA after 304",
    Buffer.concat([headers(1, status("304"), END_HEADERS), data(1, "x")]),
    "HTTP2_UNEXPECTED_BODY",
  ],
  [
    "less DATA than content-length",
    Buffer.concat([headers(1, status("200", "content-length", "3"), END_HEADERS), data(1, "x", END_STREAM)]),
    "HTTP2_LENGTH_MISMATCH",
  ],
  ["content-length without DATA", headers(1, status("200", "content-length", "3")), "HTTP2_LENGTH_MISMATCH"],
])("createClientSession resets a response with %s", (_, bytes, refusal) => {
  const peer = answered("GET", bytes);
  expect(peer.of("refused")).toEqual([{ type: "refused", id: 1, code: refusal }]);
  expect(peer.of("reset")).toHaveLength(1);
  expect(peer.session.openStreams).toBe(0);
  expect(peer.session.error).toBeUndefined();
});

test.each([
  ["HEAD", headers(1, status("200", "content-length", "3")), 200],
  ["GET", headers(1, status("304", "content-length", "3")), 304],
  ["GET", Buffer.concat([headers(1, status("204"), END_HEADERS), data(1, "", END_STREAM)]), 204],
  [
    "GET",
    Buffer.concat([headers(1, status("103", "link", "x"), END_HEADERS), headers(1, status("200"))]),
    200,
  ],
])("createClientSession completes a response to %s that has no content", (method, bytes, final) => {
  const peer = answered(method, bytes);
  expect(peer.of("refused")).toEqual([]);
  expect(peer.heads.at(-1)!.status).toBe(final);
  expect(peer.events.at(-1)).toEqual({ type: "end", id: 1 });
});

test.each([
  ["a pushed stream", Buffer.from("0000040500000000010000000282", "hex")],
  ["HEADERS on a stream that was never requested", headers(3, status("200"))],
  ["HEADERS on an even stream", headers(2, status("200"))],
  ["an offer to be pushed to", settings(2, 1)],
  [
    "HEADERS after the response's end and ours",
    Buffer.concat([headers(1, status("200")), headers(1, status("200"))]),
  ],
])("createClientSession fails the connection after %s", (_, bytes) => {
  expect(answered("GET", bytes).of("error")).toHaveLength(1);
});

test("createClientSession ignores what was under way of a stream that it reset", () => {
  const peer = new Peer("client");
  peer.session.submitRequest(
    { method: "GET", scheme: "http", authority: "a", path: "/", protocol: "", headers: [] },
    true,
  );
  peer.session.reset(1, Code.CANCEL);
  peer.feed(
    Buffer.concat([
      settings(),
      headers(1, status("200"), END_HEADERS),
      data(1, "abc"),
      headers(1, literals("a", "b")),
      rst(1),
    ]),
  );
  expect(peer.events).toEqual([]);
  expect(peer.session.error).toBeUndefined();
});
