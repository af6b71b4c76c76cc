import { block, data, frame, headers, openHeaders, Type } from "./frames.mjs";

// RFC 7540 section 8: requests that are malformed; RFC 7541: blocks that cannot be decoded. Numbers and titles are
// h2spec's (its suites "http2" and "hpack").

const POST = { ":method": "POST" };

/** A request of one HEADERS frame that must be refused. */
const malformed = (id, title, request) => ({
  id: `http2/${id}`,
  title,
  run: async (c) => {
    await c.handshake();
    c.send(headers(1, request(c)));
    await c.streamError("PROTOCOL_ERROR");
  },
});

/** `bytes` behind a complete head make the block undecodable. */
const undecodable = (id, title, bytes) => ({
  id: `hpack/${id}`,
  title,
  run: async (c) => {
    await c.handshake();
    c.send(headers(1, Buffer.concat([c.request(), Buffer.from(bytes)])));
    await c.connectionError("COMPRESSION_ERROR");
  },
});

const twice = (c, name, value) => Buffer.concat([c.request(), block([[name, value]])]);

export const MESSAGES = [
  malformed(
    "8.1.2/1",
    "Sends a HEADERS frame that contains the header field name in uppercase letters",
    (c) => c.request({}, ["X-TEST", "ok"]),
  ),
  malformed("8.1.2.1/1", "Sends a HEADERS frame that contains a unknown pseudo-header field", (c) =>
    c.request({ ":test": "ok" }),
  ),
  malformed(
    "8.1.2.1/2",
    "Sends a HEADERS frame that contains the pseudo-header field defined for response",
    (c) => c.request({ ":status": "200" }),
  ),
  {
    id: "http2/8.1.2.1/3",
    title: "Sends a HEADERS frame that contains a pseudo-header field as trailers",
    run: async (c) => {
      await c.handshake();
      c.send(
        openHeaders(1, c.request(POST)),
        data(1, "test", 0),
        headers(
          1,
          block([
            ["x-test", "ok"],
            [":method", "200"],
          ]),
        ),
      );
      await c.streamError("PROTOCOL_ERROR");
    },
  },
  malformed(
    "8.1.2.1/4",
    "Sends a HEADERS frame that contains a pseudo-header field that appears in a header block after a regular header field",
    (c) =>
      block([
        [":method", "GET"],
        [":scheme", "http"],
        ["x-test", "ok"],
        [":path", "/"],
        [":authority", c.target.authority],
      ]),
  ),
  malformed("8.1.2.2/1", "Sends a HEADERS frame that contains the connection-specific header field", (c) =>
    c.request({}, ["connection", "keep-alive"]),
  ),
  malformed(
    "8.1.2.2/2",
    'Sends a HEADERS frame that contains the TE header field with any value other than "trailers"',
    (c) => c.request({}, ["trailers", "test"], ["te", "trailers, deflate"]),
  ),
  malformed("8.1.2.3/1", 'Sends a HEADERS frame with empty ":path" pseudo-header field', (c) =>
    c.request({ ":path": "" }),
  ),
  ...[":method", ":scheme", ":path"].map((name, i) =>
    malformed(`8.1.2.3/${i + 2}`, `Sends a HEADERS frame that omits "${name}" pseudo-header field`, (c) =>
      c.request({ [name]: undefined }),
    ),
  ),
  ...[
    [":method", "GET"],
    [":scheme", "http"],
    [":path", "/"],
  ].map(([name, value], i) =>
    malformed(
      `8.1.2.3/${i + 5}`,
      `Sends a HEADERS frame with duplicated "${name}" pseudo-header field`,
      (c) => twice(c, name, value),
    ),
  ),
  ...[
    { what: "the DATA frame payload length", pieces: ["test"] },
    { what: "the sum of the multiple DATA frames payload length", pieces: ["test", "test"] },
  ].map(({ what, pieces }, i) => ({
    id: `http2/8.1.2.6/${i + 1}`,
    title: `Sends a HEADERS frame with the "content-length" header field which does not equal ${what}`,
    run: async (c) => {
      await c.handshake();
      const frames = pieces.map((piece, at) => data(1, piece, at === pieces.length - 1 ? 1 : 0));
      c.send(openHeaders(1, c.request(POST, ["content-length", "1"])), ...frames);
      await c.streamError("PROTOCOL_ERROR");
    },
  })),
  {
    id: "http2/8.2/1",
    title: "Sends a PUSH_PROMISE frame",
    run: async (c) => {
      await c.handshake();
      c.send(
        openHeaders(1, c.request()),
        frame(Type.PUSH_PROMISE, 4, 1, Buffer.concat([Buffer.of(0, 0, 0, 3), c.request()])),
      );
      await c.connectionError("PROTOCOL_ERROR");
    },
  },
  undecodable("2.3.3/1", "Sends a indexed header field representation with invalid index", [0xc6]),
  undecodable("2.3.3/2", "Sends a literal header field representation with invalid index", [
    0x7f,
    0x0f,
    0x05,
    ...Buffer.from("value"),
  ]),
  undecodable("4.2/1", "Sends a dynamic table size update at the end of header block", [0x21]),
  undecodable(
    "5.2/1",
    "Sends a Huffman-encoded string literal representation with padding longer than 7 bits",
    [0x00, 0x85, 0xf2, 0xb2, 0x4a, 0x84, 0xff, 0x84, 0x49, 0x50, 0x9f, 0xff],
  ),
  undecodable(
    "5.2/2",
    "Sends a Huffman-encoded string literal representation padded by zero",
    [0x00, 0x85, 0xf2, 0xb2, 0x4a, 0x84, 0xff, 0x83, 0x49, 0x50, 0x90],
  ),
  undecodable(
    "5.2/3",
    "Sends a Huffman-encoded string literal representation containing the EOS symbol",
    [0x00, 0x85, 0xf2, 0xb2, 0x4a, 0x84, 0xff, 0x87, 0x49, 0x51, 0xff, 0xff, 0xff, 0xfa, 0x7f],
  ),
  undecodable("6.1/1", "Sends a indexed header field representation with index 0", [0x80]),
  {
    id: "hpack/6.3/1",
    title: "Sends a dynamic table size update larger than the value of SETTINGS_HEADER_TABLE_SIZE",
    run: async (c) => {
      await c.handshake();
      // Where an update belongs: at the beginning. 4097 is one too many.
      c.send(headers(1, Buffer.concat([Buffer.of(0x3f, 0xe2, 0x1f), c.request()])));
      await c.connectionError("COMPRESSION_ERROR");
    },
  },
];
