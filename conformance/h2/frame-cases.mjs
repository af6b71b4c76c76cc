import { cutsBlock, dummyFields, endsConnection } from "./connection-cases.mjs";
import {
  block,
  continuation,
  data,
  Flag,
  frame,
  goAway,
  headers,
  MAX_WINDOW,
  openHeaders,
  ping,
  priority,
  reset,
  settings,
  settingEntries,
  Setting,
  Type,
  windowUpdate,
} from "./frames.mjs";

// RFC 7540 section 6: each frame. Numbers and titles are h2spec's (its suite "http2").

const POST = { ":method": "POST" };
const PING = "h2spec\0\0";

const endsAfterRequest = (id, title, codes, frames) => ({
  id: `http2/${id}`,
  title,
  run: async (c) => {
    await c.handshake();
    c.send(...frames(c));
    await c.connectionError(...codes);
  },
});

const breaksStream = (id, title, code, frames) => ({
  id: `http2/${id}`,
  title,
  run: async (c) => {
    await c.handshake();
    c.send(...frames(c));
    await c.streamError(code);
  },
});

export const FRAMES = [
  endsConnection(
    "6.1/1",
    "Sends a DATA frame with 0x0 stream identifier",
    ["PROTOCOL_ERROR"],
    data(0, "test"),
  ),
  breaksStream(
    "6.1/2",
    'Sends a DATA frame on the stream that is not in "open" or "half-closed (local)" state',
    "STREAM_CLOSED",
    (c) => [headers(1, c.request(POST)), data(1, "test")],
  ),
  endsAfterRequest("6.1/3", "Sends a DATA frame with invalid pad length", ["PROTOCOL_ERROR"], (c) => [
    openHeaders(1, c.request(POST, ["content-length", "4"])),
    data(1, "\x06Test", Flag.PADDED | Flag.END_STREAM),
  ]),
  cutsBlock("6.2/1", "Sends a HEADERS frame without the END_HEADERS flag, and a PRIORITY frame", () =>
    priority(1, 0),
  ),
  cutsBlock("6.2/2", "Sends a HEADERS frame to another stream while sending a HEADERS frame", (c) =>
    headers(3, c.request()),
  ),
  endsAfterRequest("6.2/3", "Sends a HEADERS frame with 0x0 stream identifier", ["PROTOCOL_ERROR"], (c) => [
    headers(0, c.request()),
  ]),
  endsAfterRequest("6.2/4", "Sends a HEADERS frame with invalid pad length", ["PROTOCOL_ERROR"], (c) => {
    const request = c.request();
    const payload = Buffer.concat([Buffer.of(request.length + 1), request]);
    return [headers(1, payload, Flag.PADDED | Flag.END_HEADERS | Flag.END_STREAM)];
  }),
  endsConnection(
    "6.3/1",
    "Sends a PRIORITY frame with 0x0 stream identifier",
    ["PROTOCOL_ERROR"],
    priority(0, 0),
  ),
  breaksStream(
    "6.3/2",
    "Sends a PRIORITY frame with a length other than 5 octets",
    "FRAME_SIZE_ERROR",
    (c) => [headers(1, c.request()), ...inTwo(frame(Type.PRIORITY, 0, 1, "\x80\0\0\x01"))],
  ),
  endsConnection(
    "6.4/1",
    "Sends a RST_STREAM frame with 0x0 stream identifier",
    ["PROTOCOL_ERROR"],
    reset(0, 8),
  ),
  endsConnection("6.4/2", "Sends a RST_STREAM frame on a idle stream", ["PROTOCOL_ERROR"], reset(1, 8)),
  endsAfterRequest(
    "6.4/3",
    "Sends a RST_STREAM frame with a length other than 4 octets",
    ["FRAME_SIZE_ERROR"],
    (c) => [openHeaders(1, c.request()), frame(Type.RST_STREAM, 0, 1, "\0\0\0")],
  ),
  endsConnection(
    "6.5/1",
    "Sends a SETTINGS frame with ACK flag and payload",
    ["FRAME_SIZE_ERROR"],
    frame(Type.SETTINGS, Flag.ACK, 0, "\0"),
  ),
  endsConnection(
    "6.5/2",
    "Sends a SETTINGS frame with a stream identifier other than 0x0",
    ["PROTOCOL_ERROR"],
    frame(Type.SETTINGS, 0, 1, settingEntries(Setting.MAX_CONCURRENT_STREAMS, 100)),
  ),
  endsConnection(
    "6.5/3",
    "Sends a SETTINGS frame with a length other than a multiple of 6 octets",
    ["FRAME_SIZE_ERROR"],
    frame(Type.SETTINGS, 0, 0, "\0\x03\0"),
  ),
  endsConnection(
    "6.5.2/1",
    "SETTINGS_ENABLE_PUSH (0x2): Sends the value other than 0 or 1",
    ["PROTOCOL_ERROR"],
    settings(Setting.ENABLE_PUSH, 2),
  ),
  endsConnection(
    "6.5.2/2",
    "SETTINGS_INITIAL_WINDOW_SIZE (0x4): Sends the value above the maximum flow control window size",
    ["FLOW_CONTROL_ERROR"],
    settings(Setting.INITIAL_WINDOW_SIZE, MAX_WINDOW + 1),
  ),
  endsConnection(
    "6.5.2/3",
    "SETTINGS_MAX_FRAME_SIZE (0x5): Sends the value below the initial value",
    ["PROTOCOL_ERROR"],
    settings(Setting.MAX_FRAME_SIZE, 16_383),
  ),
  endsConnection(
    "6.5.2/4",
    "SETTINGS_MAX_FRAME_SIZE (0x5): Sends the value above the maximum allowed frame size",
    ["PROTOCOL_ERROR"],
    settings(Setting.MAX_FRAME_SIZE, 16_777_216),
  ),
  {
    id: "http2/6.5.2/5",
    title: "Sends a SETTINGS frame with unknown identifier",
    run: async (c) => {
      await c.handshake();
      c.send(settings(0xff, 1));
      await c.lives(PING);
    },
  },
  {
    id: "http2/6.5.3/1",
    title: "Sends multiple values of SETTINGS_INITIAL_WINDOW_SIZE",
    run: async (c) => {
      await c.handshake();
      c.send(settings(Setting.INITIAL_WINDOW_SIZE, 100, Setting.INITIAL_WINDOW_SIZE, 1));
      await c.settingsAck();
      c.send(headers(1, c.request()));
      await c.data(1);
    },
  },
  {
    id: "http2/6.5.3/2",
    title: "Sends a SETTINGS frame without ACK flag",
    run: async (c) => {
      await c.handshake();
      c.send(settings(Setting.ENABLE_PUSH, 0));
      await c.settingsAck();
    },
  },
  {
    id: "http2/6.7/1",
    title: "Sends a PING frame",
    run: async (c) => {
      await c.handshake();
      await c.lives(PING);
    },
  },
  {
    id: "http2/6.7/2",
    title: "Sends a PING frame with ACK",
    run: async (c) => {
      await c.handshake();
      c.send(ping("invalid\0", Flag.ACK), ping(PING));
      // The first answer must be to the second.
      const { payload } = await c.frame("PING", ({ type }) => type === Type.PING);
      if (payload.toString("latin1") !== PING) throw new Error("an acknowledgement was acknowledged");
    },
  },
  endsConnection(
    "6.7/3",
    "Sends a PING frame with a stream identifier field value other than 0x0",
    ["PROTOCOL_ERROR"],
    frame(Type.PING, 0, 1, PING),
  ),
  endsConnection(
    "6.7/4",
    "Sends a PING frame with a length field value other than 8",
    ["FRAME_SIZE_ERROR"],
    ping("\0\0\0\0\0\0"),
  ),
  endsConnection(
    "6.8/1",
    "Sends a GOAWAY frame with a stream identifier other than 0x0",
    ["PROTOCOL_ERROR"],
    frame(Type.GOAWAY, 0, 1, "\0\0\0\0\0\0\0\0"),
  ),
  endsConnection(
    "6.9/1",
    "Sends a WINDOW_UPDATE frame with a flow control window increment of 0",
    ["PROTOCOL_ERROR"],
    windowUpdate(0, 0),
  ),
  breaksStream(
    "6.9/2",
    "Sends a WINDOW_UPDATE frame with a flow control window increment of 0 on a stream",
    "PROTOCOL_ERROR",
    (c) => [openHeaders(1, c.request()), windowUpdate(1, 0)],
  ),
  endsConnection(
    "6.9/3",
    "Sends a WINDOW_UPDATE frame with a length other than 4 octets",
    ["FRAME_SIZE_ERROR"],
    ...inTwo(frame(Type.WINDOW_UPDATE, 0, 0, "\0\0\x01")),
  ),
  {
    id: "http2/6.9.1/1",
    title: "Sends SETTINGS frame to set the initial window size to 1 and sends HEADERS frame",
    run: async (c) => {
      await c.handshake();
      c.send(settings(Setting.INITIAL_WINDOW_SIZE, 1));
      await c.settingsAck();
      c.send(headers(1, c.request()));
      await c.data(1);
    },
  },
  endsConnection(
    "6.9.1/2",
    "Sends multiple WINDOW_UPDATE frames increasing the flow control window to above 2^31-1",
    ["FLOW_CONTROL_ERROR"],
    windowUpdate(0, MAX_WINDOW),
    windowUpdate(0, MAX_WINDOW),
  ),
  {
    id: "http2/6.9.1/3",
    title:
      "Sends multiple WINDOW_UPDATE frames increasing the flow control window to above 2^31-1 on a stream",
    run: async (c) => {
      await c.handshake();
      c.send(openHeaders(1, c.request()), windowUpdate(1, MAX_WINDOW), windowUpdate(1, MAX_WINDOW));
      const { payload } = await c.frame("RST_STREAM", ({ type }) => type === Type.RST_STREAM);
      if (payload.readUInt32BE(0) !== 3) throw new Error(`RST_STREAM with code ${payload.readUInt32BE(0)}`);
    },
  },
  {
    id: "http2/6.9.2/1",
    title: "Changes SETTINGS_INITIAL_WINDOW_SIZE after sending HEADERS frame",
    run: async (c) => {
      await c.handshake();
      c.send(settings(Setting.INITIAL_WINDOW_SIZE, 0));
      await c.settingsAck();
      c.send(headers(1, c.request()), settings(Setting.INITIAL_WINDOW_SIZE, 1));
      // The acknowledgement comes before or after the head, and always before the byte.
      await c.settingsAck();
      await c.data(1);
    },
  },
  {
    id: "http2/6.9.2/2",
    title: "Sends a SETTINGS frame for window size to be negative",
    run: async (c) => {
      await c.handshake();
      c.send(settings(Setting.INITIAL_WINDOW_SIZE, 3));
      await c.settingsAck();
      c.send(headers(1, c.request()));
      await c.data(3);
      c.send(settings(Setting.INITIAL_WINDOW_SIZE, 2));
      await c.settingsAck();
      c.send(windowUpdate(1, 2));
      await c.data(1);
    },
  },
  endsConnection(
    "6.9.2/3",
    "Sends a SETTINGS_INITIAL_WINDOW_SIZE settings with an exceeded maximum window size value",
    ["FLOW_CONTROL_ERROR"],
    ...inTwo(settings(Setting.INITIAL_WINDOW_SIZE, MAX_WINDOW + 1)),
  ),
  {
    id: "http2/6.10/1",
    title: "Sends multiple CONTINUATION frames preceded by a HEADERS frame",
    run: async (c) => {
      await c.handshake();
      c.send(
        headers(1, c.request(), Flag.END_STREAM),
        continuation(1, dummyFields(1), 0),
        continuation(1, dummyFields(1)),
      );
      await c.responseHead();
    },
  },
  cutsBlock("6.10/2", "Sends a CONTINUATION frame followed by any frame other than CONTINUATION", () =>
    Buffer.concat([continuation(1, dummyFields(1), 0), data(1, "test")]),
  ),
  endsAfterRequest(
    "6.10/3",
    "Sends a CONTINUATION frame with 0x0 stream identifier",
    ["PROTOCOL_ERROR"],
    (c) => [headers(1, c.request(), Flag.END_STREAM), continuation(0, dummyFields(1))],
  ),
  endsAfterRequest(
    "6.10/4",
    "Sends a CONTINUATION frame preceded by a HEADERS frame with END_HEADERS flag",
    ["PROTOCOL_ERROR"],
    (c) => [headers(1, c.request()), continuation(1, dummyFields(1))],
  ),
  endsAfterRequest(
    "6.10/5",
    "Sends a CONTINUATION frame preceded by a CONTINUATION frame with END_HEADERS flag",
    ["PROTOCOL_ERROR"],
    (c) => [
      headers(1, c.request(), Flag.END_STREAM),
      continuation(1, dummyFields(1)),
      continuation(1, dummyFields(1)),
    ],
  ),
  endsAfterRequest(
    "6.10/6",
    "Sends a CONTINUATION frame preceded by a DATA frame",
    ["PROTOCOL_ERROR"],
    (c) => [openHeaders(1, c.request(POST)), data(1, "test"), continuation(1, dummyFields(1), 0)],
  ),
  {
    id: "http2/7/1",
    title: "Sends a GOAWAY frame with unknown error code",
    run: async (c) => {
      await c.handshake();
      c.send(goAway(0, 0xff));
      await c.orClosed(c.lives());
    },
  },
  {
    id: "http2/7/2",
    title: "Sends a RST_STREAM frame with unknown error code",
    run: async (c) => {
      await c.handshake();
      c.send(openHeaders(1, c.request()), reset(1, 0xff));
      await c.lives();
    },
  },
  breaksStream("8.1/1", "Sends a second HEADERS frame without the END_STREAM flag", "PROTOCOL_ERROR", (c) => [
    openHeaders(1, c.request(POST)),
    data(1, "test", 0),
    openHeaders(1, block([["x-test", "ok"]])),
  ]),
];

/** A frame's header and its payload in two writes. */
function inTwo(bytes) {
  return [bytes.subarray(0, 9), bytes.subarray(9)];
}
