import {
  block,
  continuation,
  data,
  Flag,
  goAway,
  headers,
  openHeaders,
  PREFACE,
  priority,
  priorityFields,
  reset,
  settings,
  Setting,
  Type,
  windowUpdate,
} from "./frames.mjs";

// What every server must take. Numbers and titles are h2spec's (its suite "generic").

const H2SPEC = "h2spec";
const POST = { ":method": "POST" };

/** A representation of one field behind a complete head is accepted. */
const accepts = (id, title, bytes) => ({
  id: `generic/5/${id}`,
  title,
  run: async (c) => {
    await c.handshake();
    c.send(headers(1, Buffer.concat([c.request(), bytes])));
    await c.responseHead();
  },
});

const literal = (prefix, name, value) =>
  Buffer.concat([
    Buffer.of(prefix, name.length),
    Buffer.from(name),
    Buffer.of(value.length),
    Buffer.from(value),
  ]);
/** "user-agent", "x-test" and "h2spec" in Huffman code. */
const USER_AGENT = [0x87, 0xb5, 0x05, 0xb1, 0x61, 0xcc, 0x5a, 0x93];
const X_TEST = [0x85, 0xf2, 0xb2, 0x4a, 0x84, 0xff];
const VALUE = [0x84, 0x9c, 0x48, 0xac, 0xa4];
const huffman = (prefix, name) => Buffer.from([prefix, ...name, ...VALUE]);

/** A client whose window is shut, so that its stream stays half-closed (remote). */
async function requestWithoutWindow(c) {
  await c.handshake();
  c.send(settings(Setting.INITIAL_WINDOW_SIZE, 0), headers(1, c.request()));
}

/** PRIORITY of stream 1, then a request on it. */
const prioritised = (id, title, dependsOn, weight) => ({
  id: `generic/3.3/${id}`,
  title,
  run: async (c) => {
    await c.handshake();
    c.send(priority(1, dependsOn, weight), headers(1, c.request()));
    await c.responseHead();
  },
});

export const GENERIC = [
  {
    id: "generic/1/1",
    title: "Sends a client connection preface",
    run: async (c) => {
      c.send(PREFACE, settings());
      await c.frame("SETTINGS", ({ type, flags }) => type === Type.SETTINGS && flags === 0);
    },
  },
  {
    id: "generic/2/1",
    title: "Sends a PRIORITY frame on idle stream",
    run: async (c) => {
      await c.handshake();
      c.send(priority(1, 0));
      await c.lives();
    },
  },
  {
    id: "generic/2/2",
    title: "Sends a WINDOW_UPDATE frame on half-closed (remote) stream",
    run: async (c) => {
      await requestWithoutWindow(c);
      c.send(windowUpdate(1, 1));
      await c.data();
    },
  },
  {
    id: "generic/2/3",
    title: "Sends a PRIORITY frame on half-closed (remote) stream",
    run: async (c) => {
      await requestWithoutWindow(c);
      c.send(priority(1, 0), windowUpdate(1, 1));
      await c.data();
    },
  },
  {
    id: "generic/2/4",
    title: "Sends a RST_STREAM frame on half-closed (remote) stream",
    run: async (c) => {
      await c.handshake();
      c.send(headers(1, c.request()), reset(1, 8));
      await c.lives();
    },
  },
  {
    id: "generic/2/5",
    title: "Sends a PRIORITY frame on closed stream",
    run: async (c) => {
      await c.handshake();
      c.send(headers(1, c.request()));
      await c.streamEnd();
      c.send(priority(1, 0));
      await c.lives();
    },
  },
  {
    id: "generic/3.1/1",
    title: "Sends a DATA frame",
    run: async (c) => {
      await c.handshake();
      c.send(openHeaders(1, c.request(POST)), data(1, "test"));
      await c.responseHead();
    },
  },
  {
    id: "generic/3.1/2",
    title: "Sends multiple DATA frames",
    run: async (c) => {
      await c.handshake();
      c.send(openHeaders(1, c.request(POST)), data(1, "test", 0), data(1, "test"));
      await c.responseHead();
    },
  },
  {
    id: "generic/3.1/3",
    title: "Sends a DATA frame with padding",
    run: async (c) => {
      await c.handshake();
      c.send(openHeaders(1, c.request(POST)), data(1, "\x06test\0\0\0\0\0\0", Flag.PADDED | Flag.END_STREAM));
      await c.responseHead();
    },
  },
  {
    id: "generic/3.2/1",
    title: "Sends a HEADERS frame",
    run: async (c) => {
      await c.handshake();
      c.send(headers(1, c.request()));
      await c.responseHead();
    },
  },
  {
    id: "generic/3.2/2",
    title: "Sends a HEADERS frame with padding",
    run: async (c) => {
      await c.handshake();
      const padded = Buffer.concat([Buffer.of(6), c.request(), Buffer.alloc(6)]);
      c.send(headers(1, padded, Flag.PADDED | Flag.END_HEADERS | Flag.END_STREAM));
      await c.responseHead();
    },
  },
  {
    id: "generic/3.2/3",
    title: "Sends a HEADERS frame with priority",
    run: async (c) => {
      await c.handshake();
      const payload = Buffer.concat([priorityFields(0), c.request()]);
      c.send(headers(1, payload, Flag.PRIORITY | Flag.END_HEADERS | Flag.END_STREAM));
      await c.responseHead();
    },
  },
  prioritised(1, "Sends a PRIORITY frame with priority 1", 0, 0),
  prioritised(2, "Sends a PRIORITY frame with priority 256", 0, 255),
  prioritised(3, "Sends a PRIORITY frame with stream dependency", 3, 255),
  prioritised(4, "Sends a PRIORITY frame with exclusive", 0x8000_0003, 255),
  {
    id: "generic/3.3/5",
    title: "Sends a PRIORITY frame for an idle stream, then send a HEADER frame for a lower stream ID",
    run: async (c) => {
      await c.handshake();
      c.send(priority(5, 0), headers(3, c.request()));
      await c.responseHead(3);
    },
  },
  {
    id: "generic/3.4/1",
    title: "Sends a RST_STREAM frame",
    run: async (c) => {
      await c.handshake();
      c.send(openHeaders(1, c.request(POST)), reset(1, 8));
      await c.lives();
    },
  },
  {
    id: "generic/3.5/1",
    title: "Sends a SETTINGS frame",
    run: async (c) => {
      await c.handshake();
      c.send(settings(Setting.MAX_CONCURRENT_STREAMS, 100));
      await c.settingsAck();
    },
  },
  {
    id: "generic/3.7/1",
    title: "Sends a PING frame",
    run: async (c) => {
      await c.handshake();
      await c.lives(`${H2SPEC}\0\0`);
    },
  },
  {
    id: "generic/3.8/1",
    title: "Sends a GOAWAY frame",
    run: async (c) => {
      await c.handshake();
      c.send(goAway(0, 0));
      await c.orClosed(c.lives());
    },
  },
  {
    id: "generic/3.9/1",
    title: "Sends a WINDOW_UPDATE frame with stream ID 0",
    run: async (c) => {
      await c.handshake();
      c.send(windowUpdate(0, 1));
      await c.lives();
    },
  },
  {
    id: "generic/3.9/2",
    title: "Sends a WINDOW_UPDATE frame with stream ID 1",
    run: async (c) => {
      await requestWithoutWindow(c);
      c.send(windowUpdate(1, 1));
      await c.data();
    },
  },
  {
    id: "generic/3.10/1",
    title: "Sends a CONTINUATION frame",
    run: async (c) => {
      await c.handshake();
      c.send(headers(1, c.request(), Flag.END_STREAM), continuation(1, block([["x-dummy0", "x"]])));
      await c.responseHead();
    },
  },
  {
    id: "generic/3.10/2",
    title: "Sends multiple CONTINUATION frames",
    run: async (c) => {
      await c.handshake();
      c.send(
        headers(1, c.request(), Flag.END_STREAM),
        continuation(1, block([["x-dummy0", "x"]]), 0),
        continuation(1, block([["x-dummy1", "x"]])),
      );
      await c.responseHead();
    },
  },
  ...[
    ["Sends a GET request", "GET", 1],
    ["Sends a HEAD request", "HEAD", 2],
  ].map(([title, method, id]) => ({
    id: `generic/4/${id}`,
    title,
    run: async (c) => {
      await c.handshake();
      c.send(headers(1, c.request({ ":method": method })));
      await c.responseHead();
    },
  })),
  {
    id: "generic/4/3",
    title: "Sends a POST request",
    run: async (c) => {
      await c.handshake();
      c.send(openHeaders(1, c.request(POST)), data(1, "test"));
      await c.responseHead();
    },
  },
  {
    id: "generic/4/4",
    title: "Sends a POST request with trailers",
    run: async (c) => {
      await c.handshake();
      c.send(
        openHeaders(1, c.request(POST, ["trailer", "x-test"])),
        data(1, "test", 0),
        headers(1, block([["x-test", "ok"]])),
      );
      await c.responseHead();
    },
  },
  accepts(1, "Sends a indexed header field representation", Buffer.of(0xba)),
  accepts(
    2,
    "Sends a literal header field with incremental indexing - indexed name",
    literalWithIndexedName(0x7a),
  ),
  accepts(
    3,
    "Sends a literal header field with incremental indexing - indexed name (with Huffman coding)",
    Buffer.from([0x7a, ...VALUE]),
  ),
  accepts(
    4,
    "Sends a literal header field with incremental indexing - new name",
    literal(0x40, "x-test", H2SPEC),
  ),
  accepts(
    5,
    "Sends a literal header field with incremental indexing - new name (with Huffman coding)",
    huffman(0x40, X_TEST),
  ),
  accepts(
    6,
    "Sends a literal header field without indexing - indexed name",
    literal(0x00, "user-agent", H2SPEC),
  ),
  accepts(
    7,
    "Sends a literal header field without indexing - indexed name (with Huffman coding)",
    huffman(0x00, USER_AGENT),
  ),
  accepts(8, "Sends a literal header field without indexing - new name", literal(0x00, "x-test", H2SPEC)),
  accepts(
    9,
    "Sends a literal header field without indexing - new name (huffman encoded)",
    huffman(0x00, X_TEST),
  ),
  accepts(
    10,
    "Sends a literal header field never indexed - indexed name",
    literal(0x10, "user-agent", H2SPEC),
  ),
  accepts(
    11,
    "Sends a literal header field never indexed - indexed name (huffman encoded)",
    huffman(0x10, USER_AGENT),
  ),
  accepts(12, "Sends a literal header field never indexed - new name", literal(0x10, "x-test", H2SPEC)),
  accepts(
    13,
    "Sends a literal header field never indexed - new name (huffman encoded)",
    huffman(0x10, X_TEST),
  ),
  {
    id: "generic/5/14",
    title: "Sends a dynamic table size update",
    run: async (c) => {
      await c.handshake();
      c.send(headers(1, Buffer.concat([Buffer.of(0x20), c.request()])));
      await c.responseHead();
    },
  },
  {
    id: "generic/5/15",
    title: "Sends multiple dynamic table size update",
    run: async (c) => {
      await c.handshake();
      c.send(headers(1, Buffer.concat([Buffer.of(0x20, 0x20), c.request()])));
      await c.responseHead();
    },
  },
];

/** user-agent by its index in the static table, 58, which a prefix of six bits holds. */
function literalWithIndexedName(first) {
  return Buffer.concat([Buffer.of(first, H2SPEC.length), Buffer.from(H2SPEC)]);
}
