import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";

import { TimerWheel } from "@tulle/base";
import { HTTP2_PREFACE } from "@tulle/http";
import { FlushQueue } from "@tulle/http/socket";
import { eventually, FakeClock } from "@tulle/testkit";
import { afterEach, beforeEach, expect, test } from "vitest";

import { source } from "../../test/request-source.js";
import type { DownstreamStream, UpstreamStream, UpstreamWaiter } from "../stream/contract.js";
import { HTTP2_KEEP_ALIVE, Http2ClientConnection } from "../upstream/http2-client-connection.js";
import { ProxyLimits } from "../limits/proxy-limits.js";
import { Http2ServerConnection } from "./http2-server-connection.js";
import { CALM } from "../overload/overload-manager.js";

const Frame: Readonly<Record<"HEADERS" | "SETTINGS" | "PING" | "GOAWAY", number>> = {
  HEADERS: 1,
  SETTINGS: 4,
  PING: 6,
  GOAWAY: 7,
};

const SETTINGS = Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]);
const SETTINGS_ACK = Buffer.from([0, 0, 0, 4, 1, 0, 0, 0, 0]);

const limits = new ProxyLimits();
let clock: FakeClock;
let wheel: TimerWheel;
let listener: Server;
/** The side under test, and the one that the test plays. */
let own: Socket;
let peer: Socket;
let received: Buffer;
let ended: boolean;

beforeEach(async () => {
  clock = new FakeClock();
  wheel = new TimerWheel(clock, 500);
  received = Buffer.alloc(0);
  ended = false;
  let accepted: Socket | undefined;
  listener = createServer({ allowHalfOpen: true }, (socket) => {
    accepted = socket;
  });
  await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
  peer = connect((listener.address() as AddressInfo).port, "127.0.0.1");
  peer.on("data", (chunk: Buffer) => {
    received = Buffer.concat([received, chunk]);
  });
  peer.on("end", () => {
    ended = true;
  });
  peer.on("error", () => undefined);
  own = await eventually(() => accepted);
});

afterEach(() => {
  peer.destroy();
  own.destroy();
  listener.close();
});

/** Types of the frames received so far. */
function frames(): number[] {
  const types: number[] = [];
  let at = received.subarray(0, 3).toString() === "PRI" ? HTTP2_PREFACE.length : 0;
  while (at + 9 <= received.length) {
    types.push(received[at + 3] as number);
    at += 9 + received.readUIntBE(at, 3);
  }
  return types;
}

function serve(limits = new ProxyLimits()): Http2ServerConnection {
  return new Http2ServerConnection(own, source, {
    queue: new FlushQueue(),
    coarseWheel: wheel,
    limits,
    overload: CALM,
    onLimit: () => undefined,
    createExchange: (_downstream: DownstreamStream) => ({
      onRequestHead: () => undefined,
      onRequestBody: () => undefined,
      onRequestEnd: () => undefined,
      onDownstreamDrain: () => undefined,
      onDownstreamClose: () => undefined,
      onDownstreamError: () => undefined,
      bufferedBytes: 0,
      endIdle: () => undefined,
      shed: () => false,
    }),
    onCodecError: () => "",
    onHttp2Refusal: () => undefined,
    onSocksRefusal: () => undefined,
  });
}

test("H2-17 Http2ServerConnection gives up a client whose preface does not come", async () => {
  serve();
  await clock.advance(9000);
  expect(ended).toBe(false);
  await clock.advance(4000);
  await eventually(() => ended);
  expect(frames()).toContain(Frame.GOAWAY);
});

test("Http2ServerConnection closes after an hour without a request, with GOAWAY", async () => {
  serve();
  peer.write(Buffer.concat([HTTP2_PREFACE, SETTINGS, SETTINGS_ACK]));
  // SETTINGS and the acknowledgement of the client's.
  await eventually(() => frames().filter((type) => type === Frame.SETTINGS).length === 2);
  await clock.advance(limits.trusted.idleTimeoutMs - 10_000);
  expect(ended).toBe(false);
  await clock.advance(20_000);
  await eventually(() => ended);
  expect(frames()).toContain(Frame.GOAWAY);
});

test("Http2ServerConnection ends a drain that its client does not answer", async () => {
  const connection = serve();
  peer.write(Buffer.concat([HTTP2_PREFACE, SETTINGS, SETTINGS_ACK]));
  await eventually(() => frames().filter((type) => type === Frame.SETTINGS).length === 2);
  connection.drain(1000);
  await eventually(() => frames().includes(Frame.GOAWAY));
  expect(ended).toBe(false);
  await clock.advance(2500);
  await eventually(() => ended);
  expect(frames().filter((type) => type === Frame.GOAWAY)).toHaveLength(2);
});

const gone: string[] = [];

function dial(): Http2ClientConnection {
  gone.length = 0;
  const owner = {
    onStreamsAvailable: () => undefined,
    onConnectionRetired: () => void gone.push("retired"),
    onHttp2Closed: () => void gone.push("closed"),
    onCodecRefusal: () => undefined,
  };
  return new Http2ClientConnection(own, owner, new FlushQueue(), wheel, {
    toSidecar: false,
    scheme: "http",
    idleTimeoutMs: 60_000,
    maxDurationMs: Number.POSITIVE_INFINITY,
    maxStreams: Number.POSITIVE_INFINITY,
    keepAlive: HTTP2_KEEP_ALIVE,
    maxRequests: 0,
    http2: limits.http2Response,
  });
}

function waiter(resets: string[]): UpstreamWaiter {
  return {
    onUpstreamReady: (stream: UpstreamStream) => {
      stream.writeHead("GET", "/", ["host", "a"], false, 0);
      stream.writeEnd([]);
    },
    onUpstreamUnavailable: () => undefined,
    onUpstreamInterim: () => undefined,
    onUpstreamHead: () => undefined,
    onUpstreamSwitched: () => undefined,
    onUpstreamBody: () => undefined,
    onUpstreamEnd: () => undefined,
    onUpstreamDrain: () => undefined,
    onUpstreamReset: (reason) => void resets.push(reason),
  };
}

test("Http2ClientConnection asks a silent server whether it lives, and gives it up when no answer comes", async () => {
  const connection = dial();
  peer.write(Buffer.concat([SETTINGS, SETTINGS_ACK]));
  await eventually(() => frames().filter((type) => type === Frame.SETTINGS).length === 2);
  const resets: string[] = [];
  connection.start(waiter(resets));
  await eventually(() => frames().includes(Frame.HEADERS));
  await clock.advance(29_000);
  expect(frames()).not.toContain(Frame.PING);
  await clock.advance(4000);
  await eventually(() => frames().includes(Frame.PING));
  await clock.advance(15_000);
  expect(resets).toEqual([]);
  await clock.advance(10_000);
  await eventually(() => gone.includes("closed"));
  expect(resets).toEqual(["closed"]);
});

/** A connection whose first try asks for an upgrade. */
function upgrading(resets: string[]): { connection: Http2ClientConnection; stream: UpstreamStream } {
  const connection = dial();
  let stream: UpstreamStream | undefined;
  connection.start({
    ...waiter(resets),
    onUpstreamReady: (given) => {
      stream = given;
      given.writeUpgrade("websocket", "/", ["host", "a"]);
    },
  });
  if (stream === undefined) throw new Error("no stream was given");
  return { connection, stream };
}

const CONNECT_SETTINGS = Buffer.from([0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 1]);

test("Http2ClientConnection asks for an upgrade only once the server has announced that it takes one", async () => {
  const resets: string[] = [];
  const { stream } = upgrading(resets);
  await eventually(() => frames().includes(Frame.SETTINGS));
  expect(frames()).not.toContain(Frame.HEADERS);
  expect(stream.requestSent).toBe(false);
  peer.write(Buffer.concat([CONNECT_SETTINGS, SETTINGS_ACK]));
  await eventually(() => frames().includes(Frame.HEADERS));
  expect(stream.requestSent).toBe(true);
  expect(resets).toEqual([]);
});

test("Http2ClientConnection asks a server for no upgrade that has not announced it", async () => {
  const resets: string[] = [];
  upgrading(resets);
  peer.write(Buffer.concat([SETTINGS, SETTINGS_ACK]));
  await eventually(() => resets.length > 0);
  expect(resets).toEqual(["no-upgrade"]);
  expect(frames()).not.toContain(Frame.HEADERS);
});

test("Http2ClientConnection that ends before SETTINGS loses the upgrade, unsent", async () => {
  const resets: string[] = [];
  const { stream } = upgrading(resets);
  peer.destroy();
  await eventually(() => gone.includes("closed"));
  expect(resets).toEqual(["closed"]);
  expect(stream.requestSent).toBe(false);
});

test("Http2ClientConnection forgets an upgrade that is given up before SETTINGS", async () => {
  const resets: string[] = [];
  const { connection, stream } = upgrading(resets);
  stream.cancel();
  peer.write(Buffer.concat([CONNECT_SETTINGS, SETTINGS_ACK]));
  await eventually(() => frames().filter((type) => type === Frame.SETTINGS).length === 2);
  connection.retire();
  await eventually(() => ended);
  expect(frames()).not.toContain(Frame.HEADERS);
  expect(resets).toEqual([]);
});

test("Http2ClientConnection leaves after a minute without a request", async () => {
  dial();
  peer.write(Buffer.concat([SETTINGS, SETTINGS_ACK]));
  await eventually(() => frames().filter((type) => type === Frame.SETTINGS).length === 2);
  await clock.advance(59_000);
  expect(gone).toEqual([]);
  await clock.advance(10_000);
  await eventually(() => ended);
  expect(gone[0]).toBe("retired");
  expect(frames()).toContain(Frame.GOAWAY);
});

test("Http2ServerConnection takes no further request after its longest time, with GOAWAY", async () => {
  serve(new ProxyLimits({ "connection.maxDurationMs": 60_000 }));
  peer.write(Buffer.concat([HTTP2_PREFACE, SETTINGS, SETTINGS_ACK]));
  await eventually(() => frames().filter((type) => type === Frame.SETTINGS).length === 2);
  await clock.advance(55_000);
  expect(frames()).not.toContain(Frame.GOAWAY);
  await clock.advance(11_000);
  await eventually(() => frames().includes(Frame.GOAWAY));
  await clock.advance(3000);
  await eventually(() => ended);
});
