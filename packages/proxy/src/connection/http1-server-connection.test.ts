import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";

import { TimerWheel } from "@tulle/base";
import { FlushQueue } from "@tulle/http/socket";
import { eventually, FakeClock } from "@tulle/testkit";
import { afterEach, beforeEach, expect, test } from "vitest";

import { source } from "../../test/request-source.js";
import type { DownstreamStream, RequestHandler } from "../stream/contract.js";
import { ProxyLimits } from "../limits/proxy-limits.js";
import { Http1ServerConnection } from "./http1-server-connection.js";
import { CALM } from "../overload/overload-manager.js";

const limits = new ProxyLimits();
let clock: FakeClock;
let server: Server;
let client: Socket;
let received: string;
let ended: boolean;
let connection: Http1ServerConnection | undefined;
let downstream: DownstreamStream | undefined;
let events: string[];
/** Of connections that are made from now on. */
let limitsOfConnection = limits;

beforeEach(async () => {
  clock = new FakeClock();
  received = "";
  ended = false;
  events = [];
  const handler: RequestHandler = {
    onRequestHead: (head) => void events.push(`head ${head.target}`),
    onRequestBody: (_chunk, start, end) => void events.push(`body ${end - start}`),
    onRequestEnd: () => void events.push("end"),
    onDownstreamDrain: () => undefined,
    onDownstreamClose: () => void events.push("close"),
    onDownstreamError: (error) => void events.push(`error ${error.code}`),
    bufferedBytes: 0,
    endIdle: () => undefined,
    shed: () => false,
  };
  limitsOfConnection = limits;
  server = createServer({ allowHalfOpen: true }, (socket) => {
    connection = new Http1ServerConnection(socket, source, {
      queue: new FlushQueue(),
      coarseWheel: new TimerWheel(clock, 500),
      limits: limitsOfConnection,
      overload: CALM,
      onLimit: (name) => void events.push(`limit ${name}`),
      createExchange: (given) => {
        downstream = given;
        return handler;
      },
      onCodecError: ({ message }) => message,
      onHttp2Refusal: () => undefined,
      onSocksRefusal: () => undefined,
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  client = connect((server.address() as AddressInfo).port, "127.0.0.1");
  client.on("data", (chunk: Buffer) => {
    received += chunk.toString();
  });
  client.on("end", () => {
    ended = true;
  });
  client.on("error", () => undefined);
  await eventually(() => connection);
});

afterEach(() => {
  client.destroy();
  server.close();
  connection = undefined;
});

test("H1-28 a head that does not arrive in time is answered with 408, whatever trickles in meanwhile", async () => {
  client.write("GET / HTTP/1.1\r\n");
  await eventually(() => connection?.busy);
  await clock.advance(limits.trusted.headerTimeoutMs - 1000);
  client.write("X: y\r\n");
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(received).toBe("");
  await clock.advance(2000);
  await eventually(() => ended);
  expect(received).toMatch(/^HTTP\/1\.1 408/);
  expect(events).toEqual(["limit connection.headerTimeoutMs"]);
});

test("H1-28 an idle connection is closed after an hour", async () => {
  await clock.advance(limits.trusted.idleTimeoutMs - 1000);
  expect(ended).toBe(false);
  await clock.advance(2000);
  await eventually(() => ended);
  expect(received).toBe("");
  expect(events).toEqual(["limit connection.idleTimeoutMs"]);
});

test("an exchange may take as long as it likes", async () => {
  client.write("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
  await eventually(() => events.includes("end"));
  await clock.advance(2 * limits.trusted.idleTimeoutMs);
  expect(ended).toBe(false);
  downstream?.writeHead(204, "No Content", [], false, 0);
  downstream?.writeEnd([]);
  await eventually(() => received.startsWith("HTTP/1.1 204"));
});

test("a pipelined request waits until the one before is answered", async () => {
  client.write("GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n");
  await eventually(() => events.includes("end"));
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(events).toEqual(["head /1", "end"]);
  downstream?.writeHead(200, "OK", ["content-length", "0"], true, 0);
  downstream?.writeEnd([]);
  await eventually(() => events.includes("head /2"));
});

test("a draining connection closes after its exchange and says so", async () => {
  client.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  await eventually(() => events.includes("end"));
  connection?.drain(1000);
  downstream?.writeHead(200, "OK", ["content-length", "0"], true, 0);
  downstream?.writeEnd([]);
  await eventually(() => ended);
  expect(received).toContain("connection: close");
});

test("a client that ends its side in mid-exchange counts as gone", async () => {
  client.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  await eventually(() => events.includes("end"));
  client.end();
  await eventually(() => events.includes("close"));
});

test("a malformed body is reported once and the connection ends", async () => {
  client.write("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nZ\r\n");
  await eventually(() => events.includes("error HTTP_BAD_CHUNK_SIZE"));
  await eventually(() => ended);
  expect(events.filter((event) => event.startsWith("error"))).toHaveLength(1);
});

/** A further connection to the server, with other limits. */
async function connectWith(other: ProxyLimits): Promise<void> {
  client.destroy();
  limitsOfConnection = other;
  received = "";
  ended = false;
  connection = undefined;
  client = connect({ port: (server.address() as AddressInfo).port, host: "127.0.0.1", allowHalfOpen: true });
  client.on("data", (chunk: Buffer) => (received += chunk.toString()));
  client.on("end", () => (ended = true));
  await eventually(() => connection);
  events.length = 0;
}

test("a connection that is old enough ends with the answer under way", async () => {
  await connectWith(new ProxyLimits({ "connection.maxDurationMs": 60_000 }));
  client.write("GET /a HTTP/1.1\r\nhost: a\r\n\r\n");
  await eventually(() => events.includes("end"));
  downstream!.writeHead(200, "OK", ["content-length", "0"], false, 0);
  downstream!.writeEnd([]);
  await eventually(() => received.includes("200 OK"));
  expect(received).not.toContain("close");
  client.write("GET /b HTTP/1.1\r\nhost: a\r\n\r\n");
  await eventually(() => events.includes("head /b"));
  await clock.advance(61_000);
  expect([events.at(-1), ended]).toEqual(["limit connection.maxDurationMs", false]);
  received = "";
  downstream!.writeHead(200, "OK", ["content-length", "0"], false, 0);
  downstream!.writeEnd([]);
  await eventually(() => ended);
  expect(received).toContain("connection: close");
});

test("an idle connection that is old enough is closed without a word", async () => {
  await connectWith(new ProxyLimits({ "connection.maxDurationMs": 60_000 }));
  await clock.advance(59_000);
  expect(ended).toBe(false);
  await clock.advance(4000);
  await eventually(() => ended);
  expect([received, events]).toEqual(["", ["limit connection.maxDurationMs"]]);
});

test("a closing connection reads on for as long as delayed_close_timeout says", async () => {
  await connectWith(new ProxyLimits({ "connection.delayedCloseMs": 10_000 }));
  client.write("GET /a HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
  await eventually(() => events.includes("end"));
  downstream!.writeHead(200, "OK", ["content-length", "0"], false, 0);
  downstream!.writeEnd([]);
  await eventually(() => ended);
  const open = (): Promise<number> =>
    new Promise((resolve) => server.getConnections((_error, count) => resolve(count)));
  await clock.advance(8000);
  expect(await open()).toBe(1);
  await clock.advance(4000);
  await eventually(async () => (await open()) === 0);
});
