import { promises as dns } from "node:dns";
import { once } from "node:events";
import { connect, createServer, type AddressInfo } from "node:net";

import { silentLogger, systemClock } from "@tulle/base";
import { frame, FrameReader, parseQuery, rcodeOf, type Query } from "@tulle/dns";
import { FakeClock } from "@tulle/testkit";
import { afterEach, expect, test } from "vitest";

import { dnsAnswer, dnsBackend, dnsQuery } from "../../test/dns.js";
import { MetricsRegistry } from "../telemetry/metrics.js";
import { DnsFaults } from "./dns-faults.js";
import { listenDns } from "./dns-server.js";
import { Forwarder } from "./forwarder.js";
import type { Names } from "./names.js";
import { createResolver } from "./resolver.js";

const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const cleanup of cleanups.splice(0)) cleanup();
});

const names = {
  addressesOf: (name: string) => (name === "reviews" ? ["240.240.0.1"] : undefined),
  faultOf: () => undefined,
} as unknown as Names;

function queryOf(message: Buffer): Query {
  const parsed = parseQuery(message);
  if (parsed.outcome !== "query") throw new Error("not a query");
  return parsed.query;
}

async function backend(reply: (query: Buffer) => readonly Buffer[]) {
  const server = await dnsBackend(reply);
  cleanups.push(server.close);
  return server;
}

let ids = 0;
const newId = (): number => ++ids * 1000;

interface Server {
  readonly host: string;
  readonly port: number;
}

async function listener(...servers: readonly Server[]): Promise<number> {
  return listenerAt(0, ...servers);
}

async function listenerAt(givenPort: number, ...servers: readonly Server[]): Promise<number> {
  const forwarder = new Forwarder({ servers, clock: systemClock, newId });
  const resolve = createResolver({
    names,
    search: [],
    faults: new DnsFaults(systemClock, () => 0, new MetricsRegistry()),
    forward: (message, query, transport) => forwarder.ask(message, query, transport),
  });
  const isOwn = (port: number): boolean => forwarder.owns(port);
  const server = await listenDns({
    host: "127.0.0.1",
    port: givenPort,
    resolve,
    isOwn,
    logger: silentLogger,
  });
  cleanups.push(() => server[Symbol.dispose]());
  return server.address.port;
}

test("listenDns serves a resolver library: the mesh's names and the system's", async () => {
  const system = await backend((query) => [dnsAnswer(query, "192.0.2.1")]);
  const resolver = new dns.Resolver({ timeout: 2000, tries: 1 });
  resolver.setServers([`127.0.0.1:${await listener(system)}`]);
  expect(await resolver.resolve4("reviews", { ttl: true })).toEqual([{ address: "240.240.0.1", ttl: 30 }]);
  expect(await resolver.resolve4("outside.example")).toEqual(["192.0.2.1"]);
});

test("listenDns answers several queries on one TCP connection, in their order", async () => {
  const port = await listener();
  const socket = connect(port, "127.0.0.1");
  cleanups.push(() => socket.destroy());
  const received: Buffer[] = [];
  const done = new Promise<void>((resolve) => {
    const reader = new FrameReader((message) => {
      received.push(Buffer.from(message));
      if (received.length === 3) resolve();
      return true;
    });
    socket.on("data", (piece) => reader.push(piece));
  });
  const stream = Buffer.concat([1, 2, 3].map((id) => frame(dnsQuery("reviews", 1, id))));
  for (const byte of stream) socket.write(Buffer.from([byte]));
  await done;
  expect(received.map((message) => message.readUInt16BE(0))).toEqual([1, 2, 3]);
});

test("listenDns says which port is taken", async () => {
  const taken = createServer();
  await new Promise<void>((resolve) => taken.listen(0, "127.0.0.1", resolve));
  cleanups.push(() => taken.close());
  const { port } = taken.address() as AddressInfo;
  const resolve = () => Promise.resolve(undefined);
  await expect(
    listenDns({ host: "127.0.0.1", port, resolve, isOwn: () => false, logger: silentLogger }),
  ).rejects.toMatchObject({
    code: "PROXY_LISTEN_FAILED",
    message: expect.stringContaining(String(port)) as string,
  });
});

test("listenDns refuses its own questions that come back to it, over UDP and TCP", async () => {
  const free = await listener();
  for (const cleanup of cleanups.splice(0)) cleanup();
  const port = await listenerAt(free, { host: "127.0.0.1", port: free });
  const resolver = new dns.Resolver({ timeout: 2000, tries: 1 });
  resolver.setServers([`127.0.0.1:${port}`]);
  await expect(resolver.resolve4("outside.example")).rejects.toMatchObject({ code: "EREFUSED" });
  const socket = connect(port, "127.0.0.1");
  cleanups.push(() => socket.destroy());
  socket.write(frame(dnsQuery("outside.example")));
  const [reply] = (await once(socket, "data")) as [Buffer];
  expect(rcodeOf(reply.subarray(2))).toBe(5);
});

test("Forwarder hides the client's id from the server and takes no answer but that to its own", async () => {
  const asked: number[] = [];
  const system = await backend((query) => {
    asked.push(query.readUInt16BE(0));
    const forged = dnsAnswer(query, "203.0.113.66");
    forged.writeUInt16BE(7, 0);
    const other = dnsAnswer(dnsQuery("other.example", 1, query.readUInt16BE(0)), "203.0.113.66");
    return [Buffer.from("junk"), forged, other, dnsAnswer(query, "192.0.2.1")];
  });
  const forwarder = new Forwarder({ servers: [system], clock: systemClock, newId });
  const query = dnsQuery("outside.example");
  const answer = await forwarder.ask(query, queryOf(query), "udp");
  expect(answer).toEqual(dnsAnswer(query, "192.0.2.1"));
  expect(asked).toEqual([ids * 1000]);
});

test("Forwarder asks the next server when one is silent, and gives up after the last", async () => {
  const clock = new FakeClock();
  const silent = await backend(() => []);
  const answering = await backend((query) => [dnsAnswer(query, "192.0.2.2")]);
  const query = dnsQuery("outside.example");
  const both = new Forwarder({ servers: [silent, answering], clock, newId });
  const asking = both.ask(query, queryOf(query), "udp");
  await clock.advance(2500);
  expect((await asking)?.subarray(-4)).toEqual(Buffer.from([192, 0, 2, 2]));
  const alone = new Forwarder({ servers: [silent], clock, newId });
  const waiting = alone.ask(query, queryOf(query), "udp");
  await clock.advance(5000);
  expect(await waiting).toBeUndefined();
});

test("Forwarder holds a bounded number of questions at once", async () => {
  const clock = new FakeClock();
  const silent = await backend(() => []);
  const forwarder = new Forwarder({ servers: [silent], clock, newId, maxPending: 1 });
  const query = dnsQuery("outside.example");
  const first = forwarder.ask(query, queryOf(query), "udp");
  expect(await forwarder.ask(query, queryOf(query), "udp")).toBeUndefined();
  await clock.advance(5000);
  expect(await first).toBeUndefined();
});
