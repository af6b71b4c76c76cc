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
  rst,
  settings,
} from "../testing/http2-frames.js";
import { Peer } from "../testing/http2-peer.js";
import { REFUSED_STREAMS } from "../testing/refused-streams.js";
import { Http2ErrorCode as Code } from "./error-codes.js";

const P = "HTTP2_BAD_PSEUDO_FIELD";

describe.each(REFUSED_STREAMS)("%s", (_, bytes, refusal, code = Code.PROTOCOL_ERROR) => {
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
