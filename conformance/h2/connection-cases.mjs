import {
  block,
  continuation,
  data,
  Flag,
  frame,
  FRAME_BYTES,
  headers,
  openHeaders,
  ping,
  PREFACE,
  priority,
  priorityFields,
  reset,
  settings,
  Setting,
  Type,
  windowUpdate,
} from "./frames.mjs";

// RFC 7540 sections 3 to 5: preface, framing, stream states, errors. Numbers and titles are h2spec's (its suite "http2").

const POST = { ":method": "POST" };
const NO_PING = "\0\0\0\0\0\0\0\0";
/** A field of the size that h2spec makes blocks large with. */
export const dummyFields = (count) =>
  block(Array.from({ length: count }, (_, i) => [`x-dummy${i}`, "x".repeat(4000)]));

/** Bytes on a fresh connection that must end it with one of the codes. */
export const endsConnection = (id, title, codes, ...buffers) => ({
  id: `http2/${id}`,
  title,
  run: async (c) => {
    await c.handshake();
    c.send(...buffers);
    await c.connectionError(...codes);
  },
});

/** Whatever the frames are, the connection must answer a PING after them. */
const ignored = (id, title, ...buffers) => ({
  id: `http2/${id}`,
  title,
  run: async (c) => {
    await c.handshake();
    c.send(...buffers);
    await c.lives();
  },
});

/** A whole exchange, then a frame on its stream. */
const onEndedStream = (id, title, codes, late) => ({
  id: `http2/5.1/${id}`,
  title: `closed: ${title}`,
  run: async (c) => {
    await c.handshake();
    c.send(headers(1, c.request()));
    await c.streamEnd();
    c.send(late(c));
    await c.connectionError(...codes);
  },
});

/** A request, reset by the client, then a frame on its stream. */
const onResetStream = (id, title, codes, late) => ({
  id: `http2/5.1/${id}`,
  title: `closed: ${title} after sending RST_STREAM frame`,
  run: async (c) => {
    await c.handshake();
    c.send(openHeaders(1, c.request()), reset(1, 8), late(c));
    await c.streamError(...codes);
  },
});

/** A request that has ended, and a frame behind it. */
const onHalfClosedStream = (id, title, codes, late) => ({
  id: `http2/5.1/${id}`,
  title: `half closed (remote): ${title}`,
  run: async (c) => {
    await c.handshake();
    c.send(headers(1, c.request()), late(c));
    await c.streamError(...codes);
  },
});

/** A header block of several frames, cut by one that does not belong there. */
export const cutsBlock = (id, title, intruder) => ({
  id: `http2/${id}`,
  title,
  run: async (c) => {
    await c.handshake();
    c.send(headers(1, c.request(), 0), intruder(c), continuation(1, dummyFields(1)));
    await c.connectionError("PROTOCOL_ERROR");
  },
});

const UNKNOWN_FRAME = frame(0x16, 0, 0, NO_PING);

export const CONNECTION = [
  {
    id: "http2/3.5/1",
    title: "Sends client connection preface",
    run: async (c) => {
      c.send(PREFACE, settings(Setting.INITIAL_WINDOW_SIZE, 65_535));
      let first;
      await c.frame("SETTINGS as the first frame", (event) => {
        first ??= event;
        return first.type === Type.SETTINGS && first.flags === 0;
      });
    },
  },
  {
    id: "http2/3.5/2",
    title: "Sends invalid connection preface",
    run: async (c) => {
      c.send(Buffer.from("INVALID CONNECTION PREFACE\r\n\r\n"));
      await c.closed();
    },
  },
  ignored("4.1/1", "Sends a frame with unknown type", UNKNOWN_FRAME),
  {
    id: "http2/4.1/2",
    title: "Sends a frame with undefined flag",
    run: async (c) => {
      await c.handshake();
      c.send(ping(NO_PING, 0x16));
      await c.pingAck(NO_PING);
    },
  },
  {
    id: "http2/4.1/3",
    title: "Sends a frame with reserved field bit",
    run: async (c) => {
      await c.handshake();
      c.send(frame(Type.PING, 0, 0x8000_0000, NO_PING));
      await c.pingAck(NO_PING);
    },
  },
  {
    id: "http2/4.2/1",
    title: "Sends a DATA frame with 2^14 octets in length",
    run: async (c) => {
      await c.handshake();
      c.send(openHeaders(1, c.request(POST)), data(1, Buffer.alloc(FRAME_BYTES, "x")));
      await c.responseHead();
    },
  },
  {
    id: "http2/4.2/2",
    title: "Sends a large size DATA frame that exceeds the SETTINGS_MAX_FRAME_SIZE",
    run: async (c) => {
      await c.handshake();
      const length = (c.settings.get(Setting.MAX_FRAME_SIZE) ?? FRAME_BYTES) + 1;
      c.send(openHeaders(1, c.request(POST)), data(1, Buffer.alloc(length, "x")));
      await c.streamError("FRAME_SIZE_ERROR");
    },
  },
  {
    id: "http2/4.2/3",
    title: "Sends a large size HEADERS frame that exceeds the SETTINGS_MAX_FRAME_SIZE",
    run: async (c) => {
      await c.handshake();
      c.send(headers(1, Buffer.concat([c.request(), dummyFields(5)])));
      await c.connectionError("FRAME_SIZE_ERROR");
    },
  },
  endsConnection(
    "4.3/1",
    "Sends invalid header block fragment",
    ["COMPRESSION_ERROR"],
    headers(1, Buffer.of(0x40)),
  ),
  cutsBlock("4.3/2", "Sends a PRIORITY frame while sending the header blocks", () => priority(1, 0)),
  cutsBlock("4.3/3", "Sends a HEADERS frame to another stream while sending the header blocks", (c) =>
    headers(3, c.request()),
  ),
  endsConnection("5.1/1", "idle: Sends a DATA frame", ["PROTOCOL_ERROR"], data(1, "test")),
  endsConnection("5.1/2", "idle: Sends a RST_STREAM frame", ["PROTOCOL_ERROR"], reset(1, 8)),
  endsConnection("5.1/3", "idle: Sends a WINDOW_UPDATE frame", ["PROTOCOL_ERROR"], windowUpdate(1, 100)),
  endsConnection("5.1/4", "idle: Sends a CONTINUATION frame", ["PROTOCOL_ERROR"], continuation(1, block([]))),
  onHalfClosedStream(5, "Sends a DATA frame", ["STREAM_CLOSED"], () => data(1, "test")),
  onHalfClosedStream(6, "Sends a HEADERS frame", ["STREAM_CLOSED"], (c) => headers(1, c.request())),
  onHalfClosedStream(7, "Sends a CONTINUATION frame", ["STREAM_CLOSED", "PROTOCOL_ERROR"], (c) =>
    continuation(1, c.request()),
  ),
  onResetStream(8, "Sends a DATA frame", ["STREAM_CLOSED"], () => data(1, "test")),
  onResetStream(9, "Sends a HEADERS frame", ["STREAM_CLOSED"], (c) => headers(1, c.request())),
  onResetStream(10, "Sends a CONTINUATION frame", ["STREAM_CLOSED", "PROTOCOL_ERROR"], () =>
    continuation(1, dummyFields(1)),
  ),
  onEndedStream(11, "Sends a DATA frame", ["STREAM_CLOSED"], () => data(1, "test")),
  onEndedStream(12, "Sends a HEADERS frame", ["STREAM_CLOSED"], (c) => headers(1, c.request())),
  onEndedStream(13, "Sends a CONTINUATION frame", ["STREAM_CLOSED", "PROTOCOL_ERROR"], () =>
    continuation(1, dummyFields(1)),
  ),
  {
    id: "http2/5.1.1/1",
    title: "Sends even-numbered stream identifier",
    run: async (c) => {
      await c.handshake();
      c.send(headers(2, c.request()));
      await c.connectionError("PROTOCOL_ERROR");
    },
  },
  {
    id: "http2/5.1.1/2",
    title: "Sends stream identifier that is numerically smaller than previous",
    run: async (c) => {
      await c.handshake();
      c.send(headers(5, c.request()), headers(3, c.request()));
      await c.connectionError("PROTOCOL_ERROR");
    },
  },
  {
    id: "http2/5.1.2/1",
    title: "Sends HEADERS frames that causes their advertised concurrent stream limit to be exceeded",
    run: async (c) => {
      await c.handshake();
      const limit = c.settings.get(Setting.MAX_CONCURRENT_STREAMS);
      if (limit === undefined) return;
      c.send(settings(Setting.INITIAL_WINDOW_SIZE, 0));
      for (let i = 0; i <= limit; i++) c.send(headers(1 + 2 * i, c.request()));
      await c.streamError("PROTOCOL_ERROR", "REFUSED_STREAM");
    },
  },
  {
    id: "http2/5.3.1/1",
    title: "Sends HEADERS frame that depends on itself",
    run: async (c) => {
      await c.handshake();
      const payload = Buffer.concat([priorityFields(1), c.request()]);
      c.send(headers(1, payload, Flag.PRIORITY | Flag.END_HEADERS | Flag.END_STREAM));
      await c.streamError("PROTOCOL_ERROR");
    },
  },
  {
    id: "http2/5.3.1/2",
    title: "Sends PRIORITY frame that depend on itself",
    run: async (c) => {
      await c.handshake();
      c.send(priority(2, 2));
      await c.streamError("PROTOCOL_ERROR");
    },
  },
  {
    id: "http2/5.4.1/1",
    title: "Sends an invalid PING frame for connection close",
    run: async (c) => {
      await c.handshake();
      c.send(frame(Type.PING, 0, 3, NO_PING));
      await c.closed();
    },
  },
  endsConnection(
    "5.4.1/2",
    "Sends an invalid PING frame to receive GOAWAY frame",
    ["PROTOCOL_ERROR"],
    frame(Type.PING, 0, 3, NO_PING),
  ),
  ignored("5.5/1", "Sends an unknown extension frame", UNKNOWN_FRAME),
  cutsBlock("5.5/2", "Sends an unknown extension frame in the middle of a header block", () => UNKNOWN_FRAME),
];
