import { createServer, Socket, type AddressInfo, type Server } from "node:net";

import { systemClock, TimerWheel } from "@tulle/base";
import { eventually, FakeClock } from "@tulle/testkit";
import * as fc from "fast-check";
import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { encodeGrpcMessage } from "../grpc-frames.js";
import { GrpcStatus } from "../grpc.js";
import type { Http2Session } from "../http2/contract.js";
import { Http2ErrorCode } from "../http2/error-codes.js";
import { FlushQueue } from "./flush-queue.js";
import { GrpcClient } from "./grpc-client.js";
import { Http2Transport } from "./http2-transport.js";
import { connectTo, RecordedCall } from "./testdata/recorded-call.js";

// Servers that are no gRPC servers, broken ones, and ones that are gone.

const GRPC_HEAD = ["content-type", "application/grpc"];

let listener: Server;
let port: number;
/** What the server does with a connection. */
let serve: (socket: Socket) => void;
let sockets: Socket[];
let client: GrpcClient | undefined;
const wheel = new TimerWheel(systemClock, 500, 16);

beforeEach(async () => {
  sockets = [];
  client = undefined;
  listener = createServer((socket) => {
    sockets.push(socket);
    socket.on("error", () => undefined);
    serve(socket);
  });
  listener.listen(0, "127.0.0.1");
  await eventually(() => listener.listening);
  port = (listener.address() as AddressInfo).port;
});

afterEach(async () => {
  client?.[Symbol.dispose]();
  for (const socket of sockets) socket.destroy();
  await new Promise((resolve) => {
    listener.close(resolve);
  });
});

/** Serves HTTP/2: `onCall` is told of each call once its head is there. */
function serveHttp2(
  onCall: (session: Http2Session, streamId: number, transport: Http2Transport) => void,
): void {
  const nothing = (): void => undefined;
  serve = (socket) => {
    const transport: Http2Transport = new Http2Transport(
      "server",
      socket,
      {
        onHeaders: (streamId) => {
          onCall(transport.session, streamId, transport);
          transport.commit();
        },
        onData: nothing,
        onTrailers: nothing,
        onStreamEnd: nothing,
        onReset: (streamId) => transport.session.release(streamId),
        onWritable: nothing,
        onGoAway: nothing,
        onSettings: nothing,
        onPingAck: nothing,
        onStreamRefused: nothing,
        onDrained: () => transport.close(),
        onConnectionError: nothing,
        onTick: nothing,
        onTransportClosed: nothing,
      },
      new FlushQueue(),
      wheel,
      {},
    );
  };
}

/** One call to what `serve` is, and how it ended. */
async function call(): Promise<RecordedCall> {
  client = connectTo(port);
  const recorded = new RecordedCall(client, "Any");
  recorded.call.write("question");
  await recorded.end();
  expect(recorded.ends).toHaveLength(1);
  return recorded;
}

test("nobody listens", async () => {
  listener.close();
  expect((await call()).ends[0]).toEqual([
    GrpcStatus.UNAVAILABLE,
    `cannot connect: connect ECONNREFUSED 127.0.0.1:${port}`,
  ]);
});

test.each([
  ["HTTP/1.1", "HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n"],
  ["a banner", "220 mail.example ESMTP ready, and something more to be read\r\n"],
  ["zeros", "\0".repeat(100)],
])("a server that answers %s does not speak HTTP/2", async (_name, bytes) => {
  serve = (socket) => socket.end(bytes);
  const [status, message] = (await call()).ends[0] ?? [];
  expect(status).toBe(GrpcStatus.UNAVAILABLE);
  expect(message).toContain("the server does not speak HTTP/2 as it must: ");
});

test("a server that accepts and closes", async () => {
  serve = (socket) => socket.end();
  expect((await call()).ends[0]?.[0]).toBe(GrpcStatus.UNAVAILABLE);
});

test.each([
  [503, GrpcStatus.UNAVAILABLE],
  [404, GrpcStatus.UNIMPLEMENTED],
  [401, GrpcStatus.UNAUTHENTICATED],
  [200, GrpcStatus.UNKNOWN],
])("an HTTP answer of status %d with text is no answer of gRPC", async (http, expected) => {
  serveHttp2((session, streamId) => {
    session.submitHeaders(streamId, http, ["content-type", "text/plain"], false);
    session.submitData(streamId, Buffer.from("no healthy upstream"), 0, 19, true);
  });
  const { ends, messages } = await call();
  expect(ends).toEqual([
    [
      expected,
      http === 200
        ? "the server's answer is text/plain, not gRPC"
        : `the server answered with HTTP status ${http} instead of gRPC`,
    ],
  ]);
  expect(messages).toEqual([]);
});

test("a status without anything else is taken whatever the HTTP status, and interim answers are nothing", async () => {
  serveHttp2((session, streamId) => {
    session.submitHeaders(streamId, 103, [], false);
    const fields = [...GRPC_HEAD, "grpc-status", "7", "grpc-message", "%e2%82%ac 5%"];
    session.submitHeaders(streamId, 403, fields, true);
  });
  expect((await call()).ends).toEqual([[GrpcStatus.PERMISSION_DENIED, "€ 5%"]]);
});

test.each<[string, (session: Http2Session, streamId: number) => void, number, string]>([
  [
    "without a status",
    (session, streamId) => session.submitData(streamId, Buffer.alloc(0), 0, 0, true),
    GrpcStatus.UNKNOWN,
    "the server ended the call without a status",
  ],
  [
    "with OK in the middle of a message",
    (session, streamId) => {
      session.submitData(streamId, encodeGrpcMessage(Buffer.from("half")), 0, 7, false);
      session.submitTrailers(streamId, ["grpc-status", "0"]);
    },
    GrpcStatus.INTERNAL,
    "the server ended the call in the middle of a message",
  ],
  [
    "with a compressed message",
    (session, streamId) => {
      session.submitData(streamId, Buffer.from([1, 0, 0, 0, 0]), 0, 5, false);
    },
    GrpcStatus.INTERNAL,
    "a message is compressed, and no encoding was agreed on",
  ],
  [
    "with a status that gRPC has not",
    (session, streamId) => session.submitTrailers(streamId, ["grpc-status", "99"]),
    GrpcStatus.UNKNOWN,
    "",
  ],
  [
    "by REFUSED_STREAM",
    (session, streamId) => session.reset(streamId, Http2ErrorCode.REFUSED_STREAM),
    GrpcStatus.UNAVAILABLE,
    "the server reset the call: REFUSED_STREAM",
  ],
  [
    "by ENHANCE_YOUR_CALM",
    (session, streamId) => session.reset(streamId, Http2ErrorCode.ENHANCE_YOUR_CALM),
    GrpcStatus.RESOURCE_EXHAUSTED,
    "the server reset the call: ENHANCE_YOUR_CALM",
  ],
  [
    "by CANCEL",
    (session, streamId) => session.reset(streamId, Http2ErrorCode.CANCEL),
    GrpcStatus.CANCELLED,
    "the server reset the call: CANCEL",
  ],
  [
    "by INTERNAL_ERROR",
    (session, streamId) => session.reset(streamId, Http2ErrorCode.INTERNAL_ERROR),
    GrpcStatus.INTERNAL,
    "the server reset the call: INTERNAL_ERROR",
  ],
])("a call ended %s", async (_name, end, status, message) => {
  serveHttp2((session, streamId) => {
    session.submitHeaders(streamId, 200, GRPC_HEAD, false);
    end(session, streamId);
  });
  expect((await call()).ends).toEqual([[status, message]]);
});

test("a connection that breaks in the middle of a frame ends the call after what was whole", async () => {
  serveHttp2((session, streamId, transport) => {
    session.submitHeaders(streamId, 200, GRPC_HEAD, false);
    const whole = encodeGrpcMessage(Buffer.from("whole"));
    session.submitData(streamId, whole, 0, whole.length, false);
    transport.writer.flush();
    // The head of a DATA frame of 100 bytes, and two of them.
    sockets[0]?.end(Buffer.from([0, 0, 100, 0, 0, 0, 0, 0, streamId, 0, 0]));
  });
  const { ends, messages } = await call();
  expect(messages).toEqual(["whole"]);
  expect(ends).toEqual([[GrpcStatus.UNAVAILABLE, "the connection was lost"]]);
});

test("GOAWAY ends calls that the server has not looked at; those under way go on", async () => {
  let answer: (() => void) | undefined;
  serveHttp2((session, streamId, transport) => {
    if (streamId > 1) return;
    session.submitHeaders(streamId, 200, GRPC_HEAD, false);
    answer = () => {
      session.submitTrailers(streamId, ["grpc-status", "0"]);
      transport.commit();
    };
  });
  client = connectTo(port);
  const one = new RecordedCall(client, "One");
  one.call.end();
  await eventually(() => answer);
  const two = new RecordedCall(client, "Two");
  // GOAWAY with NO_ERROR and last stream 1, by hand: the session would name the second stream, too.
  sockets[0]?.write(Buffer.from([0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0]));
  expect(await two.end()).toEqual([GrpcStatus.UNAVAILABLE, "the server reset the call: REFUSED_STREAM"]);
  const late = new RecordedCall(client, "Late");
  expect(await late.end()).toEqual([
    GrpcStatus.UNAVAILABLE,
    "the server takes no more calls on this connection",
  ]);
  expect(one.ends).toEqual([]);
  answer?.();
  expect(await one.end()).toEqual([GrpcStatus.OK, ""]);
  await eventually(() => sockets[0]?.destroyed);
});

test("a connection that is not there in time is given up", async () => {
  const clock = new FakeClock();
  // Nobody connects it.
  const socket = new Socket();
  client = new GrpcClient({ socket, scheme: "http", authority: "x", clock, connectTimeoutMs: 700 });
  const waiting = new RecordedCall(client, "Any");
  await clock.advance(699);
  expect(waiting.ends).toEqual([]);
  await clock.advance(1);
  expect(waiting.ends).toEqual([[GrpcStatus.UNAVAILABLE, "cannot connect: no connection within 700 ms"]]);
  expect(socket.destroyed).toBe(true);
  expect(clock.pending).toBe(0);
});

test("a server that takes the connection and never says anything is given up", async () => {
  const clock = new FakeClock();
  let heard = false;
  serve = (socket) => socket.on("data", () => (heard = true));
  client = connectTo(port, { clock });
  const silent = new RecordedCall(client, "Any");
  await eventually(() => heard);
  await clock.advance(9000);
  expect(silent.ends).toEqual([]);
  await clock.advance(3000);
  expect(silent.ends[0]?.[0]).toBe(GrpcStatus.UNAVAILABLE);
  expect(silent.ends[0]?.[1]).toContain("the server does not speak HTTP/2 as it must: ");
  await eventually(() => sockets[0]?.readableEnded);
});

test("a server that is gone without a word is found by PING, and one that answers stays", async () => {
  const clock = new FakeClock();
  let speak: ((text: string) => void) | undefined;
  let pings = 0;
  let gone = false;
  serveHttp2((session, streamId, transport) => {
    session.submitHeaders(streamId, 200, GRPC_HEAD, false);
    const execute = session.execute.bind(session);
    vi.spyOn(session, "execute").mockImplementation((bytes, start, end, nowMs) => {
      if (end - start === 17 && bytes[start + 3] === 6) pings++;
      return gone ? end - start : execute(bytes, start, end, nowMs);
    });
    speak = (text) => {
      const bytes = encodeGrpcMessage(Buffer.from(text));
      session.submitData(streamId, bytes, 0, bytes.length, false);
      transport.commit();
    };
  });
  client = connectTo(port, { clock });
  const long = new RecordedCall(client, "Long");
  await eventually(() => speak);
  speak?.("one");
  await eventually(() => long.messages.length === 1);
  await clock.advance(29_000);
  expect(pings).toBe(0);
  await clock.advance(3000);
  await eventually(() => pings === 1);
  // After the answer to the PING.
  speak?.("two");
  await eventually(() => long.messages.length === 2);
  await clock.advance(20_000);
  expect(long.ends).toEqual([]);
  gone = true;
  await clock.advance(20_000);
  expect(long.ends).toEqual([]);
  await clock.advance(5000);
  expect(long.ends).toEqual([[GrpcStatus.UNAVAILABLE, "the connection was lost: HTTP2_PING_TIMEOUT"]]);
});

test("garbage of any kind ends the call once, and throws nowhere", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.uint8Array({ minLength: 1, maxLength: 64 }), { minLength: 1, maxLength: 4 }),
      fc.boolean(),
      async (chunks, settings) => {
        serve = (socket) => {
          if (settings) socket.write(Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]));
          for (const chunk of chunks) socket.write(chunk);
          socket.end();
        };
        const { ends } = await call();
        expect(ends[0]?.[0]).toBeGreaterThan(0);
        client?.[Symbol.dispose]();
      },
    ),
    { numRuns: 60 },
  );
});
