import { expect, test } from "vitest";
import {
  END_HEADERS,
  END_STREAM,
  OPEN,
  clientStart,
  data,
  extendedConnect,
  frame,
  get,
  goaway,
  headers,
  literals,
  many,
  ping,
  post,
  rst,
  settings,
  settingsAck,
  windowUpdate,
} from "../testing/http2-frames.js";
import { Peer, settle } from "../testing/http2-peer.js";
import { Http2ErrorCode as Code } from "./error-codes.js";

const REQUEST = { method: "GET", scheme: "http", authority: "a", path: "/", protocol: "", headers: [] };

/** A server with one open request, its output so far forgotten. */
function serving(...more: Buffer[]): Peer {
  const peer = new Peer("server");
  peer.feed(clientStart(settingsAck(), headers(1, post(), END_HEADERS), ...more));
  peer.output();
  return peer;
}

const sentBytes = (peer: Peer): number =>
  peer.frames().reduce((sum, { type, payload }) => sum + (type === 0 ? payload.length : 0), 0);

test("submitData takes what the stream's window allows and goes on at WINDOW_UPDATE", () => {
  const peer = serving(settings(4, 100));
  const writable: number[] = [];
  peer.onWritable = (id) => void writable.push(id);
  peer.session.submitHeaders(1, 200, [], false);
  const body = Buffer.alloc(150, 0x61);
  expect(peer.session.submitData(1, body, 0, 150, true)).toBe(100);
  expect(peer.session.submitData(1, body, 100, 150, true)).toBe(0);
  expect(peer.session.stalledStreams).toBe(1);
  peer.feed(windowUpdate(1, 20));
  expect(writable).toEqual([1]);
  expect(peer.session.submitData(1, body, 100, 150, true)).toBe(20);
  peer.feed(windowUpdate(1, 30));
  peer.output();
  expect(peer.session.submitData(1, body, 120, 150, true)).toBe(30);
  expect(peer.frames()).toMatchObject([{ type: 0, flags: END_STREAM, streamId: 1 }]);
  expect(peer.session.stalledStreams).toBe(0);
});

test("submitData waits while SETTINGS have made the window negative", () => {
  const peer = serving();
  peer.session.submitHeaders(1, 200, [], false);
  const body = Buffer.alloc(100, 0x61);
  expect(peer.session.submitData(1, body, 0, 60, false)).toBe(60);
  peer.feed(settings(4, 50));
  expect(peer.session.submitData(1, body, 60, 100, false)).toBe(0);
  peer.feed(windowUpdate(1, 10));
  expect(peer.session.submitData(1, body, 60, 100, false)).toBe(0);
  peer.feed(windowUpdate(1, 1));
  expect(peer.session.submitData(1, body, 60, 100, false)).toBe(1);
  peer.feed(settings(4, 100));
  expect(peer.session.submitData(1, body, 61, 100, false)).toBe(39);
});

test("submitData keeps to the connection's window and lets streams go on in turn", () => {
  const peer = new Peer("server");
  const ids = [1, 3, 5, 7, 9];
  peer.feed(clientStart(settingsAck(), ...ids.map((id) => headers(id, get()))));
  const body = Buffer.alloc(30_000, 0x61);
  const taken = new Map(ids.map((id) => [id, 0]));
  const offer = (id: number): void => {
    const at = taken.get(id)!;
    taken.set(id, at + peer.session.submitData(id, body, at, body.length, true));
  };
  peer.onWritable = offer;
  for (const id of ids) peer.session.submitHeaders(id, 200, [], false);
  let sent = 0;
  for (const id of ids) offer(id);
  for (let i = 0; i < 10; i++) sent += sentBytes(peer);
  expect(sent).toBe(65_535);
  peer.feed(windowUpdate(0, 10));
  expect(sentBytes(peer)).toBe(10);
  peer.feed(windowUpdate(0, 200_000));
  for (let i = 0; i < 10; i++) sent += sentBytes(peer);
  expect(sent + 10).toBe(150_000);
  expect(peer.session.openStreams).toBe(0);
});

test("submitData takes nothing while the output is full and goes on when the socket has drained", () => {
  const peer = serving(windowUpdate(0, 1_000_000), windowUpdate(1, 1_000_000));
  const writable: number[] = [];
  peer.onWritable = (id) => void writable.push(id);
  const body = Buffer.alloc(200_000, 0x61);
  peer.session.submitHeaders(1, 200, [], false);
  const taken = peer.session.submitData(1, body, 0, body.length, true);
  expect(taken).toBeGreaterThanOrEqual(65_000);
  expect(taken).toBeLessThan(65_536 + 16_384);
  peer.sink.reset();
  peer.session.flushed(taken);
  expect(peer.session.submitData(1, body, taken, body.length, true)).toBe(0);
  // What the peer's window does not hold up is not stalled.
  expect(peer.session.stalledStreams).toBe(0);
  peer.session.flushed(40_000);
  expect(writable).toEqual([]);
  peer.session.flushed(30_000);
  expect(writable).toEqual([1]);
});

test("flushed sends a large body without nesting when the output is flushed from onWritable", () => {
  const peer = serving(windowUpdate(0, 100_000_000), windowUpdate(1, 100_000_000));
  const body = Buffer.alloc(20_000_000);
  let at = 0;
  let depth = 0;
  let deepest = 0;
  const offer = (): void => {
    depth++;
    deepest = Math.max(deepest, depth);
    at += peer.session.submitData(1, body, at, body.length, true);
    peer.sink.reset();
    peer.session.flushed(0);
    depth--;
  };
  peer.onWritable = offer;
  peer.session.submitHeaders(1, 200, [], false);
  offer();
  expect(at).toBe(body.length);
  expect(deepest).toBeLessThan(4);
});

test("consume opens the windows in batches, and a stream's end gives back what was never consumed", () => {
  const peer = new Peer("server");
  peer.consumes = false;
  peer.feed(
    clientStart(
      settingsAck(),
      headers(1, post(), END_HEADERS),
      data(1, Buffer.alloc(16_384)),
      data(1, Buffer.alloc(16_384)),
    ),
  );
  peer.output();
  peer.session.consume(1, 32_767);
  expect(peer.sink.length).toBe(0);
  peer.session.consume(1, 1_000_000);
  expect(peer.frames()).toMatchObject([{ type: 8, streamId: 1, payload: Buffer.of(0, 0, 0x80, 0) }]);
  for (let i = 0; i < 15; i++) {
    const id = 3 + 2 * i;
    peer.feed(
      Buffer.concat([
        headers(id, post(), END_HEADERS),
        data(id, Buffer.alloc(16_384)),
        data(id, Buffer.alloc(16_384)),
        rst(id),
      ]),
    );
  }
  const credited = peer.frames().filter(({ type, streamId }) => type === 8 && streamId === 0);
  expect(credited.map(({ payload }) => payload.readUInt32BE(0))).toEqual([524_288]);
});

test("a stream's place is taken until the application releases it", () => {
  const peer = new Peer("server", { limits: { maxConcurrentStreams: 2 } });
  const held: number[] = [];
  peer.session.release = (id: number): void => void held.push(id);
  peer.feed(
    clientStart(settingsAck(), headers(1, get()), rst(1), headers(3, get()), rst(3), headers(5, get())),
  );
  expect(peer.of("refused")).toEqual([{ type: "refused", id: 5, code: "HTTP2_TOO_MANY_STREAMS" }]);
  expect(peer.frames().at(-1)).toMatchObject({ type: 3, streamId: 5, payload: Buffer.of(0, 0, 0, 7) });
  expect(held).toEqual([1, 3]);
  Object.getPrototypeOf(peer.session).release.call(peer.session, 1);
  peer.feed(headers(7, get()));
  expect(peer.heads).toHaveLength(3);
});

test("execute returns after requestsPerTurn requests and takes the rest in the next turn", () => {
  const peer = new Peer("server", { limits: { requestsPerTurn: 3 } });
  const bytes = clientStart(...[1, 3, 5, 7].map((id) => headers(id, get())));
  const consumed = peer.session.execute(bytes, 0, bytes.length, 1);
  expect(peer.heads).toHaveLength(3);
  expect(bytes.length - consumed).toBe(headers(7, get()).length);
  expect(peer.session.execute(bytes, consumed, bytes.length, 1)).toBe(bytes.length - consumed);
  expect(peer.heads).toHaveLength(4);
});

test.each([
  ["H2-01 the reset", rst(3)],
  ["H2-02 the error", windowUpdate(3, 0)],
])("%s of a turn's last request is taken in that turn, before the request has gone on", (_name, end) => {
  const peer = new Peer("server", { limits: { requestsPerTurn: 2 } });
  const next = headers(5, get());
  const bytes = clientStart(headers(1, get()), headers(3, get()), end, next);
  const consumed = peer.session.execute(bytes, 0, bytes.length, 1);
  expect(peer.heads).toHaveLength(2);
  expect(peer.of("reset").map(({ id }) => id)).toEqual([3]);
  expect(bytes.length - consumed).toBe(next.length);
});

test("goAway of a server announces, refuses new streams a round trip later, and is drained with the last stream", () => {
  const peer = serving();
  peer.session.goAway(Code.NO_ERROR, true);
  expect(peer.session.drain).toBe("draining");
  const [announcement, probe] = peer.frames();
  expect(announcement).toMatchObject({ type: 7, payload: Buffer.from("7fffffff00000000", "hex") });
  peer.feed(headers(3, get()));
  peer.feed(frame(6, 1, 0, probe!.payload));
  expect(peer.frames()).toMatchObject([{ type: 7, payload: Buffer.from("0000000300000000", "hex") }]);
  peer.feed(headers(5, get()));
  expect(peer.frames()).toMatchObject([{ type: 3, streamId: 5, payload: Buffer.of(0, 0, 0, 7) }]);
  peer.session.submitHeaders(3, 200, [], true);
  expect(peer.of("drained")).toEqual([]);
  peer.feed(data(1, "", END_STREAM));
  peer.session.submitHeaders(1, 200, [], true);
  expect(peer.of("drained")).toHaveLength(1);
  expect(peer.session.drain).toBe("drained");
});

test("GOAWAY of a server gives unprocessed requests back and lets the others finish, also with no streams allowed (H2-12, CVE-2021-32780)", () => {
  const peer = new Peer("client");
  peer.feed(settings());
  const ids = [1, 2, 3].map(() => peer.session.submitRequest(REQUEST, true));
  expect(ids).toEqual([1, 3, 5]);
  peer.feed(Buffer.concat([goaway(1), settings(3, 0)]));
  expect(peer.events).toEqual([
    { type: "goaway", last: 1, code: 0 },
    { type: "reset", id: 3, code: Code.REFUSED_STREAM, refusal: undefined },
    { type: "reset", id: 5, code: Code.REFUSED_STREAM, refusal: undefined },
  ]);
  expect(peer.session.submitRequest(REQUEST, true)).toBe(0);
  expect(peer.session.availableStreams).toBe(0);
  peer.feed(headers(1, literals(":status", "200")));
  expect(peer.events.slice(-2)).toEqual([{ type: "end", id: 1 }, { type: "drained" }]);
});

test("submitRequest keeps to the peer's limit of streams", () => {
  const peer = new Peer("client");
  expect(peer.session.availableStreams).toBe(100);
  peer.feed(settings(3, 1));
  expect(peer.session.submitRequest(REQUEST, true)).toBe(1);
  expect(peer.session.submitRequest(REQUEST, true)).toBe(0);
  peer.feed(headers(1, literals(":status", "200")));
  expect(peer.session.submitRequest({ ...REQUEST, method: "CONNECT", protocol: "websocket" }, false)).toBe(0);
  peer.feed(settings(8, 1));
  expect(peer.session.submitRequest({ ...REQUEST, method: "CONNECT", protocol: "websocket" }, false)).toBe(3);
});

test("ping is answered once, and one at a time is under way", () => {
  const client = new Peer("client");
  const server = new Peer("server");
  expect(client.session.ping()).toBe(true);
  expect(client.session.ping()).toBe(false);
  settle(client, server);
  expect(client.of("ping")).toHaveLength(1);
  expect(client.session.ping()).toBe(true);
});

test.each([
  ["nothing came", Buffer.alloc(0), "HTTP2_PREFACE_TIMEOUT"],
  ["only half a preface came", clientStart().subarray(0, 12), "HTTP2_PREFACE_TIMEOUT"],
  [
    "a HEADERS frame of 16,384 bytes dribbles (H2-18)",
    clientStart(settingsAck(), Buffer.from("004000010400000001aa", "hex")),
    "HTTP2_HEADER_TIMEOUT",
  ],
  ["a header block does not end", clientStart(settingsAck(), headers(1, get(), 0)), "HTTP2_HEADER_TIMEOUT"],
  ["SETTINGS are not acknowledged", clientStart(), "HTTP2_SETTINGS_TIMEOUT"],
])("tick fails the connection when %s", (_, bytes, refusal) => {
  const peer = new Peer("server");
  peer.session.tick(0);
  peer.feed(bytes);
  peer.session.tick(9_000);
  // A byte now and then does not help.
  if (bytes.length > 40)
    peer.session.execute(
      Buffer.of(0xaa),
      0,
      refusal === "HTTP2_HEADER_TIMEOUT" && bytes.at(-1) === 0xaa ? 1 : 0,
      9_500,
    );
  expect(peer.session.error).toBeUndefined();
  peer.session.tick(10_001);
  expect(peer.session.error?.code).toBe(refusal);
});

test("tick lets a tunnel rest as long as its other end does not read", () => {
  const peer = new Peer("server");
  peer.feed(
    clientStart(settingsAck(), settings(4, 10), headers(1, extendedConnect("websocket"), END_HEADERS)),
  );
  peer.session.submitHeaders(1, 200, [], false);
  expect(peer.session.submitData(1, Buffer.alloc(100), 0, 100, false)).toBe(10);
  expect(peer.session.stalledStreams).toBe(1);
  peer.session.tick(3_600_000);
  expect(peer.of("reset")).toEqual([]);
});

test("execute of a server takes few requests at once of a peer that resets most of them (H2-01)", () => {
  const requests = (count: number, from: number, also: (id: number) => Buffer): Buffer =>
    many(count, (i) => Buffer.concat([headers(2 * (from + i) + 1, get()), also(2 * (from + i) + 1)]));
  const nothing = (): Buffer => Buffer.alloc(0);
  for (const [also, taken] of [
    [nothing, 16],
    [(id: number) => rst(id), 4],
  ] as const) {
    const peer = new Peer("server", { limits: { maxResetsPerSecond: 10_000 } });
    peer.feed(clientStart(requests(150, 0, also)));
    const before = peer.heads.length;
    const more = requests(40, 150, nothing);
    peer.session.execute(more, 0, more.length, 2);
    expect(peer.heads.length - before).toBe(taken);
  }
});

test("execute of a server takes framesPerTurn frames and leaves the rest, wherever a payload is cut (H2-08)", () => {
  const bytes = clientStart(
    OPEN,
    many(20, (i) => Buffer.concat([ping(), data(1, `<${i}>`)])),
  );
  for (const framesPerTurn of [1, 2, 3, 5, 100]) {
    const peer = new Peer("server", { limits: { framesPerTurn } });
    let calls = 0;
    for (let at = 0; at < bytes.length; calls++) {
      const consumed = peer.session.execute(bytes, at, bytes.length, 1);
      expect(consumed).toBeGreaterThan(0);
      at += consumed;
    }
    expect(peer.session.error).toBeUndefined();
    expect(peer.of("data").map(({ text }) => text)).toEqual([
      Array.from({ length: 20 }, (_, i) => `<${i}>`).join(""),
    ]);
    // SETTINGS and HEADERS, and forty more; the last one's payload may be left for a call of its own.
    const turns = Math.ceil(42 / framesPerTurn);
    expect([turns, turns + 1]).toContain(calls);
  }
});

test("H2-05 H2-08 tick resets a stream that the peer's window has held up, and lets one that moves go on", () => {
  const peer = serving(settings(4, 10), headers(3, get()));
  const body = Buffer.alloc(100);
  for (const id of [1, 3]) {
    peer.session.submitHeaders(id, 200, [], false);
    peer.session.submitData(id, body, 0, 100, true);
  }
  peer.nowMs = 50_000;
  peer.feed(windowUpdate(3, 5));
  peer.session.submitData(3, body, 10, 100, true);
  peer.session.tick(60_002);
  expect(peer.of("reset")).toEqual([
    { type: "reset", id: 1, code: Code.ENHANCE_YOUR_CALM, refusal: "HTTP2_STREAM_STALLED" },
  ]);
  expect(peer.session.openStreams).toBe(1);
});

test("a handler that resets a stream in the middle of its events hears no more of it", () => {
  for (const moment of ["headers", "data"] as const) {
    const peer = new Peer("server");
    peer.after = (event) => {
      if (event.type === moment) peer.session.reset(1, Code.CANCEL);
    };
    peer.feed(
      clientStart(
        headers(1, post(), END_HEADERS),
        data(1, "abc"),
        data(1, "def", END_STREAM),
        headers(3, get()),
      ),
    );
    expect(peer.events.filter((event) => "id" in event && event.id === 1).at(-1)!.type).toBe(moment);
    expect(peer.session.error).toBeUndefined();
  }
});

test("an early response, and the reset after it, are told in order", () => {
  const peer = new Peer("client");
  peer.feed(settings());
  peer.session.submitRequest({ ...REQUEST, method: "POST" }, false);
  peer.feed(Buffer.concat([headers(1, literals(":status", "413")), rst(1, Code.NO_ERROR)]));
  expect(peer.events.map(({ type }) => type)).toEqual(["headers", "end", "reset"]);
  expect(peer.session.submitData(1, Buffer.alloc(9), 0, 9, true)).toBe(9);
});

test("honest resets do not end a connection: crossing ones, late ones, and cancelled long streams", () => {
  const peer = new Peer("server");
  peer.feed(clientStart(settingsAck()));
  for (let i = 0; i < 1000; i++) {
    const id = 2 * i + 1;
    peer.feed(headers(id, get()));
    peer.session.submitHeaders(id, 200, [], true);
    peer.output();
    peer.feed(rst(id, Code.NO_ERROR));
  }
  const later = Array.from({ length: 900 }, (_, i) => 2001 + 2 * i);
  for (const id of later) peer.feed(headers(id, get()));
  peer.nowMs = 5_000;
  for (const id of later) peer.feed(rst(id));
  expect(peer.session.error).toBeUndefined();
});

test("PING that DATA pays for is no flood", () => {
  const peer = serving();
  for (let i = 0; i < 3000; i++) {
    peer.feed(Buffer.concat([data(1, "x"), ping()]));
    peer.output();
  }
  expect(peer.session.error).toBeUndefined();
});

test("createServerSession refuses windows that the protocol does not have", () => {
  expect(() => new Peer("server", { streamWindowBytes: 2 ** 31 })).toThrow(/streamWindowBytes/);
  expect(() => new Peer("server", { maxFrameBytes: 100 })).toThrow(/maxFrameBytes/);
});

test("heads larger than a frame are split into CONTINUATION and read back", () => {
  const client = new Peer("client");
  const server = new Peer("server");
  settle(client, server);
  const fields = Array.from({ length: 20 }, (_, i) => [`x-${i}`, "v".repeat(2000) + i]).flat();
  client.session.submitRequest({ ...REQUEST, headers: fields }, true);
  const bytes = client.output();
  expect(bytes.length).toBeGreaterThan(2 * 16_384);
  server.feed(bytes);
  expect(server.heads[0]!.headers).toEqual(fields);
});

test("with hostField a request's fields begin with its authority as host, whichever way it came", () => {
  const peer = new Peer("server", { hostField: true, limits: { maxHeaderCount: 2 } });
  const pseudo = [":method", "GET", ":scheme", "http", ":path", "/"];
  peer.feed(
    clientStart(
      headers(1, literals(...pseudo, ":authority", "a", "x", "1", "y", "2")),
      headers(3, literals(...pseudo, "x", "1", "host", "b")),
      headers(5, literals(...pseudo, ":authority", "a", "x", "1", "host", "a")),
    ),
  );
  expect(peer.heads.map((head) => head.headers)).toEqual([
    ["host", "a", "x", "1", "y", "2"],
    ["host", "b", "x", "1"],
    ["host", "a", "x", "1"],
  ]);
});

test("linger: what is under way of an answered request is judged, then its sender is told that nobody reads on", () => {
  const answered = (...bytes: Buffer[]): Peer => {
    const peer = serving(...bytes);
    peer.session.submitHeaders(1, 200, [], true);
    peer.session.linger(1, 2);
    peer.frames();
    return peer;
  };
  const resets = (peer: Peer): number[] =>
    peer.frames().flatMap(({ type, payload }) => (type === 3 ? [payload.readUInt32BE(0)] : []));

  const ending = answered();
  ending.feed(data(1, "the rest", END_STREAM));
  expect(resets(ending)).toEqual([]);
  expect(ending.session.openStreams).toBe(0);

  const malformed = answered();
  malformed.feed(headers(1, literals(":path", "/")));
  expect(resets(malformed)).toEqual([Code.PROTOCOL_ERROR]);

  const slow = answered();
  slow.feed(data(1, "more"));
  slow.session.tick(1001);
  expect(resets(slow)).toEqual([]);
  slow.session.tick(1002);
  expect(resets(slow)).toEqual([Code.NO_ERROR]);
  expect(slow.of("data")).toEqual([]);

  const large = answered();
  large.feed(many(4, () => data(1, "x".repeat(16_384))));
  expect(large.frames().filter(({ type, streamId }) => type === 8 && streamId === 1)).toEqual([]);
  expect(large.session.openStreams).toBe(0);
  expect(large.session.error).toBeUndefined();
});

test("linger: a client that stops sending because it has its answer is not taken for a flood", () => {
  const peer = new Peer("server", { limits: { maxResetsPerSecond: 10 } });
  peer.feed(clientStart(settingsAck()));
  for (let id = 1; id < 100; id += 2) {
    peer.feed(headers(id, post(), END_HEADERS));
    peer.session.submitHeaders(id, 200, [], true);
    peer.session.linger(id, 2);
    peer.feed(rst(id, Code.NO_ERROR));
  }
  expect(peer.session.error).toBeUndefined();
  expect(peer.session.openStreams).toBe(0);
});

test("linger: few streams at a time, none while draining", () => {
  const peer = new Peer("server");
  peer.feed(clientStart(many(40, (i) => headers(2 * i + 1, post(), END_HEADERS))));
  for (let i = 0; i < 40; i++) {
    peer.session.submitHeaders(2 * i + 1, 200, [], true);
    peer.session.linger(2 * i + 1, 2);
  }
  expect(peer.session.openStreams).toBe(32);
  peer.feed(many(32, (i) => data(2 * i + 1, "", END_STREAM)));
  expect(peer.session.openStreams).toBe(0);
  peer.feed(headers(81, post(), END_HEADERS));
  peer.session.goAway(Code.NO_ERROR, true);
  peer.session.submitHeaders(81, 200, [], true);
  peer.session.linger(81, 2);
  expect(peer.session.openStreams).toBe(0);
});
